"""Cuts a box out of a volume, whether that lies in a file or in memory, and keeps track of place and padding."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from monai.data import MetaTensor

from maesil_monai.data.volumes.volume_source import VolumeSource
from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Box, Triple
from maesil_monai.interpolation import slices_of

Volume = VolumeSource | torch.Tensor


def volume_shape(volume: Volume) -> Triple:
    """Gives the voxels per axis of a source or of a channel-first tensor.

    Raises:
        ValueError: if a tensor has other than four dimensions.
    """
    if isinstance(volume, VolumeSource):
        return volume.shape
    if volume.ndim != 4:
        raise ValueError(f"image of shape {tuple(volume.shape)}: expected four dimensions, channel first: (C, D, H, W).")
    return volume.shape[1], volume.shape[2], volume.shape[3]


def volume_content(volume: Volume) -> Box:
    """Gives the box of the scan's own voxels: of a source, or from ``meta["content_box"]``; without one, everything."""
    if isinstance(volume, VolumeSource):
        return volume.content_box
    shape = volume_shape(volume)
    if isinstance(volume, MetaTensor) and "content_box" in volume.meta:
        start, stop = torch.as_tensor(volume.meta["content_box"]).tolist()
        return as_box(start, stop)
    return (0, 0, 0), shape


def as_box(start: Sequence[int], stop: Sequence[int]) -> Box:
    """Gives two triples of plain integers."""
    return (int(start[0]), int(start[1]), int(start[2])), (int(stop[0]), int(stop[1]), int(stop[2]))


def crop_box(volume: Volume, box: Box) -> MetaTensor:
    """Reads a box of a volume as an image of its own.

    Args:
        volume: a source, or a tensor (C, D, H, W); its ``meta["content_box"]`` must fit the tensor as it is now, so flips
            and rotations come after the crop.
        box: half open, inside the volume.

    Returns:
        Shape (C, box), float32, or bool where the volume is bool; contiguous, shares no memory with the volume. The affine
        is shifted so that every voxel keeps its world position; ``meta["content_box"]``, int64 (2, 3), says in the crop's
        voxels where the scan's own content lies (an empty box, start equal to stop, where there is none). The trace of
        earlier transforms is dropped, for they cannot be inverted from a part of their output.

    Raises:
        ValueError: if the box does not lie inside the volume.
    """
    shape = volume_shape(volume)
    start, stop = torch.tensor(box[0]), torch.tensor(box[1])
    if any(not 0 <= a < b <= n for a, b, n in zip(*box, shape, strict=True)):
        raise ValueError(f"box {box[0]} to {box[1]} does not fit into the volume of shape {shape}.")
    if isinstance(volume, VolumeSource):
        values = volume.read(box)
        affine = torch.from_numpy(volume.affine.copy())
        meta = {"filename_or_obj": volume.name, "original_affine": torch.from_numpy(volume.original_affine.copy())}
    else:
        i, j, k = slices_of(box)
        whole = volume.as_tensor() if isinstance(volume, MetaTensor) else volume
        values = whole[:, i, j, k].clone(memory_format=torch.contiguous_format)
        affine = MetaTensor.get_default_affine()
        meta = {}
        if isinstance(volume, MetaTensor):
            affine = volume.affine.to(torch.float64).clone()
            meta = {key: deepcopy(value) for key, value in volume.meta.items() if key != "affine"}
    affine[:3, 3] += affine[:3, :3] @ start.to(torch.float64)
    content = torch.tensor(volume_content(volume)).clamp(min=start, max=stop) - start
    meta["content_box"] = content
    if values.dtype != torch.bool:
        values = values.to(torch.float32)
    return MetaTensor(values, affine=affine, meta=meta)


def valid_patches(content_box: torch.Tensor, token_grid: Triple, patch_size: Triple) -> torch.Tensor:
    """Marks the patches without a padded voxel.

    Args:
        content_box: start and stop of the scan's own content in voxels of the superpatch, int64 (2, 3).
        token_grid: patches per axis (gi, gj, gk).
        patch_size: voxels per patch on each axis.

    Returns:
        ``valid``, bool, shape (1, gi, gj, gk): a channel-first image, so that flips can be applied to it.

    Example:
        >>> valid_patches(torch.tensor([[0, 0, 9], [16, 16, 32]]), (1, 1, 4), (16, 16, 8)).tolist()
        [[[[False, False, True, True]]]]
    """
    start, stop = content_box.tolist()
    axes = []
    for a, b, count, size in zip(start, stop, token_grid, patch_size, strict=True):
        first = torch.arange(count) * size
        axes.append((first >= a) & (first + size <= b))
    return (axes[0][:, None, None] & axes[1][None, :, None] & axes[2][None, None, :])[None]


def require_one_shape(data: Mapping[Hashable, Any], keys: Sequence[Hashable]) -> None:
    """Raises a ValueError unless the volumes under all keys have one shape."""
    shapes = {key: volume_shape(data[key]) for key in keys}
    if len(set(shapes.values())) > 1:
        raise BadSetting(f"volumes of different shapes cannot be cropped alike: {shapes}. Resample them onto one grid first.")
