"""A superpatch with what systems made of it: what pictures and the viewer show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from maesil_monai.geometry import Triple, grid_of, tokens_to_voxels
from maesil_monai.reports.slices import central_voxel


@dataclass(frozen=True)
class Case:
    """A superpatch of a test scan and what the systems made of it.

    Args:
        name: of the case.
        dataset: its collection.
        original: float32, shape (D, H, W), in HU, axes towards right, front and head.
        hidden: bool, shape (gi, gj, gk), the patches that were hidden; the grid divides the shape.
        body: bool, shape (D, H, W).
        spacing_mm: size of a voxel on each axis.
        reconstructions: float32, shape (D, H, W), in HU, by what readers call the system, in order; visible voxels are the
            original's.

    Example:
        >>> hidden, zeros = np.array([[[True, False]]]), np.zeros((1, 1, 4), dtype=np.float32)
        >>> case = Case("pt_7", "sts", zeros, hidden, zeros == 0, (1.0, 1.0, 2.0), {"MAE": zeros + 20})
        >>> case.hidden_voxels.tolist(), case.error("MAE", (-1000.0, 1000.0))
        ([[[True, True, False, False]]], (40.0, 20.0))
    """

    name: str
    dataset: str
    original: np.ndarray
    hidden: np.ndarray
    body: np.ndarray
    spacing_mm: tuple[float, float, float]
    reconstructions: Mapping[str, np.ndarray]

    @cached_property
    def hidden_voxels(self) -> np.ndarray:
        """bool, shape (D, H, W): the voxels of the hidden patches."""
        patch_size = grid_of(self.original.shape, self.hidden.shape, ("original", "hidden"))
        return tokens_to_voxels(torch.from_numpy(self.hidden)[None], patch_size)[0, 0].numpy()

    @cached_property
    def center(self) -> Triple:
        """The voxel through which the pictures go: in the middle of the hidden body."""
        judged = self.hidden_voxels & self.body
        return central_voxel(judged if judged.any() else self.hidden_voxels)

    def error(self, label: str, window_hu: tuple[float, float]) -> tuple[float, float] | None:
        """Gives PSNR in dB and mean absolute error in HU over this superpatch's hidden body; None if there is none of it.

        Args:
            label: of :attr:`reconstructions`.
            window_hu: the HU mapped to 0 and to 1; the width is the PSNR's peak.
        """
        judged = self.hidden_voxels & self.body
        if not judged.any():
            return None
        apart = np.abs(self.reconstructions[label][judged] - self.original[judged]).astype(np.float64)
        square = float(np.mean((apart / (window_hu[1] - window_hu[0])) ** 2))
        return -10 * float(np.log10(max(square, 1e-12))), float(apart.mean())
