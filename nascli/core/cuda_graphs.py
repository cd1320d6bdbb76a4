"""Passes of a network as CUDA graphs: a GPU is told once what to do, not operator by operator in every step."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from nascli.core.unrolled import restored

Pass = Callable[..., Any]


class GraphedNetwork(nn.Module):
    """A network whose training passes, forward and backward, are captured once for every form of their arguments and
    then replayed.

    A form is the shapes and types of the tensors, which of them and of the weights have gradients, and everything that
    is no tensor. All else runs in the ordinary way: evaluation, passes without gradients, and forms that cannot be
    captured, of which `tell` is told.

    Gradients of weights lie in memory that the next pass of the same form overwrites: they are for an optimiser that
    takes its step before. Of any two passes, the backward one must follow its forward one.
    """

    def __init__(self, network: nn.Module, tell: Callable[[str], None]) -> None:
        super().__init__()
        self.network, self.tell = network, tell
        self._passes: dict[Hashable, Pass] = {}
        self._memory: Any = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if not (self.network.training and torch.is_grad_enabled()):
            return self.network(*args, **kwargs)
        leaves, structure = tree_flatten((args, kwargs))
        learns = tuple(weight.requires_grad for weight in self.network.parameters())
        form = (repr(structure), *map(_form, leaves), learns, torch.is_autocast_enabled("cuda"))
        if form not in self._passes:
            self._passes[form] = self._captured(leaves, structure)
        return self._passes[form](*_tensors(leaves))

    def _captured(self, leaves: Sequence[Any], structure: TreeSpec) -> Pass:
        """A pass of this form; the ordinary one where capturing fails."""
        ordinary = _OfTensors(self.network, leaves, structure)
        if self._memory is None:
            self._memory = torch.cuda.graph_pool_handle()  # one for all forms, which never need it together
        examples = tuple(x.detach().clone().requires_grad_(x.requires_grad) for x in _tensors(leaves))
        try:
            with restored(self.network.buffers()):  # passes that only warm up must not count in running statistics
                replayed: Pass = torch.cuda.make_graphed_callables(
                    _OfTensors(self.network, leaves, structure), examples, allow_unused_input=True, pool=self._memory
                )
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.tell(f"a step cannot be captured as a CUDA graph and runs in the ordinary way: {_first_line(error)}")
            return ordinary
        return replayed


class _OfTensors(nn.Module):
    """A network as a function of the tensors among its arguments; the others are fixed."""

    def __init__(self, network: nn.Module, leaves: Sequence[Any], structure: TreeSpec) -> None:
        super().__init__()
        self.network, self._structure = network, structure
        self._fixed = [None if isinstance(leaf, Tensor) else (leaf,) for leaf in leaves]

    def forward(self, *tensors: Tensor) -> Any:
        given = iter(tensors)
        leaves = [next(given) if fixed is None else fixed[0] for fixed in self._fixed]
        args, kwargs = tree_unflatten(leaves, self._structure)
        return self.network(*args, **kwargs)


def _tensors(leaves: Sequence[Any]) -> list[Tensor]:
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


def _form(leaf: Any) -> Hashable:
    if isinstance(leaf, Tensor):
        return (tuple(leaf.shape), leaf.stride(), leaf.dtype, leaf.requires_grad)
    return (leaf,)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
