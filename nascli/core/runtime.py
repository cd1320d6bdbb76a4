"""Where and in what arithmetic a network runs: device, precision, memory format, compilation."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler

from nascli.config import Config, SearchConfig, TrainConfig
from nascli.core.answer import BatchParts
from nascli.core.cuda_graphs import GraphedNetwork
from nascli.core.memory_guard import guarded_memory
from nascli.core.nn.memory_format import BEST_MEMORY_FORMAT
from nascli.distributed.ranks import ALONE, Ranks, world
from nascli.errors import MemoryExhausted, UsageError
from nascli.seeds import derive_seed

SERIAL_PIXELS = 128 * 16 * 16
"""Steps on fewer pixels than this run on one CPU thread; see `fitting_threads`."""

BYTES_PER_PARAMETER = 3 * 4
"""The least that training keeps for each parameter: value, gradient and momentum in float32."""

Network = TypeVar("Network", bound=nn.Module)

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Runtime:
    """The part of a configuration that concerns the machine. It decides the speed and, up to rounding, nothing else."""

    device: torch.device
    precision: str = "fp32"
    compile: bool = False
    cuda_graphs: bool = False
    ranks: Ranks = ALONE
    synchronise: bool = True
    """Whether batch norms see the whole of a batch that is spread over ranks."""
    listeners: list[Callable[[str], None]] = field(default_factory=list, compare=False)
    """Who is told what happens while work goes on, such as a pass that cannot be captured."""

    def parts(self, images: int) -> BatchParts | None:
        """How a batch of so many images is spread over the ranks; None if there is only one."""
        return BatchParts(self.ranks, images, self.synchronise) if self.ranks.count > 1 else None

    @property
    def ranks_in_words(self) -> dict[str, str]:
        """What a run's first line says of its processes; nothing of a single one."""
        if self.ranks.count == 1:
            return {}
        return {"processes": f"{self.ranks.count}{'' if self.synchronise else ', batch norms not synchronised'}"}

    def rows(self, batch_size: int, own: int) -> tuple[int, slice]:
        """For how many images of a batch random numbers are drawn, and which of them are for the `own` images here."""
        return (batch_size, self.ranks.share.rows(batch_size)) if self.ranks.count > 1 else (own, slice(None))

    @property
    def memory_format(self) -> torch.memory_format:
        """Layout of images and convolution weights."""
        return BEST_MEMORY_FORMAT

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which a forward pass runs in the chosen precision."""
        kind = _AUTOCAST.get(self.precision)
        # A captured pass must cast the weights itself, each time.
        cached = not self.replays
        return torch.autocast(self.device.type, dtype=kind, enabled=kind is not None, cache_enabled=cached)

    @contextmanager
    def full_precision(self) -> Iterator[None]:
        """Context in which a forward pass runs in float32, whatever the precision: without autocast and TF32."""
        before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = False
        try:
            with torch.autocast(self.device.type, enabled=False):
                yield
        finally:
            torch.backends.cudnn.allow_tf32 = before

    def scaler(self) -> GradScaler:
        """A new gradient scaler for one optimiser; it does nothing outside fp16."""
        return GradScaler(self.device.type, enabled=self.precision == "fp16")

    def place(self, network: Network) -> Network:
        """Move a network to the device and its layout, in place."""
        # torch takes the layout together with the device; its types say only the device.
        return network.to(self.device, memory_format=self.memory_format)  # type: ignore[call-overload, no-any-return]

    @property
    def replays(self) -> bool:
        """Whether passes are captured and replayed as CUDA graphs."""
        return self.cuda_graphs and self.device.type == "cuda"

    def runnable(self, network: nn.Module, *, replays: bool = True) -> nn.Module:
        """What to call in place of `network`: itself or, where asked for, its compiled or captured form with the same
        weights.

        replays: whether each pass's gradients are used before the next pass, so that it may be captured.
        """
        if self.compile:
            network = torch.compile(network)  # type: ignore[assignment]  # a module, too
        return GraphedNetwork(network, self._tell) if self.replays and replays else network

    @property
    def compile_notice(self) -> str:
        """What to expect of compiling; empty where there is nothing to say."""
        if not self.compile or self.device.type != "cpu":
            return ""
        return "--compile on a CPU takes minutes before the first step, more than ten for a search: it is for GPUs"

    def _tell(self, text: str) -> None:
        for listener in self.listeners:
            listener(text)

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know before the first step; empty texts where there is nothing to say."""
        return (self.compile_notice, self.graphs_notice)

    @property
    def graphs_notice(self) -> str:
        """What to expect of CUDA graphs; empty where there is nothing to say."""
        if not self.cuda_graphs or self.replays:
            return ""
        return f"--cuda-graphs is for GPUs: on the {self.device.type} steps run in the ordinary way"

    def generator(self, seed: int, *purpose: str | int) -> torch.Generator:
        """A generator for one purpose, which includes the step's number where there is one.

        It is always on the CPU, so that a seed gives the same random numbers on every device.
        """
        return torch.Generator().manual_seed(derive_seed(seed, *purpose))


