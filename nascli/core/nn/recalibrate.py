"""Batch-norm statistics of one masked network.

Those of a super-network belong to the masks that it was trained with. Under other masks every map has another mean and
variance, and the network's answers then depend more on that than on its channels.
"""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from nascli.core.nn.graph_network import GraphNetwork, copied


def recalibrated(network: GraphNetwork, masks: Tensor, batches: Iterable[Tensor]) -> GraphNetwork:
    """A copy in evaluation mode whose running statistics are the averages over these batches under `masks`.

    masks: [1, mask_size]; batches: images [B, C, H, W], as the network is trained on, all of them of one size.
    """
    own = copied(network)
    update_bn(batches, _Masked(own, masks))
    return own.eval()


class _Masked(nn.Module):
    def __init__(self, network: GraphNetwork, masks: Tensor) -> None:
        super().__init__()
        self._network, self._masks = network, masks

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self._network(images, masks=self._masks)
        return logits
