"""`nascli env`: versions and devices, for bug reports."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nascli.cli.options.shared import Json
from nascli.cli.output.printing import aligned, print_json
from nascli.cli.session import Session, command

PACKAGES = (
    "nascli",
    "torch",
    "torchvision",
    "numpy",
    "pydantic",
    "safetensors",
    "scikit-learn",
    "matplotlib",
    "typer",
    "rich",
    "tensorboard",
)


@command()
def env(session: Session, json: Json = False) -> None:
    """Show versions and devices, as a bug report needs them."""
    facts = environment()
    if json:
        print_json(facts)
        return
    lines = [("python", facts["python"]), ("system", facts["system"])]
    lines += [(name, found or "not installed") for name, found in facts["packages"].items()]
    lines += [("processor", f"{facts['cpus']} cores, {facts['threads']} threads used by torch")]
    lines += [("memory", f"{facts['memory_mib']:,} MiB")] if facts["memory_mib"] else []
    lines += [("cuda", facts["cuda"] or "this torch has none")]
    lines += [
        (gpu["device"], f"{gpu['name']}, {gpu['memory_mib']:,} MiB, sm_{gpu['capability']}") for gpu in facts["gpus"]
    ]
    print(aligned(lines if facts["gpus"] else [*lines, ("gpus", "none visible")]))


def environment() -> dict[str, Any]:
    """Versions of everything that matters, and the devices that torch sees. Sizes in MiB."""
    import torch

    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_mib": _memory_mib(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if torch.cuda.is_available() else None,
        "gpus": [_gpu(index) for index in range(torch.cuda.device_count())],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _memory_mib() -> int | None:
    """Memory of the machine; None if the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    except (ValueError, OSError):
        return None


def _gpu(index: int) -> dict[str, Any]:
    import torch

    properties = torch.cuda.get_device_properties(index)
    return {
        "device": f"cuda:{index}",
        "name": properties.name,
        "memory_mib": properties.total_memory >> 20,
        "capability": f"{properties.major}{properties.minor}",
    }
