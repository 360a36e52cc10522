"""Reads ``results.json`` of a comparison and finds numbers in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maesil_monai.comparison.report.shown_metrics import HEADLINE_REGION, Measured
from maesil_monai.comparison.report.systems import GROUPS, System

UNIFIED = "unified"


class Results:
    """The numbers of a comparison.

    Args:
        content: as ``results.json`` holds it; parts that are missing count as empty.

    Raises:
        ValueError: if there is no row, or a row lacks a field.

    Example:
        >>> row = {"model": "mae", "training_rule": "random", "evaluation_rule": "total", "dataset": "a", "region": "hidden_body"}
        >>> found = Results({"rows": [{**row, "metric": "psnr", "mean": 12.0, "low": 11.0, "high": 13.0, "num_patients": 3}]})
        >>> found.find(found.systems[0], "psnr").mean, found.headline_dataset
        (12.0, 'a')
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        self.settings: Mapping[str, Any] = content.get("settings") or {}
        self.rule = str(self.settings.get("headline_rule") or "total")
        self._models: Mapping[str, Mapping[str, Any]] = content.get("models") or {}
        self._rows: dict[tuple[System, str, str, str, str], Measured] = {}
        for number, row in enumerate(content.get("rows") or ()):
            try:
                system = self.system(row["model"], row["training_rule"])
                key = (system, row["evaluation_rule"], row["dataset"], row["region"], row["metric"])
                given = {name for name in Measured._fields if name in row or name not in Measured._field_defaults}
                self._rows[key] = Measured(**{name: row[name] for name in given})
            except KeyError as error:
                raise ValueError(f"results.json: row {number} has no {error}. Run compare again to write it anew.") from error
        if not self._rows:
            raise ValueError("results.json holds no rows: expected one or more. Run compare again to write it anew.")
        self.systems = sorted({key[0] for key in self._rows}, key=lambda system: system.order)
        names = {key[2] for key in self._rows}
        # One patient is no collection: these come last.
        self.datasets = sorted(names, key=lambda name: (name != UNIFIED, self.num_patients(name) < 2, name))
        self.headline_dataset = self.datasets[0]
        collections = [name for name in self.datasets if name != UNIFIED]
        # What charts take means over: like the headline, collections of several patients, where there are any.
        self.averaged = [name for name in collections if self.num_patients(name) > 1] or collections
        self.evaluation_rules = list(dict.fromkeys(key[1] for key in self._rows))

    @classmethod
    def read(cls, path: Path) -> Results:
        """Reads the file.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is not JSON, or as above.
        """
        if not path.is_file():
            raise FileNotFoundError(2, "no results to report; run compare first", str(path))
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is not JSON ({error}). Run compare again to write it anew.") from error
        return cls(content)

    def find(
        self, system: System, metric: str, region: str = HEADLINE_REGION, dataset: str | None = None, rule: str | None = None
    ) -> Measured | None:
        """Gives a number, such as ``psnr`` in ``hidden_body``, or None; dataset and rule None are the headline's."""
        return self._rows.get((system, rule or self.rule, dataset or self.headline_dataset, region, metric))

    def system(self, model: str, training_rule: str | None) -> System:
        """Names a system, with what the results know of it."""
        return System(model, training_rule, bool(self._models.get(model, {}).get("sees_input")))

    def fact(self, system: System, name: str) -> Any:
        """Gives ``parameters``, ``latent_values_per_voxel`` or ``same_superpatches`` of a system; None if unknown."""
        return self._models.get(system.model, {}).get(name)

    def of_group(self, *groups: str) -> list[System]:
        """Gives the systems of some groups, or of all, in the order of the tables."""
        return [system for system in self.systems if system.group in (groups or GROUPS)]

    def shares_superpatches(self, system: System) -> bool:
        """Tells whether a system was judged on the headline's superpatches, and so may be set against the others."""
        return self.fact(system, "same_superpatches") is not False

    def comparable(self, *groups: str) -> list[System]:
        """Gives the systems of :meth:`of_group` without those that were judged on superpatches of their own size."""
        return [system for system in self.of_group(*groups) if self.shares_superpatches(system)]

    def by_distance(self, *planes: str) -> Iterator[tuple[System, Mapping[str, Any]]]:
        """Gives the rows of the error by distance under the headline's rule, of collections that means are taken over."""
        for row in self.content.get("by_distance", ()):
            known = row["planes"] in planes and row["mae_hu"] is not None and row["dataset"] in self.averaged
            if known and row["evaluation_rule"] == self.rule:
                yield self.system(row["model"], row["training_rule"]), row

    def is_measured(self, metric: str) -> bool:
        """Tells whether there is a value of a metric, of whatever system."""
        return any(row.mean is not None for key, row in self._rows.items() if key[4] == metric)

    def why_not(self, metric: str, region: str = "") -> str:
        """Gives the reason for which a metric was not measured; empty if there is none."""
        reasons = self.content.get("not_measured") or {}
        return str(reasons.get(f"{metric}_{region}") or reasons.get(metric) or "")

    def num_patients(self, dataset: str) -> int:
        """Counts the patients a collection was judged on: the most that any of its rows has."""
        return max(row.num_patients for key, row in self._rows.items() if key[2] == dataset)

    def dataset_words(self, dataset: str) -> str:
        """Names a collection with its number of patients."""
        count = self.num_patients(dataset)
        patients = "n = 1: one patient, no interval" if count == 1 else f"{count} patients"
        return f"mean over collections ({patients})" if dataset == UNIFIED else f"{dataset} ({patients})"

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds of trainings, sorted."""
        return tuple(sorted({seed for row in self._rows.values() for seed in row.seeds}))
