"""The tables of ``docs/results/comparison``: made from the results that lie beside them, and with every number of those."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import maesil_monai
from maesil_monai.comparison.report import write_report
from maesil_monai.comparison.report.systems import System
from maesil_monai.reports.tables import markdown_text

COMMITTED = Path(maesil_monai.__file__).parents[1] / "docs" / "results" / "comparison"
HEADINGS = {
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "mae_hu": "MAE (HU)",
    "mae_soft_hu": "soft-tissue MAE (HU)",
}
DECIMALS = {"psnr": 2, "ssim": 3, "lpips": 3, "mae_hu": 1, "mae_soft_hu": 1}
# One line of a table: what its first cells are, and the cells below the other headings.
Lines = dict[tuple[str, ...], dict[str, str]]

pytestmark = pytest.mark.skipif(not COMMITTED.is_dir(), reason="installed without docs")


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return json.loads(gzip.decompress((COMMITTED / "results.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def folder(content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("committed")
    (folder / "results.json").write_text(json.dumps(content))
    write_report(folder)
    return folder


def _tables(chapter: str) -> Iterator[list[dict[str, str]]]:
    """Reads the tables of a chapter, each as its lines by heading; marks and bold are left out."""
    for block in chapter.split("\n\n"):
        if block.startswith("| "):
            for mark in ("**", " `v`", " `b`", " `!`"):
                block = block.replace(mark, "")
            head, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines())
            yield [dict(zip(head, line, strict=True)) for line in lines]


def _lines(text: str, caption: str, *names: str) -> tuple[Lines, Lines]:
    """Finds a table and the differences below it, by the cells under some headings."""
    (chapter,) = [part for part in text.split("\n## ") if part.startswith(caption)]
    found = [{tuple(line.get(name, "") for name in names): line for line in table} for table in _tables(chapter)]
    return found[0], found[1] if len(found) > 1 else {}


def _number(row: dict[str, Any]) -> str:
    """Writes a mean and its interval as a reader expects it."""
    decimals = DECIMALS[row["metric"]]
    interval = "n = 1" if row["low"] is None else f"[{row['low']:.{decimals}f}, {row['high']:.{decimals}f}]"
    return f"{row['mean']:.{decimals}f} {interval}"


def _difference(row: dict[str, Any]) -> str:
    """Writes the difference to MAESIL, its interval, and what it says; ``+ 0.0`` takes the sign from a zero."""
    values = [row[key] for key in ("difference", "difference_low", "difference_high")]
    if values[0] is None:
        return "-"
    told = [
        f"{round(value, DECIMALS[row['metric']]) + 0.0:+.{DECIMALS[row['metric']]}f}" for value in values if value is not None
    ]
    if len(told) == 1:
        return told[0]
    gains = [value if row["metric"] in ("psnr", "ssim") else -value for value in values[1:]]
    said = " better" if min(gains) > 0 else " worse" if max(gains) < 0 else ""
    return f"{told[0]} [{told[1]}, {told[2]}]{said}"


def _label(row: dict[str, Any]) -> str:
    return markdown_text(System(row["model"], row["training_rule"]).label)


def test_every_number_of_the_results_in_our_protocol_stands_in_its_cell(folder: Path, content: dict[str, Any]) -> None:
    text = (folder / "table2.md").read_text()
    checked = 0
    for row in content["rows"]:
        region = (row["region"], row["metric"])
        shown = (region[0] == "hidden_body" and row["metric"] in HEADINGS) or region == ("hidden", "psnr")
        if shown and row["evaluation_rule"] == "total":
            dataset = "mean over collections" if row["dataset"] == "unified" else row["dataset"]
            scores, differences = _lines(text, f"Table II in our protocol, {dataset} (", "model (training rule)")
            heading = HEADINGS[row["metric"]] if row["region"] == "hidden_body" else "PSNR of all hidden voxels (dB)"
            name = (_label(row),)
            assert len(differences) == 10 + 4  # what inpaints, without MAESIL itself, and the baselines
            assert scores[name][heading] == _number(row)
            if System(row["model"], row["training_rule"]).group in ("inpainting", "baseline") and name in differences:
                assert differences[name][heading] == _difference(row)
            checked += 1
    # 20 systems, 6 columns, 5 collections and their mean.
    assert checked == 20 * 6 * 6


def test_every_number_of_the_other_tables_is_that_of_the_results(folder: Path, content: dict[str, Any]) -> None:
    text, third = (folder / "table2.md").read_text(), (folder / "table3.md").read_text()
    rows = {(_label(row), row["evaluation_rule"], row["dataset"], row["region"], row["metric"]): row for row in content["rows"]}
    rules, differences = _lines(text, "Training rule by evaluation rule", "model (training rule)")
    assert len(rules) == 11
    for (name,), line in rules.items():
        for rule in ("random", "plane", "axis", "total", "union"):
            row = rows[name, rule, "unified", "hidden_body", "psnr"]
            assert line[rule] == _number(row)
            assert name == "MAESIL (total)" or differences[name,][rule] == _difference(row)
    for dataset in ("unified", "openkbp", "sts", "abdomen", "lidc", "totalsegmentator"):
        told = "mean over collections" if dataset == "unified" else dataset
        papers, _ = _lines(text, f"Table II in the paper's protocol, {told} (", "model (training rule)", "region")
        kept = {key: line for key, line in papers.items() if key[1]}  # headings of groups have none
        assert len(kept) == 3 + 5 * 2 + 3  # MAESIL, what else inpaints and is the paper's, what sees all
        for (name, region), line in kept.items():
            system = name.replace(" (total), trained with the loss on all voxels", r", loss\_on\_all=true (total)")
            for metric in ("psnr", "ssim", "lpips"):
                assert line[HEADINGS[metric]] == _number(rows[system, "total", dataset, region, metric])
        (collections,) = _tables(third)
        (line,) = [line for line in collections if line["collection"].startswith(told)]
        assert line[r"our protocol: hidden\_body"] == _number(rows["MAESIL (total)", "total", dataset, "hidden_body", "psnr"])
        assert line["paper's protocol: pasted"] == _number(rows["MAESIL (total)", "total", dataset, "pasted", "psnr"])
        assert line["paper's protocol: hidden"] == _number(rows["MAESIL (total)", "total", dataset, "hidden", "psnr"])


@pytest.mark.parametrize("name", ["table2.md", "table3.md"])
def test_the_committed_tables_are_those_of_the_committed_results(folder: Path, name: str) -> None:
    assert (folder / name).read_text() == (COMMITTED / name).read_text()
