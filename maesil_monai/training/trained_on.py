"""Which patients a network has learnt from, so that nobody judges it on them unawares."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from maesil_monai.training.distributed import rank
from maesil_monai.whole_files import write_whole

TRAINED_ON_NAME = "trained_on.json"
logger = logging.getLogger(__name__)


class TrainedOn:
    """Writes ``trained_on.json`` beside ``model.pt`` when a run starts: a hash for each patient of its training.

    A scan counts by its patient where the data list names one, else by its case name. A resumed run adds to what is there, for
    its weights have seen both.

    Args:
        output_dir: the run's folder.
        data: the training's data list.

    Example:
        >>> TrainedOn("output", [{"case_id": "p1/ct"}, {"case_id": "p2/ct"}]).marks == {"3759a9010d3d", "01081d7e74e7"}
        True
    """

    def __init__(self, output_dir: str | Path, data: Sequence[Mapping[str, Any]]) -> None:
        self.path = Path(output_dir) / TRAINED_ON_NAME
        self.marks = {_mark_of(row) for row in data}

    def attach(self, engine: Engine) -> None:
        """Follows a MONAI trainer."""
        if rank() == 0:
            engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Writes the file whole or not at all."""
        earlier = _read(self.path) if engine.state.iteration else set()
        write_whole(self.path, json.dumps(sorted(self.marks | earlier)) + "\n")


class SeenScans:
    """Warns when an evaluator starts to judge a network on patients whom it has learnt from.

    Args:
        ckpt: the weights; ``trained_on.json`` is looked for beside them.
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
    """Gives the case names of scans whose patients the weights have learnt from, as ``trained_on.json`` beside them tells."""
    marks = _read(Path(ckpt).with_name(TRAINED_ON_NAME))
    return [str(row["case_id"]) for row in scans if _mark_of(row) in marks] if marks else []


def _mark_of(row: Mapping[str, Any]) -> str:
    """Hashes who a scan is of; patients of two collections may have one number."""
    who = f"{row.get('dataset', '')}\n{row['patient_id']}" if row.get("patient_id") else str(row["case_id"])
    return hashlib.sha256(who.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _read(file: Path) -> set[str]:
    """Reads the marks; a file that is missing or damaged has none, as the run does not depend on it."""
    try:
        return set(json.loads(file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return set()
