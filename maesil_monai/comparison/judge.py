"""Judges runs and baselines under every rule of a comparison, once each, and keeps a log of every use of the test split."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.entry import Entry
from maesil_monai.comparison.figures import FigureCases, FigureRecorder
from maesil_monai.comparison.measures import Measures
from maesil_monai.comparison.network_facts import latent_use, network_facts, reset_latent_use
from maesil_monai.comparison.own_settings import preset_of, refuse_seen
from maesil_monai.comparison.pipeline import SIZE_KEYS, Pipeline, Split
from maesil_monai.comparison.scores import Scores
from maesil_monai.comparison.scoring import (
    CONSTANTS_HU,
    Predictor,
    baseline_predictors,
    constant_predictors,
    judge,
    network_predictor,
    scores_of,
)
from maesil_monai.comparison.whole_scans import whole_scan_blockiness
from maesil_monai.errors import BadSetting
from maesil_monai.evaluation.mean_volume import MeanVolume
from maesil_monai.folder_lock import alone

logger = logging.getLogger(__name__)

USES_NAME, FIGURES_FOLDER = "test_uses.jsonl", "figures"
BASELINE_ENTRY = Entry("maesil")  # any model's data path will do: the baselines have no network


class Judge:
    """Writes ``scores/NAME/RULE.json`` for runs and baselines.

    Args:
        bundle: the configurations.
        split: the scans.
        folder: of the comparison.
        plan: what all scores depend on.
        rules: of the evaluation; under the first every metric is measured and pictures are kept.
        figures_per_dataset: scans of each collection with pictures.
    """

    def __init__(
        self,
        bundle: BundleFiles,
        split: Split,
        folder: Path,
        plan: Mapping[str, Any],
        rules: Sequence[str],
        figures_per_dataset: int = 1,
    ) -> None:
        self.bundle = bundle
        self.split = split
        self.folder = folder
        self.plan = dict(plan)
        self.rules = tuple(rules)
        self.figures_per_dataset = figures_per_dataset
        self._mean_volume: list[MeanVolume | None] = []

    def baselines(self) -> None:
        """Judges the trivial baselines, and the constants beside them."""
        with alone(self.folder, "scores of the baselines"):
            self._baselines()

    def _baselines(self) -> None:
        for rule in self.rules:
            baselines = list(baseline_predictors(None))
            names = [*baselines, *CONSTANTS_HU]
            fingerprint = self._fingerprint(rule, "no weights")
            if all(self._is_done(name, rule, fingerprint) for name in names):
                continue
            pipeline = Pipeline(self.bundle, BASELINE_ENTRY, self.split, rule)
            if not self._mean_volume:
                self._mean_volume.append(pipeline.mean_volume())
            predictors = {**baseline_predictors(self._mean_volume[0]), **constant_predictors(pipeline.window_hu)}
            facts = {name: {"model": name, "training_rule": None, "seed": None} for name in names}
            self._log_use(names, rule, fingerprint)
            self._judge(pipeline, predictors, rule, fingerprint, facts, {name: name for name in baselines})

    def run(self, entry: Entry, seed: int, checkpoint: Path) -> None:
        """Judges the weights of a run.

        Raises:
            BadCheckpoint: if they are of another model, or have learnt from patients that are judged.
            ValueError: if the test split was used for this run with other weights.
        """
        with alone(self.folder, f"scores of {entry}-seed{seed}"):
            self._run(entry, seed, checkpoint)

    def _run(self, entry: Entry, seed: int, checkpoint: Path) -> None:
        name = f"{entry}-seed{seed}"
        preset = preset_of(checkpoint, entry, self.bundle)
        sha256 = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
        for rule in self.rules:
            fingerprint = self._fingerprint(rule, sha256)
            if self._is_done(name, rule, fingerprint):
                logger.info("%s is judged already under %s", name, rule)
                continue
            pipeline = Pipeline(self.bundle, entry, self.split, rule, preset)
            refuse_seen(checkpoint, entry, pipeline.scans)
            network = pipeline.network(checkpoint)
            predictor = network_predictor(network, pipeline.inferer, pipeline.device)
            who = {"model": entry.label, "training_rule": entry.rule, "seed": seed}
            same = self._has_common_sizes(pipeline)
            facts: dict[str, Any] = {**who, **network_facts(network), "same_superpatches": same}
            figures = {}
            self._log_use([name], rule, fingerprint)
            if rule == self.rules[0] and same and not self._is_pictured(entry):
                figures[name] = str(entry)
                cases = FigureCases(pipeline.scans, self.figures_per_dataset).names
                facts["whole_scans"] = whole_scan_blockiness(pipeline, network, cases, facts["sees_input"])
            reset_latent_use(network)
            self._judge(pipeline, {name: predictor}, rule, fingerprint, {name: facts}, figures, partial(latent_use, network))

    def _judge(
        self,
        pipeline: Pipeline,
        predictors: Mapping[str, Predictor],
        rule: str,
        fingerprint: Mapping[str, Any],
        facts: Mapping[str, Mapping[str, Any]],
        figures: Mapping[str, str],
        afterwards: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        is_headline = rule == self.rules[0]
        datasets = [pipeline.dataset_of(number) for number in range(len(pipeline.scans))]
        measures = Measures(pipeline.window_hu, is_headline, datasets, raw=bool(pipeline.settings["loss_on_all"]))
        recorder = None
        if is_headline and figures:
            recorder = FigureRecorder(FigureCases(pipeline.scans, self.figures_per_dataset), figures)
        title = f"{next(iter(facts)) if len(facts) == 1 else 'baselines'} under {rule}"
        filled, seconds = judge(pipeline.loader, predictors, measures.make, recorder, title)
        if recorder is not None:  # before the scores, which say that all is done
            with alone(self.folder, "pictures"):
                recorder.write(self.folder / FIGURES_FOLDER)
        for name, metrics in filled.items():
            extras = {
                **facts[name],
                "evaluation_rule": rule,
                "seconds": round(seconds / len(filled), 1),  # of a pass that they share
                **measures.extras(metrics),
                **afterwards(),
            }
            scores = scores_of(measures.pooled(metrics), pipeline.scans, fingerprint, measures.not_measured(metrics), extras)
            scores.write(self._file(name, rule))
            logger.info("%s: %s", title if len(facts) == 1 else f"{name} under {rule}", measures.line(metrics))

    def _is_pictured(self, entry: Entry) -> bool:
        """Tells whether a seed of a model was judged with pictures; those of one are enough."""
        judged = (self.folder / "scores").glob(f"*/{self.rules[0]}.json")
        return any(file.parent.name.rsplit("-seed", 1)[0] == str(entry) for file in judged)

    def _has_common_sizes(self, pipeline: Pipeline) -> bool:
        """Tells whether a model is judged on the superpatches of the others, so that pictures of both belong together."""
        common = self.bundle.settings_of(BASELINE_ENTRY)
        return all(pipeline.settings[key] == common[key] for key in SIZE_KEYS)

    def _fingerprint(self, rule: str, weights: str) -> dict[str, Any]:
        keys = ("split", "configs_sha256", "judged_sha256", "headline_rule")
        return {**{key: self.plan[key] for key in keys}, "rule": rule, "weights": weights}

    def _file(self, name: str, rule: str) -> Path:
        return self.folder / "scores" / name / f"{rule}.json"

    def _is_done(self, name: str, rule: str, fingerprint: Mapping[str, Any]) -> bool:
        scores = Scores.read(self._file(name, rule))
        if scores is None:
            return False
        if json.loads(json.dumps(fingerprint)) == scores.fingerprint:
            return True
        raise BadSetting(
            f"{self._file(name, rule)}: {name} was judged with other weights or settings. A split is judged once for each "
            "configuration; choose another --output."
        )

    def _log_use(self, names: Sequence[str], rule: str, fingerprint: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        use = {"time": when, "section": self.split.section, "runs": list(names), "rule": rule, "weights": fingerprint["weights"]}
        with (self.folder / USES_NAME).open("a") as file:
            file.write(json.dumps(use) + "\n")
