"""The table of a run: who is the best baseline of a column, and who loses to it."""

from __future__ import annotations

import math
import re

from maesil_monai.evaluation import MethodRow, psnr_table

ROWS = [
    MethodRow("mean_of_visible", {"psnr_hidden_body": 6.6, "psnr_hidden": 16.94, "mae_hu_hidden_body": 800.04}, baseline=True),
    MethodRow("interpolate_axial", {"psnr_hidden_body": 9.3, "psnr_hidden": 16.9, "mae_hu_hidden_body": 500.0}, baseline=True),
    MethodRow("mean_training_volume", {"psnr_hidden_body": math.nan}, baseline=True),
    MethodRow("network, before", {"psnr_hidden_body": 5.0, "psnr_hidden": 12.0, "mae_hu_hidden_body": 950.0}),
    MethodRow("network, after", {"psnr_hidden_body": 12.7, "psnr_hidden": 19.0, "mae_hu_hidden_body": 300.0}),
]


def test_the_best_baseline_of_each_column_is_marked_and_no_network() -> None:
    lines = [re.split(r"\s{2,}", line.replace("* ", "*  ")) for line in psnr_table(ROWS).splitlines()]
    cells = {name: row for name, *row in lines}
    assert cells["mean_of_visible"] == ["6.60", "16.94*", "800.0", "-2.70"]
    assert cells["interpolate_axial"] == ["9.30*", "16.90", "500.0*", "+0.00"]
    assert cells["network, after"] == ["12.70", "19.00", "300.0", "+3.40"]


def test_a_network_that_loses_is_seen_to_lose_and_what_is_missing_is_not_defined() -> None:
    lines = psnr_table(ROWS).splitlines()
    assert lines[5].endswith("-4.30")
    assert lines[4].count("not defined") == 3
    assert lines[4].endswith("-")


def test_the_text_table_is_ascii_and_aligned() -> None:
    table = psnr_table(ROWS)
    lines = table.splitlines()
    assert table.isascii()
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[-1] == "* best baseline"
