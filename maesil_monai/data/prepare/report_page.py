"""The report of a store as a page: what :mod:`~maesil_monai.data.prepare.report` counted, in tables, charts and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maesil_monai.data.prepare.report import count_codes
from maesil_monai.data.prepare.splits import SPLITS
from maesil_monai.reports.charts import ChartSet
from maesil_monai.reports.histogram import histogram
from maesil_monai.reports.pages import page

Picture = tuple[str, str, str]

MAX_ROWS = 500
_COUNTS = ("found", "admitted", "refused", "patients", "labelled", *SPLITS)
_CHARTS = (
    ("spacing_right_left_mm", "Voxel size, right-left", "mm"),
    ("spacing_foot_head_mm", "Voxel size, foot-head", "mm"),
    ("voxels_right_left", "Voxels, right-left", "voxels"),
    ("voxels_foot_head", "Voxels, foot-head", "voxels"),
    ("extent_right_left_mm", "Field of view, right-left", "mm"),
    ("extent_foot_head_mm", "Coverage, foot-head", "mm"),
)


def report_page(report: Mapping[str, Any], pictures: Sequence[Picture] = ()) -> str:
    """Makes the page.

    Args:
        report: from :func:`~maesil_monai.data.prepare.report.report_of`.
        pictures: ``(data URL, dataset, case)`` of thumbnails.

    Returns:
        HTML that loads nothing; its own policy forbids it. Lists of scans end after 500, which it says.
    """
    collections = [{"collection": name, **counts} for name, counts in report["datasets"].items()]
    if len(collections) > 1:
        collections.append({"collection": "all", "versions": [], **{key: sum(c[key] for c in collections) for key in _COUNTS}})
    return page(
        "store.html.j2",
        report=report,
        columns={"collection": "collection", **{key: key for key in _COUNTS}, "versions": "version"},
        collections=collections,
        refusal_codes=count_codes(report["refusals"]),
        note_codes=count_codes({"code": code, "cure": ""} for note in report["notes"] for code in note["codes"]),
        not_ct=[(dataset, why, count) for dataset, whys in report["not_ct"].items() for why, count in whys.items()],
        histograms=_charts(report["histograms"]),
        pictures=pictures,
        max_rows=MAX_ROWS,
    )


def _charts(histograms: Mapping[str, Any]) -> ChartSet:
    if not histograms:
        return ChartSet()
    charts = [histogram(f"{title} (scans)", **histograms[key], unit=unit) for key, title, unit in _CHARTS]
    hu = histogram("HU (share of voxels, mean over scans, logarithmic)", **histograms["hu"], unit="HU", share=True)
    return ChartSet(groups={"": [*charts, hu]})
