"""A network as a folder: readable code that needs torch alone, its weights, and an example."""

import inspect
import json
import types
from collections.abc import Mapping
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from nascli.artifacts.load import LoadedModel
from nascli.core.engine.export.metadata import FILE
from nascli.core.engine.export.normalised import NormalisedNetwork, Pixels
from nascli.core.engine.export.plain import example
from nascli.core.engine.export.source import Source, source_of

CODE, WEIGHTS, EXAMPLE = "model.py", "weights.safetensors", "example.py"

_SCALED = {
    "uint8": "(images.to(torch.float32) - self.mean) * self.inverse",
    "float": "(images - self.mean) * self.inverse",
}
_IMAGES = {"uint8": "uint8 [B, {}], 0 to 255", "float": "float32 [B, {}], 0 to 1"}


def folder_files(model: LoadedModel, network: NormalisedNetwork, facts: Mapping[str, Any]) -> dict[str, bytes]:
    """The content of every file in the folder, by its name."""
    data = model.value.data
    pixels: Pixels = facts["input"]
    shape = f"{data.channels}, {data.image_size}, {data.image_size}"
    white = 255.0 if pixels == "uint8" else 1.0
    source = source_of(
        model.value.graph,
        title=f"A network that tells {len(data.classes)} classes apart, exported by nascli {facts['nascli']}.",
        constants={"CLASSES": data.classes, "MEAN": data.mean, "STD": data.std, "WHITE": white},
        normalisation=_SCALED[pixels],
        images=f"Images, {_IMAGES[pixels].format(shape)} -> logits [B, {len(data.classes)}].",
    )
    return {
        CODE: source.text.encode(),
        WEIGHTS: save(weights_of(source, network.network), {"format": "pt"}),
        EXAMPLE: inspect.getsource(example).encode(),
        FILE: (json.dumps(facts, ensure_ascii=False, indent=1) + "\n").encode(),
    }


def weights_of(source: Source, network: nn.Module) -> dict[str, Tensor]:
    """The weights of a graph's network under their names in the code."""
    weights = {}
    for module, node in source.modules.items():
        own = network.get_submodule(node)
        for name, value in (*own.named_parameters(recurse=False), *own.named_buffers(recurse=False)):
            if name != "row":  # that of a constant, which follows from its sides
                weights[f"{module}.{name}"] = value.clone()
    return weights


def load_folder(files: Mapping[str, bytes]) -> nn.Module:
    """The network that the code in these files builds, with the weights in them."""
    module = types.ModuleType("model")
    exec(compile(files[CODE], CODE, "exec"), vars(module))
    network: nn.Module = module.Network()
    network.load_state_dict(module.read_safetensors(files[WEIGHTS]))
    return network.eval()
