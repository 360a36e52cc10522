"""Means over patients with bootstrap intervals, and paired differences.

A value belongs to a patient and a seed of the training. The mean of a collection is the mean over its patients and seeds; the
mean of several collections is the mean of theirs, so that a large one does not outweigh the others. Intervals come from
resampling patients within each collection, and seeds (a seed is one network in all collections), both with replacement.

NaN stands for a value that is not defined for a patient, infinity for one that should be and is not finite.
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
    """A mean with its 95 % interval; ``low`` and ``high`` are NaN where there is only one patient, the mean where no value is.

    Args:
        mean, low, high: see above.
        num_patients: for whom the value is defined.
        num_undefined: those of them with a value that is not finite, which undoes the mean.
    """

    mean: float
    low: float
    high: float
    num_patients: int
    num_undefined: int = 0


UNDEFINED = Interval(math.nan, math.nan, math.nan, 0)


def interval(values: Values, num_draws: int = 2000, seed: int = 0) -> Interval:
    """Gives the mean and its percentile interval.

    Args:
        values: of each collection, the same seeds in all; patients for whom a value is not defined (NaN under every seed)
            count nowhere.
        num_draws: resamplings.
        seed: of the resampling.

    Returns:
        The interval. The mean is NaN if a patient's value is not finite, is not defined for some seeds only, or everywhere.

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
    judged = []
    for matrix, reference in pairs:
        sides = [matrix] if reference is None else [matrix, reference]
        defined = np.logical_and.reduce([~np.isnan(side).all(axis=1) for side in sides])
        if defined.any():
            judged.append([side[defined] for side in sides])
    if not judged:
        return UNDEFINED
    num_patients = sum(len(sides[0]) for sides in judged)
    finite = [np.logical_and.reduce([np.isfinite(side).all(axis=1) for side in sides]) for sides in judged]
    num_undefined = num_patients - sum(int(rows.sum()) for rows in finite)
    if num_undefined:
        return Interval(math.nan, math.nan, math.nan, num_patients, num_undefined)
    random = np.random.default_rng(seed)
    signs = (1.0, -1.0)  # the second side is the reference
    seeds = [_draws(random, side.shape[1], num_draws) for side in judged[0]]
    means, draws = [], []
    for sides in judged:
        patients = _draws(random, len(sides[0]), num_draws)
        means.append(sum(sign * side.mean() for sign, side in zip(signs, sides, strict=False)))
        drawn = [np.einsum("dp,ps,ds->d", patients, side, own) for side, own in zip(sides, seeds, strict=True)]
        draws.append(sum(sign * part for sign, part in zip(signs, drawn, strict=False)))
    mean = float(np.mean(means))
    if num_patients < 2:
        return Interval(mean, math.nan, math.nan, num_patients)
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(np.mean(draws, axis=0), [tail, 100 - tail])
    return Interval(mean, float(low), float(high), num_patients)


def _draws(random: np.random.Generator, count: int, num_draws: int) -> np.ndarray:
    """Gives the weights of resamplings with replacement, (num_draws, count)."""
    return random.multinomial(count, np.full(count, 1 / count), size=num_draws) / count
