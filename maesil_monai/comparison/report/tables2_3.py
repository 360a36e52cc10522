"""Tables II and III in our protocol and in the paper's, and the matrix of training rule by evaluation rule.

The two protocols stand in tables of their own and are never averaged into one another.

Source: MAESIL tables II and III.
"""

from __future__ import annotations

from collections.abc import Sequence

from maesil_monai.comparison.report.measured_cells import NO_ROW, apart_notes, name_cell, reasons, value_cell
from maesil_monai.comparison.report.results import HEADLINE_REGION, UNIFIED, Results
from maesil_monai.comparison.report.settings import patch_sizes
from maesil_monai.comparison.report.standing import best_baseline, best_of, lost_metrics
from maesil_monai.comparison.report.systems import (
    GROUPS,
    MAESIL,
    MAESIL_LOSS_ON_ALL,
    METRICS,
    PAPER_TABLE_2,
    PAPER_TABLE_3,
    Metric,
    System,
)
from maesil_monai.comparison.report.wording import ALL_HIDDEN, RANKED
from maesil_monai.reports.tables import Cell, Row, Table

_PAPER_REGIONS = ("pasted", "full", "hidden")
_PAPER_NOTE = (
    "The paper's numbers are printed as it gives them: from other data, without a stated window, region, split or bottleneck. "
    "They stand here for orientation, not for comparison."
)
_LOSS_ON_ALL = "trained with the loss on all voxels"
_NO_LOSS_ON_ALL = (
    f"full of {MAESIL.label} is measured of a network {_LOSS_ON_ALL}, which is no part of this comparison: "
    f"--models {MAESIL_LOSS_ON_ALL.model}"
)


def table2_ours(results: Results, dataset: str) -> Table:
    """Table II in our protocol: all systems on ``hidden_body`` under rule ``total``, with the distance to the best baseline.

    A column of its own holds PSNR over all hidden voxels, air included.
    """
    metrics = list(METRICS.values())
    columns = [*((metric, HEADLINE_REGION) for metric in metrics), (METRICS["psnr"], ALL_HIDDEN)]
    best = [best_of(results, metric, ("inpainting", "baseline"), dataset, region) for metric, region in columns]
    trivial = best_baseline(results, METRICS["psnr"], dataset)
    rows, group = [], ""
    for system in results.systems:
        losses = {region: lost_metrics(results, system, dataset, region) for region in (HEADLINE_REGION, ALL_HIDDEN)}
        lost = losses[HEADLINE_REGION]
        cells = [name_cell(results, system)]
        compared = system.group in ("inpainting", "baseline") and results.shares_superpatches(system)
        for (metric, region), first in zip(columns, best, strict=True):
            found = results.find(system, metric.key, region, dataset)
            worse = metric in losses[region]
            is_best = first is not None and system == first[0]
            cells.append(value_cell(results, metric, found, region, best=is_best, worse=worse, compared=compared))
        cells += [_against(results, system, trivial, dataset, lost), *_facts(results, system, dataset)]
        loses = any(metric.key == "psnr" for metric in lost)
        mark = "loses" if loses else "own" if system == MAESIL else ""
        rows.append(Row(cells, mark, "" if system.group == group else GROUPS[system.group]))
        group = system.group
    heads = [_heading(metric) for metric in metrics]
    return Table(
        f"Table II in our protocol, {dataset_words(results, dataset)}",
        (
            "model (training rule)",
            *heads,
            "PSNR of all hidden voxels (dB)",
            "PSNR against the best baseline",
            "patients",
            "seeds",
            "parameters",
            "latents per voxel",
        ),
        rows,
        [
            "Bold: the best of those that inpaint, baselines included.",
            "Columns are of hidden_body where they do not say otherwise. Over all hidden voxels, tissue painted into air counts.",
            *apart_notes(results, results.systems),
            *reasons(results, metrics, rows, first=1),
        ],
    )


