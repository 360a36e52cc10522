"""Resizing volumes by one small matrix per axis, for any box of the result.

The rule, the same wherever the package interpolates: trilinear, voxel centres at half-integers (``align_corners=False``), clamped
at the border, and along an axis that shrinks antialiased with a triangle as wide as the step. Because the rule is separable,
a box of the result needs only the box of the input below it, and costs three thin matrix products.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import torch

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Box, Triple

ResampleMode = Literal["linear", "mask", "nearest"]

# Large volumes are made in blocks of this many voxels per axis: a block's matrices stay small, so do its intermediates.
_BLOCK = 128


def check_mode(mode: str) -> None:
    """Raises a ValueError that lists the modes of :func:`apply_axis_matrices` if ``mode`` is none of them."""
    if mode not in get_args(ResampleMode):
        raise BadSetting(f"mode={mode!r}: expected one of {', '.join(get_args(ResampleMode))}.")


def dtype_of(mode: ResampleMode, volume: torch.Tensor) -> torch.dtype:
    """Gives the dtype that :func:`apply_axis_matrices` makes of a volume: float32, bool, or for ``nearest`` the volume's own."""
    return {"linear": torch.float32, "mask": torch.bool, "nearest": volume.dtype}[mode]


@dataclass(frozen=True)
class AxisMatrix:
    """How a run of output voxels along one axis comes from a run of input voxels.

    Attributes:
        start: first input voxel needed.
        stop: one past the last input voxel needed.
        scale: input voxels per output voxel.
        weights: float32, shape (output voxels, stop - start), every row sums to 1; None where the output voxels are input voxels.
    """

    start: int
    stop: int
    scale: float
    weights: torch.Tensor | None


def axis_matrix(in_size: int, out_start: int, out_stop: int, scale: float, offset: float, antialias: bool = True) -> AxisMatrix:
    """Makes the matrix of one axis.

    Output voxel o lies at the input coordinate ``scale * o + offset``, counted in voxels from the centre of the first one.

    Args:
        in_size: input voxels along the axis.
        out_start: first output voxel wanted.
        out_stop: one past the last output voxel wanted.
        scale: input voxels per output voxel, above 0.
        offset: input coordinate of output voxel 0.
        antialias: widens the triangle to ``scale`` where that is above 1.

    Raises:
        ValueError: if the scale is not positive and finite, or if the run or the input is empty.

    Example:
        >>> axis_matrix(4, 0, 2, 2.0, 0.5, antialias=False).weights
        tensor([[0.5000, 0.5000, 0.0000, 0.0000],
                [0.0000, 0.0000, 0.5000, 0.5000]])
    """
    if not (scale > 0.0 and math.isfinite(scale) and math.isfinite(offset)) or in_size < 1 or out_stop <= out_start:
        raise ValueError(
            f"cannot make voxels {out_start} to {out_stop} of an axis from {in_size} at scale {scale} and offset {offset}: "
            "expected at least one voxel on both sides and a positive finite scale."
        )
    shift = round(offset)
    if scale == 1.0 and offset == shift and out_start + shift >= 0 and out_stop + shift <= in_size:
        return AxisMatrix(out_start + shift, out_stop + shift, scale, None)
    half_width = max(scale, 1.0) if antialias else 1.0
    centres = (scale * torch.arange(out_start, out_stop, dtype=torch.float64) + offset).clamp_(0.0, in_size - 1.0)
    start = max(math.floor(float(centres[0]) - half_width) + 1, 0)
    stop = min(math.ceil(float(centres[-1]) + half_width), in_size)
    inputs = torch.arange(start, stop, dtype=torch.float64)
    weights = (1.0 - (inputs[None] - centres[:, None]).abs() / half_width).clamp_(min=0.0)
    weights /= weights.sum(dim=1, keepdim=True)
    return AxisMatrix(start, stop, scale, weights.to(torch.float32))


def axis_matrices(
    in_shape: Sequence[int], box: Box, scale: Sequence[float], offset: Sequence[float], antialias: bool = True
) -> tuple[AxisMatrix, AxisMatrix, AxisMatrix]:
    """Makes the matrices of the three axes for a box of the output; arguments and errors as in :func:`axis_matrix`."""
    i, j, k = (
        axis_matrix(size, start, stop, s, o, antialias)
        for size, start, stop, s, o in zip(in_shape, *box, scale, offset, strict=True)
    )
    return i, j, k


