"""`nascli env`: versions, devices and what else is running, for bug reports and beside measured times."""

import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
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
    "onnx",
    "onnxscript",
    "onnxruntime",
)


@command()
def env(session: Session, json: Json = False) -> None:
    """Show versions, devices and load, as a bug report needs them."""
    facts = environment()
    if json:
        print_json(facts)
        return
    lines = [("python", facts["python"]), ("system", facts["system"])]
    lines += [(name, found or "not installed") for name, found in facts["packages"].items()]
    lines += [("processor", _processor_in_words(facts)), ("load", _load_in_words(facts))]
    lines += [("memory", f"{facts['memory_mib']:,} MiB")] if facts["memory_mib"] else []
    lines += [("cuda", facts["cuda"] or "this torch has none")]
    lines += [
        (gpu["device"], f"{gpu['name']}, {gpu['memory_mib']:,} MiB, sm_{gpu['capability']}") for gpu in facts["gpus"]
    ]
    print(aligned(lines if facts["gpus"] else [*lines, ("gpus", "none visible")]))


def environment() -> dict[str, Any]:
    """Versions of everything that matters, the devices that torch sees, and the load. Sizes in MiB."""
    import torch

    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": _load(),
        "memory_mib": _memory_mib(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if torch.cuda.is_available() else None,
        "gpus": [_gpu(index) for index in range(torch.cuda.device_count())],
    }


def machine() -> str:
    """What a measured time is worth nothing without: the processor, its threads, what else runs, torch."""
    facts = environment()
    return f"{_processor_in_words(facts)}; load {_load_in_words(facts)}; torch {facts['packages']['torch']}"


def _processor_in_words(facts: Mapping[str, Any]) -> str:
    threads = f"{facts['threads']} thread{'' if facts['threads'] == 1 else 's'} used by torch"
    return f"{facts['processor']} with {facts['instructions']}, {facts['cpus']} cores, {threads}"


def _load_in_words(facts: Mapping[str, Any]) -> str:
    """Times of several threads are those of an idle machine only where this is about 0."""
    if facts["load"] is None:
        return "unknown"
    return f"{facts['load']:.1f} programs on average wanted a core in the last minute"


def _processor() -> str:
    """The name of the processor, or that of its kind where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _load() -> float | None:
    """Programs that wanted a core in the last minute, on average; None if the system does not tell."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


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
