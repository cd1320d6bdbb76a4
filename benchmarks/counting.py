"""Counts what a computation asks of a device: operators that touch memory, and waits of the host for the device.

    with Accelerator(), Counting(ACCELERATOR) as counted:
        F.cross_entropy(network(images), labels).backward()
    print(counted.total, counted.waits)

An operator here is what torch's dispatcher runs, `convolution_backward` or `add`; on a GPU that is a kernel, or a few.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, Self
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from nascli.core.engine.loop import tensors_in

HOST = torch.device("cpu")

ACCELERATOR = torch.device("meta")
"""Stands for a GPU, on which code takes the branches that are not for CPUs. Its tensors have shapes and no numbers, so
that counting needs neither a GPU nor time. (Fake CUDA tensors have no backward pass where torch is built for CUDA and
the machine has no device.)
"""

_CONVOLUTIONS = {"convolution": slice(0, 2), "convolution_backward": slice(1, 3)}
"""Where these have the maps and weights among their arguments. Without numbers, torch returns all in one layout."""

_NORMS = ("native_batch_norm", "native_batch_norm_backward")
"""Most of the time without numbers goes into these: torch takes them apart, in Python."""

_ALLOCATE = ("empty", "new_empty")
"""How the names of operators begin that only allocate: their schemas don't say so."""


class Counting(TorchDispatchMode):
    """Counts, while it is entered, what runs on a device.

    operators: how often each operator ran that touches memory. One that writes nothing and whose results lie in the
    memory of its arguments is a view, and is left out; so is one that only allocates. A copy from the host counts, and
    a foreach operator counts once, since a GPU takes a few dozen tensors in one kernel.

    waits: how often the host waited for the device: for its numbers (`item`, `bool`, copies to the host), or until the
    host's had arrived (copies that are not `non_blocking`; a Python number or list, such as an index, that becomes a
    tensor there). Where there are no numbers, on ACCELERATOR, the host gets ones.

    Raises RuntimeError where an operator mixes tensors of the host with those of ACCELERATOR, as a GPU would: a scalar
    of the host, too, would be a constant of a captured graph.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.operators: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self._indices = _Indices(self)

    def __enter__(self) -> Self:
        self._indices.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._indices.__exit__(*error)

    @property
    def total(self) -> int:
        """The number of operators."""
        return self.operators.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        given = [*tensors_in(args), *tensors_in(kwargs)]
        here = [tensor for tensor in given if tensor.device.type == self.device.type]
        copy = _copy(name, args, kwargs)
        if copy is None and here and len(here) < len(given):
            raise RuntimeError(f"{func} mixes tensors of {self.device.type} with others: {[t.device for t in given]}")
        if wait := self._wait(name, here, copy):
            self.waits[wait] += 1
        if (
            here
            and self.device == ACCELERATOR
            and (name == "_local_scalar_dense" or (copy and copy.target == HOST.type))
        ):
            ones = torch.ones(here[0].shape, dtype=kwargs.get("dtype") or here[0].dtype)
            return ones.item() if copy is None else ones
        if name in _NORMS and here and self.device == ACCELERATOR and not kwargs:
            results = _normed(name, *args)
        else:
            results = func(*args, **kwargs)
        if name in _CONVOLUTIONS and self.device == ACCELERATOR:
            results = _laid_out(results, args[_CONVOLUTIONS[name]])
        made = [tensor for tensor in tensors_in(results) if tensor.device.type == self.device.type]
        if (here or made) and _touches_memory(func, given, made):
            self.operators[name] += 1
        return results

    def _wait(self, name: str, here: list[Tensor], copy: "_Copy | None") -> str:
        """What the host waits for in an operator; empty if it doesn't wait."""
        if self.device == HOST:
            return ""
        if copy is not None and {copy.source, copy.target} == {HOST.type, self.device.type}:
            if copy.target == HOST.type:
                return "copy to the host"
            return "" if copy.non_blocking else "copy from the host"
        return {"_local_scalar_dense": "number", "lift_fresh": "Python's numbers"}.get(name, "") if here else ""


