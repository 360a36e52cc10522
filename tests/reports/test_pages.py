"""Pages: one file that loads nothing and runs nothing but its own script, and shows all its parts in a browser."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from headless_browser import Browser
from jinja2 import UndefinedError
from made_up_comparison import make_up_comparison

from maesil_monai.comparison.report import write_report
from maesil_monai.data.prepare import PrepareOptions, prepare
from maesil_monai.reports.pages import page

HEADINGS = "[...document.querySelectorAll('h2')].map((heading) => heading.textContent)"
SIZES = "[document.documentElement.scrollWidth, innerWidth]"
COLLECTION = re.compile(r"Table II.*, (openkbp|sts) ")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a comparison of 18 models with two cases."""
    folder = tmp_path_factory.mktemp("comparison")
    make_up_comparison(folder, size=32)
    return write_report(folder)[2]


@pytest.fixture(scope="module")
def store(scan_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a store of two scans; a third one was refused, and a fourth has gone."""
    folder = tmp_path_factory.mktemp("store")
    for number in range(4):
        shutil.copytree(scan_folder / f"phantom_{number:04d}", folder / f"scans/p{number}")
    broken = folder / "scans/p2/ct.nii.gz"
    broken.write_bytes(broken.read_bytes()[:2000])
    for _ in range(2):
        prepare(PrepareOptions(folder / "store", folder=folder / "scans", patient_regex="(p[0-9])", allow_refused_share=1.0))
        shutil.rmtree(folder / "scans/p3", ignore_errors=True)
    return folder / "store" / "report.html"


def test_a_page_runs_its_own_script_and_no_other(tmp_path: Path, browser: Browser) -> None:
    file = tmp_path / "page.html"
    script = 'document.title = "ran"; if (1 < 2 && document.querySelector("h1")) document.body.dataset.own = "yes";'
    text = page("base.html.j2", script, title="</h1><script>document.body.dataset.other = 1</script>")
    assert "<script>document.body" not in text
    # A script that came in past the escaping would be stopped by the policy.
    file.write_text(text.replace("</main>", "</main><script>document.body.dataset.other = 'yes'</script>"))
    before = len(browser.problems)
    browser.open(file, 800)
    assert browser.value("[document.title, document.body.dataset.own, document.body.dataset.other ?? 'no']") == [
        "ran",
        "yes",
        "no",
    ]
    assert browser.value("document.querySelector('h1').textContent").endswith("</script>")
    told = browser.problems[before:]
    del browser.problems[before:]  # this one was asked for
    assert len(told) == 1
    assert "Content Security Policy" in told[0]


def test_a_page_without_a_script_allows_none() -> None:
    assert "script" not in page("base.html.j2", title="T")


def test_a_page_that_lacks_content_is_not_made() -> None:
    with pytest.raises(UndefinedError, match="title"):
        page("base.html.j2")


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_of_a_comparison_has_all_parts_and_no_errors(comparison: Path, browser: Browser, width: int, dark: bool) -> None:
    browser.open(comparison, width, dark=dark)
    assert browser.value(HEADINGS) == [
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
    assert browser.value("[...document.querySelectorAll('nav a')].every((link) => document.querySelector(link.hash))") is True
    summaries = browser.value("[...document.querySelectorAll('summary')].map((line) => line.textContent)")
    assert len([line for line in summaries if COLLECTION.match(line)]) == 4  # two protocols, two collections
    assert {"Settings", "Codebooks", "Versions", "Checkpoints"} < set(summaries)
    assert browser.value("document.querySelectorAll('.marks li').length") == 14
    wide, window = browser.value(SIZES)
    assert wide <= window
    assert browser.problems == []


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_of_a_store_has_all_parts_and_no_errors(store: Path, browser: Browser, width: int, dark: bool) -> None:
    browser.open(store, width, dark=dark)
    assert browser.value(HEADINGS) == ["Collections", "Refused", "Vanished", "How the scans are made", "Thumbnails"]
    # Six scans' sizes and the HU; two scans; what to do about a broken file.
    assert browser.value("[document.querySelectorAll('.charts svg').length, document.images.length]") == [7, 2]
    assert "Copy the file again" in browser.value("document.querySelectorAll('table')[1].textContent")
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(18, 22, 28)" if dark else "rgb(255, 255, 255)")
    wide, window = browser.value(SIZES)
    assert wide <= window
    assert browser.problems == []


def test_names_and_heads_of_a_table_stay_in_sight_where_it_scrolls(comparison: Path, browser: Browser) -> None:
    browser.open(comparison, 390)
    box = "document.querySelectorAll('.scores .wide')[1]"
    far, name, head = browser.value(
        f"(() => {{ const b = {box}; b.scrollTo(400, 300); const o = b.getBoundingClientRect(); "
        "const left = b.querySelectorAll('th[scope=row]')[9].getBoundingClientRect().left - o.left; "
        "const top = b.querySelectorAll('thead th')[3].getBoundingClientRect().top - o.top; "
        "return [b.scrollLeft, left, top]; })()"
    )
    assert far == 400
    assert (name, head) == (0, 0)
