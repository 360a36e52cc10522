"""Who is first, whether the intervals say so too, and who loses to a method that learns nothing: computed, never written."""

from __future__ import annotations

from maesil_monai.evaluation.report.results import HEADLINE_REGION, Measured, Results
from maesil_monai.evaluation.report.systems import MAESIL, METRICS, Metric, System

RANKED = ("psnr", "ssim", "lpips")
ALL_HIDDEN = "hidden"
JUDGED = (*((key, HEADLINE_REGION) for key in RANKED), ("psnr", ALL_HIDDEN))


def verdict(results: Results) -> list[str]:
    """Says in sentences how the comparison came out, under the headline's rule in ``hidden_body``.

    PSNR is told over all hidden voxels, too: who paints tissue everywhere gains inside the body, and pays for it in the air.

    Models that see the whole input are left out: they do not inpaint. So are, in every sentence, systems judged on superpatches
    of their own size. MAESIL under other rules or settings is no rival of MAESIL; its variants have a sentence of their own.

    Args:
        results: the numbers.

    Returns:
        Plain text: one sentence each for PSNR, SSIM, LPIPS and PSNR over all hidden voxels, then the models without a finite
        PSNR, the variants, the distance to the best trivial baseline and the learned models that lose to one.
    """
    sentences = [_rank(results, METRICS[key], region) for key, region in JUDGED]
    losers = (_losers(results, region) for region in (HEADLINE_REGION, ALL_HIDDEN))
    others = (_undefined(results), _variants(results), _distance(results), *losers, _blind_spot(results))
    return [sentence for sentence in (*sentences, *others) if sentence]


def best_baseline(
    results: Results, metric: Metric, dataset: str | None = None, region: str = HEADLINE_REGION
) -> tuple[System, float] | None:
    """Gives the baseline that does best in a metric (headline's rule), None if none was measured."""
    return best_of(results, metric, ("baseline",), dataset, region)


def best_of(
    results: Results, metric: Metric, groups: tuple[str, ...], dataset: str | None = None, region: str = HEADLINE_REGION
) -> tuple[System, float] | None:
    """Gives the system of some groups that does best in a metric (headline's rule), None if none was measured."""
    best: tuple[System, float] | None = None
    for system, found in _measured(results, metric, results.comparable(*groups), dataset, region):
        if found.mean is not None and (best is None or metric.better(found.mean, best[1])):
            best = system, found.mean
    return best


def lost_metrics(results: Results, system: System, dataset: str | None = None, region: str = HEADLINE_REGION) -> list[Metric]:
    """Gives the metrics in which a learned model is worse than the best baseline; none for other groups or superpatches."""
    lost: list[Metric] = []
    if system.group not in ("inpainting", "whole") or not results.shares_superpatches(system):
        return lost
    for metric in METRICS.values():
        best = best_baseline(results, metric, dataset, region)
        found = results.find(system, metric.key, region, dataset)
        known = best is not None and found is not None and found.mean is not None
        if known and metric.better(best[1], found.mean):  # type: ignore[index, union-attr, arg-type]
            lost.append(metric)
    return lost


def interval_text(metric: Metric, value: Measured, difference: bool = False) -> str:
    """Formats ``[low, high]`` of a mean or of a difference; empty if it is not defined."""
    low, high = (value.difference_low, value.difference_high) if difference else (value.low, value.high)
    return "" if low is None or high is None else f"[{metric.text(low, difference)}, {metric.text(high, difference)}]"


def _measured(
    results: Results, metric: Metric, systems: list[System], dataset: str | None = None, region: str = HEADLINE_REGION
) -> list[tuple[System, Measured]]:
    found = [(system, results.find(system, metric.key, region, dataset)) for system in systems]
    return [(system, value) for system, value in found if value is not None and value.mean is not None]


def _rank(results: Results, metric: Metric, region: str) -> str:
    """Says who is first in a metric among MAESIL and the other systems that inpaint, and by which intervals."""
    quantity = quantity_words(metric, region)
    rivals = [system for system in results.comparable("inpainting") if system == MAESIL or system.base != "maesil"]
    ranked = sorted(
        _measured(results, metric, rivals, region=region),
        key=lambda item: (item[1].mean or 0.0) * (-1 if metric.higher_better else 1),
    )
    if not ranked:
        reason = results.why_not(metric.key, region)
        if not reason and results.find(MAESIL, metric.key, region) is None:
            others = f"no other model that inpaints{_judged_alike(results, 'inpainting')}"
            return f"{quantity}: {MAESIL.label} was not among those compared, and {others}."
        return f"{quantity}: not measured" + (f" ({reason})." if reason else ".")
    place = next((number for number, (system, _) in enumerate(ranked, 1) if system == MAESIL), 0)
    first, value = ranked[0]
    names = "1 model that inpaints" if len(ranked) == 1 else f"{len(ranked)} models that inpaint"
    lead = f"{quantity}: {first.label} is first of {names}, {_value(metric, value)}"
    if len(ranked) == 1:
        return lead + "."
    if place == 0:
        why = "has no value" if results.find(MAESIL, metric.key, region) else "was not among those compared"
        return f"{lead}; {MAESIL.label} {why}."
    if place > 1:
        own = ranked[place - 1][1]
        words = "excludes 0" if value.sign else "does not exclude 0"
        return (
            f"{lead}; {MAESIL.label} is number {place} with {_value(metric, own)}. {first.label} differs from it by "
            f"{_difference(metric, value)}; this paired interval {words}."
        )
    open_cases = [(system, other) for system, other in ranked[1:] if not other.sign]
    if not open_cases:
        return f"{lead}; the paired 95 % interval excludes 0 against every other."
    names = ", ".join(f"{system.label} ({_difference(metric, other)})" for system, other in open_cases)
    count = len(ranked) - 1
    return (
        f"{lead}; the paired 95 % interval excludes 0 against {count - len(open_cases)} of {count} others, not against {names}."
    )


