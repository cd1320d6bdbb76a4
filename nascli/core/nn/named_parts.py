"""A module whose few large tensors are saved part by part, each under a name of its own."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class NamedParts(nn.Module, ABC):
    """Has the parts of its tensors in its state dict. Loading checks their names and shapes one by one."""

    @abstractmethod
    def parts(self) -> Iterator[tuple[str, Tensor]]:
        """The name of every part, and a view of it."""

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, part in self.parts():
            destination[prefix + name] = part if keep_vars else part.detach()

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
        wanted = dict(self.parts())
        if strict:
            missing_keys += [prefix + name for name in wanted if prefix + name not in state_dict]
            own = (name.removeprefix(prefix) for name in state_dict if name.startswith(prefix))
            unexpected_keys += [prefix + name for name in own if name not in wanted]
        with torch.no_grad():
            for name, part in wanted.items():
                value = state_dict.get(prefix + name)
                if value is None:
                    continue
                if value.shape != part.shape:
                    error_msgs.append(
                        f"size mismatch for {prefix + name}: the saved one has shape {tuple(value.shape)}, "
                        f"the network's {tuple(part.shape)}"
                    )
                else:
                    part.copy_(value)
