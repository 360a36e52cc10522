"""The folder of a store: made, cleared of what a kill left, and measured against the disk."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from maesil_monai.data.store.zarr_metadata import ENTRY_SUFFIX
from maesil_monai.errors import BadSetting
from maesil_monai.whole_files import write_whole

MARKER = "store.json"
LOCK_NAME = "prepare.lock"  # in the private folder: keeps a second run out of the store
_MARKER_TEXT = '{\n "format": "maesil_monai store",\n "version": 1\n}\n'
_LEFTOVERS = (".partial", ".old")


def check_place(store: Path, folders: Mapping[str, Path]) -> None:
    """Checks that a store may be made or continued at a place.

    Raises:
        ValueError: if something else is there, or source and store lie in one another.
    """
    for name, folder in folders.items():
        inner, outer = sorted((store.resolve(), folder.resolve()), key=lambda path: len(path.parts), reverse=True)
        if inner.is_relative_to(outer):
            raise BadSetting(f"output={store} and {name}={folder} lie in one another: expected separate folders.")
    if store.exists() and not store.is_dir():
        raise BadSetting(f"output={store}: is a file; expected a folder, new or prepared before.")
    if store.is_dir() and not (store / MARKER).is_file() and any(store.iterdir()):
        raise BadSetting(f"output={store}: holds other files; expected a new folder or a store that was prepared before.")


def make_store(store: Path) -> None:
    """Makes the folder and its marker, and removes half-written entries of a run that was killed."""
    store.mkdir(parents=True, exist_ok=True)
    if not (store / MARKER).is_file():
        write_whole(store / MARKER, _MARKER_TEXT)
    for leftover in [path for path in (*store.glob(".*"), *store.glob("*/.*")) if path.name.endswith(_LEFTOVERS)]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def stored_entries(store: Path) -> list[str]:
    """Gives all entries of a store, with slashes, sorted."""
    return sorted(path.relative_to(store).as_posix() for path in store.glob(f"*/[!.]*{ENTRY_SUFFIX}"))


def prune(store: Path, wanted: Iterable[str]) -> int:
    """Deletes entries that the data list does not name.

    Returns:
        How many.
    """
    doomed = sorted(set(stored_entries(store)) - set(wanted))
    for entry in doomed:
        path = store / entry
        # Renamed first, so that no half-deleted entry stands under its own name.
        old = path.with_name(f".{path.name}.old")
        path.rename(old)
        shutil.rmtree(old)
    return len(doomed)


def check_free_space(store: Path, num_bytes: int) -> None:
    """Checks that the disk of the store has room.

    Raises:
        OSError: ENOSPC, with bytes needed and free.
    """
    place = store
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < num_bytes:
        raise OSError(
            errno.ENOSPC,
            f"about {num_bytes / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; free some, or choose another output",
            str(store),
        )
