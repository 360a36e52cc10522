"""Which patients a network has learnt from, so that nobody judges it on them unawares."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from maesil_monai.weights_file.read import read_weights

logger = logging.getLogger(__name__)


class SeenScans:
    """Warns when an evaluator starts to judge a network on patients whom it has learnt from.

    Args:
        ckpt: the weights, whose record names them by hashes.
        scans: the data list that is judged.
    """

    def __init__(self, ckpt: str | Path, scans: Sequence[Mapping[str, Any]]) -> None:
        self.ckpt = ckpt
        self.scans = scans

    def attach(self, engine: Engine) -> None:
        """Follows a MONAI evaluator."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Says how many, and which first."""
        seen = seen_scans(self.ckpt, self.scans)
        if seen:
            logger.warning(
                "%d of the %d scans to be judged are of patients this network was trained on (%s ...): the result does not tell "
                "how it does on new ones. Judge scans that were kept from its training.",
                len(seen),
                len(self.scans),
                seen[0],
            )


def seen_scans(ckpt: str | Path, scans: Sequence[Mapping[str, Any]]) -> list[str]:
    """Gives the case names of scans whose patients the weights have learnt from, as far as their record tells."""
    marks = set(read_weights(ckpt).record.get("patients", ()))
    return [_name_of(row) for row in scans if marks_of(row) & marks] if marks else []


def marks_of(row: Mapping[str, Any]) -> set[str]:
    """Hashes what tells a scan from others: its voxels and its patient where the data list names them, else its case name.

    A patient is the same in all collections, as everywhere in a data list.

    Example:
        >>> marks_of({"case_id": "p1/ct"})
        {'3759a9010d3d'}
    """
    named = [f"{key} {row[key]}" for key in ("patient_id", "sha256") if row.get(key)]
    return {hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12] for text in named or [_name_of(row)]}


def _name_of(row: Mapping[str, Any]) -> str:
    return str(row.get("case_id") or row["image"])
