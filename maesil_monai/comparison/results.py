"""From the scores of all runs to the rows of the tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from maesil_monai.comparison.intervals import Interval, Values, interval, paired_difference
from maesil_monai.comparison.scores import Scores, by_patient

UNIFIED = "unified"
QUANTITIES = ("psnr", "mae_hu", "mae_soft_hu", "ssim", "lpips", "blockiness")


@dataclass(frozen=True)
class Line:
    """A line of the tables: a model under a training rule, judged under a rule, with the scores of its seeds.

    Args:
        model: its name.
        training_rule: None for a method that learns nothing.
        evaluation_rule: the rule of the masks it is judged under.
        seeds: of its runs, in the order of ``runs``.
        runs: their scores.
        same_superpatches: it is judged on the superpatches of the reference; only then is there a difference to it.
    """

    model: str
    training_rule: str | None
    evaluation_rule: str
    seeds: tuple[int, ...]
    runs: tuple[Scores, ...]
    same_superpatches: bool = True


def rows_of(lines: Sequence[Line], reference: str, reference_rule: str, num_draws: int = 2000) -> Iterator[dict[str, Any]]:
    """Gives a row for each line, collection and metric.

    Args:
        lines: what was judged.
        reference: model that the paired differences are taken from.
        reference_rule: its training rule.
        num_draws: resamplings of the intervals.

    Returns:
        Rows with ``model, training_rule, evaluation_rule, dataset, region, metric, mean, low, high, num_patients,
        num_undefined, seeds`` and ``difference, difference_low, difference_high``, the paired difference to the reference under
        the same evaluation rule.
    """
    references = {line.evaluation_rule: line for line in lines if (line.model, line.training_rule) == (reference, reference_rule)}
    for line in lines:
        other = references.get(line.evaluation_rule) if line.same_superpatches else None
        for name in line.runs[0].metrics:
            metric, region = split_name(name)
            values = by_patient(line.runs, name)
            against = None if other is None or other is line else by_patient(other.runs, name)
            for dataset, chosen in _selections(values):
                found = interval({key: values[key] for key in chosen}, num_draws)
                gap = None if against is None else _difference(values, against, chosen, num_draws)
                yield {
                    "model": line.model,
                    "training_rule": line.training_rule,
                    "evaluation_rule": line.evaluation_rule,
                    "dataset": dataset,
                    "region": region,
                    "metric": metric,
                    **_numbers(asdict(found)),
                    "seeds": list(line.seeds),
                    "difference": None if gap is None else _number(gap.mean),
                    "difference_low": None if gap is None else _number(gap.low),
                    "difference_high": None if gap is None else _number(gap.high),
                }


def split_name(name: str) -> tuple[str, str]:
    """Parts ``mae_hu_hidden_body`` into metric and region.

    Example:
        >>> split_name("mae_hu_hidden_body"), split_name("blockiness")
        (('mae_hu', 'hidden_body'), ('blockiness', ''))
    """
    for metric in sorted(QUANTITIES, key=len, reverse=True):
        if name == metric or name.startswith(f"{metric}_"):
            return metric, name[len(metric) + 1 :]
    return name, ""


def _selections(values: Values) -> Iterator[tuple[str, list[str]]]:
    """Each collection alone, then as one all of those that have several patients: one patient is no collection."""
    for name in values:
        yield name, [name]
    several = [name for name, matrix in values.items() if len(matrix) > 1]
    if len(several) > 1:
        yield UNIFIED, several


def _difference(values: Values, reference: Values, chosen: Sequence[str], num_draws: int) -> Interval | None:
    sides: list[dict[str, np.ndarray]] = [{key: side[key] for key in chosen if key in side} for side in (values, reference)]
    return paired_difference(sides[0], sides[1], num_draws) if len(sides[1]) == len(chosen) else None


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _number(value) for key, value in values.items()}


def _number(value: Any) -> Any:
    """Gives a number as it is written: with six digits, which no table uses up; not defined as None."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None
