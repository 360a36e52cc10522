"""Files that survive: written whole or not at all, and known to be whole when read.

A training checkpoint is a ``torch.save`` archive followed by a trailer of 56 bytes: magic (16), length of the archive (8, little
endian), SHA-256 of the archive (32). ``torch.load(path, weights_only=True)`` reads it too, as it looks for the end of an archive
from behind.
A weights file (``model.pt``) is the archive alone.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch

from maesil_monai.errors import BadCheckpoint, DamagedCheckpoint
from maesil_monai.whole_files import sync_folder, whole_file

FORMAT_VERSION = 2
LAST_NAME = "checkpoint_last.pt"
# Complete, but not yet renamed to the last one: a kill in between leaves it behind, newer than all others.
INCOMING_NAME = "checkpoint_last_incoming.pt"
_MAGIC = b"MAESIL-CHECKPNT\n"
_TRAILER_BYTES = len(_MAGIC) + 8 + 32
_CHUNK_BYTES = 1 << 20
logger = logging.getLogger(__name__)


class _HashingWriter:
    """Passes an archive on to a file and hashes it. After an error it only counts: an exception must not pass through torch's
    C++ writer, and the count tells how many bytes are needed."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()
        self.num_bytes = 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.num_bytes += size
        self.sha256.update(data)
        self._attempt(lambda: self.file.write(data))
        return size

    def flush(self) -> None:
        self._attempt(self.file.flush)

    def _attempt(self, action: Callable[[], Any]) -> None:
        if self.error is None:
            try:
                action()
            except OSError as error:
                self.error = error


def save_checkpoint(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Writes a training checkpoint with a checksum; the file of that name is replaced at once, or untouched if anything fails.

    Args:
        path: the file to write.
        state: tensors and plain Python values in dicts, lists and tuples; ``format_version`` is added.

    Raises:
        TypeError: for a value that could not be read back without running code from the file.
        OSError: if it cannot be written; names the path, the bytes needed and the bytes free.
    """
    _check_plain(state, "state")
    _write(Path(path), {**state, "format_version": FORMAT_VERSION}, with_trailer=True)


def save_archive(path: str | os.PathLike[str], weights: Mapping[str, torch.Tensor]) -> None:
    """Writes tensors by name as safely as :func:`save_checkpoint` (same errors), as ``torch.load`` and bundles read them."""
    _check_plain(weights, "weights")
    _write(Path(path), dict(weights), with_trailer=False)


def _write(path: Path, state: dict[str, Any], with_trailer: bool) -> None:
    sizes: list[int] = []
    with needed_and_free(path, lambda: sizes[0] if sizes else None), whole_file(path) as file:
        writer = _HashingWriter(file)
        torch.save(state, writer)  # type: ignore[arg-type]
        sizes.append(writer.num_bytes + _TRAILER_BYTES)
        if writer.error is not None:
            raise writer.error
        if with_trailer:
            file.write(_MAGIC + writer.num_bytes.to_bytes(8, "little") + writer.sha256.digest())
    sync_folder(path.parent)


@contextmanager
def needed_and_free(path: Path, num_bytes: Callable[[], int | None]) -> Iterator[None]:
    """Has an error of writing a file tell how many bytes are needed (None: unknown) and how many are free."""
    try:
        yield
    except OSError as error:
        needed = num_bytes()
        message = (
            f"{error.strerror or error}: checkpoint not saved, an earlier file of that name is untouched; "
            f"{'an unknown number of' if needed is None else needed} bytes needed, {shutil.disk_usage(path.parent).free} free. "
            "Free room or choose another output_dir, then resume"
        )
        raise OSError(error.errno or errno.EIO, message, str(path)) from error


def verify_checkpoint(path: str | os.PathLike[str]) -> None:
    """Reads a training checkpoint once and compares its checksum.

    Raises:
        BadCheckpoint: if there is no such file.
        DamagedCheckpoint: if any byte differs from what was written, or some are missing.
    """
    cure = "Resume from an earlier checkpoint, or from ckpt 'last', which falls back by itself."
    if not Path(path).is_file():
        raise BadCheckpoint(path, "no such file", "a training checkpoint", "Correct the path, or set ckpt to 'last'.")
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(size - _TRAILER_BYTES, 0))
        trailer = file.read()
        if len(trailer) < _TRAILER_BYTES or not trailer.startswith(_MAGIC):
            raise DamagedCheckpoint(path, f"{size} bytes without a valid trailer", "a complete training checkpoint", cure)
        length = int.from_bytes(trailer[len(_MAGIC) : len(_MAGIC) + 8], "little")
        if length != size - _TRAILER_BYTES:
            raise DamagedCheckpoint(path, f"{size - _TRAILER_BYTES} bytes", f"{length} as its trailer says", cure)
        file.seek(0)
        sha256, left = hashlib.sha256(), length
        while left > 0:
            chunk = file.read(min(_CHUNK_BYTES, left))
            sha256.update(chunk)
            left -= len(chunk)
    if sha256.digest() != trailer[-32:]:
        raise DamagedCheckpoint(path, "damaged bytes (SHA-256 differs)", "the bytes that were written", cure)


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a training checkpoint onto the CPU, without running code from it.

    Raises:
        BadCheckpoint: if it is missing, damaged, not a training checkpoint, or of another format version.
    """
    verify_checkpoint(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadCheckpoint(
            path, f"objects that need code to load: {error}", "tensors and plain values", "Do not use it."
        ) from error
    version = state.get("format_version") if isinstance(state, dict) else None
    if version != FORMAT_VERSION:
        cure = (
            "Use the version of maesil_monai that wrote it, or `maesil convert` its weights and start from them (init_weights)."
        )
        raise BadCheckpoint(path, f"format_version {version}", f"format_version {FORMAT_VERSION}", cure)
    return state


def list_checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """Lists the training checkpoints of a folder, newest first: an incoming one, the last, then earlier ones by number."""
    stem = Path(LAST_NAME).stem
    earlier = [path for path in Path(folder).glob(f"{stem}_*.pt") if path.stem[len(stem) + 1 :].isdigit()]
    earlier.sort(key=lambda path: int(path.stem[len(stem) + 1 :]))
    newest = [Path(folder) / INCOMING_NAME, Path(folder) / LAST_NAME]
    return [path for path in newest if path.is_file()] + earlier


def find_newest(folder: str | os.PathLike[str]) -> Path | None:
    """Finds the newest undamaged training checkpoint; damaged ones are reported and renamed ``.corrupt``.

    Returns:
        Its path, or None if the folder holds none.
    """
    for path in list_checkpoints(folder):
        try:
            verify_checkpoint(path)
        except DamagedCheckpoint as fault:
            corrupt = path.with_name(path.name + ".corrupt")
            path.replace(corrupt)
            logger.warning("%s It is kept as %s; falling back to an earlier checkpoint.", fault, corrupt.name)
        else:
            return path
    return None


def _check_plain(value: Any, name: str) -> None:
    """Refuses values that ``torch.load(weights_only=True)`` would not read back."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, (str, int)):
                raise TypeError(f"{name} has the key {key!r} of type {type(key).__name__}: expected str or int in a checkpoint.")
            _check_plain(item, f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_plain(item, f"{name}[{index}]")
    elif not isinstance(value, torch.Tensor) and type(value) not in (str, int, float, bool, type(None)):
        raise TypeError(f"{name} is a {type(value).__name__}: expected tensors and plain values in a checkpoint.")
