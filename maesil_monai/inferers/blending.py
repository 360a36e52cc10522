"""Blends the predictions of overlapping windows into a volume.

Only predictions are blended, and only where voxels are hidden: changing every hidden voxel of the volume leaves every
predicted voxel as it was, to the bit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import torch

from maesil_monai.geometry import Box, Triple, box_at, grid_of, tokens_to_voxels
from maesil_monai.inferers.overlapping_windows import Window
from maesil_monai.interpolation import slices_of

Predict = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def blend(
    volumes: torch.Tensor,
    masks: torch.Tensor,
    windows: Sequence[Window],
    predict: Predict,
    superpatch_size: Triple,
    patch_size: Triple,
    hidden_only: bool = True,
    batch_size: int = 1,
) -> torch.Tensor:
    """Predicts all windows and averages what they say of each voxel, weighted by a Hann window (small at a window's border).

    Beside ``volumes`` and the result nothing of the volumes' size is held (512 MiB each at 512^3): the sum of the weights
    follows from the places of the windows and is made one superpatch at a time.

    Args:
        volumes: float, shape (B, 1, D, H, W), D, H and W multiples of ``superpatch_size``.
        masks: bool, shape (M, Gi, Gj, Gk), the hidden patches of each draw, the same for all volumes.
        windows: those to predict. A batch must have equally many hidden patches in each sample, so they are grouped by that.
        predict: called with image (b, 1, d, h, w), hidden and target (b, gi, gj, gk); gives the network's output.
        superpatch_size, patch_size: voxels of a window and of a patch.
        hidden_only: True blends predictions at hidden voxels alone and keeps the volumes' values at voxels hidden in no draw;
            False decodes and blends everything.
        batch_size: windows predicted at once.

    Returns:
        float32, shape of ``volumes``.
    """
    hann = [torch.sin(torch.pi * (torch.arange(size, device=volumes.device) + 0.5) / size).square() for size in superpatch_size]
    weight = hann[0][:, None, None] * hann[1][:, None] * hann[2]
    result = torch.zeros_like(volumes, dtype=torch.float32)
    for chunk in _batches(windows, len(volumes), batch_size):
        boxes = [_box(window.start, superpatch_size) for _, window in chunk]
        places = [(scan, 0, *slices_of(box)) for (scan, _), box in zip(chunk, boxes, strict=True)]
        image = torch.stack([volumes[place][None] for place in places]).float()
        hidden = torch.stack([window.hidden for _, window in chunk])
        predicted = predict(image, hidden, hidden if hidden_only else torch.ones_like(hidden))
        for (_, window), box, place, volume in zip(chunk, boxes, places, predicted, strict=True):
            part = volume[0].float() * weight
            if hidden_only:
                part = part.masked_fill(~_marked_voxels(masks[window.draw], box, patch_size), 0.0)
            result[place] += part
    grid = grid_of(volumes.shape[2:], superpatch_size, ("volume shape", "superpatch_size"))
    for index in range(math.prod(grid)):
        tile = box_at(index, grid, superpatch_size)
        total = torch.zeros_like(weight)
        for draw, mask in enumerate(masks):
            part = _total_weight([window for window in windows if window.draw == draw], tile, hann)
            total += part * _marked_voxels(mask, tile, patch_size) if hidden_only else part
        everywhere = (slice(None), 0, *slices_of(tile))
        result[everywhere] = torch.where(total > 0, result[everywhere] / total, volumes[everywhere].float())
    return result


def _batches(windows: Sequence[Window], num_volumes: int, batch_size: int) -> Iterator[list[tuple[int, Window]]]:
    """Pairs windows with the numbers of volumes, in batches with equally many hidden patches in each sample."""

    def num_hidden(window: Window) -> int:
        return int(window.hidden.sum())

    for _, same in itertools.groupby(sorted(windows, key=num_hidden), key=num_hidden):
        jobs = list(itertools.product(range(num_volumes), same))
        for first in range(0, len(jobs), batch_size):
            yield jobs[first : first + batch_size]


def _total_weight(windows: Sequence[Window], tile: Box, hann: Sequence[torch.Tensor]) -> torch.Tensor:
    """Sums the weights of windows over the voxels of a tile of their size: float32."""
    size = (len(hann[0]), len(hann[1]), len(hann[2]))
    total = hann[0].new_zeros(size)
    for window in windows:
        start, stop = _box(window.start, size)
        common = [(max(a, c), min(b, d)) for a, b, c, d in zip(*tile, start, stop, strict=True)]
        if all(first < last for first, last in common):
            i, j, k = (one[a - c : b - c] for one, (a, b), c in zip(hann, common, start, strict=True))
            inside = tuple(slice(a - c, b - c) for (a, b), c in zip(common, tile[0], strict=True))
            total[inside] += i[:, None, None] * j[:, None] * k
    return total


def _marked_voxels(marked: torch.Tensor, box: Box, patch_size: Triple) -> torch.Tensor:
    """Gives the voxels of a box that lie in marked patches of the plain grid: bool, of the box's shape."""
    first = [start // size for start, size in zip(box[0], patch_size, strict=True)]
    last = [-(-stop // size) for stop, size in zip(box[1], patch_size, strict=True)]
    patches = marked[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    voxels = tokens_to_voxels(patches[None], patch_size)[0, 0]
    for axis in range(3):
        voxels = voxels.narrow(axis, box[0][axis] - first[axis] * patch_size[axis], box[1][axis] - box[0][axis])
    return voxels


def _box(start: Triple, size: Triple) -> Box:
    return start, (start[0] + size[0], start[1] + size[1], start[2] + size[2])
