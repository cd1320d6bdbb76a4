"""Data that comes with scikit-learn."""

import hashlib

import numpy as np

from nascli.config import Config
from nascli.data.images import ArrayImages
from nascli.data.sources.source import Source
from nascli.data.splits import hold_out


def digits(config: Config) -> Source:
    """The 1,797 handwritten digits of scikit-learn: 8x8 pixels of 17 shades, here 0 to 255.

    Alpaydin and Kaynak, UCI Machine Learning Repository, 1998. It has no test part: a fifth is held out.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = data.target.astype(np.int64)
    classes = tuple(str(label) for label in range(10))
    train, test = hold_out(labels, [f"{index:04d}" for index in range(len(labels))], classes)
    images = ArrayImages(pixels, labels, classes)
    return Source(
        train=lambda: images.select(train),
        test=lambda: images.select(test),
        train_images=len(train),
        test_images=len(test),
        fingerprint=hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest(),
    )
