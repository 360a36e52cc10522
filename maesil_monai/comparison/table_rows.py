"""From the scores of all runs to the rows of the tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from maesil_monai.comparison.intervals import UNDEFINED, Values, interval, paired_difference
from maesil_monai.comparison.score_files import Scores, by_patient

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
            against = {} if other is None or other is line else by_patient(other.runs, name)
            for dataset, chosen in _selections(values):
                gap = UNDEFINED
                if against.keys() >= set(chosen):
                    gap = paired_difference(
                        {key: values[key] for key in chosen}, {key: against[key] for key in chosen}, num_draws
                    )
                found = {
                    **asdict(interval({key: values[key] for key in chosen}, num_draws)),
                    "seeds": list(line.seeds),
                    "difference": gap.mean,
                    "difference_low": gap.low,
                    "difference_high": gap.high,
                }
                yield {
                    "model": line.model,
                    "training_rule": line.training_rule,
                    "evaluation_rule": line.evaluation_rule,
                    "dataset": dataset,
                    "region": region,
                    "metric": metric,
                    **{key: _number(value) for key, value in found.items()},
                }


def split_name(name: str) -> tuple[str, str]:
    """Parts ``mae_hu_hidden_body`` into metric and region.

    Example:
        >>> split_name("mae_hu_hidden_body"), split_name("blockiness")
        (('mae_hu', 'hidden_body'), ('blockiness', ''))
    """
    metric = next((metric for metric in QUANTITIES if name == metric or name.startswith(f"{metric}_")), name)
    return metric, name[len(metric) + 1 :]


def _selections(values: Values) -> Iterator[tuple[str, list[str]]]:
    """Each collection alone, then as one all of those that have several patients: one patient is no collection."""
    for name in values:
        yield name, [name]
    several = [name for name, matrix in values.items() if len(matrix) > 1]
    if len(several) > 1:
        yield UNIFIED, several


def _number(value: Any) -> Any:
    """Gives a number as it is written: with six digits, which no table uses up; not defined as None."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None
