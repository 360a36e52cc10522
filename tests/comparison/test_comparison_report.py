"""The report of a comparison: right numbers, nothing hidden, a page that is whole and loads nothing."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_comparison import BASELINE_PSNR, MODELS, make_up_comparison

from maesil_monai.comparison.report import write_report
from maesil_monai.comparison.report.read_cases import read_cases
from maesil_monai.comparison.report.results_file import Results
from maesil_monai.comparison.report.standing_table import standing_table
from maesil_monai.comparison.report.systems import MAESIL, System
from maesil_monai.reports.tables import markdown_text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of 18 models and 4 baselines on two collections, with the superpatches of two cases, and its report."""
    folder = tmp_path_factory.mktemp("comparison")
    make_up_comparison(folder, size=32)
    assert [file.name for file in write_report(folder)] == ["table2.md", "table3.md", "report.html"]
    return folder


@pytest.fixture(scope="module")
def content(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


def _lines(text: str, start: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith(f"| {start}")]


def _row(text: str, start: str, number: int = 0) -> list[str]:
    return _lines(text, start)[number]


def test_a_cell_holds_the_mean_the_interval_and_whether_a_baseline_does_better(folder: Path) -> None:
    text = (folder / "table2.md").read_text()
    # The first table with a row of this name is our protocol over both collections.
    assert _row(text, r"MAESIL (total)")[1:6] == [
        "**13.42** [12.52, 14.32]",
        "**0.468** [0.438, 0.498]",
        "not measured",
        "**279.2** [259.2, 299.2]",
        "**96.3** [90.3, 102.3]",
    ]
    assert _row(text, r"MAESIL (total)")[6:] == [
        "**19.22** [18.32, 20.12]",
        "+2.98 [+2.78, +3.18]",
        "20",
        "0, 1, 2",
        "3,349,376",
        "-",
    ]
    # 9.10 - 10.44 of the mean training volume, the best baseline.
    medmae = _row(text, "MedMAE, slices (plane)")
    assert medmae[1] == "9.10 `v` [8.20, 10.00]"
    assert medmae[6] == "14.90 `v` [14.00, 15.80]"
    assert medmae[7] == "-1.34"
    assert [place for place, cell in enumerate(medmae) if "`v`" in cell] == [1, 2, 4, 5, 6]
    assert _row(text, "mean training volume")[1] == "10.44 `b` [9.54, 11.34]"
    assert _row(text, "mean training volume")[7:10] == ["+0.00", "20", "-"]
    assert _row(text, "AE 1/8")[-1] == "1/8"
    assert text.count("`v`: worse than the best baseline") == 1
    assert text.count("LPIPS not measured where a cell says so: no backbone weights; set MAESIL\\_LPIPS\\_WEIGHTS") == 1


def test_all_systems_and_baselines_stand_in_one_table(folder: Path) -> None:
    first = (folder / "table2.md").read_text().split("## ")[2].split("Difference to MAESIL")[0]
    names = {row[0] for row in _lines(first, "")}
    results = Results.read(folder / "results.json")
    names = {name.removesuffix(" `*`") for name in names}  # a mark, with a note
    assert {markdown_text(system.label) for system in results.systems} <= names
    assert len(results.systems) == len(MODELS) + len(BASELINE_PSNR)


def test_differences_to_maesil_are_shown_for_what_inpaints_and_not_for_what_sees_everything(folder: Path) -> None:
    differences = (folder / "table2.md").read_text().split("paired over patients:")[2].split("##")[0]
    assert _row(differences, "MAE (random)")[1:4] == [
        "-0.81 [-1.01, -0.61] worse",
        "-0.016 [-0.020, -0.012] worse",
        "+7.3 [+5.5, +9.1] worse",  # HU, of which fewer are better
    ]
    assert _row(differences, "Hi-End-MAE (random)")[1] == "-0.07 [-0.27, +0.13]"
    assert not _lines(differences, "AE 1/64 ")
    assert not _lines(differences, "MAESIL (total)")


def test_the_papers_protocol_has_three_ways_for_maesil_one_for_an_autoencoder_and_the_papers_numbers_apart(folder: Path) -> None:
    _, paper, of_one_collection, _ = (folder / "table2.md").read_text().split("## Table II in the paper's protocol")
    rows = [row[1:] for row in _lines(paper, "MAESIL (total)")]
    # 13.42 dB and what the made-up regions add: 7.1 pasted, 5.8 hidden; full is 13.10 + 1.9 of the loss on all voxels.
    assert [row[:2] for row in rows] == [
        ["pasted", "20.52 [19.62, 21.42]"],
        ["full", "15.00 [14.10, 15.90]"],
        ["hidden", "19.22 [18.32, 20.12]"],
    ]
    assert [row[4:] for row in rows] == [["30.28", "0.98", "0.26"], ["-"] * 3, ["-"] * 3]
    assert [row[1] for row in _lines(paper, "VQ-VAE 1/64 ")] == ["full"]
    assert _row(paper, "VQ-VAE 1/64 ")[-3:] == ["20.04", "0.88", "0.49"]
    assert [row[5] for row in _lines(paper, "AE 1/")[:3]] == ["-", "25.23", "-"]  # at 1/64 alone
    assert {len(row) for row in _lines(of_one_collection, "MAESIL (total)")} == {5}  # no number of the paper's
    assert not any("masked" in row[0] or "union" in row[0] for row in _lines(paper, ""))


def test_table_3_keeps_the_protocols_and_the_papers_numbers_apart(folder: Path) -> None:
    text = (folder / "table3.md").read_text()
    assert _row(text, "openkbp (12 patients)")[1:] == [
        "14.52 [13.62, 15.42]",
        "11.54 mean training volume",
        "21.62 [20.72, 22.52]",
        "16.10 [15.20, 17.00]",
        "20.32 [19.42, 21.22]",
        "-",
    ]
    assert "btcv 32.09, lidc 22.58, totalsegmentator 18.72" in text


def test_the_matrix_marks_the_best_training_rule_under_each_evaluation_rule(folder: Path) -> None:
    rules = (folder / "table2.md").read_text().split("## Training rule by evaluation rule")[1]
    assert _lines(rules, "model")[0][1:] == ["random", "plane", "axis", "total", "union"]
    # The made-up bonus is 0.4 where rules agree and -0.3 under union: 13.36 + 0.4 - 0.3 beats 13.42 - 0.3.
    assert _row(rules, "MAESIL (union)")[5].startswith("**13.46**")
    assert _row(rules, "MAESIL (total)")[5].startswith("13.12")
    assert not _lines(rules.split("##")[0], "MAE (random)")  # judged under one rule only


def test_nothing_measured_nothing_defined_one_patient_and_no_row_read_differently(
    content: dict[str, Any], tmp_path: Path
) -> None:
    rows = [
        dict(row) for row in content["rows"] if row["dataset"] != "sts" and row["model"] in ("maesil", "ae", "mean_of_visible")
    ]
    for row in rows:
        if row["dataset"] == "openkbp":
            row |= {"num_patients": 1, "low": None, "high": None, "difference_low": None, "difference_high": None}
            if row["metric"] == "mae_soft_hu":
                row["mean"] = None
    rows = [row for row in rows if not (row["model"] == "ae" and row["metric"] == "ssim")]
    (tmp_path / "results.json").write_text(json.dumps({**content, "rows": rows}))
    write_report(tmp_path)
    text = (tmp_path / "table2.md").read_text().split("openkbp (n = 1: one patient, no interval)")[1]
    assert _row(text, "MAESIL (total)")[1:6] == [
        "**14.52** n = 1",
        "**0.490** n = 1",
        "not measured",
        "**269.3** n = 1",
        "not defined",
    ]
    assert _row(text, "AE 1/64 ")[2] == "-"
    assert "Figure 3" not in (tmp_path / "report.html").read_text()  # no superpatch was kept


def test_what_cannot_be_reported_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"run compare first.*results\.json"):
        write_report(tmp_path)
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(ValueError, match=r"results\.json is not JSON .*Run compare again"):
        write_report(tmp_path)
    (tmp_path / "results.json").write_text('{"rows": []}')
    with pytest.raises(ValueError, match="holds no rows"):
        write_report(tmp_path)
    (tmp_path / "results.json").write_text('{"rows": [{"model": "ae"}]}')
    with pytest.raises(ValueError, match="row 0 has no 'training_rule'"):
        write_report(tmp_path)


