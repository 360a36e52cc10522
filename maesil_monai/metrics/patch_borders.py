"""How much a reconstruction shows the grid of its patches.

A face lies between two neighbouring voxels; it is a border face if the two are of different patches. On each axis a, e_a is the
mean squared difference across border faces and f_a that across the other faces. The index is (e_0 + e_1 + e_2) / (f_0 + f_1 +
f_2): 1 without blocks, above 1 with steps at the borders. Every axis has the same weight above and below the line, so that
thick slices, or masks that hide whole planes, do not shift the index of a picture without blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from maesil_monai.geometry import Triple, as_triple
from maesil_monai.metrics.pooled_over_scans import PooledMetric
from maesil_monai.metrics.regions import Label, checked_regions, complete_volume, region_voxels

SLAB_VOXELS = 2**21  # whole volumes are taken in slabs of about so many voxels, which bounds the memory


@torch.no_grad()
def face_sums(volume: torch.Tensor, patch_size: Triple, region: torch.Tensor | None = None) -> torch.Tensor:
    """Adds up squared differences across faces, and counts the faces.

    Args:
        volume: float, shape (B, 1, D, H, W): superpatches or whole volumes, the first voxel that of a patch.
        patch_size: voxels per patch on each axis.
        region: bool, same shape: only faces with both voxels in it count; None counts all.

    Returns:
        float64, shape (B, 2, 2, 3): sums and numbers, of border faces and of the others, across each axis.
    """
    found = torch.zeros(len(volume), 2, 2, 3, dtype=torch.float64, device=volume.device)
    depth = volume.shape[2]
    planes = max(1, SLAB_VOXELS // (volume.shape[3] * volume.shape[4]))
    for start in range(0, depth, planes):
        for axis in range(3):
            stop = min(start + planes + (axis == 0), depth)  # the face behind the slab's last plane is the slab's
            first, second = _neighbours(volume[:, 0, start:stop], axis + 1)
            if region is None:
                counted = torch.ones_like(first, dtype=torch.bool)
            else:
                counted = torch.logical_and(*_neighbours(region[:, 0, start:stop], axis + 1))
            energy = (second.float() - first.float()).masked_fill_(~counted, 0.0).square_()
            voxel = torch.arange(1, first.shape[axis + 1] + 1, device=volume.device) + (start if axis == 0 else 0)
            border = voxel % patch_size[axis] == 0  # by the number of the face's second voxel
            others = [dim for dim in (1, 2, 3) if dim != axis + 1]
            for what, values in enumerate((energy, counted)):
                by_face = values.sum(dim=others, dtype=torch.float64)
                found[:, what, 0, axis] += by_face[:, border].sum(dim=1)
                found[:, what, 1, axis] += by_face[:, ~border].sum(dim=1)
    return found


def index_of(sums: torch.Tensor, numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Makes the index from what :func:`face_sums` found, added up over any superpatches.

    Args:
        sums: float64, shape (..., 2, A): squared differences at border faces and others, across A axes.
        numbers: float64, same shape, how many faces.

    Returns:
        The index, shape (...), and the number of border faces it is from. An axis without a face of one kind is left out. NaN
        ("not defined"), from 0 faces, if no axis is left or nothing differs at any face (a constant volume); ``inf`` if all
        differences are at borders.
    """
    complete = (numbers != 0).all(dim=-2)
    means = torch.where(complete[..., None, :], sums / numbers, 0.0).sum(dim=-1)
    varies = (means != 0).any(dim=-1)  # true of NaN, which must show
    used = torch.where(complete & varies[..., None], numbers[..., 0, :], 0.0).sum(dim=-1)
    return means[..., 0] / means[..., 1], used


def blockiness(
    volume: torch.Tensor, patch_size: int | Sequence[int], region: torch.Tensor | None = None, axis: int | None = None
) -> torch.Tensor:
    """Gives the blockiness index of each volume.

    Args:
        volume: float, shape (B, 1, D, H, W): superpatches or whole volumes, the first voxel that of a patch.
        patch_size: voxels per patch, one number or three.
        region: bool, same shape: only faces with both voxels in it count; None counts all.
        axis: 0, 1 or 2 for the borders across this axis alone; None takes all three together.

    Returns:
        float64, shape (B,): 1 without blocks, NaN for a constant volume or a region without faces of both kinds.

    Raises:
        ValueError: if the shapes do not fit together.

    Example:
        >>> ramp = torch.arange(16.0).expand(1, 1, 16, 16, 16)
        >>> blockiness(ramp, 8).tolist(), blockiness((ramp / 8).round(), 8, axis=2).tolist()
        ([1.0], [0.0])
    """
    if volume.ndim != 5 or volume.shape[1] != 1 or (region is not None and region.shape != volume.shape):
        raise ValueError(
            f"volume {tuple(volume.shape)}, region {None if region is None else tuple(region.shape)}: expected two equal shapes "
            "(B, 1, D, H, W)."
        )
    sums, numbers = face_sums(volume, as_triple(patch_size, "patch_size"), region).unbind(dim=1)
    chosen = slice(None) if axis is None else slice(axis, axis + 1)
    return index_of(sums[..., chosen], numbers[..., chosen])[0]


class PooledBlockiness(PooledMetric):
    """The blockiness index of reconstructions and of the truth in one region, pooled over each scan's superpatches.

    That of the truth says what to expect of a reconstruction without blocks: 1, up to noise. The volume is the pasted one, for
    the region ``full`` the raw output. In ``hidden`` and ``hidden_body`` no face between a hidden patch and a visible one
    counts: the index is that of what was predicted. In ``pasted`` and ``body`` such seams count.

    Args:
        region: the name of a region, see :mod:`maesil_monai.metrics.regions`.

    Raises:
        ValueError: for an unknown region.

    Example:
        >>> PooledBlockiness().names
        ('blockiness', 'blockiness_truth')
    """

    names = ("blockiness", "blockiness_truth")
    num_sums = 3 * 2 * 3  # of two kinds of faces across three axes: sums of the prediction, sums of the truth, numbers

    def __init__(self, region: str = "hidden_body") -> None:
        super().__init__()
        (self.region,) = checked_regions([region])

    def _sums(self, prediction: torch.Tensor, label: Label, patch_size: Triple) -> Sequence[torch.Tensor]:
        region = region_voxels(self.region, label, patch_size)
        judged = complete_volume(self.region, prediction, label, patch_size)
        of_prediction, of_truth = face_sums(judged, patch_size, region), face_sums(label["image"], patch_size, region)
        return torch.cat([of_prediction[:, 0], of_truth[:, 0], of_truth[:, 1]], dim=1).flatten(1).unbind(dim=1)

    def _values(self, totals: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        *both, numbers = totals.T.unflatten(1, (3, 2, 3)).unbind(dim=1)
        return {name: index_of(sums, numbers) for name, sums in zip(self.names, both, strict=True)}


def _neighbours(volume: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Gives the voxels before and behind every face along a dimension."""
    length = volume.shape[dim] - 1
    return volume.narrow(dim, 0, length), volume.narrow(dim, 1, length)
