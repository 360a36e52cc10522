"""What the charts of a comparison show: training, error by distance, differences to MAESIL, blockiness."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from statistics import fmean
from typing import Literal

from maesil_monai.comparison.report.how_it_was_made import noun
from maesil_monai.comparison.report.results_file import Results
from maesil_monai.comparison.report.shown_metrics import JUDGED, METRICS
from maesil_monai.comparison.report.systems import BASELINES, GROUPS, MAESIL, System
from maesil_monai.reports.charts import BarRow, ChartSet, IntervalRow, Panel, Points, bars, intervals, panels, sample

_LINES = {name: f"base{number}" for number, name in enumerate(BASELINES, 1)}
_VERDICTS: dict[int, Literal["good", "bad", "open"]] = {1: "good", -1: "bad", 0: "open"}
_BARS = {"none": ("first", "superpatches side by side"), "overlap": ("second", "overlap blended")}


def training_curves(results: Results) -> ChartSet:
    """Draws PSNR over superpatches seen, a panel per model, MAESIL behind those of the same rule.

    Runs are validated under the rule they are trained with. The baselines are those of the run's validation where the run
    knows them, else (where rules agree) those of the headline.
    """
    runs: dict[System, list[Points]] = defaultdict(list)
    levels: dict[System, dict[str, float]] = defaultdict(dict)
    for curve in results.content.get("curves") or ():
        system = results.system(curve["model"], curve["training_rule"])
        values = [math.nan if value is None else value for value in curve["psnr_hidden_body"]]
        runs[system].append(list(zip(curve["superpatches"], values, strict=True)))
        levels[system] |= {_LINES[name]: value for name, value in curve.get("baselines", {}).items() if value is not None}
    if not runs:
        return ChartSet()
    on_validation = any(levels.values())
    headline = {_LINES[system.model]: results.find(system, "psnr") for system in results.of_group("baseline")}
    fallback = {line: found.mean for line, found in headline.items() if found is not None and found.mean is not None}
    shown: dict[str, list[Panel]] = defaultdict(list)
    for system in sorted(runs, key=lambda system: system.order):
        own, inpaints, shares = _mean_line(runs[system]), system.group == "inpainting", results.shares_superpatches(system)
        judged_so = not on_validation and system.training_rule == results.rule and shares
        crossed = (levels[system] or (fallback if judged_so else {})) if inpaints else {}
        lines: list[tuple[str, Points]] = [
            (line, [(x, level) for x, _ in (*own[:1], *own[-1:])]) for line, level in crossed.items()
        ]
        if inpaints and shares and MAESIL in runs and system != MAESIL and system.training_rule == MAESIL.training_rule:
            lines.append(("behind", _mean_line(runs[MAESIL])))
        if len(runs[system]) > 1:
            lines += [("seed", points) for points in runs[system]]
        ends = [f"{points[-1][1]:.2f}" for points in runs[system] if points]
        told = f"{len(ends)} {noun(len(ends), 'run')}; PSNR at the end {', '.join(ends)} dB."
        shown[GROUPS[system.group]].append(Panel(system.label, [*lines, ("own", own)], told))
    where = "on the same scans and masks" if on_validation else f"on the test scans, where the rule is {results.rule}"
    notes = [
        "Each run is judged on the validation scans, under the mask rule it is trained with: compare panels of one rule. "
        f"Thin lines are seeds, the thick one is their mean. Baselines: {where}.",
        *_apart(results, runs, "{}: superpatches of its own size, not comparable with the other panels."),
    ]
    groups = {heading: panels(of_group, "superpatches seen", "dB", 2) for heading, of_group in shown.items()}
    return ChartSet(_legend(chain(*shown.values())), groups, notes)


def error_by_distance(results: Results) -> ChartSet:
    """Draws the absolute error in HU by distance to the nearest visible patch, a panel per model.

    Models that see the whole input are left out: no patch is distant to them. So are systems judged on superpatches of their own
    size: their distances count other patches.
    """
    found: dict[System, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for system, row in results.by_distance("all"):
        found[system][row["distance"]].append(row["mae_hu"])
    # Each collection counts once at each distance it has.
    curves = {system: [(at, fmean(errors)) for at, errors in sorted(rows.items())] for system, rows in found.items()}
    drawn = [system for system in results.comparable("inpainting") if system in curves]
    if not drawn:
        return ChartSet()
    baselines = [(_LINES[system.model], points) for system, points in curves.items() if system.group == "baseline"]
    shown = []
    for system in drawn:
        behind = [("behind", curves[MAESIL])] if MAESIL in curves and system != MAESIL else []
        told = ", ".join(f"distance {distance:g}: {error:.1f} HU" for distance, error in curves[system])
        shown.append(Panel(system.label, [*baselines, *behind, ("own", curves[system])], told))
    charts = panels(shown, "patches to the nearest visible one", "MAE (HU)", 0, whole_x=True)
    left_out = _apart(results, curves, "Left out: {} (superpatches of its own size).")
    return ChartSet(_legend(shown), {"": charts}, left_out)


def differences(results: Results) -> ChartSet:
    """Draws the paired differences to MAESIL in PSNR, SSIM and LPIPS, of systems judged on the same superpatches."""
    charts = []
    for key, region in JUDGED:
        metric, rows = METRICS[key], []
        for system in results.comparable("inpainting", "baseline"):
            value = results.find(system, key, region)
            if system == MAESIL or value is None or value.difference is None:
                continue
            low = value.difference if value.difference_low is None else value.difference_low
            high = value.difference if value.difference_high is None else value.difference_high
            verdict = _VERDICTS[metric.verdict(value)]
            rows.append(IntervalRow(system.label, value.difference, low, high, verdict, metric.difference(value)))
        if rows:
            sides = ("worse than MAESIL", "better than MAESIL")
            name = metric.words(region)
            unit = f"difference in {metric.label}" + (f" ({metric.unit})" if metric.unit else "")
            left, right = sides if metric.higher_better else sides[::-1]
            charts.append(intervals(f"{name}: differences to MAESIL", name, rows, unit, left, right))
    return ChartSet(groups={"": charts})


def blockiness(results: Results) -> ChartSet:
    """Draws the mean over collections, without and with overlap, and what the scans themselves have."""
    found: dict[tuple[System, str], dict[str, float]] = defaultdict(dict)
    for system, kind, dataset, value in _blockiness_values(results):
        found[system, kind][dataset] = value
    means = {key: fmean(values.values()) for key, values in found.items()}
    rows = []
    for system in sorted({system for system, _ in means}, key=lambda system: system.order):
        pair = [(form, means[system, kind]) for kind, (form, _) in _BARS.items() if (system, kind) in means]
        if pair:
            rows.append(BarRow(system.label, pair, means.get((system, "truth"))))
    if not rows:
        return ChartSet()
    entries = {**_BARS, "truth": ("mark", "the scans themselves")}
    legend = [(sample(form), label) for kind, (form, label) in entries.items() if any(kind == shown for _, shown in means)]
    return ChartSet(legend, {"": [bars("Blockiness", rows, "blockiness")]})


def _blockiness_values(results: Results) -> Iterator[tuple[System, str, str, float]]:
    """Gives system, ``none``, ``overlap`` or ``truth``, collection and value: of whole scans, else of single superpatches."""
    listed = [row for row in results.content.get("blockiness", ()) if row["dataset"] in results.averaged]
    for row in listed:
        system = results.system(row["model"], row["training_rule"])
        for kind, key in ((row["stride"], "blockiness"), ("truth", "truth")):
            if row[key] is not None:
                yield system, kind, row["dataset"], float(row[key])
    for system in () if listed else results.of_group("inpainting", "whole"):
        for dataset in results.averaged:
            for kind, region in (("none", ""), ("truth", "truth")):
                value = results.find(system, "blockiness", region, dataset)
                if value is not None and value.mean is not None:
                    yield system, kind, dataset, value.mean


def _apart(results: Results, systems: Iterable[System], words: str) -> list[str]:
    """Puts those judged on superpatches of their own size into a sentence, if there are any."""
    apart = sorted((system for system in systems if not results.shares_superpatches(system)), key=lambda system: system.order)
    return [words.format(", ".join(system.label for system in apart))] if apart else []


def _mean_line(runs: Sequence[Points]) -> Points:
    """Averages seeds at the places that all of them have."""
    tables = [dict(points) for points in runs]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    return [(x, math.fsum(table[x] for table in tables) / len(tables)) for x in shared]


def _legend(shown: Iterable[Panel]) -> list[tuple[str, str]]:
    drawn = {kind for panel in shown for kind, _ in panel.lines}
    entries = {"own": "the model named above the panel", "behind": MAESIL.label, "seed": "single seeds"}
    entries |= {line: BASELINES[name] for name, line in _LINES.items()}
    return [(sample(kind), label) for kind, label in entries.items() if kind in drawn]
