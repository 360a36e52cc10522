"""Writing a folder of made-up scans, ``phantom_0000/{ct,label}.nii.gz`` and on, safe to interrupt and to call again."""

from __future__ import annotations

import gzip
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from maesil_monai.phantom.generator import SizeName, phantom_scan
from maesil_monai.phantom.scan import CoverageName

logger = logging.getLogger(__name__)

MARKER = "phantom.json"
# Goes up whenever the same seed no longer gives the same voxels.
VERSION = 1
SCANS_PER_LOG_LINE = 8


def write_phantom_folder(
    folder: str | os.PathLike[str],
    num_scans: int,
    seed: int,
    size: SizeName = "small",
    coverage: CoverageName | None = None,
    num_threads: int = 1,
) -> list[Path]:
    """Writes scans that are not there yet; scan i is drawn from ``SeedSequence([seed, i])``, whatever ``num_scans`` is.

    Every file appears under its name only when it is whole. The marker ``phantom.json`` in the folder says from what the
    scans were drawn; its ``complete`` becomes true last. Asking for more scans later adds to the folder.

    Args:
        folder: made when missing.
        num_scans: how many scans the folder shall hold at least.
        seed: from 0 up.
        size: as in :func:`~maesil_monai.phantom.phantom_scan`; ``small`` is 128 x 128 voxels across, about 2 to 4 MB a scan.
        coverage: ``chest``, ``abdomen`` or ``trunk`` for all scans, or None to draw it for each.
        num_threads: scans drawn at a time; the voxels do not depend on it.

    Returns:
        The ``num_scans`` CT files, in order. Each has a ``label.nii.gz`` beside it.

    Raises:
        ValueError: if the folder holds scans drawn from something else, or scans without a marker; or if ``num_scans`` or
            ``seed`` is negative or a name is unknown.
    """
    if num_scans < 0 or seed < 0:
        raise ValueError(f"num_scans={num_scans}, seed={seed}: expected whole numbers from 0 up.")
    root = Path(folder)
    drawn_from = {"generator": "maesil_monai.phantom", "version": VERSION, "seed": seed, "size": size, "coverage": coverage}
    found = _claim(root, drawn_from)
    cases = [root / f"phantom_{index:04d}" for index in range(num_scans)]
    missing = [
        index for index, case in enumerate(cases) if not all((case / name).is_file() for name in ("ct.nii.gz", "label.nii.gz"))
    ]
    if missing or not found.get("complete"):
        root.mkdir(parents=True, exist_ok=True)
        count = max(num_scans, int(found.get("num_scans", 0)))
        # Unfinished but claimed: a run cut short here goes on, and one with another seed is refused.
        _write(root / MARKER, _json({**drawn_from, "num_scans": count, "complete": False}))
        with ThreadPoolExecutor(max(num_threads, 1)) as pool:
            jobs = pool.map(lambda index: _write_scan(cases[index], [seed, index], size, coverage), missing)
            for done, _ in enumerate(jobs, start=1):
                if done % SCANS_PER_LOG_LINE == 0 or done == len(missing):
                    logger.info("phantom: wrote %d of %d scans to %s", done, len(missing), root)
        _write(root / MARKER, _json({**drawn_from, "num_scans": count, "complete": True}))
    return [case / "ct.nii.gz" for case in cases]


def _claim(root: Path, drawn_from: dict[str, object]) -> dict[str, Any]:
    """Gives the marker that is there when it is ours, an empty one when the folder is free, and refuses the rest."""
    marker = root / MARKER
    others = sorted(path.name for path in root.glob("phantom_*")) if root.is_dir() else []
    if not marker.is_file():
        if others:
            raise ValueError(
                f"{root}: holds {others[0]} but no {MARKER}; expected a new folder or one that this function wrote. "
                "Choose another folder."
            )
        return {}
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{marker}: is no JSON ({error}); expected the marker of a phantom folder. Choose another folder."
        ) from error
    differing = [key for key, value in drawn_from.items() if not isinstance(found, dict) or found.get(key) != value]
    if not differing:
        return found
    if not [path for path in root.iterdir() if path.name != MARKER]:
        return {}
    was = {key: found.get(key) for key in differing} if isinstance(found, dict) else found
    raise ValueError(
        f"{root}: holds scans drawn with {was}; expected { {key: drawn_from[key] for key in differing} }. "
        "Choose another folder, or delete this one."
    )


def _write_scan(case: Path, seed: list[int], size: SizeName, coverage: CoverageName | None) -> None:
    scan = phantom_scan(seed, size=size, coverage=coverage)
    case.mkdir(exist_ok=True)
    for name, array in (("ct.nii.gz", scan.hu), ("label.nii.gz", scan.label)):
        _write(case / name, gzip.compress(_nifti(array, scan.affine), compresslevel=3, mtime=0))


def _nifti(array: np.ndarray, affine: np.ndarray) -> bytes:
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    return image.to_bytes()


def _json(content: dict[str, object]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    """Writes a file that is whole as soon as it has its name."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
