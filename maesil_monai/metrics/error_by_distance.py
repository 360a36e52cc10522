"""Where the error is: by the distance to what the encoder saw, and in the planes of the block or outside of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Triple
from maesil_monai.metrics.pooled_over_scans import PooledMetric
from maesil_monai.metrics.reconstruction_error import checked_window, psnr_db
from maesil_monai.metrics.regions import Label, checked_regions, region_voxels

PLANES = ("block", "surviving")


def patch_distances(hidden: torch.Tensor) -> torch.Tensor:
    """Measures from every patch to the nearest visible patch, centre to centre, in patches.

    Args:
        hidden: bool, shape (B, gi, gj, gk), the patches the encoder did not see.

    Returns:
        float64, the same shape, on the CPU: the Euclidean distance on the token grid, 0 for visible patches.

    Raises:
        ValueError: if a sample has no visible patch.

    Example:
        >>> patch_distances(torch.tensor([[[[False, True, True]]], [[[True, True, False]]]])).flatten(1).tolist()
        [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]
    """
    if hidden.flatten(1).all(dim=1).any():
        raise BadSetting("a sample has no visible patch: there is no distance to one. Lower the mask rule's ratios.")
    return torch.from_numpy(np.stack([distance_transform_edt(sample) for sample in hidden.cpu().numpy()]))


class ErrorByDistance(PooledMetric):
    """The error of hidden voxels by their patch's distance to the nearest visible patch, pooled over each scan's superpatches.

    The distance is Euclidean, in patches, rounded down: 1 holds the patches with a visible neighbour across a face, an edge or
    a corner (1, 1.41, 1.73), 2 those up to 2.99 and so on; the last number holds all that are farther, too. Beside it the error
    in planes of the block (axial planes, across the last axis, of which every patch is hidden) and in the surviving planes.

    Args:
        max_distance: the last distance.
        window_hu: the HU mapped to 0 and to 1.
        region: ``hidden_body`` or ``hidden``.

    Raises:
        ValueError: for a value out of range; when called with a sample without a visible patch.

    Example:
        >>> ErrorByDistance(max_distance=1).names
        ('mse_distance_1', 'mae_hu_distance_1', 'psnr_block', 'mae_hu_block', 'psnr_surviving', 'mae_hu_surviving')
    """

    def __init__(
        self, max_distance: int = 8, window_hu: Sequence[float] = (-1000.0, 1000.0), region: str = "hidden_body"
    ) -> None:
        super().__init__()
        if max_distance < 1:
            raise BadSetting(f"max_distance={max_distance}: expected 1 or more.")
        (self.region,) = checked_regions([region])
        if region not in ("hidden", "hidden_body"):
            raise BadSetting(f"region={region!r}: expected hidden or hidden_body, for visible voxels have no distance.")
        self.max_distance = max_distance
        self.window_hu = checked_window(window_hu)

    @property
    def names(self) -> tuple[str, ...]:
        """``mse_distance_N`` and ``mae_hu_distance_N``, then ``psnr`` and ``mae_hu`` of ``block`` and ``surviving``."""
        by_distance = [f"{what}_distance_{n + 1}" for n in range(self.max_distance) for what in ("mse", "mae_hu")]
        return (*by_distance, *(f"{what}_{planes}" for planes in PLANES for what in ("psnr", "mae_hu")))

    @property
    def num_sums(self) -> int:
        """Squared errors, absolute errors, voxels: in both kinds of planes, at every distance."""
        return 3 * len(PLANES) * self.max_distance

    def by_distance(self, scans: Collection[int] | None = None) -> list[dict[str, str | int | float]]:
        """Gives the table behind the values: means over scans, as everywhere; a scan counts where it has such voxels.

        Args:
            scans: the numbers of the scans to average over, for instance those of one dataset; None: all.

        Returns:
            Rows of ``planes`` (``all``, ``block``, ``surviving``), ``distance``, ``mse``, ``mae_hu`` and ``num_voxels`` (of all
            scans); rows without voxels are left out.
        """
        numbers, totals = self._totals()
        if scans is not None:
            totals = totals[:, torch.isin(numbers, torch.tensor(list(scans)).long())]
        sums = self._shaped(totals)
        rows: list[dict[str, str | int | float]] = []
        for planes, part in zip(("all", *PLANES), (sums.sum(dim=1), *sums.unbind(dim=1)), strict=True):
            for distance, (squared, absolute, count) in enumerate(part.unbind(dim=1), start=1):
                have = count > 0
                if have.any():
                    mse, mae = float((squared / count)[have].mean()), float((absolute / count)[have].mean())
                    values = {"mse": mse, "mae_hu": mae * self._scale, "num_voxels": int(count.sum())}
                    rows.append({"planes": planes, "distance": distance, **values})
        return rows

    @property
    def _scale(self) -> float:
        return self.window_hu[1] - self.window_hu[0]

    def _shaped(self, totals: torch.Tensor) -> torch.Tensor:
        """Gives totals as (three sums, two kinds of planes, distances, scans)."""
        return totals.unflatten(0, (3, len(PLANES), self.max_distance))

    def _sums(self, prediction: torch.Tensor, label: Label, patch_size: Triple) -> Sequence[torch.Tensor]:
        hidden = label["hidden"]
        region = region_voxels(self.region, label, patch_size)
        error = (prediction - label["image"]).masked_fill_(~region, 0.0)
        distance = patch_distances(hidden).long().clamp(1, self.max_distance) - 1
        surviving = ~hidden.flatten(1, 2).all(dim=1)[:, None, None, :].cpu()
        place = (surviving * self.max_distance + distance).flatten(1)
        found = []
        for values in (error.square(), error.abs(), region.float()):
            by_patch = _patch_sums(values, patch_size).flatten(1).cpu()  # on the CPU, where adding up has one order
            into = torch.zeros(len(hidden), len(PLANES) * self.max_distance, dtype=torch.float64)
            found.append(into.scatter_add_(1, place, by_patch))
        return torch.cat(found, dim=1).to(prediction.device).unbind(dim=1)

    def _values(self, totals: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        sums = self._shaped(totals)
        found = {}
        for number, (squared, absolute, count) in enumerate(sums.sum(dim=1).unbind(dim=1), start=1):
            found[f"mse_distance_{number}"] = (squared / count, count)
            found[f"mae_hu_distance_{number}"] = (absolute / count * self._scale, count)
        for planes, (squared, absolute, count) in zip(PLANES, sums.sum(dim=2).unbind(dim=1), strict=True):
            found[f"psnr_{planes}"] = (psnr_db(squared / count), count)
            found[f"mae_hu_{planes}"] = (absolute / count * self._scale, count)
        return found


def _patch_sums(values: torch.Tensor, patch_size: Triple) -> torch.Tensor:
    """Sums the voxels of each patch: (B, 1, D, H, W) to float64 (B, gi, gj, gk)."""
    i, j, k = patch_size
    batch, _, depth, height, width = values.shape
    blocks = values.reshape(batch, depth // i, i, height // j, j, width // k, k)
    return blocks.sum(dim=6).double().sum(dim=(2, 4))
