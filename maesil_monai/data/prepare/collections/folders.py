"""What every layout begins with: a folder that is there, and its content in an order that no file system decides."""

from __future__ import annotations

import os
from pathlib import Path

from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """Gives the path of a folder.

    Raises:
        MissingVolume: MISSING, if nothing is there.
        BadVolume: NOT_A_FOLDER.
    """
    path = Path(folder)
    if path.is_dir():
        return path
    if path.exists():
        raise BadVolume("NOT_A_FOLDER", path, "a file", "the folder of a collection", "Name the folder that holds it.")
    raise MissingVolume("MISSING", path, "no such folder", "the folder of a collection", "Check the path.")


def sorted_entries(folder: Path) -> list[Path]:
    """Gives what lies in a folder, sorted by name, without hidden files (``._img0001.nii.gz`` of a Mac among them)."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
