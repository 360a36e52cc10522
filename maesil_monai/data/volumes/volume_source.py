"""A volume that is read box by box: the little that cropping, resampling and masks need to know of a scan."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch

from maesil_monai.data.volumes.volume_note import Note
from maesil_monai.geometry import Box, Triple


class VolumeSource(ABC):
    """A volume with a place in the world, whose voxels are read when they are wanted.

    Args:
        shape: voxels per axis; S-I is the last axis, for sources are in RAS orientation.
        affine: voxel to world (RAS+, mm), shape (4, 4).
        name: file or case the volume comes from; error messages show it.
        original_affine: affine of the axes in which the file stores the volume; default ``affine``.

    Attributes:
        derived: volumes that transforms computed from this one on the same grid (a body mask, say); they live as long as it does.
        notes: what was odd about the file and what was done about it; readers set it.

    Raises:
        ValueError: if ``affine`` is no invertible 4 x 4 matrix.
    """

    def __init__(self, shape: Triple, affine: np.ndarray, name: str = "", original_affine: np.ndarray | None = None) -> None:
        self.shape = shape
        self.affine = np.asarray(affine, dtype=np.float64)
        self.name = name
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all() or np.linalg.det(self.affine[:3, :3]) == 0.0:
            raise ValueError(f"affine {self.affine.tolist()} of {name or 'a volume'} is no invertible 4 x 4 matrix.")
        self.original_affine = self.affine if original_affine is None else np.asarray(original_affine, dtype=np.float64)
        self.derived: dict[str, VolumeSource] = {}
        self.notes: tuple[Note, ...] = ()

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centres along each axis, in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def content_box(self) -> Box:
        """Where the scan's own content lies; voxels outside are padding."""
        return (0, 0, 0), self.shape

    @property
    def nbytes(self) -> int:
        """Memory held by this source and by what was derived from it, in bytes."""
        return sum(source.nbytes for source in self.derived.values())

    def read(self, box: Box) -> torch.Tensor:
        """Reads the voxels of a box.

        Args:
            box: half open, inside the volume.

        Returns:
            Shape (1, stop - start on each axis), the volume's own dtype, contiguous, the caller's own copy.

        Raises:
            ValueError: if the box is empty on an axis or reaches outside the volume.
        """
        self._check(box)
        return self._read(box)

    def share(self, box: Box) -> float:
        """Gives the mean of the values in a box; of a mask, the share of voxels that are True.

        Args:
            box: as in :meth:`read`.

        Raises:
            ValueError: as :meth:`read`.
        """
        self._check(box)
        return self._share(box)

    @abstractmethod
    def _read(self, box: Box) -> torch.Tensor:
        """Reads a box that was checked."""

    def _share(self, box: Box) -> float:
        return float(self._read(box).to(torch.float32).mean())

    def _check(self, box: Box) -> None:
        start, stop = box
        if any(not 0 <= a < b <= n for a, b, n in zip(start, stop, self.shape, strict=True)):
            raise ValueError(
                f"box {tuple(start)} to {tuple(stop)} does not fit into {self.name or 'the volume'} of shape {self.shape}: "
                "expected 0 <= start < stop <= shape on each axis."
            )


class ArraySource(VolumeSource):
    """A source over an array in memory, which is not copied.

    Args:
        array: shape (D, H, W), int16, float32 or bool; any strides.
        affine: voxel to world (RAS+, mm), shape (4, 4).
        name: file or case the volume comes from.
        original_affine: affine of the axes in which the file stores the volume; default ``affine``.

    Raises:
        ValueError: for another number of dimensions, another dtype, or an affine that is not invertible.

    Example:
        >>> source = ArraySource(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([1.0, 1.0, 2.5, 1.0]))
        >>> source.read(((1, 0, 2), (2, 2, 4)))
        tensor([[[[14, 15],
                  [18, 19]]]], dtype=torch.int16)
        >>> source.spacing_mm
        (1.0, 1.0, 2.5)
    """

    def __init__(self, array: np.ndarray, affine: np.ndarray, name: str = "", original_affine: np.ndarray | None = None) -> None:
        if array.ndim != 3 or array.dtype not in (np.int16, np.float32, np.bool_):
            raise ValueError(
                f"array of shape {array.shape} and dtype {array.dtype} of {name or 'a volume'}: "
                "expected 3 dimensions and int16, float32 or bool."
            )
        super().__init__((array.shape[0], array.shape[1], array.shape[2]), affine, name, original_affine)
        self.array = array

    @property
    def nbytes(self) -> int:
        return self.array.nbytes + super().nbytes

    def _read(self, box: Box) -> torch.Tensor:
        return torch.from_numpy(np.array(self._view(box), order="C"))[None]

    def _share(self, box: Box) -> float:
        view = self._view(box)
        if view.dtype == np.bool_:
            return float(np.count_nonzero(view)) / math.prod(view.shape)
        return float(view.mean(dtype=np.float64))

    def _view(self, box: Box) -> np.ndarray:
        return self.array[tuple(slice(a, b) for a, b in zip(*box, strict=True))]
