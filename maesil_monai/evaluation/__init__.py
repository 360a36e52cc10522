"""How a network compares: trivial baselines, tables, curves and pictures."""

from maesil_monai.evaluation.baseline_results import MEAN_VOLUME, evaluate_baselines
from maesil_monai.evaluation.baseline_watch import BaselineWatch
from maesil_monai.evaluation.baselines import BASELINES, interpolate_axial, mean_of_visible, nearest_visible_patch
from maesil_monai.evaluation.curves import CurvePoint, learning_curve
from maesil_monai.evaluation.figure_files import figure_to_array, save_png
from maesil_monai.evaluation.mean_volume import MeanVolume
from maesil_monai.evaluation.panel_handler import PanelHandler
from maesil_monai.evaluation.panels import WINDOWS, central_voxel, reconstruction_panel, save_panels
from maesil_monai.evaluation.tables import MethodRow, psnr_table

__all__ = [
    "BASELINES",
    "MEAN_VOLUME",
    "WINDOWS",
    "BaselineWatch",
    "CurvePoint",
    "MeanVolume",
    "MethodRow",
    "PanelHandler",
    "central_voxel",
    "evaluate_baselines",
    "figure_to_array",
    "interpolate_axial",
    "learning_curve",
    "mean_of_visible",
    "nearest_visible_patch",
    "psnr_table",
    "reconstruction_panel",
    "save_panels",
    "save_png",
]
