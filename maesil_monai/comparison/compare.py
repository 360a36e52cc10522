"""The comparison from end to end: train what has no weights, judge everything on the same masks, write tables and report.

Everything lands in one folder, and a second call goes on where the first was stopped: runs that are trained and scores that are
there are kept. Calls with other models or seeds add to the folder, also at the same time (one for each GPU, say); the report
is of all that is in it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maesil_monai.comparison.gathered_results import COMMANDS_NAME, write_results
from maesil_monai.comparison.judge import Judge
from maesil_monai.comparison.judging_pipeline import Split
from maesil_monai.comparison.rate_search import RateSearch
from maesil_monai.comparison.request import Request
from maesil_monai.comparison.training import Trainer
from maesil_monai.data.samples.catalog import build_datalist, data_hash
from maesil_monai.errors import BadSetting
from maesil_monai.folder_lock import alone
from maesil_monai.whole_files import write_json, write_whole

logger = logging.getLogger(__name__)

PLAN_NAME = "plan.json"


def compare(request: Request, command: str = "") -> list[Path]:
    """Runs a comparison.

    Args:
        request: what to compare, on what.
        command: what was typed, for the report.

    Returns:
        The files of the result: ``results.json``, ``table2.md``, ``table3.md``, ``report.html``.

    Raises:
        ValueError: for an unknown collection, an entry without weights that is not to be trained, or a folder
            that holds a comparison with other settings.
        BadVolume: if the store cannot be read or has no such split.
        BadCheckpoint: for weights of another model.
        ChildProcessError: if a training fails; the others are kept.

    Source: MAESIL section IV, tables II and III.
    """
    entries, weights, bundle = request.entries, request.weights, request.files
    strange = [name for name in weights if name not in map(str, entries)]
    if strange:
        raise BadSetting(
            f"checkpoints of {', '.join(strange)}: expected models of the comparison, {', '.join(map(str, entries))}."
        )
    missing = [str(entry) for entry in entries if str(entry) not in weights]
    if missing and not request.train:
        raise BadSetting(f"no weights for {', '.join(missing)}: name them (--checkpoints MODEL=FILE,...) or add --train.")
    split = Split(request.store, request.section, request.leave_out, request.max_superpatches)
    if missing and not build_datalist(request.store, "validation", leave_out=request.leave_out):
        raise BadSetting(f"{request.store} has no scan for validation, by which weights are chosen: name some, or give weights.")
    with alone(request.output, "plan"):
        plan = _agree(request, split, command)
    trainer = Trainer(bundle, request.store, request.output, request.leave_out)
    search = RateSearch(trainer, request.learning_rates, request.search_share)
    judge = Judge(bundle, split, request.output, plan, request.rules, request.figures)
    for entry in entries:
        files = weights.get(str(entry))
        if files is None:
            rate = search.rate(entry, request.seeds[0]) if request.learning_rates else None  # None: the overlays' own
            files = [trainer.train(entry, seed, rate) / "model.pt" for seed in request.seeds]
        for seed, file in zip(request.seeds if str(entry) not in weights else range(len(files)), files, strict=True):
            judge.run(entry, seed, file)
    judge.baselines()
    with alone(request.output, "report"):
        return write_results(request.output, plan, bundle, split)


def _agree(request: Request, split: Split, command: str) -> dict[str, Any]:
    """Writes what everything in the folder has in common, or refuses a folder that has something else in common."""
    judged = build_datalist(request.store, request.section, dataset=request.leave_out)
    files = [request.files.root / "configs" / "train.json", *request.files.overlay]
    configs = b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)
    plan: dict[str, Any] = {
        "split": {key: value for key, value in asdict(split).items() if key != "store"},
        "headline_rule": request.rules[0],
        "learning_rates": list(request.learning_rates),
        "search_share": request.search_share,
        "configs_sha256": hashlib.sha256(configs).hexdigest(),
        "judged_scans": len(judged),
        "judged_sha256": data_hash(judged),
        "training_sha256": data_hash(build_datalist(request.store, "training", leave_out=request.leave_out)),
    }
    file = request.output / PLAN_NAME
    if file.is_file():
        earlier = json.loads(file.read_text())
        differing = [key for key in plan if earlier.get(key) != plan[key]]
        if differing:
            raise BadSetting(
                f"{request.output} holds a comparison with another {', '.join(differing)}, and one folder holds only what can be "
                "compared. Choose another --output."
            )
    else:
        write_json(file, plan)
    _note(request.output / COMMANDS_NAME, command)
    return plan


def _note(file: Path, command: str) -> None:
    """Keeps every command once, in order."""
    earlier = file.read_text().splitlines() if file.is_file() else []
    if command and command not in earlier:
        write_whole(file, "".join(f"{line}\n" for line in [*earlier, command]))
