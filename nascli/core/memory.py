"""How much memory a forward and a backward pass need at once."""

import weakref
from collections.abc import Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


class MemoryMeter:
    """Measures the most memory in use at any time while the meter is entered: `peak`, in bytes.

    On a CPU it counts the tensors that autograd saves for backward passes, since these grow with the batch and the
    network. Each storage counts once and whole, however many views of it are saved, from when it is first saved until
    no graph keeps it any more. So a graph that is freed, by its backward pass or because it is dropped, no longer
    counts, and a loop over networks has the peak of its largest. What a checkpoint (`use_reentrant=False`) computes a
    second time counts while it lives, if the backward pass runs inside the meter. The gradients that a backward pass
    hands on and the working memory of an operation are not counted.

    On a GPU it is torch's own count of allocated memory of all kinds, weights and data included.

    A meter that is entered several times has the peak of all of them.

    ignore: tensors that exist anyway and are not counted, such as parameters, buffers and images.
    """

    def __init__(self, device: torch.device | str = "cpu", *, ignore: Iterable[Tensor] = ()) -> None:
        self._device = torch.device(device)
        self._ignored = tuple(ignore)  # held, so that no other storage gets their addresses
        self._skip = {_address(tensor) for tensor in self._ignored}
        self._keepers: dict[int, int] = {}
        self._kept = self._peak = 0
        self._stack = ExitStack()

    @property
    def peak(self) -> int:
        """The most bytes at any time while the meter was entered."""
        return self._peak

    @property
    def kept(self) -> int:
        """The bytes that graphs keep now (on a CPU): 0 once all are freed."""
        return self._kept

    def __enter__(self) -> Self:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._stack.enter_context(saved_tensors_hooks(self._keep, _unchanged))
            # Only the innermost hooks are called: a checkpoint's own hide what it saves, unless they are watched too.
            self._stack.callback(setattr, saved_tensors_hooks, "__enter__", saved_tensors_hooks.__enter__)
            saved_tensors_hooks.__enter__ = self._watching()  # type: ignore[method-assign]  # for as long as it counts
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._device.type == "cuda":
            self._peak = max(self._peak, torch.cuda.max_memory_allocated(self._device))
        self._stack.close()

    def _keep(self, tensor: Tensor) -> Tensor:
        """What a graph is to save in place of `tensor`: the same memory, counted until the graph lets go of it."""
        alias = tensor.detach()  # a tensor that held its own node would never be freed
        self._count(alias)
        return alias

    def _count(self, keeper: Tensor) -> None:
        """Count the storage of `keeper` for as long as this very object lives."""
        address, size = _address(keeper), keeper.untyped_storage().nbytes()
        if address in self._skip or not size:
            return
        if address not in self._keepers:
            self._keepers[address] = 0
            self._kept += size
            self._peak = max(self._peak, self._kept)
        self._keepers[address] += 1
        weakref.finalize(keeper, self._release, address, size).atexit = False

    def _release(self, address: int, size: int) -> None:
        self._keepers[address] -= 1
        if not self._keepers[address]:
            del self._keepers[address]
            self._kept -= size

    def _watching(self) -> Any:
        """`saved_tensors_hooks.__enter__`, for hooks that are entered inside the meter."""
        meter, enter = self, saved_tensors_hooks.__enter__

        def watched_enter(hooks: saved_tensors_hooks) -> None:
            pack = hooks.pack_hook

            def watched_pack(tensor: Tensor) -> Any:
                alias = tensor.detach()
                try:
                    packed = pack(alias)
                except Exception:  # a checkpoint raises to stop computing once it has all that it needs
                    meter._count(alias)
                    raise
                if isinstance(packed, Tensor):
                    meter._count(packed)
                return packed

            hooks.pack_hook = watched_pack
            try:
                enter(hooks)
            finally:
                hooks.pack_hook = pack

        return watched_enter


def _address(tensor: Tensor) -> int:
    address: int = tensor.untyped_storage().data_ptr()
    return address


def _unchanged(packed: Tensor) -> Tensor:
    return packed
