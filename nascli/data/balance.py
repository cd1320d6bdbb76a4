"""Rare classes: weights that make every class count alike, and an order that shows every class equally often."""

import numpy as np

from nascli.data.permutation import permutation
from nascli.seeds import derive_seed


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """n / (k * n_c) for each of `classes`: n images of k classes, n_c of them of class c; 0 for a class without images.

    labels: int64 [images]. -> float64 [classes]. These are scikit-learn's "balanced" ones, after King and Zeng (2001).
    """
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    weights = np.zeros(classes)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights


class BalancedOrder:
    """Orders of images in which all classes are equally frequent. labels: int64 [images]."""

    def __init__(self, labels: np.ndarray) -> None:
        by_class = np.argsort(labels, kind="stable")
        _, starts = np.unique(labels[by_class], return_index=True)
        self._classes = np.split(by_class, starts[1:])

    def draw(self, count: int, seed: int) -> np.ndarray:
        """`count` places in the list of images, which the seed alone decides. -> int64 [count].

        Every class comes count / classes times, rounded up or down; so does, within its class, every image: a rare one
        comes again as soon as all of its class have come, a frequent one may be left out.
        """
        share, further = divmod(count, len(self._classes))
        once_more = permutation(len(self._classes), derive_seed(seed, "once more"))[:further]
        chosen = []
        for number, members in enumerate(self._classes):
            rounds, rest = divmod(share + (number in once_more), len(members))
            some = permutation(len(members), derive_seed(seed, "class", number))[:rest]
            chosen += [np.tile(members, rounds), members[some]]
        drawn: np.ndarray = np.concatenate(chosen)[permutation(count, derive_seed(seed, "order"))]
        return drawn
