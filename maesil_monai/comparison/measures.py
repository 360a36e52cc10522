"""Which metrics a method is judged by."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

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


class Measures:
    """Makes the metrics of a method, and reads what they found.

    Args:
        window_hu: the HU mapped to 0 and to 1.
        everything: also SSIM, LPIPS, blockiness and the error by distance; else PSNR and the error in HU alone.
        datasets: the collection of every scan, by its number.
        raw: also SSIM and LPIPS of the raw output, which means something of networks trained with the loss on all voxels.
    """

    def __init__(self, window_hu: Sequence[float], everything: bool, datasets: Sequence[str], raw: bool = False) -> None:
        self.window_hu = tuple(window_hu)
        self.everything = everything
        self.regions = (*PICTURE_REGIONS, RAW_REGION) if raw else PICTURE_REGIONS
        self.datasets = tuple(datasets)
        self._slices: SliceLPIPS | None = None
        if everything:
            with contextlib.suppress(LPIPSUnavailable):  # the metric finds and tells the reason itself
                self._slices = SliceLPIPS(lpips_network(), truth_cache_bytes=TRUTH_CACHE_BYTES)

    def make(self) -> list[PooledMetric]:
        """Makes the metrics of one method."""
        psnr = PooledPSNR(REGION_NAMES, self.window_hu, soft_tissue=True)
        if not self.everything:
            return [psnr]
        return [
            psnr,
            PooledSSIM(self.regions, optional=True),
            PooledLPIPS(self.regions, slices=self._slices, optional=True, download=False),
            PooledBlockiness(),
            ErrorByDistance(window_hu=self.window_hu),
        ]

    def pooled(self, metrics: Sequence[PooledMetric]) -> list[PooledMetric]:
        """Picks those whose values belong to the tables."""
        return [metric for metric in metrics if not isinstance(metric, ErrorByDistance)]

    def not_measured(self, metrics: Sequence[PooledMetric]) -> dict[str, str]:
        """Gives the reasons of what could not be measured, by the name of the quantity."""
        return {metric.names[0].split("_")[0]: metric.not_measured for metric in metrics if metric.not_measured is not None}

    def extras(self, metrics: Sequence[PooledMetric]) -> dict[str, Any]:
        """Gives what is no value of a scan: the error by distance, for each collection."""
        rows: list[Mapping[str, Any]] = []
        for metric in metrics:
            if isinstance(metric, ErrorByDistance):
                for dataset in sorted(set(self.datasets)):
                    scans = [number for number, name in enumerate(self.datasets) if name == dataset]
                    rows += [{"dataset": dataset, **row} for row in metric.by_distance(scans)]
        return {"by_distance": rows}

    def line(self, metrics: Sequence[PooledMetric]) -> str:
        """Says the headline values in a line."""
        found = {name: value for metric in self.pooled(metrics) for name, value in metric.aggregate().items()}
        units = {"psnr_hidden_body": "PSNR {:.2f} dB", "ssim_hidden_body": "SSIM {:.3f}", "lpips_hidden_body": "LPIPS {:.3f}"}
        known = [text.format(found[name]) for name, text in units.items() if not math.isnan(found.get(name, math.nan))]
        return ", ".join(known) + " on hidden body" if known else "nothing could be measured"
