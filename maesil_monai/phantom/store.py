"""Made-up scans in the layouts of the three collections, prepared as real ones are: what a run without data trains on."""

from __future__ import annotations

import os
from pathlib import Path

import ignite.distributed as idist

from maesil_monai.phantom.layouts import LayoutSize, write_layouts


def folder_or_phantom_store(
    folder: str | os.PathLike[str],
    phantom_folder: str | os.PathLike[str],
    num_scans: int = 10,
    seed: int = 0,
    size: LayoutSize = "small",
) -> str:
    """Gives the user's folder or, if none is named, a store of phantom scans, which is made where it is missing.

    The scans are written as files (NIfTI and DICOM) and read by the readers that real collections go through. In a job of
    several processes the first one works and the others wait.

    Args:
        folder: the user's scans or store; empty: none.
        phantom_folder: where phantom scans (``raw``) and their store (``store``) are kept.
        num_scans: scans in each of the three layouts, and one more in BTCV's.
        seed: of the scans.
        size: as in :func:`~maesil_monai.phantom.layouts.write_layouts`.

    Returns:
        The folder to read.
    """
    if str(folder):
        return str(folder)
    store = Path(phantom_folder) / "store"
    if idist.get_rank() == 0:
        from maesil_monai.data.prepare import PrepareOptions, prepare

        raw = write_layouts(Path(phantom_folder) / "raw", num_scans, seed, size)
        folders = (raw["btcv"], raw["lidc"], raw["totalsegmentator"])
        # Nobody's privacy is at stake, and plain names make plain titles.
        prepare(PrepareOptions(store, *folders, pseudonyms=False, workers=min(os.cpu_count() or 1, 8)))
    idist.barrier()
    return str(store)
