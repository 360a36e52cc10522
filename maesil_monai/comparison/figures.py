"""Keeps the reconstructions that the pictures of the report are made of."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maesil_monai.comparison.pipeline import UNNAMED
from maesil_monai.geometry import grid_of, tokens_to_voxels
from maesil_monai.whole_files import write_whole


class FigureCases:
    """Chooses the first scans of each collection, and of each the superpatch with the most body, under its first mask.

    Args:
        scans: the scans that are judged, by their number.
        per_dataset: scans of each collection.

    Example:
        >>> cases = FigureCases([{"case_id": "a"}, {"case_id": "b"}, {"case_id": "c", "dataset": "x"}], per_dataset=1)
        >>> cases.names
        {0: 'scans/a', 2: 'x/c'}
    """

    def __init__(self, scans: Sequence[Mapping[str, Any]], per_dataset: int = 1) -> None:
        counts: dict[str, int] = {}
        self.names: dict[int, str] = {}
        self.datasets: dict[int, str] = {}
        for number, scan in enumerate(scans):
            dataset = str(scan.get("dataset", UNNAMED))
            counts[dataset] = counts.get(dataset, 0) + 1
            if counts[dataset] <= per_dataset:
                self.names[number] = f"{dataset}/{str(scan['case_id']).replace('/', '_')}"
                self.datasets[number] = dataset


class FigureRecorder:
    """Keeps one superpatch of each chosen scan while batches pass, and writes them.

    Args:
        cases: which scans.
        folders: for each method whose predictions are kept, the folder they are written to.
    """

    def __init__(self, cases: FigureCases, folders: Mapping[str, str]) -> None:
        self.cases = cases
        self.folders = dict(folders)
        self._most: dict[int, int] = {}
        self._kept: dict[int, dict[str, np.ndarray]] = {}
        self._predictions: dict[tuple[str, int], np.ndarray] = {}

    def __call__(self, batch: Mapping[str, Any], predictions: Mapping[str, torch.Tensor]) -> None:
        """Looks at a batch and the predictions (B, 1, D, H, W) of every method for it."""
        counts = batch["body"].flatten(1).sum(dim=1).tolist()
        for sample, (scan, count) in enumerate(zip(batch["scan"].tolist(), counts, strict=True)):
            if scan not in self.cases.names or count <= self._most.get(scan, -1):
                continue
            self._most[scan] = count
            image, hidden = batch["image"][sample, 0], batch["hidden"][sample]
            patch_size = grid_of(image.shape, hidden.shape, ("image", "token grid"))
            covered = tokens_to_voxels(hidden[None], patch_size)[0, 0]
            self._kept[scan] = {
                "original": _half(image),
                "hidden": hidden.cpu().numpy(),
                "body": batch["body"][sample, 0].bool().cpu().numpy(),
                "spacing_mm": batch["spacing_mm"][sample].cpu().numpy(),
                "dataset": np.array(self.cases.datasets[scan]),
            }
            for name in self.folders:
                self._predictions[name, scan] = _half(torch.where(covered, predictions[name][sample, 0], image))

    def write(self, folder: Path) -> None:
        """Writes ``folder/DATASET/CASE.npz`` and, for each method, ``folder/OWN/DATASET/CASE.npz``."""
        for scan, arrays in self._kept.items():
            _write(folder / f"{self.cases.names[scan]}.npz", arrays)
            for name, own in self.folders.items():
                _write(folder / own / f"{self.cases.names[scan]}.npz", {"reconstruction": self._predictions[name, scan]})


def _half(volume: torch.Tensor) -> np.ndarray:
    return volume.detach().float().clamp(0.0, 1.0).cpu().numpy().astype(np.float16)


def _write(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    write_whole(file, stream.getvalue())
