"""Judges runs and baselines under every rule of a comparison, once each, and keeps a log of every use of the test split."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.checkpoint_checks import preset_of, refuse_seen
from maesil_monai.comparison.judging_pipeline import SIZE_KEYS, Pipeline, Split
from maesil_monai.comparison.kept_pictures import PictureRecorder, pictured_scans
from maesil_monai.comparison.method_metrics import headline_of, metrics_of, scores_of
from maesil_monai.comparison.model_entry import Entry
from maesil_monai.comparison.network_facts import latent_use, network_facts, reset_latent_use
from maesil_monai.comparison.score_files import Scores
from maesil_monai.comparison.whole_scan_blockiness import whole_scan_blockiness
from maesil_monai.errors import BadSetting
from maesil_monai.evaluation.baselines import (
    BASELINES,
    CONSTANTS_HU,
    MEAN_VOLUME,
    Predictor,
    baseline_predictors,
    constant_predictors,
)
from maesil_monai.folder_lock import alone

logger = logging.getLogger(__name__)

USES_NAME, FIGURES_FOLDER = "test_uses.jsonl", "figures"
BASELINE_ENTRY = Entry("maesil")  # any model's data path will do: the baselines have no network


@dataclass(frozen=True)
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

    bundle: BundleFiles
    split: Split
    folder: Path
    plan: Mapping[str, Any]
    rules: Sequence[str]
    figures_per_dataset: int = 1

    def baselines(self) -> None:
        """Judges the trivial baselines, and the constants beside them."""
        baselines = [*BASELINES, MEAN_VOLUME]
        names, weights = [*baselines, *CONSTANTS_HU], "no weights"
        facts = {name: {"model": name, "training_rule": None, "seed": None} for name in names}
        with alone(self.folder, "scores of the baselines"):
            wanted = [rule for rule in self.rules if not all(self._is_done(name, rule, weights) for name in names)]
            predictors: dict[str, Predictor] = {}
            for rule in wanted:
                pipeline = Pipeline(self.bundle, BASELINE_ENTRY, self.split, rule)
                if not predictors:  # the same under all rules, and the mean volume takes long
                    predictors = {**baseline_predictors(pipeline.mean_volume()), **constant_predictors(pipeline.window_hu)}
                self._log_use(names, rule, weights)
                self._judge(pipeline, predictors, rule, weights, facts, {name: name for name in baselines})

    def run(self, entry: Entry, seed: int, checkpoint: Path) -> None:
        """Judges the weights of a run.

        Raises:
            BadCheckpoint: if they are of another model, or have learnt from patients that are judged.
            ValueError: if the test split was used for this run with other weights.
        """
        name = f"{entry}-seed{seed}"
        who = {"model": entry.label, "training_rule": entry.rule, "seed": seed}
        common = self.bundle.settings_of(BASELINE_ENTRY)
        with alone(self.folder, f"scores of {name}"):
            preset = preset_of(checkpoint, entry, self.bundle)
            weights = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
            for rule in self.rules:
                if self._is_done(name, rule, weights):
                    logger.info("%s is judged already under %s", name, rule)
                    continue
                pipeline = Pipeline(self.bundle, entry, self.split, rule, preset)
                refuse_seen(checkpoint, entry, pipeline.scans)
                network = pipeline.network(checkpoint)
                # On the superpatches of the others, so that pictures of both belong together.
                same = all(pipeline.settings[key] == common[key] for key in SIZE_KEYS)
                facts = {**who, **network_facts(network), "same_superpatches": same}
                self._log_use([name], rule, weights)
                pictured = {}
                if rule == self.rules[0] and same and not self._is_pictured(entry):
                    pictured[name] = str(entry)
                    scans = pictured_scans(pipeline.scans, self.figures_per_dataset)
                    facts["whole_scans"] = whole_scan_blockiness(pipeline, network, scans, facts["sees_input"])
                reset_latent_use(network)
                predictors = {name: pipeline.predictor(network)}
                self._judge(pipeline, predictors, rule, weights, {name: facts}, pictured, partial(latent_use, network))

    @torch.no_grad()
    def _judge(
        self,
        pipeline: Pipeline,
        predictors: Mapping[str, Predictor],
        rule: str,
        weights: str,
        facts: Mapping[str, Mapping[str, Any]],
        pictured: Mapping[str, str],
        afterwards: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Passes once over the superpatches: any number of methods, every metric."""
        is_headline = rule == self.rules[0]
        metrics = metrics_of(predictors, pipeline.window_hu, is_headline, raw=bool(pipeline.settings["loss_on_all"]))
        names = pictured_scans(pipeline.scans, self.figures_per_dataset)
        recorder = PictureRecorder(pipeline.scans, names, pictured if is_headline else {})
        title = f"{next(iter(facts)) if len(facts) == 1 else 'baselines'} under {rule}"
        started = time.monotonic()
        for batch in tqdm(pipeline.loader, desc=title, unit="batch", mininterval=1.0, leave=False):
            predictions = {name: predict(batch) for name, predict in predictors.items()}
            for name, prediction in predictions.items():
                for metric in metrics[name]:
                    metric(prediction, batch)
            recorder(batch, predictions)
        seconds = round((time.monotonic() - started) / len(predictors), 1)  # of a pass that they share
        with alone(self.folder, "pictures"):  # before the scores, which say that all is done
            recorder.write(self.folder / FIGURES_FOLDER)
        for name, filled in metrics.items():
            extras = {**facts[name], "evaluation_rule": rule, "seconds": seconds, **afterwards()}
            scores = scores_of(filled, pipeline.scans, self._fingerprint(rule, weights), extras)
            scores.write(self._file(name, rule))
            logger.info("%s under %s: %s", name, rule, headline_of(filled))

    def _is_pictured(self, entry: Entry) -> bool:
        """Tells whether a seed of a model was judged with pictures; those of one are enough."""
        judged = (self.folder / "scores").glob(f"*/{self.rules[0]}.json")
        return any(file.parent.name.rsplit("-seed", 1)[0] == str(entry) for file in judged)

    def _fingerprint(self, rule: str, weights: str) -> dict[str, Any]:
        keys = ("split", "configs_sha256", "judged_sha256", "headline_rule")
        return {**{key: self.plan[key] for key in keys}, "rule": rule, "weights": weights}

    def _file(self, name: str, rule: str) -> Path:
        return self.folder / "scores" / name / f"{rule}.json"

    def _is_done(self, name: str, rule: str, weights: str) -> bool:
        scores = Scores.read(self._file(name, rule))
        if scores is None:
            return False
        if json.loads(json.dumps(self._fingerprint(rule, weights))) == scores.fingerprint:
            return True
        raise BadSetting(
            f"{self._file(name, rule)}: {name} was judged with other weights or settings. A split is judged once for each "
            "configuration; choose another --output."
        )

    def _log_use(self, names: Sequence[str], rule: str, weights: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        use = {"time": when, "section": self.split.section, "runs": list(names), "rule": rule, "weights": weights}
        with (self.folder / USES_NAME).open("a") as file:
            file.write(json.dumps(use) + "\n")
