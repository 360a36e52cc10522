"""Trivial reconstructions: what a network must beat to have learned anything.

Each of :data:`BASELINES` is a function ``(image, hidden) -> volume`` that looks at visible voxels only, so that changing every
hidden voxel changes nothing. Visible voxels keep their values. ``image`` is float, shape (B, 1, D, H, W), in [0, 1], S-I last;
``hidden`` is bool, shape (B, gi, gj, gk), the hidden patches; the volume has shape and dtype of ``image``. All raise ValueError
if a sample has no visible patch, or the token grid does not tile the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch

from maesil_monai.errors import BadSetting
from maesil_monai.evaluation.mean_volume import MeanVolume
from maesil_monai.geometry import Triple, grid_of, patchify, tokens_to_voxels, unpatchify
from maesil_monai.transforms import WindowHU

Baseline = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Batch = Mapping[str, torch.Tensor]
Predictor = Callable[[Batch], torch.Tensor]
"""From a batch to its reconstruction, (B, 1, D, H, W), every patch that is no padding predicted."""

MEAN_VOLUME = "mean_training_volume"
# What fills every hidden voxel with one value. No method: they show what a region does not see.
CONSTANTS_HU = {"air_everywhere": -1000.0, "water_everywhere": 0.0}


def mean_of_visible(image: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Fills hidden voxels with the mean of the sample's visible voxels: what a network knows before it learns anatomy."""
    hidden_voxels = tokens_to_voxels(hidden, _patch_size(image, hidden))
    return torch.where(hidden_voxels, _visible_mean(image, hidden_voxels), image)


def interpolate_axial(image: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Fills hidden voxels linearly along S-I between the nearest visible voxels of the same column.

    Beyond the last visible voxel of a column its value is continued; a column without one takes the mean of the visible voxels.
    """
    patch_size = _patch_size(image, hidden)
    hidden_voxels = tokens_to_voxels(hidden, patch_size)
    length = image.shape[-1]
    place = torch.arange(length, device=image.device)
    visible_along = ~hidden.repeat_interleave(patch_size[2], dim=-1)  # (B, gi, gj, W): patches across S-I, voxels along it
    before = torch.where(visible_along, place, -1).cummax(dim=-1).values
    after = torch.where(visible_along, place, length).flip(-1).cummin(dim=-1).values.flip(-1)
    first = torch.where(before >= 0, before, after).clamp(0, length - 1)
    last = torch.where(after < length, after, before).clamp(0, length - 1)
    weight = (place - first) / (last - first).clamp(min=1)

    across = (patch_size[0], patch_size[1], 1)
    lower = image.gather(-1, tokens_to_voxels(first, across))
    upper = image.gather(-1, tokens_to_voxels(last, across))
    between = torch.lerp(lower, upper, tokens_to_voxels(weight.clamp(0, 1).to(image.dtype), across))
    no_visible = tokens_to_voxels(~visible_along.any(dim=-1, keepdim=True), across)
    filled = torch.where(no_visible, _visible_mean(image, hidden_voxels), between)
    return torch.where(hidden_voxels, filled, image)


def nearest_visible_patch(image: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Fills each hidden patch with a copy of the nearest visible patch.

    Distance is Euclidean on the token grid, in patches; of several nearest patches the first in C order is taken.
    """
    patch_size = _patch_size(image, hidden)
    grid = grid_of(image.shape[2:], patch_size)
    blocks = patchify(image, patch_size)
    sources = torch.stack([_nearest_visible(sample) for sample in hidden])
    return unpatchify(blocks.gather(1, sources[..., None].expand_as(blocks)), grid, patch_size)


BASELINES: dict[str, Baseline] = {
    "mean_of_visible": mean_of_visible,
    "interpolate_axial": interpolate_axial,
    "nearest_visible_patch": nearest_visible_patch,
}


def baseline_predictors(mean_volume: MeanVolume | None) -> dict[str, Predictor]:
    """Gives :data:`BASELINES` and :data:`MEAN_VOLUME` as functions of a batch.

    Args:
        mean_volume: the mean training volume on the same grid. It predicts NaN ("not defined") where it is None or where a
            superpatch lies outside it: the scans have no shape in common.
    """

    def filled_by(baseline: Baseline) -> Predictor:
        return lambda batch: baseline(batch["image"], batch["hidden"])

    def mean(batch: Batch) -> torch.Tensor:
        size = tuple(batch["image"].shape[2:])
        if mean_volume is None or not mean_volume.covers(batch["start"], size):
            return _filled(batch, torch.full_like(batch["image"], math.nan))
        return _filled(batch, mean_volume.crop(batch["start"], size))

    return {**{name: filled_by(baseline) for name, baseline in BASELINES.items()}, MEAN_VOLUME: mean}


def constant_predictors(window_hu: tuple[float, float]) -> dict[str, Predictor]:
    """Gives those that fill hidden voxels with a value of :data:`CONSTANTS_HU`, kept within the window."""

    def constant(value_hu: float) -> Predictor:
        value = float(WindowHU(window_hu)(torch.tensor(value_hu)))
        return lambda batch: _filled(batch, torch.full_like(batch["image"], value))

    return {name: constant(value) for name, value in CONSTANTS_HU.items()}


def _filled(batch: Batch, filling: torch.Tensor) -> torch.Tensor:
    hidden = batch["hidden"]
    patch_size = grid_of(filling.shape[2:], hidden.shape[1:], ("image", "token grid"))
    return torch.where(tokens_to_voxels(hidden, patch_size), filling, batch["image"])


def _patch_size(image: torch.Tensor, hidden: torch.Tensor) -> Triple:
    """Finds the voxels per patch, and refuses samples in which nothing is visible."""
    if hidden.flatten(1).all(dim=1).any():
        raise BadSetting("a sample has no visible patch: a baseline has nothing to look at. Lower the mask rule's ratios.")
    return grid_of(image.shape[2:], hidden.shape[1:], ("image", "token grid"))


def _visible_mean(image: torch.Tensor, hidden_voxels: torch.Tensor) -> torch.Tensor:
    """Averages the visible voxels of each sample: shape (B, 1, 1, 1, 1)."""
    total = image.masked_fill(hidden_voxels, 0.0).sum(dim=(1, 2, 3, 4), keepdim=True, dtype=torch.float64)
    count = (~hidden_voxels).sum(dim=(1, 2, 3, 4), keepdim=True)
    return (total / count).to(image.dtype)


def _nearest_visible(hidden: torch.Tensor) -> torch.Tensor:
    """Gives for every token of a sample, hidden of shape (gi, gj, gk), the index of its nearest visible token, shape (N,)."""
    places = torch.nonzero(torch.ones_like(hidden))
    flat = hidden.flatten()
    visible_index = torch.nonzero(~flat)[:, 0]
    source = torch.arange(flat.numel(), device=hidden.device)
    wanted, offered = places[flat], places[visible_index]
    distance = torch.zeros(len(wanted), len(offered), dtype=torch.int64, device=hidden.device)
    for axis in range(3):  # one axis at a time: a third of the memory of all three at once
        distance += (wanted[:, axis, None] - offered[None, :, axis]).square()
    # The offered patches are in C order; with their number behind the distance the minimum is unique on every device.
    nearest = (distance * len(offered) + torch.arange(len(offered), device=hidden.device)).argmin(dim=1)
    source[flat] = visible_index[nearest]
    return source
