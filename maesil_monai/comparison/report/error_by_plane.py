"""The error inside the hidden block and in the surviving planes: the block is what dual masking makes hard."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from maesil_monai.comparison.report.cells import NO_ROW, name_cell
from maesil_monai.comparison.report.results_file import Results
from maesil_monai.comparison.report.shown_metrics import METRICS
from maesil_monai.comparison.report.systems import MAESIL, System
from maesil_monai.reports.tables import Cell, Row, Table

PLANES = ("block", "surviving")


def planes_table(results: Results) -> Table:
    """Mean absolute error in HU by kind of plane; empty without such rows.

    Distances are pooled by their voxels within a collection, then the headline's collections are averaged.
    """
    pooled: dict[tuple[System, str], dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for system, row in results.by_distance(*PLANES):
        pooled[system, row["planes"]][row["dataset"]].append(row)
    means = {key: fmean(map(_pooled, rows.values())) for key, rows in pooled.items()}
    ranked = results.comparable("inpainting", "baseline")
    best = {
        plane: min((means[key] for key in means if key[1] == plane and key[0] in ranked), default=math.nan) for plane in PLANES
    }
    rows = []
    for system in results.of_group("inpainting", "baseline"):
        values = [means.get((system, plane)) for plane in PLANES]
        if any(value is not None for value in values):
            cells = [
                Cell(NO_ROW if value is None else METRICS["mae_hu"].text(value), best=system in ranked and value == best[plane])
                for plane, value in zip(PLANES, values, strict=True)
            ]
            rows.append(Row([name_cell(results, system), *cells], "own" if system == MAESIL else ""))
    caption = f"Mean absolute error in HU on hidden_body by kind of plane, rule {results.rule}"
    return Table(caption, ("model (training rule)", "planes of the hidden block", "surviving planes"), rows)


def _pooled(rows: Sequence[Mapping[str, Any]]) -> float:
    return math.fsum(row["mae_hu"] * row["num_voxels"] for row in rows) / math.fsum(row["num_voxels"] for row in rows)
