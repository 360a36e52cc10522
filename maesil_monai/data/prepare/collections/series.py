"""DICOM series as candidates: which of a folder's series are CT, and which of a patient's are taken."""

from __future__ import annotations

from pathlib import Path

from maesil_monai.data.dicom import Series, SeriesPolicy, choose_series, find_series
from maesil_monai.data.prepare.collections.candidate import Listing

__all__ = ["SeriesPolicy", "ct_series"]


def ct_series(folder: Path, policy: SeriesPolicy, listing: Listing) -> list[Series]:
    """Finds the CT series below a folder that the policy takes; the others are added to ``listing.not_ct``.

    Args:
        folder: a tree of DICOM files; others in it are passed over.
        policy: as in :func:`~maesil_monai.data.dicom.choose_series`.
        listing: gets what is left out, and why.

    Returns:
        In the order of ``find_series``.
    """
    found = find_series(folder)
    listing.not_ct.extend((series.files[0].parent, series.why_not) for series in found if not series.is_ct)
    ct = [series for series in found if series.is_ct]
    chosen = {series.series_uid for series in choose_series(ct, policy)}
    left = [series for series in ct if series.series_uid not in chosen]
    listing.not_ct.extend((series.files[0].parent, f"not chosen by the series policy {policy}") for series in left)
    return [series for series in ct if series.series_uid in chosen]
