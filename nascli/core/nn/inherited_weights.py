"""The weights of a smaller network, taken from the super-network that it was cut from."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascli.core.nn import auxiliary
from nascli.core.nn.graph_network import GraphNetwork
from nascli.graphs.slim import Slim


def inherit(network: GraphNetwork, slim: Slim, supernet: GraphNetwork, masks: Tensor) -> None:
    """Give `network`, of `slim.graph`, the weights and running statistics of `supernet`, and the values of constants.

    masks: [1, mask_size], the hard mask that `slim` stands for. The network's logits are then those of the masked
    super-network in evaluation mode, up to rounding. Both lie on one device. An auxiliary tower is inherited where both
    have one.
    """
    with torch.no_grad():
        theirs = supernet.state_dict()
        for name, tensor in network.state_dict().items():
            node = name.rpartition(".")[0]
            if node in slim.constants or (node.startswith(auxiliary.PREFIX) and supernet.auxiliary is None):
                continue
            tensor.copy_(_slice(theirs[name], *_places(slim, node)))
        fixed = _fixed(slim, supernet, masks)
        for norm, shifts in slim.shifts.items():
            mean, channels = network.get_buffer(f"{norm}.running_mean"), slim.outputs[norm]
            for conv, first in shifts:
                # The same value at every pixel. The batch norm's input now lacks it, so its mean must lack it too.
                shift = fixed[conv][:, 0, 0]
                places = [place for place, channel in enumerate(channels) if 0 <= channel - first < len(shift)]
                mean[places] -= shift[[channels[place] - first for place in places]]
        for name, sources in slim.constants.items():
            value = network.get_parameter(f"{name}.value")
            whole = torch.stack([fixed[source] for source in sources]).sum(0)[list(slim.outputs[name])]
            value.copy_(_distinct(whole, value.shape[-1]))


def _places(slim: Slim, node: str) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    """The super-network's outputs and inputs that a layer still has; None for all."""
    if node == "auxiliary.reduce":
        return None, slim.auxiliary
    return slim.outputs.get(node), slim.inputs.get(node)


def _slice(tensor: Tensor, outputs: tuple[int, ...] | None, inputs: tuple[int, ...] | None) -> Tensor:
    """The rows and columns of a weight that are left; a vector has rows only."""
    if tensor.ndim == 0:
        return tensor
    if outputs is not None:
        tensor = tensor[list(outputs)]
    if inputs is not None and tensor.ndim > 1:
        tensor = tensor[:, list(inputs)]
    return tensor


def _distinct(maps: Tensor, rows: int) -> Tensor:
    """[channels, side, side] -> [channels, rows, rows]: the first rows, one of the middle, the last; columns alike."""
    side = maps.shape[-1]
    places = [*range(rows - rows // 2), *range(side - rows // 2, side)]
    return maps[:, places][:, :, places]


def _fixed(slim: Slim, supernet: GraphNetwork, masks: Tensor) -> dict[str, Tensor]:
    """The values of the super-network's nodes that do not depend on the image, by name. [channels, side, side] each.

    For convolutions in `slim.fixed` it is what their inputs of fixed value contribute.
    """
    sources = {source for names in slim.constants.values() for source in names}
    sources |= {conv for shifts in slim.shifts.values() for conv, _ in shifts}
    if not sources:
        return {}
    graph = supernet.graph
    read = {name: graph.by_name[name].inputs[0] for name in sources if name in slim.fixed}
    weight = next(supernet.parameters())
    image = weight.new_zeros(1, graph.shapes[graph.nodes[0].name].channels, graph.image_size, graph.image_size)
    training = supernet.training
    supernet.eval()
    maps = supernet.values(image, (sources - read.keys()) | set(read.values()), masks)
    supernet.train(training)
    values = {name: maps[name][0] for name in sources - read.keys()}
    for name, inputs in read.items():
        conv, channels = supernet.get_submodule(name), list(slim.fixed[name])
        assert isinstance(conv, nn.Conv2d)
        x, kernel = maps[inputs][:, channels], conv.weight[:, channels]
        values[name] = F.conv2d(x, kernel, None, conv.stride, conv.padding, conv.dilation)[0]
    return values
