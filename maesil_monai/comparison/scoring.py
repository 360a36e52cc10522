"""Judges methods on the held-out superpatches: one pass over the data, any number of methods, every metric."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from maesil_monai.comparison.figures import FigureRecorder
from maesil_monai.comparison.pipeline import UNNAMED
from maesil_monai.comparison.scores import NOT_FINITE, Scores
from maesil_monai.evaluation.baseline_results import MEAN_VOLUME
from maesil_monai.evaluation.baselines import BASELINES, Baseline
from maesil_monai.evaluation.mean_volume import MeanVolume
from maesil_monai.geometry import grid_of, tokens_to_voxels
from maesil_monai.metrics import PooledMetric
from maesil_monai.transforms import WindowHU

logger = logging.getLogger(__name__)

# What fills every hidden voxel with one value. No method: they show what a region does not see.
CONSTANTS_HU = {"air_everywhere": -1000.0, "water_everywhere": 0.0}

Batch = Mapping[str, torch.Tensor]
Predictor = Callable[[Batch], torch.Tensor]
"""From a batch to its reconstruction, (B, 1, D, H, W), every patch that is no padding predicted."""


def network_predictor(network: nn.Module, inferer: Callable[..., torch.Tensor], device: torch.device) -> Predictor:
    """Calls a network as it is called in training, decoding ``target``."""

    def predict(batch: Batch) -> torch.Tensor:
        hidden, target = batch["hidden"].to(device), batch["target"].to(device)
        return inferer(batch["image"].to(device), network, hidden=hidden, target=target).cpu()

    return predict


def baseline_predictors(mean_volume: MeanVolume | None) -> dict[str, Predictor]:
    """Gives the four trivial baselines; the mean volume predicts NaN where it is not defined."""

    def filled_by(baseline: Baseline) -> Predictor:
        return lambda batch: baseline(batch["image"], batch["hidden"])

    predictors = {name: filled_by(baseline) for name, baseline in BASELINES.items()}

    def mean(batch: Batch) -> torch.Tensor:
        image, hidden = batch["image"], batch["hidden"]
        size = tuple(image.shape[2:])
        if mean_volume is None or not mean_volume.covers(batch["start"], size):
            filled = torch.full_like(image, math.nan)
        else:
            filled = mean_volume.crop(batch["start"], size)
        return _filled(image, hidden, filled)

    predictors[MEAN_VOLUME] = mean
    return predictors


def constant_predictors(window_hu: tuple[float, float]) -> dict[str, Predictor]:
    """Gives those that fill hidden voxels with a value of :data:`CONSTANTS_HU`, kept within the window."""

    def constant(value_hu: float) -> Predictor:
        value = float(WindowHU(window_hu)(torch.tensor(value_hu)))
        return lambda batch: _filled(batch["image"], batch["hidden"], torch.full_like(batch["image"], value))

    return {name: constant(value) for name, value in CONSTANTS_HU.items()}


@torch.no_grad()
def judge(
    loader: Iterable[Batch],
    predictors: Mapping[str, Predictor],
    metrics: Callable[[], Sequence[PooledMetric]],
    recorder: FigureRecorder | None = None,
    title: str = "",
) -> tuple[dict[str, list[PooledMetric]], float]:
    """Passes once over the held-out superpatches.

    Args:
        loader: batches of ``image, hidden, target, body, scan, start``, the same for all methods.
        predictors: the methods by name.
        metrics: makes the metrics of one method.
        recorder: keeps superpatches for pictures.
        title: of the progress bar.

    Returns:
        The metrics of each method, filled, and the seconds that the pass took.
    """
    started = time.monotonic()
    filled = {name: list(metrics()) for name in predictors}
    for batch in tqdm(loader, desc=title, unit="batch", mininterval=1.0, leave=False):
        predictions = {name: predict(batch) for name, predict in predictors.items()}
        for name, prediction in predictions.items():
            for metric in filled[name]:
                metric(prediction, batch)
        if recorder is not None:
            recorder(batch, predictions)
    return filled, time.monotonic() - started


def scores_of(
    metrics: Sequence[PooledMetric],
    scans: Sequence[Mapping[str, Any]],
    fingerprint: Mapping[str, Any],
    not_measured: Mapping[str, str],
    extras: Mapping[str, Any],
) -> Scores:
    """Writes the values of filled metrics beside the names of the scans they belong to."""
    values: dict[int, dict[str, Any]] = {}
    for metric in metrics:
        columns, counts = metric.per_scan(), metric.voxels_per_scan()
        for row, scan in enumerate(columns.pop("scan").tolist()):
            found = {name: _value(float(column[row]), float(counts[name][row])) for name, column in columns.items()}
            values.setdefault(scan, {}).update(found)
    rows = [{**_who(scans[scan]), **values[scan]} for scan in sorted(values)]
    return Scores(fingerprint, rows, not_measured, extras)


def _filled(image: torch.Tensor, hidden: torch.Tensor, filling: torch.Tensor) -> torch.Tensor:
    patch_size = grid_of(image.shape[2:], hidden.shape[1:], ("image", "token grid"))
    return torch.where(tokens_to_voxels(hidden, patch_size), filling, image)


def _value(value: float, num_voxels: float) -> float | str | None:
    """Tells a value that is not defined, or not measured, from one that a prediction spoilt."""
    if math.isfinite(value):
        return value
    return NOT_FINITE if num_voxels > 0 else None


def _who(scan: Mapping[str, Any]) -> dict[str, str]:
    """Says whose scan it is; without a list that knows, a scan is its own patient, of a collection without a name."""
    return {
        "case_id": str(scan["case_id"]),
        "patient_id": str(scan.get("patient_id", scan["case_id"])),
        "dataset": str(scan.get("dataset", UNNAMED)),
    }
