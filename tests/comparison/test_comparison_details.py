"""What a reader stumbles over: values under a line, tables wider than the page, plurals of one, hours of nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from made_up_comparison import BASELINE_PSNR
from made_up_comparison import results as made_up_results

from maesil_monai.comparison.report.charts import blockiness, training_curves
from maesil_monai.comparison.report.how_it_was_made import tiles
from maesil_monai.comparison.report.results_file import Results
from maesil_monai.reports.pages import ENVIRONMENT, page
from maesil_monai.reports.tables import Cell, Row, Table


@pytest.fixture
def content() -> dict[str, Any]:
    return made_up_results()


def _one_model(content: dict[str, Any]) -> dict[str, Any]:
    """Leaves a model, a seed, a baseline and a collection of one patient."""
    rows = [
        {**row, "num_patients": 1, "seeds": row["seeds"][:1]}
        for row in content["rows"]
        if (row["model"], row["training_rule"]) in (("maesil", "total"), (next(iter(BASELINE_PSNR)), None))
        and row["dataset"] == "sts"
    ]
    curves = [curve for curve in content["curves"] if curve["run"] == "maesil@total-seed0"]
    return {**content, "rows": rows, "curves": curves}


def test_the_line_of_the_scans_own_blockiness_crosses_no_value(content: dict[str, Any]) -> None:
    for row in content["blockiness"]:
        row |= {"blockiness": {"none": 0.97, "overlap": 0.94}[row["stride"]], "truth": 1.06}
    (chart,) = blockiness(Results(content)).groups[""]
    lines = {float(x) for x in re.findall(r'd="M ([\d.]+) [^"]*" style="[^"]*var\(--text\); stroke-width: 1.4', chart.svg)}
    ends = {float(x) for x in re.findall(r'text-anchor: end; [^"]*" x="([\d.]+)"[^>]*>0.9[47]<', chart.svg)}
    assert (len(lines), len(ends)) == (1, 1)
    assert lines.pop() < ends.pop() - 4 * 7  # four letters, 7 wide


def test_a_difference_may_break_before_its_interval_so_that_a_wide_table_fits() -> None:
    cell = Cell("12.0", "[11.0, 13.0]", difference="+367.9 [+318.6, +418.7]", sign=-1)
    table = Table(
        "T", ("model", "MAE"), [Row([Cell("MAE"), cell], group="learned"), Row([Cell("AE"), Cell("1", difference="+1")])]
    )
    text = ENVIRONMENT.get_template("parts.html.j2").module.scores(table)  # type: ignore[attr-defined]
    unseen = '<span class="unseen"> worse</span>'
    assert f'<small class="parts bad"><span>\u0394 +367.9</span> <span>[+318.6, +418.7]</span>{unseen}</small>' in text
    assert '<small class="parts"><span>\u0394 +1</span></small>' in text
    assert "<small>[11.0, 13.0]</small>" in text
    assert '<div class="wide" tabindex="0"' in text  # scrolls where it does not fit
    style = page("base.html.j2", title="")
    assert "td small.parts { white-space: normal; }" in style
    assert "td small.parts span { white-space: nowrap; }" in style
    assert re.search(r"\.scores thead th \{[^}]*position: sticky; top: 0", style)
    assert re.search(r"max-width: 1240px\) \{ \.scores \.wide \{ max-height: 85vh; overflow: auto", style)


def _first_curve(content: dict[str, Any]) -> str:
    return next(iter(training_curves(Results(content)).groups.values()))[0].svg


def test_one_of_a_thing_is_no_plural(content: dict[str, Any]) -> None:
    assert tiles(Results(content))[:5] == [
        ("20", "test patients"),
        ("2", "collections"),
        ("18", "trained models"),
        ("4", "baselines that learn nothing"),
        ("3", "seeds"),
    ]
    assert "3 runs; PSNR at the end" in _first_curve(content)
    one = Results(_one_model(content))
    words = ["test patient", "collection", "trained model", "baseline that learns nothing", "seed"]
    assert tiles(one)[:5] == [("1", word) for word in words]
    assert "1 run; PSNR at the end" in _first_curve(_one_model(content))


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (5.25, ("5.2", "hours in all")),
        (1.0, ("1.0", "hours in all")),
        (0.5, ("30", "minutes in all")),
        (0.0169, ("1", "minute in all")),
        (0.0, ("< 1", "minute in all")),
    ],
)
def test_less_than_an_hour_is_told_in_minutes(content: dict[str, Any], hours: float, told: tuple[str, str]) -> None:
    assert tiles(Results({**content, "hours": hours}))[-1] == told
