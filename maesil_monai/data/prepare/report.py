"""What came of a run, in numbers: admitted, refused with code and cure, and how scans are made. Nothing tells whose they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from maesil_monai.data.prepare.plan import Plan, Refusal
from maesil_monai.data.prepare.prepare_scan import Outcome
from maesil_monai.data.prepare.scan_facts import HISTOGRAM_BINS, HISTOGRAM_START_HU, HISTOGRAM_STEP_HU
from maesil_monai.data.prepare.splits import SPLITS

REPORT_JSON, REPORT_HTML = "report.json", "report.html"
REPORT_VERSION = 1
_NUM_BINS = 24


def report_of(plan: Plan, outcomes: Sequence[Outcome], vanished: Sequence[str]) -> dict[str, Any]:
    """Gathers the report. It depends on the sources and settings alone: no times, no order of work.

    Args:
        plan: the scans that were found.
        outcomes: what came of them.
        vanished: entries of the store behind which no source stands any more.

    Returns:
        Plain values: ``scans``, ``patients``, ``datasets``, ``refusals``, ``notes``, ``not_ct``, ``vanished``, ``histograms``.
    """
    outcomes = sorted(outcomes, key=lambda outcome: outcome.job.entry)
    admitted = [outcome for outcome in outcomes if outcome.facts is not None]
    refusals = all_refusals(plan, outcomes)
    noted = [
        {"dataset": o.job.dataset, "case_id": o.job.case_id, "codes": o.facts["notes"]}
        for o in admitted
        if o.facts is not None and o.facts["notes"]
    ]
    datasets = {name: _dataset(name, plan, admitted) for name in sorted(plan.num_scans)}
    return {
        "version": REPORT_VERSION,
        "scans": {
            "found": sum(plan.num_scans.values()),
            "admitted": len(admitted),
            "noted": len(noted),
            "refused": len(refusals),
            "vanished": len(vanished),
        },
        "patients": len({outcome.job.patient_id for outcome in admitted}),
        "datasets": datasets,
        "refusals": [
            {"dataset": refusal.dataset, "case_id": refusal.case_id, "code": refusal.code, "cure": refusal.cure}
            for refusal in refusals
        ],
        "notes": noted,
        "not_ct": {name: dict(sorted(plan.not_ct[name].items())) for name in sorted(plan.not_ct)},
        "vanished": list(vanished),
        "histograms": _histograms([outcome.facts for outcome in admitted if outcome.facts is not None]),
    }


def all_refusals(plan: Plan, outcomes: Iterable[Outcome]) -> list[Refusal]:
    """Gives the scans refused before and while they were read, sorted."""
    refused = [*plan.refusals, *(outcome.refusal for outcome in outcomes if outcome.refusal is not None)]
    return sorted(refused, key=lambda refusal: (refusal.dataset, refusal.case_id, refusal.code))


def count_codes(refusals: Iterable[Mapping[str, str]]) -> list[tuple[str, int, str]]:
    """Counts refusals by code: ``(code, how many, cure)``, the most frequent first."""
    counts: Counter[str] = Counter()
    cures: dict[str, str] = {}
    for refusal in refusals:
        counts[refusal["code"]] += 1
        cures.setdefault(refusal["code"], refusal["cure"])
    return [(code, count, cures[code]) for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _dataset(name: str, plan: Plan, admitted: Sequence[Outcome]) -> dict[str, Any]:
    own = [outcome for outcome in admitted if outcome.job.dataset == name]
    sides = Counter(outcome.job.split for outcome in own)
    return {
        "found": plan.num_scans[name],
        "admitted": len(own),
        "refused": plan.num_scans[name] - len(own),
        "patients": len({outcome.job.patient_id for outcome in own}),
        "labelled": sum(bool(outcome.facts and outcome.facts["has_label"]) for outcome in own),
        "versions": sorted({outcome.job.candidate.version for outcome in own} - {""}),
        **{split: sides[split] for split in SPLITS},
    }


def _histograms(facts: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[float]]]:
    if not facts:
        return {}
    axes = {"right_left": 0, "foot_head": 2}
    histograms = {}
    for name, axis in axes.items():
        histograms[f"spacing_{name}_mm"] = _histogram([fact["spacing_mm"][axis] for fact in facts])
        histograms[f"voxels_{name}"] = _histogram([fact["shape"][axis] for fact in facts])
        extent = [fact["spacing_mm"][axis] * fact["shape"][axis] for fact in facts]
        histograms[f"extent_{name}_mm"] = _histogram(extent)
    # Every scan weighs the same, however many voxels it has.
    shares = np.zeros(HISTOGRAM_BINS)
    for fact in facts:
        shares += np.array(fact["hu_histogram"]) / max(sum(fact["hu_histogram"]), 1)
    edges = HISTOGRAM_START_HU + HISTOGRAM_STEP_HU * np.arange(HISTOGRAM_BINS + 1)
    histograms["hu"] = {"edges": edges.tolist(), "counts": (shares / len(facts)).round(8).tolist()}
    return histograms


def _histogram(values: Sequence[float]) -> dict[str, list[float]]:
    low, high = min(values), max(values)
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, bins=_NUM_BINS, range=(low, high))
    return {"edges": edges.round(4).tolist(), "counts": counts.tolist()}
