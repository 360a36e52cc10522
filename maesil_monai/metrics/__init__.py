"""How good a reconstruction is, in numbers."""

from maesil_monai.metrics.reconstruction_error import (
    PooledPSNR,
    ReconstructionMetric,
    is_better,
    is_smaller,
    num_samples,
    pred_and_label,
    psnr_db,
)
from maesil_monai.metrics.regions import REGION_NAMES, region_voxels

__all__ = [
    "REGION_NAMES",
    "PooledPSNR",
    "ReconstructionMetric",
    "is_better",
    "is_smaller",
    "num_samples",
    "pred_and_label",
    "psnr_db",
    "region_voxels",
]
