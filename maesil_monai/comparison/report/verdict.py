"""Who is first, whether the intervals say so too, and who loses to a method that learns nothing: computed, never written."""

from __future__ import annotations

from maesil_monai.comparison.report.ranking import is_alone, judged_alike, rank
from maesil_monai.comparison.report.results import HEADLINE_REGION, Results
from maesil_monai.comparison.report.standing import best_baseline, lost_metrics, measured
from maesil_monai.comparison.report.systems import MAESIL, METRICS
from maesil_monai.comparison.report.wording import ALL_HIDDEN, JUDGED, difference_words, noun, quantity_words, value_words


def verdict(results: Results) -> list[str]:
    """Says in sentences how the comparison came out, under the headline's rule in ``hidden_body``.

    PSNR is told over all hidden voxels, too: who paints tissue everywhere gains inside the body, and pays for it in the air.

    Models that see the whole input are left out: they do not inpaint. So are, in every sentence, systems judged on superpatches
    of their own size. MAESIL under other rules or settings is no rival of MAESIL; its variants have a sentence of their own.

    Args:
        results: the numbers.

    Returns:
        Plain text: one sentence each for PSNR, SSIM, LPIPS and PSNR over all hidden voxels, then the models without a finite
        PSNR, the variants, the distance to the best trivial baseline (where the first sentence does not tell it) and the learned
        models that lose to one.
    """
    sentences = [rank(results, METRICS[key], region) for key, region in JUDGED]
    losers = (_losers(results, region) for region in (HEADLINE_REGION, ALL_HIDDEN))
    others = (_undefined(results), _variants(results), _distance(results), *losers, _blind_spot(results))
    return [sentence for sentence in (*sentences, *others) if sentence]


def _undefined(results: Results) -> str:
    found = [(system, results.find(system, "psnr")) for system in results.comparable("inpainting", "whole")]
    names = [system.label for system, value in found if value is not None and value.mean is None and value.num_undefined]
    return f"Not ranked in PSNR, for not all values are finite: {'; '.join(names)}." if names else ""


def _variants(results: Results) -> str:
    metric = METRICS["psnr"]
    own = [system for system in results.comparable("inpainting") if system != MAESIL and system.base == "maesil"]
    variants = measured(results, metric, own)
    if not variants or results.find(MAESIL, "psnr") is None:
        return ""
    better = [(system, value) for system, value in variants if value.sign > 0]
    names = ": " + ", ".join(f"{system.label} {difference_words(metric, value)}" for system, value in better) if better else ""
    return (
        f"Of {len(variants)} {noun(len(variants), 'variant')} of MAESIL (other training rules or settings), "
        f"{len(better) or 'none'} reached a higher PSNR with an interval that excludes 0{names}."
    )


def _distance(results: Results) -> str:
    metric = METRICS["psnr"]
    best, own = best_baseline(results, metric), results.find(MAESIL, "psnr")
    if best is None or own is None or own.mean is None or is_alone(results, metric, HEADLINE_REGION):
        return ""  # one model alone was set against it already
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
        return f"{noun(len(losers), 'This learned model loses', 'These learned models lose')} {words}: {', '.join(losers)}."
    values = [results.find(system, "psnr", region) for system in learned]
    finite = " with a finite PSNR" if any(value is not None and value.mean is None for value in values) else ""
    return f"No learned model{finite}{judged_alike(results, 'inpainting', 'whole')} loses {words}."


def _blind_spot(results: Results) -> str:
    """Says if one value everywhere beats every model in the headline: then the headline alone shows nothing."""
    psnr = METRICS["psnr"]
    constants = measured(results, psnr, results.of_group("constant"))
    models = measured(results, psnr, results.comparable("inpainting"))
    if not constants or not models:
        return ""
    system, value = max(constants, key=lambda item: item[1].mean or 0.0)
    if (value.mean or 0.0) <= max(other.mean or 0.0 for _, other in models):
        return ""
    everywhere = results.find(system, "psnr", ALL_HIDDEN)
    over_all = ""
    if everywhere is not None and everywhere.mean is not None:
        over_all = f", and {value_words(psnr, everywhere)} over all hidden voxels"
    return (
        f"What {HEADLINE_REGION} does not see: {system.label} has {value_words(psnr, value)} there, more than every model that "
        f"inpaints{over_all}. Read both columns of PSNR."
    )
