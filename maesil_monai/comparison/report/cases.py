"""The superpatches that the comparison keeps for pictures: ``OUT/figures``."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from maesil_monai.comparison.report.systems import System
from maesil_monai.geometry import Triple
from maesil_monai.reports.panels import central_voxel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """A superpatch of a test scan and what the systems made of it.

    Args:
        name: of the case.
        dataset: its collection.
        original: float32, shape (D, H, W), in HU, axes towards right, front and head.
        hidden: bool, shape (gi, gj, gk), the patches that were hidden.
        body: bool, shape (D, H, W).
        spacing_mm: size of a voxel on each axis.
        reconstructions: float32, shape (D, H, W), in HU, by system; visible voxels are the original's.
    """

    name: str
    dataset: str
    original: np.ndarray
    hidden: np.ndarray
    body: np.ndarray
    spacing_mm: tuple[float, float, float]
    reconstructions: dict[System, np.ndarray]

    @cached_property
    def hidden_voxels(self) -> np.ndarray:
        """bool, shape (D, H, W): the voxels of the hidden patches."""
        return spread_patches(self.hidden, self.original.shape)

    @cached_property
    def center(self) -> Triple:
        """The voxel through which the pictures go: in the middle of the hidden body."""
        judged = self.hidden_voxels & self.body
        return central_voxel(judged if judged.any() else self.hidden_voxels)

    def error(self, system: System, window_hu: tuple[float, float]) -> tuple[float, float] | None:
        """Gives PSNR in dB and mean absolute error in HU over this superpatch's hidden body; None if there is none of it."""
        judged = self.hidden_voxels & self.body
        if not judged.any():
            return None
        apart = np.abs(self.reconstructions[system][judged] - self.original[judged]).astype(np.float64)
        square = float(np.mean((apart / (window_hu[1] - window_hu[0])) ** 2))
        return -10 * float(np.log10(max(square, 1e-12))), float(apart.mean())


def spread_patches(hidden: np.ndarray, shape: Iterable[int]) -> np.ndarray:
    """Repeats each patch's value for its voxels.

    Example:
        >>> spread_patches(np.array([[[True, False]]]), (1, 1, 4))[0, 0].tolist()
        [True, True, False, False]
    """
    voxels = hidden
    for axis, size in enumerate(shape):
        voxels = np.repeat(voxels, size // hidden.shape[axis], axis=axis)
    return voxels


def read_cases(folder: Path, known: Iterable[System], window_hu: tuple[float, float]) -> list[Case]:
    """Reads the superpatches and their reconstructions.

    Args:
        folder: ``OUT/figures``, holding ``DATASET/CASE.npz`` and ``MODEL@RULE/DATASET/CASE.npz``; a case's name may hold slashes.
        known: the systems of the results; folders of others are passed over.
        window_hu: the HU mapped to 0 and to 1.

    Returns:
        The cases that some system reconstructed, by collection and name; none if there is no folder. A reconstruction of
        another shape (superpatches of another size) or with voxels that are not defined is left out.

    Raises:
        ValueError: if the shapes of a case do not fit together, with the file.
    """
    files = sorted(path for path in folder.rglob("*.npz"))
    models = {name: system for system in known for name in _folder_names(system)}
    low, high = window_hu
    cases = []
    for file in files:
        name = file.relative_to(folder).with_suffix("").as_posix()
        with np.load(file) as stored:
            if "original" not in stored.files:
                continue  # a reconstruction
            original = _in_hu(stored["original"], low, high)
            hidden, body = stored["hidden"].astype(bool), stored["body"].astype(bool)
            spacing = tuple(float(size) for size in stored["spacing_mm"])
            dataset = str(stored["dataset"])
        if original.ndim != 3 or body.shape != original.shape or _odd(original.shape, hidden.shape):
            raise ValueError(
                f"{file}: original {original.shape}, body {body.shape}, hidden {hidden.shape}: expected two equal shapes "
                "(D, H, W) and a grid of patches that divides them. Run compare again to write it anew."
            )
        made = {}
        for label, system in models.items():
            file = folder / label / f"{name}.npz"
            volume = _reconstruction(file, original.shape, low, high) if file.is_file() else None
            if volume is not None:
                made[system] = volume
        if made:
            ordered = {system: made[system] for system in sorted(made, key=lambda system: system.order)}
            cases.append(
                Case(
                    name.removeprefix(f"{dataset}/"),
                    dataset,
                    original,
                    hidden,
                    body,
                    (spacing[0], spacing[1], spacing[2]),
                    ordered,
                )
            )
    return sorted(cases, key=lambda case: (case.dataset, case.name))


def _folder_names(system: System) -> list[str]:
    """Gives the names a system's folder may have: the rule stands behind the model, before the changes of an ablation."""
    base, plus, changes = system.model.partition("+")
    rule = f"@{system.training_rule}" if system.training_rule else ""
    return list(dict.fromkeys([f"{base}{rule}{plus}{changes}", f"{system.model}{rule}"]))


def _reconstruction(file: Path, shape: tuple[int, ...], low: float, high: float) -> np.ndarray | None:
    with np.load(file) as stored:
        made = _in_hu(stored["reconstruction"], low, high)
    if made.shape != shape:
        logger.warning("%s: shape %s, expected %s: left out of the pictures", file, made.shape, shape)
        return None
    return made if np.isfinite(made).all() else None  # a baseline that is not defined there


def _in_hu(unit: np.ndarray, low: float, high: float) -> np.ndarray:
    return (unit.astype(np.float32) * (high - low) + low).clip(low, high)


def _odd(shape: tuple[int, ...], grid: tuple[int, ...]) -> bool:
    return len(grid) != 3 or any(size % count for size, count in zip(shape, grid, strict=True))
