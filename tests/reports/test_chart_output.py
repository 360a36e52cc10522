"""Charts in pages and files: readable by all, in the page's colours, the same bytes each time, and whole or not there."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure
from PIL import Image

from maesil_monai import whole_files
from maesil_monai.reports.chart_output import as_svg, save_png, set_tip
from maesil_monai.reports.chart_style import COLOURS, LINES, blank_chart, label_axes


def _figure() -> Figure:
    figure, ax = blank_chart(200, 100, (30, 10, 10, 30))
    ax.plot((0, 1, 2), (1, 5, 3), **LINES["own"])
    (bar,) = ax.bar(1, 2, color=COLOURS["bar"])
    set_tip(bar, "1 < 2 & 3")
    label_axes(ax, "mm")
    return figure


def test_a_chart_has_a_title_a_description_and_tips_and_its_words_are_text() -> None:
    svg = as_svg(_figure(), 'A "title" <b>', "what & how")
    root = ElementTree.fromstring(svg)
    assert (root.tag, root.get("viewBox"), root.get("role")) == ("svg", "0 0 200 100", "img")
    assert root.get("aria-label") == 'A "title" <b>. what & how'
    assert [(part.tag, part.text) for part in root][:2] == [("title", 'A "title" <b>'), ("desc", "what & how")]
    assert "1 < 2 & 3" in [title.text for title in root.iter("title")]
    assert {"mm", "0", "1", "2"} <= {text.text for text in root.iter("text")}


def test_a_chart_follows_the_pages_colours_and_font_and_brings_no_style_and_no_address() -> None:
    svg = as_svg(_figure(), "title")
    assert set(re.findall(r"var\(--(\w+)\)", svg)) == {"own", "bar", "line", "soft"}
    assert not re.search(r"#[0-9a-f]{6}\b|http|url\(|<style|<metadata|font-family|font:", svg)


def test_a_chart_is_the_same_each_time_and_shares_no_id_with_another() -> None:
    first, second = as_svg(_figure(), "title", "one"), as_svg(_figure(), "title", "two")
    assert first == as_svg(_figure(), "title", "one")
    ids = [set(re.findall(r' id="(\w+)"', svg)) for svg in (first, second)]
    assert all(ids)
    assert not ids[0] & ids[1]
    assert set(re.findall(r'href="#(\w+)', first)) == ids[0]


def test_a_sample_is_passed_over_by_those_who_do_not_see_it() -> None:
    root = ElementTree.fromstring(as_svg(Figure(figsize=(1, 0.5))))
    assert (root.get("class"), root.get("aria-hidden"), root.find("title")) == ("sample", "true", None)


def test_a_figure_is_written_on_white(tmp_path: Path) -> None:
    with Image.open(save_png(_figure(), tmp_path / "new" / "a.png", dpi=72)) as picture:
        assert picture.size == (200, 100)
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_a_failed_write_leaves_the_old_picture_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_png(_figure(), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"old"