def open_runtime(config: Config) -> Runtime:
    """The runtime that a configuration asks for. Raises UsageError where this machine cannot provide it."""
    ranks = world()
    device = _select_device(config.device, ranks)
    if ranks.count > 1:
        _check_ranks(config, ranks)
        if device.type == "cuda":
            torch.cuda.set_device(device)  # else every process would also begin to use the first GPU
    if config.precision == "fp16" and device.type == "cpu":
        raise UsageError("--precision fp16 needs a GPU: use bf16 or fp32 on a CPU")
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")  # as torch looks for it
    if config.compile and device.type == "cpu" and shutil.which(compiler) is None:
        raise UsageError(f"--compile on a CPU needs the C++ compiler {compiler}: install it, or leave --compile out")
    if config.deterministic:
        # cuBLAS reads this when it starts, and without it torch refuses deterministic matrix products.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    elif device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    synchronise = getattr(config, "sync_batch_norm", True)
    return Runtime(device, config.precision, config.compile, config.cuda_graphs, ranks, synchronise)


def _check_ranks(config: Config, ranks: Ranks) -> None:
    """Raise UsageError for what does not go with several processes."""
    if config.skip_corrupt:
        raise UsageError(
            "--skip-corrupt is for one process: repair or remove the images that cannot be read, and leave it out "
            "under torchrun"
        )
    alone = {"--compile": config.compile, "--cuda-graphs": config.cuda_graphs}
    if given := [flag for flag, given in alone.items() if given]:
        raise UsageError(
            f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} for one process: leave "
            f"{'it' if len(given) == 1 else 'them'} out under torchrun"
        )
    if not isinstance(config, SearchConfig | TrainConfig) or config.batch_size >= ranks.count:
        return
    more = "" if config.batch_was_fitted else f", or give --batch-size {ranks.count} or more"
    raise UsageError(f"a batch of {config.batch_size} cannot be spread over {ranks.count} processes: start fewer{more}")


def _select_device(name: str, ranks: Ranks = ALONE) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if ranks.count > 1 and name.startswith("cuda:"):
        raise UsageError(f"--device {name} is one GPU, and each process takes one: give --device cuda")
    if name == "cuda" and ranks.count > 1:
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UsageError(f"unknown device {name!r}: use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(
            f"device {name!r} does not exist: {f'{count} GPU(s) visible' if count else 'no GPU is visible'}"
        )
    return device


def check_memory(parameters: int, device: torch.device, smaller: str = "fewer --channels or --layers") -> None:
    """Raise MemoryExhausted where the weights alone, with a gradient and a momentum each, exceed the whole memory.

    smaller: what makes the network smaller, for the message.

    A machine that runs out of memory slows to a standstill before it fails, and the system may then kill any process.
    """
    needed, there = BYTES_PER_PARAMETER * parameters, _whole_memory(device)
    if needed > there:
        raise MemoryExhausted(
            f"a network of {parameters:,} parameters takes {needed / 2**30:,.0f} GiB to train, the {device.type} has "
            f"{there / 2**30:,.0f} GiB: no batch size fits; use {smaller}"
        )


def check_maps(batch_size: int, largest: int, side: int, runtime: Runtime, stem: str | None = None) -> None:
    """Raise MemoryExhausted where the maps of one layer, for one batch, exceed the whole memory.

    largest: numbers in the largest map that the network is known to have, for one image; side: of the image; stem: of a
    network of cells. A step needs far more, but this is enough to refuse images that are too large before the machine
    stands still.
    """
    needed = batch_size * largest * (4 if runtime.precision == "fp32" else 2)
    there = _whole_memory(runtime.device)
    if needed > there:
        raise MemoryExhausted(
            f"a layer alone takes {needed / 2**30:,.0f} GiB for {batch_size} images of {side} pixels, the "
            f"{runtime.device.type} has {there / 2**30:,.0f} GiB: use a smaller --image-size or --batch-size"
            + (", or --stem imagenet" if stem == "cifar" else "")
        )


def _whole_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@contextmanager
def fitting_threads(runtime: Runtime, pixels: int) -> Iterator[None]:
    """While active, torch uses one CPU thread where a step has too few pixels (images times area) to share.

    Below SERIAL_PIXELS a second thread gains nothing, and on a busy machine each of the thousands of tiny parallel
    sections waits for a core: beside one other process a search on 8x8 digits became 16 times slower, but with a single
    thread it was as fast as with two on an idle machine. The number of threads changes the last bits of the result, so
    the rule depends on the configuration alone.
    """
    if runtime.device.type != "cpu" or pixels >= SERIAL_PIXELS:
        yield  # Setting the same number again would start threads, which hangs where memory has run out.
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def memory_errors(batch_size: int) -> Iterator[None]:
    """Turn an allocator's failure into MemoryExhausted, which names the batch size to try next."""
    try:
        # A GPU's driver maps far more than it uses.
        with nullcontext() if torch.cuda.is_available() else guarded_memory():
            yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        known = isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
            text in str(error) for text in ("allocate memory", "can't start new thread")
        )
        if not known:
            raise
        smaller = f"try --batch-size {batch_size // 2}" if batch_size > 1 else "use a smaller --image-size or network"
        raise MemoryExhausted(f"out of memory at batch size {batch_size}: {smaller}") from error