def _undefined(results: Results) -> str:
    found = [(system, results.find(system, "psnr")) for system in results.comparable("inpainting", "whole")]
    names = [system.label for system, value in found if value is not None and value.mean is None and value.num_undefined]
    return f"Not ranked in PSNR, for not all values are finite: {'; '.join(names)}." if names else ""


def _variants(results: Results) -> str:
    metric = METRICS["psnr"]
    own = [system for system in results.comparable("inpainting") if system != MAESIL and system.base == "maesil"]
    variants = _measured(results, metric, own)
    if not variants or results.find(MAESIL, "psnr") is None:
        return ""
    better = [(system, value) for system, value in variants if value.sign > 0]
    names = ": " + ", ".join(f"{system.label} {_difference(metric, value)}" for system, value in better) if better else ""
    return (
        f"Of {len(variants)} variants of MAESIL (other training rules or settings), {len(better) or 'none'} "
        f"reached a higher PSNR with an interval that excludes 0{names}."
    )


def _distance(results: Results) -> str:
    metric = METRICS["psnr"]
    best, own = best_baseline(results, metric), results.find(MAESIL, "psnr")
    if best is None or own is None or own.mean is None:
        return ""
    gain = own.mean - best[1]
    paired = results.find(best[0], "psnr")
    between = ""
    if paired is not None and paired.difference_low is not None and paired.difference_high is not None:
        # The row holds baseline minus MAESIL.
        between = f" [{metric.text(-paired.difference_high, True)}, {metric.text(-paired.difference_low, True)}]"
    return (
        f"The best baseline that learns nothing is {best[0].label} with {metric.text(best[1])} dB; {MAESIL.label} lies "
        f"{metric.text(gain, True)}{between} dB {'above' if gain >= 0 else 'BELOW'} it."
    )


def _losers(results: Results, region: str) -> str:
    psnr, learned = METRICS["psnr"], results.comparable("inpainting", "whole")
    if not learned or best_baseline(results, psnr, region=region) is None:
        return ""
    losers = [s.label for s in learned if psnr in lost_metrics(results, s, region=region)]
    words = f"to a baseline that learns nothing in {quantity_words(psnr, region)}"
    if losers:
        return f"These learned models lose {words}: {', '.join(losers)}."
    return f"No learned model{_judged_alike(results, 'inpainting', 'whole')} loses {words}."


def _blind_spot(results: Results) -> str:
    """Says if one value everywhere beats every model in the headline: then the headline alone shows nothing."""
    psnr = METRICS["psnr"]
    constants = _measured(results, psnr, results.of_group("constant"))
    models = _measured(results, psnr, results.comparable("inpainting"))
    if not constants or not models:
        return ""
    system, value = max(constants, key=lambda item: item[1].mean or 0.0)
    if (value.mean or 0.0) <= max(other.mean or 0.0 for _, other in models):
        return ""
    everywhere = results.find(system, "psnr", ALL_HIDDEN)
    over_all = f", and {_value(psnr, everywhere)} over all hidden voxels" if everywhere and everywhere.mean is not None else ""
    return (
        f"What {HEADLINE_REGION} does not see: {system.label} has {_value(psnr, value)} there, more than every model that "
        f"inpaints{over_all}. Read both columns of PSNR."
    )


def quantity_words(metric: Metric, region: str) -> str:
    """Names a metric, with its region if that is not the headline's."""
    return f"{metric.label} of all hidden voxels" if region == ALL_HIDDEN else metric.label


def _judged_alike(results: Results, *groups: str) -> str:
    """Narrows what a sentence says of "no model" if some of the groups were judged on superpatches of their own size."""
    return "" if results.comparable(*groups) == results.of_group(*groups) else " judged on the same superpatches"


def _value(metric: Metric, value: Measured) -> str:
    unit = f" {metric.unit}" if metric.unit else ""
    return f"{metric.text(value.mean or 0.0)}{unit} {interval_text(metric, value)}".rstrip()


def _difference(metric: Metric, value: Measured) -> str:
    if value.difference is None:
        return "no paired difference"
    unit = f" {metric.unit}" if metric.unit else ""
    return f"{metric.text(value.difference, True)}{unit} {interval_text(metric, value, difference=True)}".rstrip()
