"""Histograms of a page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from maesil_monai.reports.histogram import HEIGHT, MARGINS, histogram


def _heights(svg: str) -> dict[str, float]:
    """Gives the height of each bar by the words that it shows under the pointer."""
    marks = [mark for mark in ElementTree.fromstring(svg).iter("g") if mark.find("title") is not None]
    found = {}
    for mark in marks:
        path = mark.find("path")
        assert path is not None
        ys = [float(y) for y in re.findall(r"[ML] [-\d.]+ ([-\d.]+)", path.get("d", ""))]
        found[str(mark.findtext("title"))] = max(ys) - min(ys)
    return found


@pytest.mark.parametrize("counts", [[0, 0], [1, 0], [3, 7], [120_000, 4], [0.9, 1e-7]])
def test_a_bar_is_as_high_as_its_count_and_stays_inside(counts: list[float]) -> None:
    share = counts[0] == 0.9
    chart = histogram("Scans", [0.0, 1.0, 2.0], counts, "mm", share=share)
    heights = list(_heights(chart.svg).values())
    assert len(heights) == sum(count > 0 for count in counts)
    assert all(0 < height <= HEIGHT - MARGINS[2] - MARGINS[3] + 0.02 for height in heights)
    if counts == [3, 7]:
        assert heights[0] / heights[1] == pytest.approx(3 / 7, rel=0.01)
        assert list(_heights(chart.svg)) == ["0 to 1 mm: 3", "1 to 2 mm: 7"]


def test_shares_stand_on_a_logarithmic_axis_in_percent() -> None:
    chart = histogram("HU", [-1000.0, 0.0, 1000.0, 2000.0], [0.99, 0.0099, 0.000001], "HU", share=True)
    heights = _heights(chart.svg)
    full = HEIGHT - MARGINS[2] - MARGINS[3]
    # The axis has four decades up to 100 %: two of them lie between the first two bars. The third is below it.
    assert heights["-1000 to 0 HU: 99 %"] - heights["0 to 1000 HU: 0.99 %"] == pytest.approx(full / 2, abs=0.05)
    assert heights["1000 to 2000 HU: 0.0001 %"] == pytest.approx(1.0, abs=0.05)
    texts = [text.text for text in ElementTree.fromstring(chart.svg).iter("text")]
    assert {"0.01 %", "1 %", "100 %", "-1000", "2000", "HU"} <= set(texts)
