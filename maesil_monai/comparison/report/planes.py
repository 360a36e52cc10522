"""The error inside the hidden block and in the surviving planes: the block is what dual masking makes hard."""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import fmean

from maesil_monai.comparison.report.measured_cells import apart_notes, name_cell
from maesil_monai.comparison.report.results import Results
from maesil_monai.comparison.report.systems import MAESIL, METRICS, System
from maesil_monai.reports.tables import Cell, Row, Table

PLANES = ("block", "surviving")


def planes_table(results: Results) -> Table | None:
    """Mean absolute error in HU by kind of plane; None without such rows.

    Distances are pooled by their voxels within a collection, then the headline's collections are averaged.
    """
    pooled: dict[tuple[System, str], dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in results.content.get("by_distance") or ():
        known = row.get("planes") in PLANES and row["mae_hu"] is not None and row["num_voxels"]
        if known and row["evaluation_rule"] == results.rule and row["dataset"] in results.averaged:
            system = results.system(row["model"], row["training_rule"])
            pooled[system, row["planes"]][row["dataset"]].append((row["mae_hu"], row["num_voxels"]))
    if not pooled:
        return None
    means = {key: fmean(map(_weighted, rows.values())) for key, rows in pooled.items()}
    judged = {system for system, _ in pooled}
    systems = [system for system in results.of_group("inpainting", "baseline") if system in judged]
    comparable = results.comparable("inpainting", "baseline")
    ranked = {key: value for key, value in means.items() if key[0] in comparable}
    best = {plane: min((value for (_, kind), value in ranked.items() if kind == plane), default=math.nan) for plane in PLANES}
    rows = []
    for system in systems:
        cells = [name_cell(results, system)]
        for plane in PLANES:
            value, is_ranked = means.get((system, plane)), (system, plane) in ranked
            text = "-" if value is None else METRICS["mae_hu"].text(value)
            cells.append(Cell(text, best=is_ranked and value == best[plane]))
        rows.append(Row(cells, "own" if system == MAESIL else ""))
    head = ("model (training rule)", "planes of the hidden block", "surviving planes")
    caption = f"Mean absolute error in HU on hidden_body by kind of plane, rule {results.rule}"
    return Table(caption, head, rows, apart_notes(results, systems))


def _weighted(rows: list[tuple[float, float]]) -> float:
    return math.fsum(error * count for error, count in rows) / math.fsum(count for _, count in rows)
