"""The rows of a long data list in little memory, which processes that are forked share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

import numpy as np


class Rows(Sequence[dict[str, Any]]):
    """A list of dictionaries, kept as their text in one piece of memory; a row is made when it is asked for.

    A list of dictionaries takes several times the memory, and every worker of a data loader ends up with a copy of its own:
    looking at a Python object counts the reference, which writes to the memory that a forked process shares.

    Args:
        rows: dictionaries of what JSON knows.
        root: folder or URL in front of the rows' paths: ``image`` and ``label``, where they are strings.

    Example:
        >>> rows = Rows([{"image": "a.nii", "case_id": "a"}, {"image": "b.nii", "case_id": "b"}], root="scans")
        >>> len(rows), rows[1]
        (2, {'image': 'scans/b.nii', 'case_id': 'b'})
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]], root: str) -> None:
        self.root = root.rstrip("/") + "/"
        encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
        # Lone surrogates stand for the bytes of file names that are no UTF-8.
        texts = [encode(row).encode("utf-8", "surrogatepass") for row in rows]
        self._text = b"".join(texts)
        self._stops = np.cumsum([0, *map(len, texts)])

    def __len__(self) -> int:
        return len(self._stops) - 1

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """Makes the row at a place, or a list of the rows of a slice."""
        if isinstance(index, slice):
            return [self._row(place) for place in range(*index.indices(len(self)))]
        # A range knows negative places and those outside.
        return self._row(range(len(self))[index])

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return len(self._text) + self._stops.nbytes

    def _row(self, place: int) -> dict[str, Any]:
        start, stop = self._stops[place : place + 2].tolist()
        row: dict[str, Any] = json.loads(self._text[start:stop].decode("utf-8", "surrogatepass"))
        for key in ("image", "label"):
            if isinstance(row.get(key), str):
                row[key] = self.root + row[key]
        return row
