"""Tensors that hold many edges at once, but are saved edge by edge in a state dict."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from nascli.core.nn.batch_norm import RunningMoments


class PerEdge(nn.Module):
    """A module whose tensors all have a row per edge as their first axis. `EdgeTable` saves and loads it."""

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        pass

    def _load_from_state_dict(self, *_: Any) -> None:
        pass


class EdgeRunningMoments(PerEdge, RunningMoments):
    """Running statistics [edges, P] of the edges that leave one state."""


class EdgeTable(nn.ModuleDict):
    """`PerEdge` modules by the state that their edges leave, with the states that the edges lead to.

    Row r of the tensor `sep_conv_3x3.first.depthwise.weight` of the module "0" is called
    `0-2.sep_conv_3x3.first.depthwise.weight` in the state dict, where 2 is the r-th target of state 0: the name that
    it would have in a module of that one edge. Loading checks names and shapes edge by edge.
    """

    def __init__(self, modules: Mapping[int, PerEdge], targets: Mapping[int, tuple[int, ...]]) -> None:
        super().__init__({str(source): module for source, module in modules.items()})
        self.targets = dict(targets)

    def _rows(self) -> Iterator[tuple[str, Tensor]]:
        for source, targets in self.targets.items():
            module = self[str(source)]
            for name, tensor in chain(module.named_parameters(), module.named_buffers()):
                for row, target in enumerate(targets):
                    yield f"{source}-{target}.{name}", tensor[row]

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, row in self._rows():
            destination[prefix + name] = row if keep_vars else row.detach()

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Tensor],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        wanted = dict(self._rows())
        if strict:
            missing_keys += [prefix + name for name in wanted if prefix + name not in state_dict]
            own = (name.removeprefix(prefix) for name in state_dict if name.startswith(prefix))
            unexpected_keys += [prefix + name for name in own if name not in wanted]
        with torch.no_grad():
            for name, row in wanted.items():
                value = state_dict.get(prefix + name)
                if value is None:
                    continue
                if value.shape != row.shape:
                    error_msgs.append(
                        f"size mismatch for {prefix + name}: the saved one has shape {tuple(value.shape)}, "
                        f"the network's {tuple(row.shape)}"
                    )
                else:
                    row.copy_(value)
