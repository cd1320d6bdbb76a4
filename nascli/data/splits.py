"""Stratified divisions of labelled images: parts for the search, a held-out test part, a small sample."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from nascli.data.permutation import permutation
from nascli.errors import DataError, UsageError
from nascli.seeds import derive_seed

HELD_OUT_SHARE = 0.2
"""The share of each class that is held out as test images if the data has none."""


def split(labels: np.ndarray, fractions: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
    """Disjoint parts of the images, each with its share of every class.

    labels: int64 [images]. fractions: name -> share of all images, together at most 1. -> name -> sorted indices.
    A part gets round(share * images) images in all (plus or minus one for later parts), and of each class the share
    rounded up or down; some part gets none of a class that has fewer images than there are parts.
    Raises UsageError for impossible shares, DataError if a part would be empty.
    """
    if min(fractions.values(), default=0.0) < 0 or sum(fractions.values()) > 1 + 1e-9:
        shown = ", ".join(f"{name} {share:g}" for name, share in fractions.items())
        raise UsageError(f"the shares of the training images must be at least 0 and together at most 1, not {shown}")
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    rest = [of[permutation(len(of), derive_seed(seed, "split", k))] for k, of in enumerate(classes)]
    parts: dict[str, np.ndarray] = {}
    left = 1.0
    for name, share in fractions.items():
        counts = _proportional([len(of) for of in rest], min(1.0, share / left) if left > 0 else 0.0)
        taken = [of[:count] for of, count in zip(rest, counts, strict=True)]
        rest = [of[count:] for of, count in zip(rest, counts, strict=True)]
        left -= share
        parts[name] = np.sort(np.concatenate(taken)) if taken else np.empty(0, np.int64)
        if share > 0 and len(parts[name]) == 0:
            raise DataError(
                f"{len(labels)} training images are too few: the '{name}' part, {share:g} of them, would be empty; "
                "use more images or a larger share"
            )
    return parts


def _proportional(sizes: Sequence[int], share: float) -> list[int]:
    """`share` of every size, rounded so that the sum of the first n, for any n, is within 0.5 of the exact one."""
    ends = np.floor(np.cumsum([0, *sizes]) * share + 0.5).astype(np.int64)
    return [min(int(count), size) for count, size in zip(np.diff(ends), sizes, strict=True)]


def sample(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Indices of `count` images, equally many of each class as far as its images go. -> int64, sorted.

    A larger sample of the same seed contains a smaller one. All indices if there are no more than `count` images.
    Raises UsageError if `count` is less than the number of classes.
    """
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if count >= len(labels):
        return np.arange(len(labels))
    if count < len(classes):
        raise UsageError(f"limit_train {count} is less than the {len(classes)} classes: each needs an image")
    # The n-th images of all classes come before the (n+1)-th of any; the first `count` of that order are the sample.
    rank = np.empty(len(labels), np.int64)
    for k, of in enumerate(classes):
        rank[of[permutation(len(of), derive_seed(seed, "limit", k))]] = np.arange(len(of))
    return np.sort(np.lexsort((labels, rank))[:count])


def hold_out(labels: np.ndarray, names: Sequence[str], classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images of data without a test part. -> indices to train on, indices to test on, sorted.

    A fifth of each class, at least one image, is held out: those whose names have the smallest SHA-256. It does not
    depend on a seed, so that every stage of every run holds out the same images; adding an image moves few others.
    Raises DataError for a class of one image.
    """
    digests = [hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest() for name in names]
    test: list[int] = []
    for label, name in enumerate(classes):
        members = sorted(np.flatnonzero(labels == label).tolist(), key=digests.__getitem__)
        if len(members) < 2:
            raise DataError(
                f"class {name!r} has {len(members)} image, but one must be held out for testing: "
                "add images, or give test images of your own in test/"
            )
        test += members[: max(1, round(HELD_OUT_SHARE * len(members)))]
    held_out = np.zeros(len(labels), bool)
    held_out[test] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
