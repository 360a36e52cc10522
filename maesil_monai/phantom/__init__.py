"""CT-like scans drawn from a seed, for those who have no CT at hand yet and for tests."""

from maesil_monai.phantom.folder import folder_or_phantom, write_phantom_folder
from maesil_monai.phantom.generator import LABELS, Phantom, phantom_scan

__all__ = ["LABELS", "Phantom", "folder_or_phantom", "phantom_scan", "write_phantom_folder"]
