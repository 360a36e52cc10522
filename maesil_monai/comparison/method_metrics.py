"""By which metrics a method is judged, and what they found of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from maesil_monai.comparison.judging_pipeline import dataset_of
from maesil_monai.comparison.score_files import NOT_FINITE, Scores
from maesil_monai.metrics import (
    ErrorByDistance,
    LPIPSUnavailable,
    PooledBlockiness,
    PooledLPIPS,
    PooledMetric,
    PooledPSNR,
    PooledSSIM,
    SliceLPIPS,
    lpips_network,
)
from maesil_monai.metrics.regions import REGION_NAMES

PICTURE_REGIONS = ("hidden_body", "hidden", "pasted")
RAW_REGION = "full"
TRUTH_CACHE_BYTES = 256 * 1024**2  # for the methods that are judged in one pass: their truth is the same
HEADLINE = {"psnr_hidden_body": "PSNR {:.2f} dB", "ssim_hidden_body": "SSIM {:.3f}", "lpips_hidden_body": "LPIPS {:.3f}"}


def metrics_of(
    methods: Iterable[str], window_hu: Sequence[float], everything: bool, raw: bool = False
) -> dict[str, list[PooledMetric]]:
    """Makes the metrics of each method.

    Args:
        methods: names of those that are judged in one pass.
        window_hu: the HU mapped to 0 and to 1.
        everything: also SSIM, LPIPS, blockiness and the error by distance; else PSNR and the error in HU alone.
        raw: also SSIM and LPIPS of the raw output, which means something of networks trained with the loss on all voxels.
    """
    regions = (*PICTURE_REGIONS, RAW_REGION) if raw else PICTURE_REGIONS
    slices: SliceLPIPS | None = None
    if everything:
        with contextlib.suppress(LPIPSUnavailable):  # the metric finds and tells the reason itself
            slices = SliceLPIPS(lpips_network(), truth_cache_bytes=TRUTH_CACHE_BYTES)

    def all_metrics() -> Iterable[PooledMetric]:
        yield PooledPSNR(REGION_NAMES, window_hu, soft_tissue=True)
        if everything:
            yield PooledSSIM(regions, optional=True)
            yield PooledLPIPS(regions, slices=slices, optional=True, download=False)
            yield PooledBlockiness()
            yield ErrorByDistance(window_hu=window_hu)

    return {method: list(all_metrics()) for method in methods}


def scores_of(
    metrics: Sequence[PooledMetric],
    scans: Sequence[Mapping[str, Any]],
    fingerprint: Mapping[str, Any],
    extras: Mapping[str, Any],
) -> Scores:
    """Writes the values of a method's filled metrics beside the names of the scans they belong to.

    The error by distance is no value of a scan: it is added to the extras, for each collection.
    """
    values: dict[int, dict[str, Any]] = {}
    by_distance: list[Mapping[str, Any]] = []
    for metric in metrics:
        if isinstance(metric, ErrorByDistance):
            for dataset in sorted(set(map(dataset_of, scans))):
                own = [number for number, scan in enumerate(scans) if dataset_of(scan) == dataset]
                by_distance += [{"dataset": dataset, **row} for row in metric.by_distance(own)]
            continue
        columns, counts = metric.per_scan(), metric.voxels_per_scan()
        for row, scan in enumerate(columns.pop("scan").tolist()):
            found = {name: _value(float(column[row]), float(counts[name][row])) for name, column in columns.items()}
            values.setdefault(scan, {}).update(found)
    rows = [{**_who(scans[scan]), **values[scan]} for scan in sorted(values)]
    reasons = {metric.names[0].split("_")[0]: metric.not_measured for metric in metrics if metric.not_measured is not None}
    return Scores(fingerprint, rows, reasons, {**extras, "by_distance": by_distance})


def headline_of(metrics: Sequence[PooledMetric]) -> str:
    """Says the headline values in a line."""
    found = {name: value for metric in metrics for name, value in metric.aggregate().items()}
    known = [text.format(found[name]) for name, text in HEADLINE.items() if not math.isnan(found.get(name, math.nan))]
    return ", ".join(known) + " on hidden body" if known else "nothing could be measured"


def _value(value: float, num_voxels: float) -> float | str | None:
    """Tells a value that is not defined, or not measured, from one that a prediction spoilt."""
    if math.isfinite(value):
        return value
    return NOT_FINITE if num_voxels > 0 else None


def _who(scan: Mapping[str, Any]) -> dict[str, str]:
    """Says whose scan it is; without a list that knows, a scan is its own patient."""
    patient = scan.get("patient_id", scan["case_id"])
    return {"case_id": str(scan["case_id"]), "patient_id": str(patient), "dataset": dataset_of(scan)}
