"""DICOM: which series a folder holds, which are chosen, and how one becomes a volume."""

from maesil_monai.data.dicom.read import read_series
from maesil_monai.data.dicom.series import Series, SeriesPolicy, choose_series, find_series

__all__ = ["Series", "SeriesPolicy", "choose_series", "find_series", "read_series"]
