"""A source on another grid: it interpolates just the voxels that are read."""

from __future__ import annotations

import math

import numpy as np
import torch

from maesil_monai.data.volumes.volume_source import VolumeSource
from maesil_monai.geometry import Box, Triple
from maesil_monai.interpolation import (
    ResampleMode,
    apply_axis_matrices,
    axis_matrices,
    check_mode,
    dtype_of,
    input_box,
    slices_of,
)


def pad_value_of(mode: ResampleMode) -> float:
    """Gives the value of padded voxels: -1024 HU (air outside the field of view) for images, 0 (False) for masks and labels."""
    return -1024.0 if mode == "linear" else 0.0


def grid_affine(affine: np.ndarray, scale: tuple[float, float, float], offset: tuple[float, float, float]) -> np.ndarray:
    """Gives the affine of a grid whose voxel o lies at voxel ``scale * o + offset`` of the grid with ``affine``."""
    step = np.diag([*scale, 1.0])
    step[:3, 3] = offset
    return np.asarray(affine, dtype=np.float64) @ step


class ResampledSource(VolumeSource):
    """A source seen on a target grid, with padding around its content. Nothing is read before :meth:`read`.

    Args:
        source: what is interpolated, by the rule of :mod:`maesil_monai.interpolation`.
        shape: voxels per axis of the target grid, padding included.
        scale: source voxels per target voxel, per axis.
        offset: source coordinate (voxels) of target voxel 0, per axis; negative where padding comes first.
        content_box: target voxels that show the source; all others are padding.
        mode: ``linear`` (float32 out), ``mask`` (bool out: linear, then at least one half) or ``nearest`` (dtype stays).

    Raises:
        ValueError: for an unknown mode, or a content box outside the shape.

    Example:
        >>> import numpy as np
        >>> from maesil_monai.data.volumes.volume_source import ArraySource
        >>> source = ArraySource(np.float32([0, 100]).reshape(1, 1, 2), np.eye(4))
        >>> cube = ResampledSource(source, (1, 1, 6), (1.0, 1.0, 0.5), (0.0, 0.0, -0.75), ((0, 0, 1), (1, 1, 5)))
        >>> cube.read(((0, 0, 0), (1, 1, 6))).flatten().tolist()
        [-1024.0, 0.0, 25.0, 75.0, 100.0, -1024.0]
    """

    def __init__(
        self,
        source: VolumeSource,
        shape: Triple,
        scale: tuple[float, float, float],
        offset: tuple[float, float, float],
        content_box: Box,
        mode: ResampleMode = "linear",
    ) -> None:
        check_mode(mode)
        if any(not 0 <= a < b <= n for a, b, n in zip(*content_box, shape, strict=True)):
            raise ValueError(f"content_box={content_box} does not fit into the grid of shape {shape}.")
        super().__init__(shape, grid_affine(source.affine, scale, offset), source.name, source.original_affine)
        self.source = source
        self.scale = scale
        self.offset = offset
        self.mode: ResampleMode = mode
        self._content_box = content_box

    @property
    def content_box(self) -> Box:
        return self._content_box

    @property
    def nbytes(self) -> int:
        return self.source.nbytes + super().nbytes

    def _read(self, box: Box) -> torch.Tensor:
        size = tuple(b - a for a, b in zip(*box, strict=True))
        content = self._content_in(box)
        if content is None:
            below = self.source.read(((0, 0, 0), (1, 1, 1)))
            return torch.full((1, *size), pad_value_of(self.mode), dtype=dtype_of(self.mode, below))
        matrices = axis_matrices(self.source.shape, content, self.scale, self.offset)
        inside = apply_axis_matrices(self.source.read(input_box(matrices)), matrices, self.mode)
        if content == box:
            return inside
        padded = torch.full((1, *size), pad_value_of(self.mode), dtype=inside.dtype)
        i, j, k = (slice(s.start - a, s.stop - a) for s, a in zip(slices_of(content), box[0], strict=True))
        padded[:, i, j, k] = inside
        return padded

    def _share(self, box: Box) -> float:
        # On the source's own grid, in whole voxels: a hundred times cheaper than interpolating, and crops are drawn by it.
        content = self._content_in(box)
        if content is None:
            return 0.0
        edges = []
        for axis, (start, stop) in enumerate(zip(*content, strict=True)):
            scale, offset, size = self.scale[axis], self.offset[axis], self.source.shape[axis]
            # The lower edge of target voxel o is the source edge scale * (o - 0.5) + offset + 0.5.
            low = min(max(math.floor(scale * (start - 0.5) + offset + 1.0), 0), size - 1)
            high = math.floor(scale * (stop - 0.5) + offset + 1.0)
            edges.append((low, min(max(high, low + 1), size)))
        (i0, i1), (j0, j1), (k0, k1) = edges
        return self.source.share(((i0, j0, k0), (i1, j1, k1))) * _volume(content) / _volume(box)

    def _content_in(self, box: Box) -> Box | None:
        """Cuts a box down to the content; None if they do not meet."""
        i, j, k = (max(a, c) for a, c in zip(box[0], self._content_box[0], strict=True))
        p, q, r = (min(b, c) for b, c in zip(box[1], self._content_box[1], strict=True))
        return ((i, j, k), (p, q, r)) if i < p and j < q and k < r else None


def _volume(box: Box) -> int:
    return math.prod(b - a for a, b in zip(*box, strict=True))
