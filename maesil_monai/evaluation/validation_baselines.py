"""Measures the baselines of a run when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch

from maesil_monai.evaluation.baseline_results import evaluate_baselines
from maesil_monai.evaluation.mean_volume import MeanVolume


class ValidationBaselines:
    """The trivial baselines on a run's held-out superpatches, as a function without arguments.

    Args:
        loader: the validation loader.
        training_data: one dictionary per training scan, for the mean training volume.
        sources: turns such a dictionary into ``{"image": source, ...}`` on the resampled grid.
        window_hu: the HU mapped to 0 and to 1.
        max_scans: scans that the mean volume is made of at most.
        seed: decides which.
    """

    def __init__(
        self,
        loader: Iterable[Mapping[str, torch.Tensor]],
        training_data: Sequence[Mapping[str, Any]],
        sources: Callable[[dict[str, Any]], Mapping[str, Any]],
        window_hu: Sequence[float] = (-1000.0, 1000.0),
        max_scans: int = 64,
        seed: int = 0,
    ) -> None:
        self.loader = loader
        self.training_data = training_data
        self.sources = sources
        self.window_hu = window_hu
        self.max_scans = max_scans
        self.seed = seed

    def __call__(self) -> dict[str, dict[str, float]]:
        """Measures all of them: one pass over the training scans and one over the held-out superpatches."""
        mean_volume = MeanVolume.from_datalist(
            self.training_data,
            lambda item: self.sources(dict(item))["image"],
            self.window_hu,
            self.max_scans,
            self.seed,
        )
        return evaluate_baselines(self.loader, mean_volume, self.window_hu)
