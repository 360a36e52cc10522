"""Tables II and III in our protocol and in the paper's, and the matrix of training rule by evaluation rule.

The two protocols stand in tables of their own and are never averaged into one another.

Source: MAESIL tables II and III.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from maesil_monai.comparison.report.cells import NO_ROW, best_of, name_cell, ranked, score_cell, value_cell
from maesil_monai.comparison.report.how_it_was_made import patch_sizes
from maesil_monai.comparison.report.legend import WORSE
from maesil_monai.comparison.report.results_file import UNIFIED, Results
from maesil_monai.comparison.report.shown_metrics import ALL_HIDDEN, HEADLINE_REGION, METRICS, RANKED
from maesil_monai.comparison.report.systems import (
    GROUPS,
    MAESIL,
    MAESIL_LOSS_ON_ALL,
    PAPER_TABLE_2,
    PAPER_TABLE_3,
    System,
)
from maesil_monai.reports.tables import Cell, Row, Table

_PSNR = METRICS["psnr"]
_PAPER_REGIONS = ("pasted", "full", "hidden")
_PAPER_NOTE = (
    "The paper's numbers are printed as it gives them: from other data, without a stated window, region, split or bottleneck. "
    "They stand here for orientation, not for comparison."
)
_REGIONS_NOTE = (
    "pasted: visible voxels are copied from the input and count as right. full: raw output everywhere, of networks that are "
    "trained on visible voxels, too. hidden: hidden patches only."
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
    columns = [*((metric, HEADLINE_REGION) for metric in METRICS.values()), (_PSNR, ALL_HIDDEN)]
    rows = []
    for system, group in _grouped(results.systems):
        cells = [score_cell(results, system, metric, region, dataset) for metric, region in columns]
        look = "loses" if WORSE in cells[0].marks else "own" if system == MAESIL else ""
        facts = _facts(results, system, dataset)
        rows.append(Row([name_cell(results, system), *cells, _against(results, system, dataset), *facts], look, group))
    head = ["model (training rule)", *(metric.heading(region) for metric, region in columns), "PSNR against the best baseline"]
    head += ["patients", "seeds", "parameters", "latents per voxel"]
    notes = [
        "Columns are of hidden_body where they do not say otherwise. Over all hidden voxels, tissue painted into air counts."
    ]
    return Table(f"Table II in our protocol, {results.dataset_words(dataset)}", head, rows, notes)


def table2_paper(results: Results, dataset: str) -> Table:
    """Table II as the paper does it: autoencoders see the whole input, MAESIL is reported three ways.

    Raw output means nothing at visible voxels where the loss was on hidden ones only: MAESIL's ``full`` is another training, with
    the loss on all voxels, and the others that inpaint have none. The paper's own numbers, of its unified set, stand beside the
    headline's collections alone.

    MAESIL's variants, masked autoencoders and baselines are not the paper's: :func:`table2_ours` has them.
    """
    listed = [
        system
        for system in results.of_group("inpainting", "whole")
        if not system.is_masked_autoencoder
        and (system == MAESIL or system.base != MAESIL.model)
        and any(results.find(system, "psnr", region, dataset) for region in _PAPER_REGIONS)
    ]
    cites = dataset == results.headline_dataset
    # Once for each family: at 1/64 where that was compared, for the paper does not give its bottleneck.
    cited: dict[str, System] = {}
    for system in sorted(listed, key=lambda system: system.base != _family(system)):
        cited.setdefault(_family(system), system)
    rows = []
    for system, group in _grouped(listed):
        paper = PAPER_TABLE_2.get(_family(system), {}) if cited[_family(system)] == system else {}
        for measured, region in _ways(system):
            found = [results.find(measured, key, region, dataset) for key in RANKED]
            if not any(found) and measured == system:
                continue
            name = name_cell(results, system) if measured == system else Cell(f"{system.label}, {_LOSS_ON_ALL}", number=False)
            values = [value_cell(results, METRICS[key], value, region) for key, value in zip(RANKED, found, strict=True)]
            published = [Cell(f"{paper[key]:g}" if paper else NO_ROW) for key in RANKED if cites]
            cells = [name, Cell(region, number=False), *values, *published]
            rows.append(Row(cells, "own" if system == MAESIL else "", group))
            group, paper = "", {}
    metrics = [METRICS[key] for key in RANKED]
    head = ["model (training rule)", "region", *(metric.heading() for metric in metrics)]
    head += [f"the paper's {metric.label}" for metric in metrics if cites]
    notes = [_REGIONS_NOTE, *_full_notes(results), *([_PAPER_NOTE] if cites else [])]
    return Table(f"Table II in the paper's protocol, {results.dataset_words(dataset)}", head, rows, notes)


def table3(results: Results) -> Table:
    """Table III: PSNR of MAESIL per collection, in both protocols, beside the best baseline's and the paper's."""
    rows = []
    for dataset in results.datasets:
        ours, *papers = (
            value_cell(results, _PSNR, results.find(system, "psnr", region, dataset), region)
            for system, region in ((MAESIL, HEADLINE_REGION), *_ways(MAESIL))
        )
        best = best_of(results, _PSNR, "baseline", dataset=dataset)
        trivial = Cell(_PSNR.text(best[1].mean or 0.0), words=best[0].label) if best else Cell(NO_ROW)
        published = next((v for name, v in PAPER_TABLE_3.items() if dataset.lower().replace("-", "").startswith(name)), None)
        paper = PAPER_TABLE_2["maesil"]["psnr"] if dataset == UNIFIED else published
        last = Cell(NO_ROW if paper is None else _PSNR.text(paper))
        name = Cell(results.dataset_words(dataset), number=False)
        rows.append(Row([name, ours, trivial, *papers, last], "own" if dataset == UNIFIED else ""))
    head = (
        "collection",
        "our protocol: hidden_body",
        "best baseline: hidden_body",
        *(f"paper's protocol: {region}" + ("" if system == MAESIL else f", {_LOSS_ON_ALL}") for system, region in _ways(MAESIL)),
        "the paper's number",
    )
    listed = ", ".join(f"{name} {_PSNR.text(value)}" for name, value in PAPER_TABLE_3.items())
    told = f"The paper reports {listed} dB, and 30.28 dB for its unified set, which is no mean of these."
    notes = [*patch_sizes(results), *_full_notes(results), told, _PAPER_NOTE]
    return Table(f"Table III: PSNR of {MAESIL.label} in dB per collection", head, rows, notes)


def matrix(results: Results) -> Table:
    """Training rule by evaluation rule: PSNR on ``hidden_body``; empty if there is one evaluation rule only."""
    rules = results.evaluation_rules
    systems = [system for system in results.comparable("inpainting") if system.training_rule]
    first = {rule: next((system for system, _ in ranked(results, _PSNR, systems, rule=rule)), None) for rule in rules}
    rows = []
    for system in systems:
        values = [results.find(system, "psnr", rule=rule) for rule in rules]
        if sum(value is not None for value in values) < 2:
            continue  # judged under one rule only: Table II has it
        cells = [
            replace(value_cell(results, _PSNR, value, compared=True), best=first[rule] == system)
            for rule, value in zip(rules, values, strict=True)
        ]
        rows.append(Row([name_cell(results, system), *cells], "own" if system == MAESIL else ""))
    caption = f"Training rule by evaluation rule: PSNR in dB on hidden_body, {results.dataset_words(results.headline_dataset)}"
    notes = ["Columns differ in how much they hide: compare within a column only."]
    return Table(caption, ("model (training rule)", *rules), rows, notes)


def _grouped(systems: Iterable[System]) -> Iterator[tuple[System, str]]:
    """Gives each system with the name of its group where that starts, else with an empty one."""
    group = ""
    for system in systems:
        yield system, "" if system.group == group else GROUPS[system.group]
        group = system.group


def _family(system: System) -> str:
    """Names what the paper calls it, whatever the bottleneck: ``ae`` of ``ae_512``."""
    return system.autoencoder[0] if system.group == "whole" and system.autoencoder[0] else system.base


def _ways(system: System) -> list[tuple[System, str]]:
    """Gives the regions in which a system is reported in the paper's protocol, each with the system that it is measured of."""
    if system.group == "whole":
        return [(system, "full")]
    if system == MAESIL:
        return [(MAESIL_LOSS_ON_ALL if region == "full" else MAESIL, region) for region in _PAPER_REGIONS]
    return [(system, region) for region in _PAPER_REGIONS if region != "full" or system.has_loss_on_all]


def _full_notes(results: Results) -> list[str]:
    return [_NO_LOSS_ON_ALL] if MAESIL in results.systems and MAESIL_LOSS_ON_ALL not in results.systems else []


def _against(results: Results, system: System, dataset: str) -> Cell:
    """Makes the cell of the distance in PSNR to the best baseline; MAESIL's is paired, so it has an interval."""
    best, found = best_of(results, _PSNR, "baseline", dataset=dataset), results.find(system, "psnr", dataset=dataset)
    compared = results.shares_superpatches(system) and system.group != "constant"
    if best is None or found is None or found.mean is None or not compared:
        return Cell(NO_ROW)
    low, high = best[1].difference_low, best[1].difference_high  # of the baseline minus MAESIL
    paired = system == MAESIL and low is not None and high is not None
    interval = _PSNR.interval(-high, -low, sign=True) if paired else ""  # type: ignore[operator]
    return Cell(_PSNR.text(found.mean - (best[1].mean or 0.0), sign=True), interval)


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
