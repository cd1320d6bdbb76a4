"""Data sets: finding, reading, splitting, and streams of augmented batches on the device."""

from nascli.data.augmentation import Augmentation
from nascli.data.balance import class_weights
from nascli.data.module import DataModule, open_data
from nascli.data.pictures import Pictures, find_pictures
from nascli.data.probe import probe_image_size, probe_shape, probe_train_images
from nascli.data.room import Keeping, Room
from nascli.data.stream import Stream

__all__ = [
    "Augmentation",
    "DataModule",
    "Keeping",
    "Pictures",
    "Room",
    "Stream",
    "class_weights",
    "find_pictures",
    "open_data",
    "probe_image_size",
    "probe_shape",
    "probe_train_images",
]
