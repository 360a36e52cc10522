"""Charts of the report that compare models panel by panel or row by row: training, error by distance, differences."""

from __future__ import annotations

import html
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from maesil_monai.comparison.report.results import Results
from maesil_monai.comparison.report.systems import BASELINES, GROUPS, MAESIL, METRICS, System
from maesil_monai.comparison.report.wording import JUDGED, interval_text, noun, quantity_words
from maesil_monai.reports.charts import IntervalRow, Panel, Points, forest, panels


def training_curves(results: Results) -> str:
    """Draws PSNR over superpatches seen, a panel per model, MAESIL behind those of the same rule; empty if there is no curve.

    Runs are validated under the rule they are trained with. The baselines are those of the run's validation where the run
    knows them, else (where rules agree) those of the headline.
    """
    runs: dict[System, list[Points]] = defaultdict(list)
    levels: dict[System, dict[str, float]] = defaultdict(dict)
    for curve in results.content.get("curves") or ():
        system = results.system(curve["model"], curve["training_rule"])
        runs[system].append(_points(curve["superpatches"], curve["psnr_hidden_body"]))
        levels[system] |= {f"base {name}": value for name, value in _numbers(curve.get("baselines") or {}).items()}
    if not runs:
        return ""
    on_validation = any(levels.values())
    fallback = {f"base {system.model}": value for system, value in _headline_psnr(results)}
    shown: dict[str, list[Panel]] = defaultdict(list)
    for system in sorted(runs, key=lambda system: system.order):
        inpaints = system.group == "inpainting"
        alike = inpaints and system.training_rule == MAESIL.training_rule and results.shares_superpatches(system)
        ends = [points[-1][1] for points in runs[system] if points]
        lines = [("behind", _mean_line(runs[MAESIL]))] if MAESIL in runs and system != MAESIL and alike else []
        if len(runs[system]) > 1:
            lines += [("seed", points) for points in runs[system]]
        lines.append(("own", _mean_line(runs[system])))
        told = f"{len(ends)} {noun(len(ends), 'run')}; PSNR at the end {', '.join(f'{end:.2f}' for end in ends)} dB."
        judged_so = not on_validation and system.training_rule == results.rule and results.shares_superpatches(system)
        crossed = (levels[system] or (fallback if judged_so else {})) if inpaints else {}
        shown[system.group].append(Panel(system.label, lines, crossed, told))
    drawn = {style.split()[1] for group in shown.values() for panel in group for style in panel.levels}
    where = "on the same scans and masks" if on_validation else f"on the test scans, where the rule is {results.rule}"
    note = (
        "Each run is judged on the validation scans, under the mask rule it is trained with: compare panels of one rule. "
        f"Thin lines are seeds, the thick one is their mean. Baselines: {where}."
    )
    note += _apart_words(results, runs, " {}: superpatches of its own size, not comparable with the other panels.")
    boxes = ""
    for group, own in shown.items():
        boxes += f"<h3>{html.escape(GROUPS[group])}</h3>" + _boxes(panels(own, "superpatches seen", "dB", 2))
    return f"<p>{html.escape(note)}</p>" + _legend(drawn, seeds=True) + boxes


