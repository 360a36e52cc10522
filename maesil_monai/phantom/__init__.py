"""CT-like scans drawn from a seed, for those who have no CT at hand yet and for tests.

What is random is drawn from an argument ``rng`` and from nothing else.
"""

from maesil_monai.phantom.layouts import write_layouts
from maesil_monai.phantom.made_up_scan import LABELS, Phantom, phantom_scan
from maesil_monai.phantom.store import folder_or_phantom_store

__all__ = ["LABELS", "Phantom", "folder_or_phantom_store", "phantom_scan", "write_layouts"]
