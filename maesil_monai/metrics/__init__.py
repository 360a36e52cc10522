"""How good a reconstruction is, in numbers."""

from maesil_monai.metrics.engine_metrics import PooledMetricHandler, num_samples, pred_and_label
from maesil_monai.metrics.error_by_distance import ErrorByDistance, patch_distances
from maesil_monai.metrics.lpips_weights import LPIPSUnavailable, find_lpips_weights, lpips_network
from maesil_monai.metrics.patch_borders import PooledBlockiness, blockiness
from maesil_monai.metrics.perceptual import PooledLPIPS, SliceLPIPS
from maesil_monai.metrics.pooled_over_scans import PooledMetric
from maesil_monai.metrics.reconstruction_error import PooledPSNR, is_better, is_smaller, psnr_db
from maesil_monai.metrics.regions import REGION_NAMES, region_voxels
from maesil_monai.metrics.structural_similarity import PooledSSIM, ssim, ssim_map

__all__ = [
    "REGION_NAMES",
    "ErrorByDistance",
    "LPIPSUnavailable",
    "PooledBlockiness",
    "PooledLPIPS",
    "PooledMetric",
    "PooledMetricHandler",
    "PooledPSNR",
    "PooledSSIM",
    "SliceLPIPS",
    "blockiness",
    "find_lpips_weights",
    "is_better",
    "is_smaller",
    "lpips_network",
    "num_samples",
    "patch_distances",
    "pred_and_label",
    "psnr_db",
    "region_voxels",
    "ssim",
    "ssim_map",
]
