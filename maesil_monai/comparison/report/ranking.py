"""Who is first in a metric, by which intervals, and how that stands to the best method that learns nothing."""

from __future__ import annotations

from maesil_monai.comparison.report.results import Measured, Results
from maesil_monai.comparison.report.standing import best_baseline, measured
from maesil_monai.comparison.report.systems import MAESIL, Metric, System
from maesil_monai.comparison.report.wording import difference_words, noun, quantity_words, value_words

Place = tuple[System, Measured]


def rank(results: Results, metric: Metric, region: str) -> str:
    """Says who is first in a metric among MAESIL and the other systems that inpaint, and by which intervals.

    One model alone is first of nothing: it is set against the best baseline instead. Where a baseline beats the first, or MAESIL
    behind it, the words say so.
    """
    quantity, ranked = quantity_words(metric, region), _ranked(results, metric, region)
    if not ranked:
        reason = results.why_not(metric.key, region)
        if not reason and results.find(MAESIL, metric.key, region) is None:
            others = f"no other model that inpaints{judged_alike(results, 'inpainting')}"
            return f"{quantity}: {MAESIL.label} was not among those compared, and {others}."
        own = results.find(MAESIL, metric.key, region)
        if own is not None and own.num_undefined:
            return f"{quantity}: {MAESIL.label} has no finite value."
        return f"{quantity}: not measured" + (f" ({reason})." if reason else ".")
    if is_alone(results, metric, region):
        return _alone(results, metric, region, ranked[0])
    return _among_others(results, metric, region, ranked) + _beaten(results, metric, region, ranked)


def is_alone(results: Results, metric: Metric, region: str) -> bool:
    """Tells whether there is one model only to be ranked in a metric."""
    return len(_ranked(results, metric, region)) == 1


def judged_alike(results: Results, *groups: str) -> str:
    """Narrows what a sentence says of "no model" if some of the groups were judged on superpatches of their own size."""
    return "" if results.comparable(*groups) == results.of_group(*groups) else " judged on the same superpatches"


def _ranked(results: Results, metric: Metric, region: str) -> list[Place]:
    rivals = [system for system in results.comparable("inpainting") if system == MAESIL or system.base != "maesil"]
    return sorted(
        measured(results, metric, rivals, region=region),
        key=lambda item: (item[1].mean or 0.0) * (-1 if metric.higher_better else 1),
    )


def _alone(results: Results, metric: Metric, region: str, only: Place) -> str:
    """Sets the one model that is ranked against the best baseline."""
    system, value = only
    lead = f"{quantity_words(metric, region)}: {system.label} has {value_words(metric, value)}"
    lead += "; no other model that inpaints is ranked"
    if system != MAESIL:
        lead += f", and {_absence(results, metric, region)}"
    best = _best_baseline(results, metric, region)
    if best is None:
        return f"{lead}. No baseline was measured."
    other = best[1]
    own, its = value.mean or 0.0, other.mean or 0.0
    stands = "loses to" if metric.better(its, own) else "beats" if metric.better(own, its) else "equals"
    told = f"{lead}. {system.label} {stands} the best baseline that learns nothing, {_with(metric, best)}."
    if system != MAESIL or other.difference is None:
        return told
    return f"{told} The baseline differs from it by {difference_words(metric, other)}{_paired(other)}."


def _among_others(results: Results, metric: Metric, region: str, ranked: list[Place]) -> str:
    place = next((number for number, (system, _) in enumerate(ranked, 1) if system == MAESIL), 0)
    first, value = ranked[0]
    names = f"{len(ranked)} models that inpaint"
    lead = f"{quantity_words(metric, region)}: {first.label} is first of {names}, {value_words(metric, value)}"
    if place == 0:
        return f"{lead}; {_absence(results, metric, region)}."
    if place > 1:
        own = ranked[place - 1][1]
        return (
            f"{lead}; {MAESIL.label} is number {place} with {value_words(metric, own)}. {first.label} differs from it by "
            f"{difference_words(metric, value)}{_paired(value)}."
        )
    open_cases = [(system, other) for system, other in ranked[1:] if not other.sign]
    if not open_cases:
        return f"{lead}; the paired 95 % interval excludes 0 against every other."
    if all(other.difference_low is None for _, other in ranked[1:]):
        return f"{lead}; there are too few patients for intervals."
    names = ", ".join(f"{system.label} ({difference_words(metric, other)})" for system, other in open_cases)
    count = len(ranked) - 1
    clear = f"{count - len(open_cases)} of {count} {noun(count, 'other')}"
    return f"{lead}; the paired 95 % interval excludes 0 against {clear}, not against {names}."


def _beaten(results: Results, metric: Metric, region: str, ranked: list[Place]) -> str:
    """Says that the best baseline beats the first, or else MAESIL; empty where neither loses."""
    best = _best_baseline(results, metric, region)
    if best is None:
        return ""
    losers = [system for system, value in ranked if metric.better(best[1].mean or 0.0, value.mean or 0.0)]
    if ranked[0][0] in losers:
        return f" All of them lose to the best baseline that learns nothing, {_with(metric, best)}."
    if MAESIL in losers:
        return f" {MAESIL.label} loses to the best baseline that learns nothing, {_with(metric, best)}."
    return ""


def _best_baseline(results: Results, metric: Metric, region: str) -> Place | None:
    best = best_baseline(results, metric, region=region)
    value = None if best is None else results.find(best[0], metric.key, region)
    return None if best is None or value is None else (best[0], value)


def _absence(results: Results, metric: Metric, region: str) -> str:
    why = "has no value" if results.find(MAESIL, metric.key, region) else "was not among those compared"
    return f"{MAESIL.label} {why}"


def _with(metric: Metric, place: Place) -> str:
    return f"{place[0].label} with {value_words(metric, place[1])}"


def _paired(value: Measured) -> str:
    if value.difference_low is None or value.difference_high is None:
        return ""
    return f"; this paired interval {'excludes 0' if value.sign else 'does not exclude 0'}"
