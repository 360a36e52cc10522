"""Keeps the reconstructions that the pictures of the report are made of."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maesil_monai.comparison.judging_pipeline import dataset_of
from maesil_monai.geometry import grid_of, tokens_to_voxels
from maesil_monai.whole_files import write_whole


def pictured_scans(scans: Sequence[Mapping[str, Any]], per_dataset: int = 1) -> dict[int, str]:
    """Chooses the first scans of each collection.

    Args:
        scans: the scans that are judged, by their number.
        per_dataset: scans of each collection.

    Returns:
        The names of their pictures' files, by the scans' numbers.

    Example:
        >>> pictured_scans([{"case_id": "a"}, {"case_id": "b"}, {"case_id": "c", "dataset": "x"}])
        {0: 'scans/a', 2: 'x/c'}
    """
    counts: Counter[str] = Counter()
    names = {}
    for number, scan in enumerate(scans):
        dataset = dataset_of(scan)
        counts[dataset] += 1
        if counts[dataset] <= per_dataset:
            names[number] = f"{dataset}/{str(scan['case_id']).replace('/', '_')}"
    return names


class PictureRecorder:
    """Keeps of each chosen scan the superpatch with the most body, under its first mask, while batches pass, and writes them.

    Args:
        scans: the scans that are judged, by their number.
        names: the files of those that are pictured, from :func:`pictured_scans`.
        folders: for each method whose predictions are kept, the folder they are written to.
    """

    def __init__(self, scans: Sequence[Mapping[str, Any]], names: Mapping[int, str], folders: Mapping[str, str]) -> None:
        self.scans = scans
        self.names = names if folders else {}
        self.folders = folders
        self._most: dict[int, int] = {}
        self._files: dict[int, dict[str, dict[str, np.ndarray]]] = {}

    def __call__(self, batch: Mapping[str, Any], predictions: Mapping[str, torch.Tensor]) -> None:
        """Looks at a batch and the predictions (B, 1, D, H, W) of every method for it."""
        counts = batch["body"].flatten(1).sum(dim=1).tolist()
        for sample, (scan, count) in enumerate(zip(batch["scan"].tolist(), counts, strict=True)):
            if scan not in self.names or count <= self._most.get(scan, -1):
                continue
            self._most[scan] = count
            image, hidden = batch["image"][sample, 0], batch["hidden"][sample]
            patch_size = grid_of(image.shape, hidden.shape, ("image", "token grid"))
            covered = tokens_to_voxels(hidden[None], patch_size)[0, 0]
            given = {
                "original": _half(image),
                "hidden": hidden.cpu().numpy(),
                "body": batch["body"][sample, 0].bool().cpu().numpy(),
                "spacing_mm": batch["spacing_mm"][sample].cpu().numpy(),
                "dataset": np.array(dataset_of(self.scans[scan])),
            }
            made = {own: torch.where(covered, predictions[name][sample, 0], image) for name, own in self.folders.items()}
            self._files[scan] = {"": given, **{own: {"reconstruction": _half(volume)} for own, volume in made.items()}}

    def write(self, folder: Path) -> None:
        """Writes ``folder/DATASET/CASE.npz`` and, for each method, ``folder/OWN/DATASET/CASE.npz``."""
        for scan, files in self._files.items():
            for own, arrays in files.items():
                stream = io.BytesIO()
                np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
                write_whole(folder / own / f"{self.names[scan]}.npz", stream.getvalue())


def _half(volume: torch.Tensor) -> np.ndarray:
    return volume.detach().float().clamp(0.0, 1.0).cpu().numpy().astype(np.float16)