def input_box(matrices: Sequence[AxisMatrix]) -> Box:
    """Gives the box of the input that the matrices need."""
    i, j, k = matrices
    return (i.start, j.start, k.start), (i.stop, j.stop, k.stop)


def apply_axis_matrices(volume: torch.Tensor, matrices: Sequence[AxisMatrix], mode: ResampleMode = "linear") -> torch.Tensor:
    """Interpolates a box of the output.

    Args:
        volume: shape (C, d, h, w), the box :func:`input_box` of the input, any real dtype.
        matrices: one per spatial axis.
        mode: ``linear``; ``mask`` (linear, then at least one half); ``nearest`` (the input voxel with the largest weight).

    Returns:
        Shape (C, output voxels of each matrix): float32 for ``linear``, bool for ``mask``, the input's dtype for ``nearest``.

    Raises:
        ValueError: if the volume does not cover the box of the matrices, or for an unknown mode.
    """
    check_mode(mode)
    if tuple(volume.shape[1:]) != tuple(m.stop - m.start for m in matrices):
        raise ValueError(f"volume of shape {tuple(volume.shape)} does not cover the input box {input_box(matrices)}.")
    if mode == "nearest":
        for axis, matrix in enumerate(matrices, start=1):
            if matrix.weights is not None:
                volume = volume.index_select(axis, matrix.weights.argmax(dim=1).to(volume.device))
        return volume
    result = volume.to(torch.float32)
    # Axes that shrink most come first, those that grow most last. The order hangs on the scales alone, not on the box,
    # so that a voxel is rounded alike whichever box it is read in.
    for axis in sorted(range(3), key=lambda a: -matrices[a].scale):
        weights = matrices[axis].weights
        if weights is not None:
            result = _along(result, weights.to(volume.device), axis)
    return result >= 0.5 if mode == "mask" else result


def resample(
    volume: torch.Tensor,
    out_shape: Triple,
    scale: Sequence[float],
    offset: Sequence[float],
    mode: ResampleMode = "linear",
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Interpolates a whole volume, block by block, so that nothing large lives beside input and output.

    Args:
        volume: shape (C, D, H, W), any real dtype.
        out_shape: voxels per axis of the result.
        scale: input voxels per output voxel, per axis.
        offset: input coordinate of output voxel 0, per axis.
        mode: as in :func:`apply_axis_matrices`.
        out: where to write the result, of its shape and dtype; may be a view.

    Returns:
        Shape (C, *out_shape), dtype as in :func:`apply_axis_matrices`.

    Raises:
        ValueError: as in :func:`axis_matrix`; for an unknown mode.
    """
    check_mode(mode)
    if out is None:
        out = torch.empty((volume.shape[0], *out_shape), dtype=dtype_of(mode, volume), device=volume.device)
    for box in blocks_of(out_shape):
        matrices = axis_matrices(volume.shape[1:], box, scale, offset)
        d, h, w = slices_of(input_box(matrices))
        i, j, k = slices_of(box)
        out[:, i, j, k] = apply_axis_matrices(volume[:, d, h, w], matrices, mode)
    return out


def blocks_of(shape: Sequence[int], size: int = _BLOCK) -> Iterator[Box]:
    """Cuts a volume into boxes of at most ``size`` voxels per axis, in C order."""
    for start in product(*(range(0, n, size) for n in shape)):
        i, j, k = (min(a + size, n) for a, n in zip(start, shape, strict=True))
        yield (start[0], start[1], start[2]), (i, j, k)


def slices_of(box: Box) -> tuple[slice, slice, slice]:
    """Gives a box as an index of the three spatial axes."""
    i, j, k = (slice(a, b) for a, b in zip(*box, strict=True))
    return i, j, k


def _along(volume: torch.Tensor, weights: torch.Tensor, axis: int) -> torch.Tensor:
    """Multiplies one spatial axis of (C, d, h, w) by a matrix (out, in); each axis without moving the others about."""
    channels, d, h, w = volume.shape
    out = weights.shape[0]
    if axis == 2:
        return torch.matmul(volume, weights.T)
    if axis == 1:
        return torch.matmul(weights, volume)
    return torch.matmul(weights, volume.reshape(channels, d, h * w)).view(channels, out, h, w)
