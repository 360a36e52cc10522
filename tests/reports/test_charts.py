"""The forms of charts: equal axes, values that nothing crosses, marks where the numbers are."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from maesil_monai.reports.charts import BarRow, IntervalRow, Panel, bars, intervals, panels, sample

DIGIT_WIDTH = 7.0  # of the page's font at 11 px: 0.64 em


def _texts(svg: str) -> dict[str, tuple[float, float]]:
    """Gives where each text stands."""
    return {
        str(text.text): (float(text.get("x", 0)), float(text.get("y", 0))) for text in ElementTree.fromstring(svg).iter("text")
    }


def _lines(svg: str, colour: str) -> list[list[tuple[float, float]]]:
    """Gives the points of each line of a colour."""
    found = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: none; [^"]*stroke: var\(--{colour}\)', svg)
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", path)] for path in found]


def test_panels_have_equal_axes_and_the_end_of_the_models_own_line_is_labelled() -> None:
    low = Panel("low", [("behind", [(0, 1.0), (4000, 9.0)]), ("own", [(0, 1.0), (4000, 3.0)])], "")
    high = Panel("high", [("own", [(0, 1.0), (4000, 9.0)])], "")
    first, second = panels([low, high], "seen", "dB", 2)
    assert [first.caption, second.caption] == ["low", "high"]
    assert _lines(first.svg, "behind") == _lines(second.svg, "own")
    (behind,), (own,) = (_lines(first.svg, colour) for colour in ("behind", "own"))
    # 3 is 2 of the 8 between 1 and 9.
    assert own[1][1] - own[0][1] == pytest.approx((behind[1][1] - behind[0][1]) / 4, abs=0.05)
    x, y = _texts(first.svg)["3.00"]
    assert x > own[1][0]
    assert y == pytest.approx(own[1][1] + 4, abs=1.5)  # the baseline of letters 8 high
    assert {"0", "2k", "4k", "dB", "seen"} <= _texts(first.svg).keys()


def test_a_line_breaks_where_a_value_is_not_finite_and_whole_steps_have_whole_ticks() -> None:
    points = [(1, 2.0), (2, 4.0), (3, math.nan), (4, 3.0), (5, 2.5)]
    (chart,) = panels([Panel("MAE", [("own", points)], "")], "patches", "HU", 0, whole_x=True)
    (path,) = re.findall(r'<path d="([^"]*)"[^>]*style="fill: none; [^"]*stroke: var\(--own\)', chart.svg)
    assert [part for part in path.split() if part.isalpha()] == ["M", "L", "M", "L"]
    below = [text.text for text in ElementTree.fromstring(chart.svg).iter("text") if "middle" in text.get("style", "")]
    assert below == ["1", "2", "3", "4", "5", "patches"]


def test_differences_lie_on_their_side_of_0_with_their_intervals_and_tips() -> None:
    rows = [
        IntervalRow("better$^2$", 1.0, 0.5, 1.5, "good", "+1.0"),
        IntervalRow("worse", -2.0, -2.5, -1.5, "bad", "-2.0"),
        IntervalRow("open", 0.0, -0.5, 0.5, "open", "0.0"),
    ]
    chart = intervals("PSNR: differences", "PSNR", rows, "dB", "worse than MAESIL", "better than MAESIL")
    ((zero, *_),) = _lines(chart.svg, "text")
    ((good_low, good_high),) = _lines(chart.svg, "good")
    ((bad_low, bad_high),) = _lines(chart.svg, "bad")
    assert bad_low[0] < bad_high[0] < zero[0] < good_low[0] < good_high[0]
    assert good_high[0] - good_low[0] == pytest.approx(bad_high[0] - bad_low[0], abs=0.05)
    assert good_low[1] < bad_low[1]  # in the order of the rows
    words = _texts(chart.svg)
    assert words["better$^2$"][1] < words["worse"][1] < words["open"][1]  # a name is never taken for a formula
    assert words["< worse than MAESIL"][0] < words["better than MAESIL >"][0]
    assert "<title>worse: -2.0</title>" in chart.svg


@pytest.mark.parametrize("mark", [0.2, 0.94, 0.97, 1.0, 1.06, 1.13, 1.2, 1.3])
@pytest.mark.parametrize("longest", [1.1, 123.45])
def test_values_of_bars_stand_in_a_column_that_neither_mark_nor_edge_crosses(mark: float, longest: float) -> None:
    row = BarRow("MAESIL (total)", [("first", 0.97), ("second", 0.94)], mark)
    chart = bars("Blockiness", [row, BarRow("MAE (random)", [("first", longest)], None)], "blockiness").svg
    ((line, _),) = _lines(chart, "text")
    width = re.search(r'viewBox="0 0 ([\d.]+) ', chart)
    assert width
    ends = [_texts(chart)[words][0] for words in ("0.97", "0.94", f"{longest:.2f}")]
    assert len(set(ends)) == 1  # in a column, aligned to the right
    assert ends[0] <= float(width[1])
    assert line[0] + 2 < ends[0] - DIGIT_WIDTH * len(f"{longest:.2f}")


def test_samples_look_like_what_they_explain() -> None:
    assert "var(--base2)" in sample("base2")
    assert "stroke-dasharray" in sample("base2")
    assert "fill: var(--own)" in sample("second")
    assert "stroke: var(--text)" in sample("mark")
