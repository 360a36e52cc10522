"""The superpatches that the comparison keeps for pictures: ``OUT/figures``."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from maesil_monai.comparison.report.systems import System
from maesil_monai.reports.case import Case

logger = logging.getLogger(__name__)


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
        for own, system in models.items():
            file = folder / own / f"{name}.npz"
            volume = _reconstruction(file, original.shape, low, high) if file.is_file() else None
            if volume is not None:
                made[system] = volume
        if made:
            ordered = {system.label: made[system] for system in sorted(made, key=lambda system: system.order)}
            own_name = name.removeprefix(f"{dataset}/")
            cases.append(Case(own_name, dataset, original, hidden, body, (spacing[0], spacing[1], spacing[2]), ordered))
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
