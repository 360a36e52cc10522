"""PSNR and mean absolute error of reconstructions, pooled over each scan.

Squared and absolute errors are summed over all superpatches of a scan that were evaluated, then turned into one number per
scan, then averaged over scans. Decibels of superpatches are never averaged: a superpatch that is nearly all air would count
as much as one through the abdomen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Engine
from ignite.metrics import Metric
from monai.metrics import CumulativeIterationMetric

from maesil_monai.geometry import grid_of
from maesil_monai.metrics.regions import REGION_NAMES, region_voxels

NO_SCAN = -1.0  # marks the row a process without superpatches hands to the gathering


def psnr_db(mean_squared_error: torch.Tensor) -> torch.Tensor:
    """Turns mean squared errors of values in [0, 1] into decibels; no error gives ``inf``, NaN stays NaN."""
    return -10.0 * torch.log10(mean_squared_error)


def is_better(current: float, best: float) -> bool:
    """Compares two values of a metric of which more is better; NaN is never better, and anything is better than NaN.

    For ``metric_cmp_fn`` of MONAI's evaluators: with their default a first NaN would stay the best for ever.

    Example:
        >>> is_better(20.0, float("nan")), is_better(float("nan"), 20.0), is_better(21.0, 20.0)
        (True, False, True)
    """
    return not math.isnan(current) and (math.isnan(best) or current > best)


def is_smaller(current: float, best: float) -> bool:
    """:func:`is_better` for a metric of which less is better.

    Example:
        >>> is_smaller(0.1, float("nan")), is_smaller(float("nan"), 0.1), is_smaller(0.1, 0.2)
        (True, False, True)
    """
    return not math.isnan(current) and (math.isnan(best) or current < best)


class PooledPSNR(CumulativeIterationMetric):
    """PSNR in dB and mean absolute error in HU for several regions, pooled over each scan's superpatches.

    Call it with a batch; :meth:`aggregate` gives the means over scans, :meth:`per_scan` the values they are the means of.
    With several processes both gather the rows of all of them and must be called by all; the loaders of the processes must
    not repeat superpatches (a distributed sampler with ``even_divisible=False``).

    A scan in which a region has no voxel is left out of that region's mean; if that is so in every scan, the value is NaN
    ("not defined"). A NaN prediction inside a region makes the region's value NaN. Identical volumes give ``inf`` dB.

    Args:
        regions: names of regions, see :mod:`maesil_monai.metrics.regions`.
        window_hu: the HU mapped to 0 and to 1; turns absolute errors into HU.

    Raises:
        ValueError: for an unknown region or an empty window.

    Example:
        >>> metric = PooledPSNR(regions=("hidden",), window_hu=(-1000.0, 1000.0))
        >>> everywhere = torch.ones(1, 2, 2, 2, dtype=torch.bool)
        >>> label = {"image": torch.zeros(1, 1, 8, 8, 8), "hidden": everywhere, "target": everywhere, "scan": torch.tensor([0])}
        >>> _ = metric(torch.full((1, 1, 8, 8, 8), 0.1), label)
        >>> {name: round(value, 3) for name, value in metric.aggregate().items()}
        {'psnr_hidden': 20.0, 'mae_hu_hidden': 200.0}
    """

    def __init__(
        self, regions: Sequence[str] = ("hidden_body", "hidden"), window_hu: Sequence[float] = (-1000.0, 1000.0)
    ) -> None:
        unknown = [name for name in regions if name not in REGION_NAMES]
        if unknown or not regions:
            raise ValueError(f"regions={tuple(regions)}: expected one or more of {', '.join(REGION_NAMES)}.")
        if len(window_hu) != 2 or not window_hu[0] < window_hu[1]:
            raise ValueError(f"window_hu={tuple(window_hu)}: expected (lower, upper) with lower < upper.")
        super().__init__()
        self.regions = tuple(regions)
        self.window_hu = (float(window_hu[0]), float(window_hu[1]))

    @property
    def names(self) -> tuple[str, ...]:
        """The keys of :meth:`aggregate`: ``psnr_REGION`` and ``mae_hu_REGION`` of every region."""
        return tuple(f"{quantity}_{region}" for region in self.regions for quantity in ("psnr", "mae_hu"))

    def __call__(  # type: ignore[override]
        self, y_pred: torch.Tensor, y: Mapping[str, torch.Tensor], **kwargs: Any
    ) -> torch.Tensor:
        """Adds a batch of reconstructions.

        Args:
            y_pred: shape (B, 1, D, H, W), on the window's [0, 1]; predictions at hidden voxels or complete volumes.
            y: ``image`` (B, 1, D, H, W) in [0, 1], ``hidden`` and ``target`` bool (B, gi, gj, gk), ``body`` bool (B, 1, D, H, W)
                (not needed for ``hidden``), ``scan`` int64 (B,), the number of the scan each superpatch is from.
            kwargs: not used; the parameter is MONAI's.

        Returns:
            float64, shape (B, 1 + 3 * number of regions): the scan, then per region the sum of squared errors, the sum of
            absolute errors and the number of voxels.

        Raises:
            ValueError: if the shapes do not fit together.
        """
        rows = self._compute_tensor(y_pred.detach(), y["image"].detach(), label=y)
        self.extend(rows)
        return rows

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor:
        label: Mapping[str, torch.Tensor] = kwargs["label"]
        if y is None or y_pred.shape != y.shape or y_pred.ndim != 5 or len(label["scan"]) != len(y_pred):
            raise ValueError(
                f"prediction {tuple(y_pred.shape)}, image {None if y is None else tuple(y.shape)}, scan "
                f"{tuple(label['scan'].shape)}: expected two equal shapes (B, 1, D, H, W) and one scan number per sample."
            )
        patch_size = grid_of(y.shape[2:], label["hidden"].shape[1:], ("image", "token grid"))
        error = y_pred.float() - y.float()
        columns = [label["scan"].to(error.device, torch.float64)]
        for name in self.regions:
            region = region_voxels(name, label["hidden"], label.get("body"), label["target"], patch_size)
            inside = error.masked_fill(~region, 0.0)  # not a product: NaN outside the region must not come in
            columns += [_sum(inside.square()), _sum(inside.abs()), _sum(region)]
        return torch.stack(columns, dim=1)

    def aggregate(self) -> dict[str, float]:
        """Averages over the scans: the mean of each of :meth:`per_scan`'s values over the scans that have the region."""
        values, has_region = self._values()
        means = {}
        for name in self.names:
            defined = values[name][has_region[name]]
            means[name] = float(defined.mean()) if len(defined) else math.nan
        return means

    def per_scan(self) -> dict[str, torch.Tensor]:
        """Gives each scan's own values.

        Returns:
            ``scan``: int64, shape (S,), ascending; and for every one of :attr:`names` float64, shape (S,), NaN where the
            region is empty. All on the CPU.
        """
        return self._values()[0]

    def _values(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Pools the gathered rows; the second dictionary tells which scans have the region at all."""
        width = 1 + 3 * len(self.regions)
        if self._buffers is None:  # gathering is collective: a process without a superpatch still has to take part
            self.extend(torch.full((1, width), NO_SCAN, dtype=torch.float64))
        rows = self.get_buffer().cpu()
        rows = rows[rows[:, 0] != NO_SCAN]
        scans, place = torch.unique(rows[:, 0].long(), return_inverse=True)
        sums = torch.zeros(len(scans), width - 1, dtype=torch.float64).index_add_(0, place, rows[:, 1:])
        values, has_region = {"scan": scans}, {}
        for region, (squared, absolute, count) in zip(
            self.regions, sums.T.reshape(len(self.regions), 3, len(scans)), strict=True
        ):
            values[f"psnr_{region}"] = psnr_db(squared / count)
            values[f"mae_hu_{region}"] = absolute / count * (self.window_hu[1] - self.window_hu[0])
            has_region[f"psnr_{region}"] = has_region[f"mae_hu_{region}"] = count > 0
        return values, has_region


class ReconstructionMetric(Metric):
    """:class:`PooledPSNR` for MONAI's engines: one computation puts all of its values into ``engine.state.metrics``.

    Attach it once, under the name of the value to be watched (``key_val_metric={"psnr_hidden_body": ReconstructionMetric()}``);
    ``psnr_hidden``, ``mae_hu_hidden_body`` and ``mae_hu_hidden`` appear beside it. The values per scan are left in
    ``engine.state.metric_details`` under the same names. Use :func:`is_better` as the engine's ``metric_cmp_fn``.

    The engine's output must hold ``pred`` and ``label``, batched (``decollate=False``).

    Args:
        regions: as in :class:`PooledPSNR`.
        window_hu: as in :class:`PooledPSNR`.
        normalised_targets: True for a network that predicts patches normalised by their own mean and deviation.

    Raises:
        ValueError: for such a network: its output becomes a picture only with the truth's statistics, so it has no PSNR.

    Example:
        >>> ReconstructionMetric(regions=("hidden_body",)).pooled.names
        ('psnr_hidden_body', 'mae_hu_hidden_body')
    """

    def __init__(
        self,
        regions: Sequence[str] = ("hidden_body", "hidden"),
        window_hu: Sequence[float] = (-1000.0, 1000.0),
        normalised_targets: bool = False,
    ) -> None:
        if normalised_targets:
            raise ValueError(
                "PSNR is not defined for a network that predicts normalised patches (normalise_patches): its output becomes a "
                "picture only with the truth's statistics. Validate the loss: add normalised_targets.json to --config_file."
            )
        self.pooled = PooledPSNR(regions, window_hu)
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
            raise ValueError(f"metric name {name!r}: expected one of the values it computes, {', '.join(self.pooled.names)}.")
        super().attach(engine, name, *args, **kwargs)


def pred_and_label(output: Mapping[str, Any]) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
    """Picks ``(pred, label)`` from the output of one of MONAI's supervised engines."""
    return output["pred"], output["label"]


def num_samples(label: Mapping[str, torch.Tensor]) -> int:
    """Counts the superpatches of a batch by its label: ``batch_size`` for ``ignite.metrics.Loss``."""
    return len(label["image"])


def _sum(values: torch.Tensor) -> torch.Tensor:
    """Sums each sample: along the last axis in the values' own precision (a row), then the few rows in float64."""
    return values.sum(dim=-1).flatten(1).double().sum(dim=1)
