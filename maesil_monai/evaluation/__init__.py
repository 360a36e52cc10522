"""How a network compares: trivial baselines, tables, curves and pictures."""

from maesil_monai.evaluation.baseline_results import MEAN_VOLUME, evaluate_baselines
from maesil_monai.evaluation.baseline_watch import BaselineWatch
from maesil_monai.evaluation.baselines import BASELINES, interpolate_axial, mean_of_visible, nearest_visible_patch
from maesil_monai.evaluation.held_out import held_out_loader, held_out_superpatches
from maesil_monai.evaluation.learning_report import LearningReport
from maesil_monai.evaluation.mean_volume import MeanVolume
from maesil_monai.evaluation.panel_handler import PanelHandler
from maesil_monai.evaluation.scan_panels import SaveScanPanelsd
from maesil_monai.evaluation.score_report import ScoreReport
from maesil_monai.evaluation.tables import MethodRow, psnr_table
from maesil_monai.evaluation.validation_baselines import ValidationBaselines
from maesil_monai.reports.curves import CurvePoint, learning_curve
from maesil_monai.reports.figure_files import figure_to_array, save_png
from maesil_monai.reports.panels import WINDOWS, central_voxel, reconstruction_panel, save_panels

__all__ = [
    "BASELINES",
    "MEAN_VOLUME",
    "WINDOWS",
    "BaselineWatch",
    "CurvePoint",
    "LearningReport",
    "MeanVolume",
    "MethodRow",
    "PanelHandler",
    "SaveScanPanelsd",
    "ScoreReport",
    "ValidationBaselines",
    "central_voxel",
    "evaluate_baselines",
    "figure_to_array",
    "held_out_loader",
    "held_out_superpatches",
    "interpolate_axial",
    "learning_curve",
    "mean_of_visible",
    "nearest_visible_patch",
    "psnr_table",
    "reconstruction_panel",
    "save_panels",
    "save_png",
]
