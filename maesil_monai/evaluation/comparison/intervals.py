"""Means over patients with bootstrap intervals, and paired differences.

A value belongs to a patient and a seed of the training. The mean of a collection is the mean over its patients and seeds; the
mean of several collections is the mean of theirs, so that a large one does not outweigh the others. Intervals come from
resampling patients within each collection and seeds, both with replacement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Values = Mapping[str, np.ndarray]
"""For each collection: float64, shape (patients, seeds)."""

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval; ``low`` and ``high`` are NaN where there is only one patient, the mean where no value is."""

    mean: float
    low: float
    high: float
    num_patients: int


def interval(values: Values, num_draws: int = 2000, seed: int = 0) -> Interval:
    """Gives the mean and its percentile interval.

    Args:
        values: of each collection; patients for whom a value is not defined (NaN under every seed) count nowhere.
        num_draws: resamplings.
        seed: of the resampling.

    Returns:
        The interval. The mean is NaN if a value is missing for some seeds only (a prediction that is not finite), or everywhere.

    Example:
        >>> found = interval({"a": np.array([[1.0], [3.0]])})
        >>> found.mean, found.low, found.high, found.num_patients
        (2.0, 1.0, 3.0, 2)
    """
    return _interval([(matrix, None) for matrix in values.values()], num_draws, seed)


def paired_difference(values: Values, reference: Values, num_draws: int = 2000, seed: int = 0) -> Interval:
    """Gives the mean of ``values - reference`` patient by patient; patients are drawn jointly, seeds apart.

    Args:
        values: of each collection, shape (patients, seeds).
        reference: the same patients in the same order, any number of seeds.
        num_draws: resamplings.
        seed: of the resampling.

    Raises:
        ValueError: if the collections or their patients differ in number.

    Example:
        >>> paired_difference({"a": np.array([[1.0], [3.0]])}, {"a": np.array([[0.5], [2.5]])}).mean
        0.5
    """
    if {name: len(matrix) for name, matrix in values.items()} != {name: len(matrix) for name, matrix in reference.items()}:
        raise ValueError("a paired difference needs the same patients on both sides: evaluate both on the same split.")
    return _interval([(matrix, reference[name]) for name, matrix in values.items()], num_draws, seed)


def _interval(pairs: list[tuple[np.ndarray, np.ndarray | None]], num_draws: int, seed: int) -> Interval:
    random = np.random.default_rng(seed)
    means, draws, num_patients = [], [], 0
    for matrix, reference in pairs:
        sides = [matrix] if reference is None else [matrix, -reference]
        defined = np.logical_and.reduce([~np.isnan(side).all(axis=1) for side in sides])
        if not defined.any():
            continue
        sides = [side[defined] for side in sides]
        patients = int(defined.sum())
        num_patients += patients
        means.append(sum(float(side.mean()) for side in sides))
        weights = random.multinomial(patients, np.full(patients, 1 / patients), size=num_draws) / patients
        drawn = np.zeros(num_draws)
        for side in sides:
            num_seeds = side.shape[1]
            of_seeds = random.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), size=num_draws) / num_seeds
            drawn += np.einsum("dp,ps,ds->d", weights, side, of_seeds)
        draws.append(drawn)
    if not means:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(np.mean(means))
    if num_patients < 2 or not math.isfinite(mean):
        return Interval(mean, math.nan, math.nan, num_patients)
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(np.mean(draws, axis=0), [tail, 100 - tail])
    return Interval(mean, float(low), float(high), num_patients)
