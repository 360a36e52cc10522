"""How a network compares: trivial baselines, tables, and when to draw."""

from maesil_monai.evaluation.baseline_watch import BaselineWatch
from maesil_monai.evaluation.baselines import BASELINES, MEAN_VOLUME, interpolate_axial, mean_of_visible, nearest_visible_patch
from maesil_monai.evaluation.judged_superpatches import held_out_loader, held_out_superpatches
from maesil_monai.evaluation.learning_report import LearningReport
from maesil_monai.evaluation.mean_volume import MeanVolume
from maesil_monai.evaluation.panel_handler import PanelHandler
from maesil_monai.evaluation.run_baselines import ValidationBaselines, evaluate_baselines
from maesil_monai.evaluation.run_table import MethodRow, psnr_table
from maesil_monai.evaluation.scan_panels import SaveScanPanelsd
from maesil_monai.evaluation.score_report import ScoreReport

__all__ = [
    "BASELINES",
    "MEAN_VOLUME",
    "BaselineWatch",
    "LearningReport",
    "MeanVolume",
    "MethodRow",
    "PanelHandler",
    "SaveScanPanelsd",
    "ScoreReport",
    "ValidationBaselines",
    "evaluate_baselines",
    "held_out_loader",
    "held_out_superpatches",
    "interpolate_axial",
    "mean_of_visible",
    "nearest_visible_patch",
    "psnr_table",
]