class _Indices(TorchFunctionMode):
    """Counts Python's lists of numbers as indices: to torch's operators they are tensors like any others."""

    def __init__(self, counted: Counting) -> None:
        super().__init__()
        self._counted = counted

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.__getitem__, Tensor.__setitem__) and args[0].device.type == self._counted.device.type:
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            self._counted.waits.update("index from the host" for part in index if isinstance(part, list))
        return func(*args, **(kwargs or {}))


class _Copy(NamedTuple):
    """From one type of device to one, which may be the same."""

    source: str
    target: str
    non_blocking: bool


def _copy(name: str, args: Any, kwargs: Any) -> _Copy | None:
    """The copy that an operator is; None if it is none."""
    if name == "copy_":
        return _Copy(args[1].device.type, args[0].device.type, any(args[2:]) or kwargs.get("non_blocking", False))
    if name == "_to_copy":
        target = torch.device(kwargs.get("device") or args[0].device)
        return _Copy(args[0].device.type, target.type, kwargs.get("non_blocking", False))
    return None


def _laid_out(results: Any, like: Sequence[Tensor]) -> Any:
    """A convolution's maps or gradients, channels-last if its maps or weights are, as cuDNN returns them."""
    last = any(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in like)
    layout = torch.channels_last if last else torch.contiguous_format
    return tree_map_only(Tensor, lambda one: one.contiguous(memory_format=layout) if one.dim() == 4 else one, results)


def _normed(name: str, *args: Any) -> tuple[Tensor | None, ...]:
    """What a batch norm or its gradient returns, without numbers: maps [B, C, H, W], and two of [C] in single precision
    or more; of a gradient, those that are wanted.
    """
    maps, wanted = (args[0], (True, True, True)) if name == "native_batch_norm" else (args[1], args[9])
    precise = torch.promote_types(maps.dtype, torch.float32)
    found = torch.empty_like(maps), *(maps.new_empty(maps.shape[1], dtype=precise) for _ in range(2))
    return tuple(one if want else None for one, want in zip(found, wanted, strict=True))


def _touches_memory(func: Any, given: list[Tensor], made: list[Tensor]) -> bool:
    """Whether an operator reads or writes memory, other than to describe or allocate it."""
    always = _always_touches_memory(func)
    if always is not None:
        return always
    known = {tensor.untyped_storage()._cdata for tensor in given}
    return any(tensor.untyped_storage()._cdata not in known for tensor in made)


@cache
def _always_touches_memory(func: Any) -> bool | None:
    """What the operator itself tells; None where its results tell."""
    if torch.Tag.inplace_view in func.tags or func.overloadpacket.__name__.startswith(_ALLOCATE):
        return False
    writes = any(part.alias_info is not None and part.alias_info.is_write for part in func._schema.arguments)
    return True if writes else None


@contextmanager
def accelerator() -> Iterator[torch.device]:
    """While active, ACCELERATOR has what torch has on GPUs: autocast, and optimisers that take all tensors at once."""
    autocast, enabled = torch.autocast, torch.is_autocast_enabled
    kinds = torch.utils._foreach_utils._get_foreach_kernels_supported_devices
    name = ACCELERATOR.type

    def cuda(kind: str) -> str:
        return "cuda" if kind == name else kind

    with ExitStack() as stack:
        for owner, attribute, stand_in in (
            (torch, "autocast", lambda kind, *args, **kwargs: autocast(cuda(kind), *args, **kwargs)),
            (torch, "is_autocast_enabled", lambda *kind: enabled(*map(cuda, kind))),
            (torch.utils._foreach_utils, kinds.__name__, lambda: [*kinds(), name]),
            (import_module("torch.optim.optimizer"), kinds.__name__, lambda: [*kinds(), name]),
        ):
            stack.enter_context(mock.patch.object(owner, attribute, stand_in))
        yield ACCELERATOR
