"""What tests of prepared stores share: sources to prepare, and the bytes that came out."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any


def copy_patients(scan_folder: Path, folder: Path, count: int) -> Path:
    """Copies scans and labels of the first patients, which a test may then spoil, to ``p0``, ``p1`` and on."""
    for number in range(count):
        shutil.copytree(scan_folder / f"phantom_{number:04d}", folder / f"p{number}")
    return folder


def tree(store: Path) -> dict[str, str]:
    """Gives every file of a store with a digest of its bytes."""
    files = [path for path in sorted(store.rglob("*")) if path.is_file()]
    return {path.relative_to(store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def listed(store: Path) -> list[dict[str, Any]]:
    """Gives the rows of all sides of a data list."""
    content = json.loads((store / "datalist.json").read_text())
    return [row for split in ("training", "validation", "test") for row in content[split]]
