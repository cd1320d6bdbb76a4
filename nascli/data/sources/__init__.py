"""The data sets, each a function from a configuration to a `Source`; `nascli.registry.DATASETS` names them."""

from nascli.data.sources.arrays import arrays
from nascli.data.sources.builtin import digits
from nascli.data.sources.folders import folder
from nascli.data.sources.ilsvrc import imagenet
from nascli.data.sources.public import cifar10, cifar100, fashion_mnist, svhn
from nascli.data.sources.source import Source
from nascli.data.sources.tables import table

__all__ = [
    "Source",
    "arrays",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "folder",
    "imagenet",
    "svhn",
    "table",
]
