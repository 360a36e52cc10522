"""What was measured: one file per run and evaluation rule, with a value of every metric for every scan."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from maesil_monai.comparison.intervals import Values
from maesil_monai.whole_files import write_json

NOT_FINITE = "not finite"


@dataclass(frozen=True)
class Scores:
    """The scores of one run under one rule.

    Args:
        fingerprint: everything the values depend on.
        scans: for each scan ``case_id``, ``patient_id``, ``dataset`` and the value of every metric: None where it is not
            defined or not measured, :data:`NOT_FINITE` where the prediction spoilt it.
        not_measured: reasons by the prefix of a metric's name.
        extras: further results, such as the error by distance.
    """

    fingerprint: Mapping[str, Any]
    scans: Sequence[Mapping[str, Any]]
    not_measured: Mapping[str, str] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)

    def write(self, file: Path) -> None:
        """Writes the file whole or not at all."""
        write_json(file, vars(self))

    @classmethod
    def read(cls, file: Path) -> Scores | None:
        """Reads a file of :meth:`write`; None where there is none that is whole."""
        try:
            return cls(**json.loads(file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, such as ``psnr_hidden_body``."""
        return [name for name in self.scans[0] if name not in ("case_id", "patient_id", "dataset")] if self.scans else []


def by_patient(runs: Sequence[Scores], metric: str) -> Values:
    """Arranges a metric of several seeds: for each collection an array (patients, seeds); a patient's scans are averaged.

    Patients are in the order of their names, so that the arrays of two models belong together row by row. NaN: not defined;
    infinity: not finite in one of the patient's scans.

    Example:
        >>> scan = {"case_id": "a", "patient_id": "p", "dataset": "x", "psnr_hidden": 20.0}
        >>> by_patient([Scores({}, [scan]), Scores({}, [{**scan, "psnr_hidden": 22.0}])], "psnr_hidden")["x"].tolist()
        [[20.0, 22.0]]
    """
    places = sorted({(scan["dataset"], scan["patient_id"]) for run in runs for scan in run.scans})
    columns = []
    for run in runs:
        values: dict[tuple[str, str], list[float]] = {place: [] for place in places}
        for scan in run.scans:
            value = scan.get(metric)
            if value is not None:
                values[scan["dataset"], scan["patient_id"]].append(np.inf if value == NOT_FINITE else float(value))
        columns.append([float(np.mean(found)) if found else np.nan for found in values.values()])
    matrix = np.array(columns, dtype=np.float64).T
    datasets = np.array([dataset for dataset, _ in places])
    return {str(name): matrix[datasets == name] for name in np.unique(datasets)}