def table2_paper(results: Results, dataset: str) -> Table:
    """Table II as the paper does it: autoencoders see the whole input, MAESIL is reported three ways.

    Raw output means nothing at visible voxels where the loss was on hidden ones only: MAESIL's ``full`` is another training, with
    the loss on all voxels, and the others that inpaint have none. The paper's own numbers, of its unified set, stand beside the
    headline's collections alone.

    MAESIL's variants, masked autoencoders and baselines are not the paper's: :func:`table2_ours` has them.
    """
    rows, group, cited, listed = [], "", set(), []
    compared = {system.base for system in results.systems}
    cites = dataset == results.headline_dataset
    for system in results.of_group("inpainting", "whole"):
        if system.is_masked_autoencoder or (system != MAESIL and system.base == MAESIL.model):
            continue
        if not any(results.find(system, "psnr", region, dataset) for region in _PAPER_REGIONS):
            continue
        listed.append(system)
        for measured, region in _ways(system):
            found = [results.find(measured, key, region, dataset) for key in RANKED]
            if not any(found) and measured == system:
                continue
            name = name_cell(results, system) if measured == system else Cell(f"{system.label}, {_LOSS_ON_ALL}", number=False)
            cells = [name, Cell(region, number=False)]
            cells += [
                value_cell(results, METRICS[key], value, region, compared=False) for key, value in zip(RANKED, found, strict=True)
            ]
            family = system.base.partition("_")[0] if system.group == "whole" else system.base
            # Once for each: at 1/64 where that was compared, for the paper does not give its bottleneck.
            elsewhere = family in cited or (family in compared and system.base != family)
            paper = {} if elsewhere else PAPER_TABLE_2.get(family, {})
            cited |= {family} if paper else set()
            cells += [Cell(f"{paper[key]:g}" if paper else NO_ROW) for key in RANKED if cites]
            mark = "own" if system == MAESIL else ""
            rows.append(Row(cells, mark, "" if system.group == group else GROUPS[system.group]))
            group = system.group
    metrics = [METRICS[key] for key in RANKED]
    notes = [
        "pasted: visible voxels are copied from the input and count as right. full: raw output everywhere, of networks that are "
        "trained on visible voxels, too. hidden: hidden patches only.",
        *_full_notes(results),
        *apart_notes(results, listed),
        *([_PAPER_NOTE] if cites else []),
        *reasons(results, metrics, rows, first=2, regions=_PAPER_REGIONS),
    ]
    head = ["model (training rule)", "region", *map(_heading, metrics)]
    head += [f"the paper's {metric.label}" for metric in metrics if cites]
    return Table(f"Table II in the paper's protocol, {dataset_words(results, dataset)}", head, rows, notes)


def table3(results: Results) -> Table:
    """Table III: PSNR of MAESIL per collection, in both protocols, beside the best baseline's and the paper's."""
    psnr = METRICS["psnr"]
    rows = []
    for dataset in results.datasets:
        best = best_baseline(results, psnr, dataset)
        ways = ((MAESIL, HEADLINE_REGION), *_ways(MAESIL))
        found = [results.find(system, "psnr", region, dataset) for system, region in ways]
        values = [
            value_cell(results, psnr, value, region, compared=False) for value, (_, region) in zip(found, ways, strict=True)
        ]
        trivial = Cell(psnr.text(best[1]), words=best[0].label) if best else Cell(NO_ROW)
        published = next((v for name, v in PAPER_TABLE_3.items() if dataset.lower().replace("-", "").startswith(name)), None)
        paper = PAPER_TABLE_2["maesil"]["psnr"] if dataset == UNIFIED else published
        cells = [Cell(dataset_words(results, dataset), number=False), values[0], trivial, *values[1:]]
        rows.append(Row([*cells, Cell(NO_ROW if paper is None else psnr.text(paper))], "own" if dataset == UNIFIED else ""))
    head = (
        "collection",
        "our protocol: hidden_body",
        "best baseline: hidden_body",
        *(f"paper's protocol: {region}" + ("" if system == MAESIL else f", {_LOSS_ON_ALL}") for system, region in _ways(MAESIL)),
        "the paper's number",
    )
    listed = ", ".join(f"{name} {psnr.text(value)}" for name, value in PAPER_TABLE_3.items())
    notes = [
        *patch_sizes(results),
        *_full_notes(results),
        f"The paper reports {listed} dB, and 30.28 dB for its unified set, which is no mean of these.",
        _PAPER_NOTE,
    ]
    return Table(f"Table III: PSNR of {MAESIL.label} in dB per collection", head, rows, notes)