def error_by_distance(results: Results) -> str:
    """Draws the absolute error in HU by distance to the nearest visible patch, a panel per model; empty without data.

    Models that see the whole input are left out: no patch is distant to them. So are systems judged on superpatches of their own
    size: their distances count other patches.
    """
    found: dict[System, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in results.content.get("by_distance") or ():
        known = row.get("planes", "all") == "all" and row["mae_hu"] is not None and row["dataset"] in results.averaged
        if known and row["evaluation_rule"] == results.rule:
            system = results.system(row["model"], row["training_rule"])
            found[system][row["dataset"]].append((row["distance"], row["mae_hu"]))
    curves = {system: _over_collections(rows) for system, rows in found.items()}
    drawn = [system for system in results.comparable("inpainting") if system in curves]
    if not drawn:
        return ""
    baselines = {system.model: points for system, points in curves.items() if system.group == "baseline"}
    shown = []
    for system in drawn:
        lines = [(f"base {name}", points) for name, points in baselines.items()]
        lines += [("behind", curves[MAESIL])] if MAESIL in curves and system != MAESIL else []
        told = ", ".join(f"distance {distance:g}: {error:.1f} HU" for distance, error in curves[system])
        shown.append(Panel(system.label, [*lines, ("own", curves[system])], {}, told))
    chart = panels(shown, "patches to the nearest visible one", "MAE (HU)", 0, whole_x=True)
    left_out = _apart_words(results, curves, "Left out: {} (superpatches of its own size).")
    return (f"<p>{html.escape(left_out)}</p>" if left_out else "") + _legend(baselines, seeds=False) + _boxes(chart)


def differences(results: Results) -> str:
    """Draws the paired differences to MAESIL in PSNR, SSIM and LPIPS, of systems judged on the same superpatches."""
    charts = []
    for key, region in JUDGED:
        metric, rows = METRICS[key], []
        name = quantity_words(metric, region)
        for system in results.comparable("inpainting", "baseline"):
            value = results.find(system, key, region)
            if system == MAESIL or value is None or value.difference is None:
                continue
            low = value.difference if value.difference_low is None else value.difference_low
            high = value.difference if value.difference_high is None else value.difference_high
            sign = value.sign * (1 if metric.higher_better else -1)
            words = f"{metric.text(value.difference, True)} {interval_text(metric, value, difference=True)}".strip()
            style = {1: "good", -1: "bad"}.get(sign, "open")
            rows.append(IntervalRow(system.label, value.difference, low, high, style, words))
        if rows:
            worse, better = "worse than MAESIL", "better than MAESIL"
            sides = (worse, better) if metric.higher_better else (better, worse)
            unit = f"difference in {metric.label}" + (f" ({metric.unit})" if metric.unit else "")
            chart = forest(f"{name}: differences to MAESIL", rows, unit, *sides)
            charts.append(f"<figure><figcaption>{html.escape(name)}</figcaption>{chart}</figure>")
    return f'<div class="charts rows">{"".join(charts)}</div>' if charts else ""


def _headline_psnr(results: Results) -> Iterable[tuple[System, float]]:
    for system in results.of_group("baseline"):
        found = results.find(system, "psnr")
        if found is not None and found.mean is not None:
            yield system, found.mean


def _apart_words(results: Results, systems: Iterable[System], words: str) -> str:
    """Puts those judged on superpatches of their own size into a sentence; empty if there is none."""
    apart = sorted((system for system in systems if not results.shares_superpatches(system)), key=lambda system: system.order)
    return words.format(", ".join(system.label for system in apart)) if apart else ""


def _points(xs: Sequence[float], ys: Sequence[float | None]) -> Points:
    return [(float(x), math.nan if y is None else float(y)) for x, y in zip(xs, ys, strict=True)]


def _mean_line(runs: Sequence[Points]) -> Points:
    """Averages seeds at the places that all of them have."""
    tables = [dict(points) for points in runs]
    shared = sorted(set.intersection(*(set(table) for table in tables))) if tables else []
    return [(x, math.fsum(table[x] for table in tables) / len(tables)) for x in shared]


def _over_collections(rows: Mapping[str, list[tuple[float, float]]]) -> Points:
    """Averages over collections, each counting once at each distance it has."""
    at: dict[float, list[float]] = defaultdict(list)
    for points in rows.values():
        for distance, error in points:
            at[distance].append(error)
    return [(distance, fmean(errors)) for distance, errors in sorted(at.items())]


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if isinstance(value, (int, float))}


def _boxes(figures: str) -> str:
    return f'<div class="charts small">{figures}</div>'


def _legend(baselines: Iterable[str], seeds: bool) -> str:
    entries = [("own", "the model named above the panel"), ("behind", MAESIL.label)]
    entries += [("seed", "single seeds")] if seeds else []
    entries += [(f"base {name}", label) for name, label in BASELINES.items() if name in set(baselines)]
    samples = "".join(
        f'<span class="entry"><svg class="sample" viewBox="0 0 26 8" aria-hidden="true"><line class="{style}" x1="0" x2="26" '
        f'y1="4" y2="4"/></svg>{html.escape(label)}</span>'
        for style, label in entries
    )
    return f'<p class="legend">{samples}</p>'
