"""MONAI transforms, in array and in dictionary form: from a file to a superpatch with its masks."""

from maesil_monai.transforms.batch_items import BatchItemsd
from maesil_monai.transforms.body_mask import BodyMask, BodyMaskd
from maesil_monai.transforms.dual_mask import DualMask, DualMaskd
from maesil_monai.transforms.load_volume import LoadVolume, LoadVolumed
from maesil_monai.transforms.rand_superpatch_crop import RandSuperpatchCrop, RandSuperpatchCropd
from maesil_monai.transforms.resample_to_cube import ResampleToCube, ResampleToCubed
from maesil_monai.transforms.superpatch_crop import SuperpatchCrop, SuperpatchCropd
from maesil_monai.transforms.superpatch_split import SuperpatchSplit, SuperpatchSplitd
from maesil_monai.transforms.window_hu import WindowHU, WindowHUd

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
