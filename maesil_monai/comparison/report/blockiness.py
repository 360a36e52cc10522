"""The chart of blockiness: without overlap, with overlap, and what the scans themselves have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from statistics import fmean

from maesil_monai.comparison.report.results import Results
from maesil_monai.comparison.report.systems import System
from maesil_monai.reports.charts import BarRow, bars

STRIDES = {"none": "superpatches side by side", "overlap": "overlap blended"}


def blockiness(results: Results) -> str:
    """Draws the mean over collections; empty without data."""
    found: dict[System, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for system, kind, dataset, value in _values(results):
        found[system][kind][dataset] = value
    rows = []
    for system in sorted(found, key=lambda system: system.order):
        kinds = found[system]
        pair = [(f"bar {stride}", fmean(kinds[stride].values())) for stride in STRIDES if kinds[stride]]
        if pair:
            rows.append(BarRow(system.label, pair, fmean(kinds["truth"].values()) if kinds["truth"] else None))
    if not rows:
        return ""
    shown = {**STRIDES, "truth": "the scans themselves"}
    kept = [kind for kind in shown if any(found[system][kind] for system in found)]
    legend = "".join(f'<span class="entry"><span class="swatch {kind}"></span>{shown[kind]}</span>' for kind in kept)
    chart = bars("Blockiness", rows, "blockiness")
    return f'<p class="legend">{legend}</p><div class="charts rows"><figure>{chart}</figure></div>'


def _values(results: Results) -> Iterator[tuple[System, str, str, float]]:
    """Gives system, ``none``, ``overlap`` or ``truth``, collection and value: of whole scans, else of single superpatches."""
    listed = [row for row in results.content.get("blockiness") or () if row["dataset"] in results.averaged]
    for row in listed:
        system = results.system(row["model"], row["training_rule"])
        for kind, key in ((row["stride"], "blockiness"), ("truth", "truth")):
            if row[key] is not None:
                yield system, kind, row["dataset"], float(row[key])
    for system in () if listed else results.of_group("inpainting", "whole"):
        for dataset in results.averaged:
            for kind, region in (("none", ""), ("truth", "truth")):
                value = results.find(system, "blockiness", region, dataset)
                if value is not None and value.mean is not None:
                    yield system, kind, dataset, value.mean
