"""Which patients a network has learnt from, so that nobody judges it on them unawares."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events

from maesil_monai.whole_files import write_whole

TRAINED_ON_NAME = "trained_on.json"
logger = logging.getLogger(__name__)


class TrainedOn:
    """Writes ``trained_on.json`` beside ``model.pt`` when a run starts: hashes of the patients and scans of its training.

    A scan counts by its voxels and its patient, where the data list names them (stores do), else by its case name. What the
    weights a run starts from have seen counts too: those of the run it goes on with, or of ``init_weights``.

    Args:
        output_dir: the run's folder.
        data: the training's data list.
        weights: files of weights or checkpoints that the run may start from; empty ones and words such as ``last`` do not count.

    Example:
        >>> TrainedOn("output", [{"case_id": "p1/ct"}, {"case_id": "p2/ct"}]).marks == {"3759a9010d3d", "01081d7e74e7"}
        True
    """

    def __init__(self, output_dir: str | Path, data: Sequence[Mapping[str, Any]], weights: Sequence[str | Path] = ()) -> None:
        self.path = Path(output_dir) / TRAINED_ON_NAME
        self.marks = set().union(*map(_marks_of, data))
        self.weights = weights

    def attach(self, engine: Engine) -> None:
        """Follows a MONAI trainer."""
        if idist.get_rank() == 0:
            engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Writes the file whole or not at all."""
        earlier = [self.path] if engine.state.iteration else []
        earlier += [Path(file).with_name(TRAINED_ON_NAME) for file in self.weights if file and Path(file).is_file()]
        write_whole(self.path, json.dumps(sorted(self.marks.union(*map(_read, earlier)))) + "\n")


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
    return [_name_of(row) for row in scans if _marks_of(row) & marks] if marks else []


def _marks_of(row: Mapping[str, Any]) -> set[str]:
    """Hashes what tells a scan from others; a patient is the same in all collections, as everywhere in a data list."""
    named = [f"{key} {row[key]}" for key in ("patient_id", "sha256") if row.get(key)]
    return {hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12] for text in named or [_name_of(row)]}


def _name_of(row: Mapping[str, Any]) -> str:
    return str(row.get("case_id") or row["image"])


def _read(file: Path) -> set[str]:
    """Reads the marks; a file that is missing or damaged has none, as the run does not depend on it."""
    try:
        return set(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return set()
