"""Runs the trivial baselines over the validation data, with the metrics of the network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch

from maesil_monai.evaluation.baselines import BASELINES
from maesil_monai.evaluation.mean_volume import MeanVolume
from maesil_monai.geometry import grid_of, tokens_to_voxels
from maesil_monai.metrics.reconstruction_error import PooledPSNR
from maesil_monai.training.signals import give_up_if_asked

MEAN_VOLUME = "mean_training_volume"


@torch.no_grad()
def evaluate_baselines(
    loader: Iterable[Mapping[str, torch.Tensor]],
    mean_volume: MeanVolume | None = None,
    window_hu: Sequence[float] = (-1000.0, 1000.0),
    regions: Sequence[str] = ("hidden_body", "hidden"),
) -> dict[str, dict[str, float]]:
    """Measures every trivial baseline on the batches of a validation loader.

    With several processes, each with its share of the superpatches, all of them must call it; all get the same result.

    Args:
        loader: batches of ``image`` (B, 1, D, H, W) in [0, 1], ``hidden`` and ``target`` (B, gi, gj, gk), ``body``
            (B, 1, D, H, W), ``scan`` (B,) and, for the mean volume, ``start`` (B, 3).
        mean_volume: the mean training volume on the same grid. Its values are NaN ("not defined") where it is None or where a
            superpatch lies outside it.
        window_hu: the HU mapped to 0 and to 1.
        regions: as in :class:`~maesil_monai.metrics.PooledPSNR`.

    Returns:
        ``{baseline: {metric: value}}`` with the metric names of :class:`~maesil_monai.metrics.PooledPSNR`.
    """
    metrics = {name: PooledPSNR(regions, window_hu) for name in (*BASELINES, MEAN_VOLUME)}
    for batch in loader:
        give_up_if_asked()
        image, hidden = batch["image"], batch["hidden"]
        for name, baseline in BASELINES.items():
            metrics[name](baseline(image, hidden), batch)
        if mean_volume is not None:
            size = tuple(image.shape[2:])
            inside = mean_volume.covers(batch["start"], size)  # else the scans have no shape in common: not defined
            mean = mean_volume.crop(batch["start"], size) if inside else torch.full_like(image, math.nan)
            patch_size = grid_of(image.shape[2:], hidden.shape[1:], ("image", "token grid"))
            metrics[MEAN_VOLUME](torch.where(tokens_to_voxels(hidden, patch_size), mean, image), batch)
    results = {name: metric.aggregate() for name, metric in metrics.items()}
    if mean_volume is None:
        results[MEAN_VOLUME] = dict.fromkeys(results[MEAN_VOLUME], math.nan)
    return results
