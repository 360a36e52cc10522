"""Gathers everything a comparison's folder holds into ``results.json`` and the report."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from maesil_monai.comparison.bundle_files import SET_BY_COMPARISON, BundleFiles
from maesil_monai.comparison.judging_pipeline import Pipeline, Split
from maesil_monai.comparison.model_entry import Entry
from maesil_monai.comparison.rate_search import RATES_NAME, SEARCH_FOLDER
from maesil_monai.comparison.report import write_report
from maesil_monai.comparison.score_files import Scores
from maesil_monai.comparison.table_rows import Line, rows_of
from maesil_monai.training.run_record import hardware, versions
from maesil_monai.training.settings import RunSettings
from maesil_monai.whole_files import write_json

logger = logging.getLogger(__name__)

RESULTS_NAME = "results.json"
COMMANDS_NAME = "commands.txt"
REFERENCE, REFERENCE_RULE = "maesil", "total"
CURVE_METRIC = "psnr_hidden_body"
LINE_KEYS = ("model", "training_rule", "evaluation_rule")
FACTS = ("parameters", "sees_input", "latent_values_per_voxel", "same_superpatches")


def write_results(folder: Path, plan: Mapping[str, Any], bundle: BundleFiles, split: Split) -> list[Path]:
    """Writes ``results.json``, the tables and the report of all scores in a folder.

    Returns:
        The files.
    """
    scores = sorted(_scores(folder), key=_order)
    trained = [found for found in scores if found.extras["seed"] is not None]
    curves = list(_curves(folder))
    commands, rates = folder / COMMANDS_NAME, sorted((folder / SEARCH_FOLDER).glob(f"*/{RATES_NAME}"))
    minutes = [curve["network"][-1]["minutes"] for _, curve in curves if curve["network"]]
    content = {
        "rows": list(rows_of(list(_lines(scores)), REFERENCE, REFERENCE_RULE)),
        "models": {found.extras["model"]: {key: found.extras.get(key) for key in FACTS} for found in trained},
        "by_distance": _means(scores, "by_distance", ("dataset", "planes", "distance")),
        "blockiness": _means(scores, "whole_scans", ("dataset", "stride")),
        "curves": [_columns(run, curve) for run, curve in curves if run.parent.name == "training"],
        "search": [row for file in rates for row in json.loads(file.read_text())["rows"]],
        "codebook": {
            f"{found.extras['model']}-seed{found.extras['seed']}": found.extras["codebook"]
            for found in trained
            if "codebook" in found.extras
        },
        "not_measured": {name: reason for found in scores for name, reason in found.not_measured.items()},
        "checkpoints": {
            f"{found.extras['model']}@{found.extras['training_rule']}-seed{found.extras['seed']}": found.fingerprint["weights"]
            for found in trained
        },
        "settings": {
            "commands": commands.read_text().splitlines() if commands.is_file() else [],
            **plan,
            **_settings(bundle, split, plan["headline_rule"]),
        },
        "versions": versions(),
        "hardware": hardware(),
        "test_uses": len((folder / "test_uses.jsonl").read_text().splitlines()),
        "hours": round(sum(found.extras["seconds"] for found in scores) / 3600 + sum(minutes) / 60, 4),
    }
    file = write_json(folder / RESULTS_NAME, content)
    return [file, *write_report(folder)]


def _scores(folder: Path) -> Iterator[Scores]:
    for file in sorted((folder / "scores").glob("*/*.json")):
        found = Scores.read(file)
        if found is None:
            logger.warning("%s is not whole and was left out; delete it and run again", file)
        else:
            yield found


def _order(found: Scores) -> tuple[Any, ...]:
    extras = found.extras
    return extras["seed"] is None, extras["model"], extras["training_rule"] or "", extras["evaluation_rule"], extras["seed"] or 0


def _line_of(found: Scores) -> tuple[Any, Any, Any]:
    return found.extras["model"], found.extras["training_rule"], found.extras["evaluation_rule"]


def _lines(scores: Sequence[Scores]) -> Iterator[Line]:
    """Puts the seeds of a model under a rule together, which follow one another."""
    for key, group in groupby(scores, _line_of):
        runs = tuple(group)
        seeds = tuple(run.extras["seed"] for run in runs if run.extras["seed"] is not None)
        yield Line(*key, seeds, runs, all(run.extras.get("same_superpatches", True) for run in runs))


def _means(scores: Sequence[Scores], extra: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Averages rows of an extra result over the seeds of a line."""
    grouped: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for found in scores:
        for row in found.extras.get(extra, ()):
            place = (*_line_of(found), *(row[key] for key in keys))
            grouped[place].append(row)
    merged = []
    for place, rows in grouped.items():
        who = dict(zip((*LINE_KEYS, *keys), place, strict=True))
        numbers = [name for name in rows[0] if name not in keys]
        merged.append({**who, **{name: _mean([row[name] for row in rows]) for name in numbers}})
    return merged


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def _curves(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Gives the folder and the learning curve of each training, those of the search included."""
    for part in (SEARCH_FOLDER, "training"):
        for file in sorted((folder / part).rglob("learning_curve.json")):
            yield file.parent, json.loads(file.read_text())


def _columns(run: Path, curve: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the learning curve of a whole training, column by column."""
    name, _, seed = run.name.rpartition("-seed")
    entry = Entry.parse(name)
    columns = {key: [row[key] for row in curve["network"]] for key in ("superpatches", "minutes", CURVE_METRIC)}
    baselines = {name: values[CURVE_METRIC] for name, values in curve["baselines"].items()}
    who = {"run": run.name, "model": entry.label, "training_rule": entry.rule, "seed": int(seed)}
    return {**who, **columns, "baselines": baselines}


def _settings(bundle: BundleFiles, split: Split, rule: str) -> dict[str, Any]:
    pipeline = Pipeline(bundle, Entry(REFERENCE), split, rule)
    shown = {key: pipeline.settings[key] for key in RunSettings.names() if key not in {*SET_BY_COMPARISON} - {"learning_rate"}}
    return {**shown, **pipeline.patch_sizes()}
