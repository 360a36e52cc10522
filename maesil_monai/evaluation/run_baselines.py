"""Runs the trivial baselines over the validation data, with the metrics of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from maesil_monai.evaluation.baselines import Batch, baseline_predictors
from maesil_monai.evaluation.mean_volume import MeanVolume
from maesil_monai.metrics.reconstruction_error import PooledPSNR
from maesil_monai.training.signals import give_up_if_asked


@torch.no_grad()
def evaluate_baselines(
    loader: Iterable[Batch],
    mean_volume: MeanVolume | None = None,
    window_hu: Sequence[float] = (-1000.0, 1000.0),
    regions: Sequence[str] = ("hidden_body", "hidden"),
) -> dict[str, dict[str, float]]:
    """Measures every trivial baseline on the batches of a validation loader.

    With several processes, each with its share of the superpatches, all of them must call it; all get the same result.

    Args:
        loader: batches of ``image`` (B, 1, D, H, W) in [0, 1], ``hidden`` and ``target`` (B, gi, gj, gk), ``body``
            (B, 1, D, H, W), ``scan`` (B,) and, for the mean volume, ``start`` (B, 3).
        mean_volume: the mean training volume on the same grid; its values are NaN ("not defined") where it is.
        window_hu: the HU mapped to 0 and to 1.
        regions: as in :class:`~maesil_monai.metrics.PooledPSNR`.

    Returns:
        ``{baseline: {metric: value}}`` with the metric names of :class:`~maesil_monai.metrics.PooledPSNR`.
    """
    predictors = baseline_predictors(mean_volume)
    metrics = {name: PooledPSNR(regions, window_hu) for name in predictors}
    for batch in loader:
        give_up_if_asked()
        for name, predict in predictors.items():
            metrics[name](predict(batch), batch)
    return {name: metric.aggregate() for name, metric in metrics.items()}


@dataclass(frozen=True)
class ValidationBaselines:
    """The trivial baselines on a run's held-out superpatches, measured when it is called.

    Args:
        loader: the validation loader.
        training_data: one dictionary per training scan, for the mean training volume.
        sources: turns such a dictionary into ``{"image": source, ...}`` on the resampled grid.
        window_hu: the HU mapped to 0 and to 1.
        max_scans: scans that the mean volume is made of at most.
        seed: decides which.
    """

    loader: Iterable[Batch]
    training_data: Sequence[Mapping[str, Any]]
    sources: Callable[[dict[str, Any]], Mapping[str, Any]]
    window_hu: Sequence[float] = (-1000.0, 1000.0)
    max_scans: int = 64
    seed: int = 0

    def __call__(self) -> dict[str, dict[str, float]]:
        """Measures all of them: one pass over the training scans and one over the held-out superpatches."""
        mean_volume = MeanVolume.from_datalist(
            self.training_data, lambda item: self.sources(dict(item))["image"], self.window_hu, self.max_scans, self.seed
        )
        return evaluate_baselines(self.loader, mean_volume, self.window_hu)
