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
    models = {_folder_name(system): system for system in sorted(known, key=lambda system: system.order)}
    low, high = window_hu
    cases = []
    for file in files:
        name = file.relative_to(folder).with_suffix("").as_posix()
        with np.load(file) as stored:
            if "original" not in stored.files:
                continue  # a reconstruction
            original = _in_hu(stored["original"], low, high)
            hidden, body = stored["hidden"].astype(bool), stored["body"].astype(bool)
            spacing = tuple(stored["spacing_mm"].astype(float).tolist())
            dataset = str(stored["dataset"])
        fits = original.ndim == hidden.ndim == 3 and body.shape == original.shape
        if not fits or np.remainder(original.shape, hidden.shape).any():
            raise ValueError(
                f"{file}: original {original.shape}, body {body.shape}, hidden {hidden.shape}: expected two equal shapes "
                "(D, H, W) and a grid of patches that divides them. Run compare again to write it anew."
            )
        made = {}
        for own, system in models.items():
            file = folder / own / f"{name}.npz"
            if not file.is_file():
                continue
            with np.load(file) as stored:
                volume = _in_hu(stored["reconstruction"], low, high)
            if volume.shape != original.shape:
                logger.warning("%s: shape %s, expected %s: left out of the pictures", file, volume.shape, original.shape)
            elif np.isfinite(volume).all():  # else a baseline that is not defined there
                made[system.label] = volume
        if made:
            cases.append(Case(name.removeprefix(f"{dataset}/"), dataset, original, hidden, body, spacing, made))
    return sorted(cases, key=lambda case: (case.dataset, case.name))


def _folder_name(system: System) -> str:
    """Gives the name of a system's folder: the rule stands behind the model, before the changes of an ablation."""
    rule = f"@{system.training_rule}" if system.training_rule else ""
    return system.base + rule + system.model.removeprefix(system.base)


def _in_hu(unit: np.ndarray, low: float, high: float) -> np.ndarray:
    return (unit.astype(np.float32) * (high - low) + low).clip(low, high)