def test_reconstructions_that_do_not_fit_or_are_not_defined_are_left_out(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(folder / "figures", tmp_path / "figures")
    np.savez(tmp_path / "figures/maesil@total/pt_7.npz", reconstruction=np.zeros((8, 8, 8), np.float16))
    undefined, mean = System("mean_training_volume", None), System("mean_of_visible", None)
    (tmp_path / "figures/mean_training_volume").mkdir()
    (tmp_path / "figures/mean_of_visible").mkdir()
    np.savez(tmp_path / "figures/mean_training_volume/pt_7.npz", reconstruction=np.full((32, 32, 32), np.nan, np.float16))
    np.savez(tmp_path / "figures/mean_of_visible/pt_7.npz", reconstruction=np.zeros((32, 32, 32), np.float16))
    cases = read_cases(tmp_path / "figures", [MAESIL, undefined, mean], (-1000.0, 1000.0))
    assert [list(case.reconstructions) for case in cases] == [[mean.label], [MAESIL.label]]
    assert "maesil@total/pt_7.npz: shape (8, 8, 8), expected (32, 32, 32): left out" in caplog.text


def test_another_headline_rule_and_a_strange_model_that_sees_everything_are_taken_as_they_are(content: dict[str, Any]) -> None:
    rows = [{**row, "model": "unet", "training_rule": "plane"} for row in content["rows"] if row["model"] == "ae_8"]
    models = {**content["models"], "unet": {"parameters": 7, "sees_input": True}}
    settings = {**content["settings"], "headline_rule": "union"}
    results = Results({**content, "rows": content["rows"] + rows, "models": models, "settings": settings})
    assert results.system("unet", "plane").group == "whole"
    assert results.find(MAESIL, "psnr").mean == pytest.approx(13.42 - 0.3)  # type: ignore[union-attr]
    # The others were not judged under union, nor were the baselines.
    _, own, place, first, baseline = standing_table(results).rows[0].cells
    assert (first.words, own.text, own.interval) == ("MAESIL (total)", "13.12", "[12.22, 14.02]")
    assert (place.text, baseline.text) == ("1 of 1", "-")


class _Shape(HTMLParser):
    """Checks that every element is closed in order, and gathers headings and what elements point to."""

    VOID = ("meta", "img", "input", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.targets: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.targets |= {str(value)[:22] for name, value in attrs if name in ("src", "href", "action", "data", "poster")}

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("path", "rect", "use")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def test_the_page_is_well_formed_whole_and_loads_nothing(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    shape = _Shape()
    shape.feed(page)
    assert not shape.open
    assert shape.headings == [
        "Where MAESIL stands",
        "Table II, our protocol",
        "Differences to MAESIL",
        "Training rule by evaluation rule",
        "Table II, the paper's protocol",
        "Table III",
        "Training curves",
        "Error by distance to what was seen",
        "Blockiness",
        "Figure 3, every model",
        "Viewer",
        "How this was made",
    ]
    assert {target for target in shape.targets if not target.startswith("#")} == {"data:image/png;base64,"}
    assert not re.search(
        r"https?:|//[a-z]|<link|@import|url\(", re.sub(r'base64,[^"]*|<script type="text/plain".*?</script>', "", page)
    )
    assert "default-src 'none'" in page
    assert "planes of the hidden block" in page
    assert page.count('<tr class="loses">') == 3  # MedMAE, in the tables of both collections and of their mean


def test_text_from_outside_is_escaped_everywhere(content: dict[str, Any], tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>|*"
    text = json.dumps(content).replace('"sts"', json.dumps(evil)).replace('"medmae"', json.dumps(evil + "m"))
    (tmp_path / "results.json").write_text(text.replace("no backbone", json.dumps(evil)[1:-1]))
    make_up_comparison(tmp_path / "other", size=32)
    shutil.move(tmp_path / "other/figures", tmp_path / "figures")
    name = np.load(tmp_path / "figures/pt_7.npz")
    np.savez(tmp_path / "figures/pt_7.npz", **{**name, "dataset": evil})
    files = write_report(tmp_path)
    page = files[2].read_text()
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert page.count("<script>") == 1
    assert not re.search(r"(?<!\\)<script>|[^\\]\|\*", files[0].read_text())
