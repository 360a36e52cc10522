"""What the report of a comparison may set side by side, and what an empty cell of it means."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up_comparison import NO_LPIPS
from made_up_comparison import results as made_up_results

from maesil_monai.comparison.report import write_report
from maesil_monai.comparison.report.charts import blockiness, differences, error_by_distance, training_curves
from maesil_monai.comparison.report.error_by_plane import planes_table
from maesil_monai.comparison.report.how_it_was_made import how
from maesil_monai.comparison.report.legend import OWN_SIZE
from maesil_monai.comparison.report.results_file import Results
from maesil_monai.comparison.report.standing_table import standing_table
from maesil_monai.comparison.report.systems import MAESIL, MAESIL_LOSS_ON_ALL, System
from maesil_monai.comparison.report.tables2_3 import matrix, table2_ours, table2_paper, table3
from maesil_monai.reports.tables import Row, Table

Content = dict[str, Any]
OWN_SIZES = "Hi-End-MAE, own sizes (random)"
TO_RUN = "--models maesil+loss_on_all=true"


@pytest.fixture
def content() -> Content:
    return copy.deepcopy(made_up_results())


def _change(content: Content, fits: Callable[[Content], bool], **values: Any) -> Content:
    for row in filter(fits, content["rows"]):
        row |= values
    return content


def _without(content: Content, *models: str) -> Content:
    return {**content, "rows": [row for row in content["rows"] if row["model"] not in models]}


def _lines(table: Table, name: str) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in table.rows if row.cells[0].text.startswith(name)]


def _row(table: Table, name: str) -> Row:
    return next(row for row in table.rows if row.cells[0].text.startswith(name))


def _notes(table: Table) -> str:
    return "\n".join(table.notes)


def test_full_is_maesils_of_the_training_with_the_loss_on_all_voxels_and_other_inpainters_have_none(content: Content) -> None:
    other = [{**row, "model": "hi_end_mae+loss_on_all=true"} for row in content["rows"] if row["model"] == "hi_end_mae"]
    results = Results({**content, "rows": [*content["rows"], *other]})
    table = table2_paper(results, "unified")
    # 13.42 dB of MAESIL, 13.10 of the other training; regions add 7.1, 1.9 and 5.8.
    assert [row[:3] for row in _lines(table, "MAESIL")] == [
        ["MAESIL (total)", "pasted", "20.52"],
        ["MAESIL (total), trained with the loss on all voxels", "full", "15.00"],
        ["MAESIL (total)", "hidden", "19.22"],
    ]
    assert [row[1] for row in _lines(table, "MAE (random)")] == ["pasted", "hidden"]
    assert [row[1] for row in _lines(table, "MedMAE")] == ["pasted", "hidden"]
    assert [row[1] for row in _lines(table, "Hi-End-MAE, loss_on_all=true")] == ["pasted", "full", "hidden"]
    assert [row[1] for row in _lines(table, "VQ-VAE 1/64")] == ["full"]
    third = table3(results)
    assert third.head[4] == "paper's protocol: full, trained with the loss on all voxels"
    assert [row[4] for row in _lines(third, "mean over collections")] == ["15.00"]
    assert not any(cell.difference for row in third.rows for cell in row.cells)
    assert TO_RUN not in _notes(table) + _notes(third)


def test_without_that_training_full_is_a_dash_and_a_note_says_what_to_run(content: Content) -> None:
    results = Results(_without(content, MAESIL_LOSS_ON_ALL.model))
    table, third = table2_paper(results, "unified"), table3(results)
    assert [row[2] for row in _lines(table, "MAESIL")] == ["20.52", "-", "19.22"]
    assert [row[4] for row in _lines(third, "mean over collections")] == ["-"]
    assert TO_RUN in _notes(table)
    assert TO_RUN in _notes(third)


def test_the_papers_numbers_stand_once_at_the_first_bottleneck_where_its_likely_one_was_not_compared(content: Content) -> None:
    for models, shown in (((), "AE 1/64"), (("ae",), "AE 1/8"), (("ae", "ae_8"), "AE 1/512")):
        table = table2_paper(Results(_without(content, *models)), "unified")
        assert [line[0] for line in _lines(table, "AE ") if line[-3:] == ["25.23", "0.97", "0.39"]] == [shown]


def test_what_was_judged_on_other_superpatches_is_neither_first_nor_counted(content: Content) -> None:
    content["models"][MAESIL_LOSS_ON_ALL.model]["same_superpatches"] = False
    for mean in (40.0, 1.0):  # above all others, then below all baselines
        results = Results(_change(content, lambda row: row["model"] == "hi_end_mae_paper", mean=mean))
        _, _, place, first, _ = standing_table(results).rows[0].cells
        # MAESIL, MAE, Hi-End-MAE, MedMAE and three masked autoencoders.
        assert (first.words, place.text) == ("MAESIL (total)", "1 of 7")
        rows = {row.cells[0].text: row for row in table2_ours(results, "unified").rows}
        assert [name for name, row in rows.items() if row.cells[0].marks] == [
            "MAESIL, loss_on_all=true (total)",
            "Hi-End-MAE, own sizes (random)",
        ]
        assert [name for name, row in rows.items() if row.look == "loses"] == ["MedMAE, slices (plane)"]


@pytest.mark.parametrize("mean", [40.0, 1.0])
def test_what_was_judged_on_other_superpatches_is_marked_and_not_measured_against_anything(content: Content, mean: float) -> None:
    chosen = {"mean": mean, "difference": 9.0, "difference_low": 8.0, "difference_high": 10.0}
    results = Results(_change(content, lambda row: row["model"] == "hi_end_mae_paper" and row["metric"] == "psnr", **chosen))
    table = table2_ours(results, "unified")
    row = _row(table, OWN_SIZES)
    assert list(row.cells[0].marks) == [OWN_SIZE]
    assert row.cells[1].text == f"{mean:.2f}"
    assert row.cells[7].text == "-"  # PSNR against the best baseline
    assert row.look == ""
    assert not any(cell.best or cell.marks or cell.difference for cell in row.cells[1:])
    assert _row(table, MAESIL.label).cells[1].best
    assert table.markdown().count(OWN_SIZES) == 1  # not in the table of differences
    assert f"| {OWN_SIZES} `*` |" in table.markdown()
    paper = table2_paper(results, "unified")
    assert [list(row.cells[0].marks) for row in paper.rows if row.cells[0].text == OWN_SIZES] == [[OWN_SIZE]] * 2
    rules = matrix(results)
    assert not _lines(rules, OWN_SIZES)
    assert [cell.text for cell in _row(rules, "MAESIL (union)").cells if cell.best] == ["13.46"]


def test_what_was_judged_on_other_superpatches_is_drawn_beside_no_other(content: Content) -> None:
    _change(content, lambda row: row["model"] == "hi_end_mae_paper", difference=1.0, difference_low=0.5, difference_high=2.0)
    for entry in (*content["rows"], *content["by_distance"], *content["curves"]):
        if entry["model"] == "hi_end_mae_paper":
            entry["training_rule"] = "total"  # MAESIL's, so that MAESIL would stand behind it
    results = Results(content)
    label = "Hi-End-MAE, own sizes (total)"
    for chart in differences(results).groups[""]:
        assert "Hi-End-MAE (random)" in chart.svg
        assert label not in chart.svg
    by_distance = error_by_distance(results)
    assert by_distance.notes == [f"Left out: {label} (superpatches of its own size)."]
    assert label not in [chart.caption for chart in by_distance.groups[""]]
    curves = training_curves(results)
    assert f"{label}: superpatches of its own size, not comparable with the other panels." in curves.notes
    (panel,) = [chart.svg for charts in curves.groups.values() for chart in charts if chart.caption == label]
    assert "var(--own)" in panel
    assert "var(--behind)" not in panel
    assert "var(--base" not in panel
    planes = planes_table(results)
    assert list(_row(planes, label).cells[0].marks) == [OWN_SIZE]
    # Errors fall as the PSNR rises: MAESIL has the least of those that may be compared, autoencoders with the whole input aside.
    assert [row.cells[0].text for row in planes.rows if row.cells[1].best] == [MAESIL.label]


def test_charts_take_their_means_over_collections_of_several_patients_as_the_headline_does(content: Content) -> None:
    shown = [lambda c: planes_table(Results(c)), lambda c: error_by_distance(Results(c)), lambda c: blockiness(Results(c))]
    before = [show(content) for show in shown]
    for name in ("rows", "by_distance", "blockiness"):
        alone = [{**row, "dataset": "lidc"} for row in content[name] if row["dataset"] == "sts"]
        for row in alone:
            row |= {key: value for key, value in (("num_patients", 1), ("mae_hu", 5000.0), ("blockiness", 90.0)) if key in row}
        content[name] += alone
    assert [show(content) for show in shown] == before


def test_without_such_a_system_nothing_is_marked(content: Content) -> None:
    table = table2_ours(Results(_without(content, "hi_end_mae_paper")), "unified")
    assert not any(row.cells[0].marks for row in table.rows)
    assert "judged on the same superpatches under the same masks, those with a * aside." in how(Results(content))


def test_the_page_says_in_which_order_errors_are_pooled_and_averaged(content: Content) -> None:
    assert (
        "Errors are pooled over a scan's superpatches, then turned into dB, then averaged over a patient's scans, over patients "
        "and seeds, then over collections."
    ) in how(Results(content))


def test_a_reason_stands_only_where_a_cell_was_not_measured(content: Content) -> None:
    assert len(standing_table(Results(content)).notes) == 1
    _change(content, lambda row: row["metric"] == "lpips", mean=0.3, low=0.2, high=0.4)
    assert standing_table(Results(content)).notes == []
    # One run lacks it: a masked autoencoder, which the paper's table does not have.
    _change(content, lambda row: row["metric"] == "lpips" and row["model"] == "vae_masked", mean=None, low=None, high=None)
    one = Results(content)
    assert standing_table(one).notes == [f"LPIPS not measured where a cell says so: {NO_LPIPS}"]
    for table, column in ((table2_ours(one, "unified"), 3), (table2_paper(one, "unified"), 4)):
        lacking = [row.cells[0].text for row in table.rows if row.cells[column].text == "not measured"]
        assert lacking == (["VAE 1/64, masked (total)"] if column == 3 else [])


def test_a_system_that_was_not_judged_on_a_collection_has_dashes_whatever_could_not_be_measured(content: Content) -> None:
    content["rows"] = [row for row in content["rows"] if (row["model"], row["dataset"]) != ("mae", "sts")]
    assert [cell.text for cell in _row(table2_ours(Results(content), "sts"), "MAE (random)").cells[1:6]] == ["-"] * 5


def test_table_3_says_how_large_a_patch_is_in_mm_and_in_acquired_slices(content: Content, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(content))
    write_report(tmp_path)
    text = (tmp_path / "table3.md").read_text()
    assert "Size of a patch in mm: openkbp (31.2, 31.2, 24), sts (29.5, 29.5, 40.1)." in text
    assert "Acquired slices per patch: openkbp 9.6, sts 12.3." in text


def test_a_prediction_that_is_not_finite_reads_so_and_is_counted_in_patients(content: Content) -> None:
    lost = {"mean": None, "low": None, "high": None, "difference": None, "difference_low": None, "difference_high": None}
    _change(content, lambda row: row["model"] == "mae", **lost, num_undefined=3)
    _change(content, lambda row: row["model"] == "medmae", **lost, num_undefined=1)
    _change(content, lambda row: row["model"] == "hi_end_mae", **lost)
    results = Results(content)
    table = table2_ours(results, "unified")
    assert _row(table, "MAE (random)").cells[1].text == "not finite (3 patients)"
    assert _row(table, "MAE (random)").cells[3].text == "not measured"  # LPIPS, of no system
    assert _row(table, "MedMAE").cells[1].text == "not finite (1 patient)"
    assert _row(table, "Hi-End-MAE (random)").cells[1].text == "not defined"
    found = results.find(System("mae", "random"), "psnr")
    assert found is not None
    assert found.num_undefined == 3
    assert results.find(MAESIL, "psnr").num_undefined == 0  # type: ignore[union-attr]
    # Of seven models that inpaint, MAE, MedMAE and Hi-End-MAE have no value.
    assert standing_table(results).rows[0].cells[2].text == "1 of 4"
    own = _change(content, lambda row: (row["model"], row["training_rule"]) == ("maesil", "total"), **lost, num_undefined=2)
    _, maesil, place, first, _ = standing_table(Results(own)).rows[0].cells
    assert (first.words, maesil.text, place.text) == ("AE 1/64, masked (total)", "not finite (2 patients)", "-")