def matrix(results: Results) -> Table | None:
    """Training rule by evaluation rule: PSNR on ``hidden_body``; None if there is one evaluation rule only."""
    psnr, rules = METRICS["psnr"], results.evaluation_rules
    systems = [system for system in results.comparable("inpainting") if system.training_rule]
    if len(rules) < 2 or not systems:
        return None
    found = {rule: [results.find(system, "psnr", rule=rule) for system in systems] for rule in rules}
    best = {rule: max((v.mean for v in values if v and v.mean is not None), default=None) for rule, values in found.items()}
    rows = []
    for number, system in enumerate(systems):
        values = [found[rule][number] for rule in rules]
        if sum(value is not None for value in values) < 2:
            continue  # judged under one rule only: Table II has it
        cells = [
            value_cell(results, psnr, value, best=value is not None and value.mean is not None and value.mean == best[rule])
            for rule, value in zip(rules, values, strict=True)
        ]
        rows.append(Row([Cell(system.label, number=False), *cells], "own" if system == MAESIL else ""))
    caption = f"Training rule by evaluation rule: PSNR in dB on hidden_body, {dataset_words(results, results.headline_dataset)}"
    notes = ["Bold: the best under this evaluation rule. Columns differ in how much they hide: compare within a column only."]
    return Table(caption, ("model (training rule)", *rules), rows, notes) if rows else None


def dataset_words(results: Results, dataset: str) -> str:
    """Names a collection with its number of patients."""
    count = results.num_patients(dataset)
    patients = "n = 1: one patient, no interval" if count == 1 else f"{count} patients"
    return f"mean over collections ({patients})" if dataset == UNIFIED else f"{dataset} ({patients})"


def _ways(system: System) -> list[tuple[System, str]]:
    """Gives the regions in which a system is reported in the paper's protocol, each with the system that it is measured of."""
    if system.group == "whole":
        return [(system, "full")]
    if system == MAESIL:
        return [(MAESIL_LOSS_ON_ALL if region == "full" else MAESIL, region) for region in _PAPER_REGIONS]
    return [(system, region) for region in _PAPER_REGIONS if region != "full" or system.has_loss_on_all]


def _full_notes(results: Results) -> list[str]:
    return [_NO_LOSS_ON_ALL] if MAESIL in results.systems and MAESIL_LOSS_ON_ALL not in results.systems else []


def _heading(metric: Metric) -> str:
    return f"{metric.label} ({metric.unit})" if metric.unit else metric.label


def _against(
    results: Results, system: System, trivial: tuple[System, float] | None, dataset: str, lost: Sequence[Metric]
) -> Cell:
    psnr = METRICS["psnr"]
    found = results.find(system, "psnr", dataset=dataset)
    compared = results.shares_superpatches(system) and system.group != "constant"
    if trivial is None or found is None or found.mean is None or not compared:
        return Cell(NO_ROW)
    words = f"loses in {', '.join(metric.label for metric in lost)}" if lost else ""
    return Cell(psnr.text(found.mean - trivial[1], True), words=words, worse=psnr in lost)


def _facts(results: Results, system: System, dataset: str) -> list[Cell]:
    found = results.find(system, "psnr", dataset=dataset)
    parameters = results.fact(system, "parameters")
    latents = system.latents or results.fact(system, "latent_values_per_voxel")
    return [
        Cell(str(found.num_patients) if found else NO_ROW),
        Cell(", ".join(map(str, found.seeds)) if found and found.seeds else NO_ROW),
        Cell(f"{parameters:,}" if parameters is not None else NO_ROW),
        Cell(f"{latents:.3g}" if isinstance(latents, float) else str(latents or NO_ROW)),
    ]
