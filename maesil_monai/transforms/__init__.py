"""MONAI transforms, in array and in dictionary form: from a file to a superpatch with its masks."""

from maesil_monai.transforms.batch_items import BatchItemsd
from maesil_monai.transforms.body import BodyMask, BodyMaskd
from maesil_monai.transforms.dual_mask import DualMask, DualMaskd
from maesil_monai.transforms.load import LoadVolume, LoadVolumed
from maesil_monai.transforms.rand_superpatch import RandSuperpatchCrop, RandSuperpatchCropd
from maesil_monai.transforms.resample import ResampleToCube, ResampleToCubed
from maesil_monai.transforms.split import SuperpatchSplit, SuperpatchSplitd
from maesil_monai.transforms.superpatch import SuperpatchCrop, SuperpatchCropd
from maesil_monai.transforms.window import WindowHU, WindowHUd

__all__ = [
    "BatchItemsd",
    "BodyMask",
    "BodyMaskd",
    "DualMask",
    "DualMaskd",
    "LoadVolume",
    "LoadVolumed",
    "RandSuperpatchCrop",
    "RandSuperpatchCropd",
    "ResampleToCube",
    "ResampleToCubed",
    "SuperpatchCrop",
    "SuperpatchCropd",
    "SuperpatchSplit",
    "SuperpatchSplitd",
    "WindowHU",
    "WindowHUd",
]
