"""Metrics of reconstructions on MONAI's engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from ignite.engine import Engine
from ignite.metrics import Metric

from maesil_monai.errors import BadSetting
from maesil_monai.metrics.pooled_over_scans import PooledMetric
from maesil_monai.metrics.reconstruction_error import PooledPSNR


class PooledMetricHandler(Metric):
    """A :class:`PooledMetric` for MONAI's engines: one computation puts all of its values into ``engine.state.metrics``.

    Attach it once, under the name of one of its values, such as
    ``key_val_metric={"psnr_hidden_body": PooledMetricHandler(PooledPSNR())}``; the others appear beside it. The values per scan
    are left in ``engine.state.metric_details`` under the same names. Use :func:`is_better` as the engine's ``metric_cmp_fn``.

    The engine's output must hold ``pred`` and ``label``, batched (``decollate=False``).

    Args:
        pooled: the metric.
        normalised_targets: True for a network that predicts patches normalised by their own mean and deviation.

    Raises:
        ValueError: for such a network: its output becomes a picture only with the truth's statistics, so it has no PSNR, nor
            any other of these metrics.

    Example:
        >>> from maesil_monai.metrics import PooledSSIM
        >>> PooledMetricHandler(PooledSSIM(regions=("hidden_body",))).pooled.names
        ('ssim_hidden_body',)
    """

    def __init__(self, pooled: PooledMetric, normalised_targets: bool = False) -> None:
        if normalised_targets:
            what = "PSNR" if isinstance(pooled, PooledPSNR) else pooled.names[0]
            raise BadSetting(
                f"{what} is not defined for a network that predicts normalised patches (normalise_patches): its output becomes a "
                "picture only with the truth's statistics. Validate the loss: add normalised_targets.json to --config_file."
            )
        self.pooled = pooled
        super().__init__(output_transform=pred_and_label, skip_unrolling=True, metrics_result_mode="flatten")

    def reset(self) -> None:
        self.pooled.reset()

    def update(self, output: tuple[torch.Tensor, Mapping[str, torch.Tensor]]) -> None:
        self.pooled(*output)

    def compute(self) -> dict[str, float]:
        return self.pooled.aggregate()

    def completed(self, engine: Engine, name: str) -> None:
        super().completed(engine, name)
        state: Any = engine.state
        if not hasattr(state, "metric_details"):  # MONAI's engines have it, plain ignite engines do not
            state.metric_details = {}
        state.metric_details.update(self.pooled.per_scan())

    def attach(self, engine: Engine, name: str, *args: Any, **kwargs: Any) -> None:
        """Attaches the metric to an engine.

        Raises:
            ValueError: if ``name`` is none of the values it computes, so that an engine could not find its key metric.
        """
        if name not in self.pooled.names:
            raise BadSetting(f"metric name {name!r}: expected one of the values it computes, {', '.join(self.pooled.names)}.")
        super().attach(engine, name, *args, **kwargs)


def pred_and_label(output: Mapping[str, Any]) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
    """Picks ``(pred, label)`` from the output of one of MONAI's supervised engines."""
    return output["pred"], output["label"]


def num_samples(label: Mapping[str, torch.Tensor]) -> int:
    """Counts the superpatches of a batch by its label: ``batch_size`` for ``ignite.metrics.Loss``."""
    return len(label["image"])
