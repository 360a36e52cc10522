"""Arithmetic of volumes, superpatches, patches and tokens: no files, no networks, no randomness.

Words used in the whole package:

- *patch*: the block of voxels one *token* stands for (8 x 8 x 8 in the paper).
- *superpatch*: the block of voxels a network sees at once (128 x 128 x 128 in the paper).
- *token grid*: how many patches a superpatch holds on each axis (16 x 16 x 16 in the paper).
- *box*: ``(start, stop)``, two triples of voxel indices, half open on each axis.

Tokens are in C order of their grid: the last axis, S-I in a volume of RAS orientation, runs fastest.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import nibabel as nib
import numpy as np
import torch

from maesil_monai.errors import BadSetting

Triple = tuple[int, int, int]
Box = tuple[Triple, Triple]


def as_triple(value: int | Sequence[int], name: str) -> Triple:
    """Gives a size as three positive integers; one integer stands for a cube.

    Args:
        value: voxels (or patches) per axis.
        name: what the error message calls the value.

    Raises:
        ValueError: if ``value`` is not one or three positive whole numbers.

    Example:
        >>> as_triple(8, "patch_size")
        (8, 8, 8)
    """
    sizes = tuple(value) if isinstance(value, Sequence) else (value,) * 3
    if len(sizes) != 3 or not all(isinstance(size, Integral) and not isinstance(size, bool) and size >= 1 for size in sizes):
        raise BadSetting(f"{name}={value!r}: expected one positive whole number or three of them.")
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def grid_of(outer: Sequence[int], inner: Sequence[int], names: tuple[str, str] = ("superpatch_size", "patch_size")) -> Triple:
    """Counts how many inner blocks tile an outer block on each axis.

    Args:
        outer: size of the outer block in voxels.
        inner: size of the inner block in voxels.
        names: what the error message calls the two.

    Raises:
        ValueError: if the inner block does not tile the outer one.

    Example:
        >>> grid_of((128, 128, 64), (8, 8, 8))
        (16, 16, 8)
    """
    if any(o % i for o, i in zip(outer, inner, strict=True)):
        raise BadSetting(
            f"{names[1]}={tuple(inner)} does not divide {names[0]}={tuple(outer)}: "
            "every axis must be a whole multiple. Change one of the two."
        )
    return outer[0] // inner[0], outer[1] // inner[1], outer[2] // inner[2]


def box_at(index: int, grid: Sequence[int], size: Sequence[int]) -> Box:
    """Gives the box of the block with a running number in a grid of equal blocks.

    Args:
        index: running number in C order, ``0 <= index < product(grid)``.
        grid: blocks per axis.
        size: voxels per block and axis.

    Raises:
        ValueError: if ``index`` lies outside the grid.

    Example:
        >>> box_at(1, (4, 4, 4), (128, 128, 128))
        ((0, 0, 128), (128, 128, 256))
    """
    count = grid[0] * grid[1] * grid[2]
    if not 0 <= index < count:
        raise ValueError(f"superpatch index {index} is outside the grid {tuple(grid)}: expected 0 to {count - 1}.")
    place = np.unravel_index(index, tuple(grid))
    start = (int(place[0]) * size[0], int(place[1]) * size[1], int(place[2]) * size[2])
    return start, (start[0] + size[0], start[1] + size[1], start[2] + size[2])


def patchify(volume: torch.Tensor, size: tuple[int, int, int]) -> torch.Tensor:
    """Cuts volumes into blocks and flattens each block.

    Args:
        volume: shape (B, C, D, H, W); every spatial size a multiple of ``size``.
        size: voxels per block on each axis.

    Returns:
        Shape (B, N, C * size[0] * size[1] * size[2]) with N = D/size[0] * H/size[1] * W/size[2] blocks in C order;
        within a block the channel runs slowest. The dtype stays.

    Source: MAESIL section III-A (patch embedding), as a pure rearrangement.
    """
    batch, channels, depth, height, width = volume.shape
    i, j, k = size
    blocks = volume.reshape(batch, channels, depth // i, i, height // j, j, width // k, k)
    return blocks.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(batch, -1, channels * i * j * k)


def unpatchify(blocks: torch.Tensor, grid: tuple[int, int, int], size: tuple[int, int, int]) -> torch.Tensor:
    """Puts the blocks of :func:`patchify` back; the round trip is exact to the bit.

    Args:
        blocks: shape (B, N, C * voxels of a block), N = product of ``grid``.
        grid: blocks per axis.
        size: voxels per block on each axis.

    Returns:
        Shape (B, C, grid[0] * size[0], grid[1] * size[1], grid[2] * size[2]).
    """
    gi, gj, gk = grid
    i, j, k = size
    batch = blocks.shape[0]
    volume = blocks.reshape(batch, gi, gj, gk, -1, i, j, k).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return volume.reshape(batch, -1, gi * i, gj * j, gk * k)


def tokens_to_voxels(tokens: torch.Tensor, size: tuple[int, int, int]) -> torch.Tensor:
    """Spreads one value per patch over the voxels of the patch.

    Args:
        tokens: shape (B, gi, gj, gk), for instance a ``hidden`` or ``target`` mask.
        size: voxels per patch on each axis.

    Returns:
        Shape (B, 1, gi * size[0], gj * size[1], gk * size[2]), same dtype.
    """
    batch, gi, gj, gk = tokens.shape
    i, j, k = size
    spread = tokens.reshape(batch, 1, gi, 1, gj, 1, gk, 1).expand(batch, 1, gi, i, gj, j, gk, k)
    return spread.reshape(batch, 1, gi * i, gj * j, gk * k)


def axial_axis(affine: np.ndarray | torch.Tensor) -> int:
    """Finds the voxel axis that runs along S-I, that is, across the axial planes.

    Args:
        affine: voxel to world (RAS+, mm), shape (4, 4).

    Raises:
        ValueError: if the affine is singular or not finite.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
        raise ValueError(f"affine {matrix.tolist()} is no invertible 4 x 4 matrix: the S-I axis cannot be found.")
    world_axes = nib.orientations.io_orientation(matrix)[:, 0]
    return int(np.flatnonzero(world_axes == 2)[0])
