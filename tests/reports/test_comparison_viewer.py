"""The viewer in the report: the right voxels in the right place, by slider, keys, wheel and click, also on a phone."""

from __future__ import annotations

import base64
import json
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from headless_browser import Browser
from made_up_comparison import MODELS, make_up_comparison

from maesil_monai.comparison.report import write_report
from maesil_monai.comparison.report.read_cases import read_cases
from maesil_monai.comparison.report.results_file import Results
from maesil_monai.comparison.report.systems import MAESIL
from maesil_monai.reports.case import Case
from maesil_monai.reports.viewer_data import pack, viewer_data

WINDOW_HU = (-1000.0, 1000.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of 18 models with two cases of 32 voxels a side, and its report."""
    folder = tmp_path_factory.mktemp("comparison")
    make_up_comparison(folder, size=32)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def cases(folder: Path) -> list[Case]:
    return read_cases(folder / "figures", Results.read(folder / "results.json").systems, WINDOW_HU)


def unpack(packed: str) -> np.ndarray:
    """Undoes the packing as ``viewer.js`` does it: uint16, flat."""
    low, high = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8).reshape(2, -1).astype(np.uint16)
    return np.cumsum(low + 256 * high, dtype=np.uint16)


def test_the_viewers_volumes_are_those_of_the_files_to_half_a_step(cases: list[Case]) -> None:
    assert [(case.dataset, case.name) for case in cases] == [("openkbp", "pt_7"), ("sts", "STS_012")]
    data = viewer_data(cases, WINDOW_HU)
    index = json.loads(re.findall(r'id="viewer-index">(.*?)</script>', data)[0])
    volumes = dict(re.findall(r'id="volume-(\d+-\d+)">(.*?)</script>', data))
    assert index["step"] == 1
    assert index["left_out"] == 0
    assert len(volumes) == 2 * (1 + len(MODELS))
    case, place = cases[1], index["cases"][1]["models"].index("MAE (random)")
    original = unpack(volumes["1-0"]).reshape(case.original.shape) - 1000.0
    np.testing.assert_allclose(original, case.original, atol=0.5)
    hidden = np.unpackbits(np.frombuffer(base64.b64decode(index["cases"][1]["hidden"]), np.uint8)).astype(bool)
    np.testing.assert_array_equal(hidden[: case.hidden.size].reshape(case.hidden.shape), case.hidden)
    made = unpack(volumes[f"1-{place + 1}"]) - 1000.0
    np.testing.assert_allclose(made, case.reconstructions["MAE (random)"][case.hidden_voxels], atol=0.5)


def test_volumes_that_are_too_large_are_rounded_more_and_then_left_out(cases: list[Case]) -> None:
    sizes = []
    for limit in (10**9, 600_000, 10_000):
        data = viewer_data(cases, WINDOW_HU, limit)
        index = json.loads(re.findall(r'id="viewer-index">(.*?)</script>', data)[0])
        sizes.append((index["step"], len(index["cases"]), index["left_out"]))
    assert sizes[0] == (1, 2, 0)
    assert sizes[1][0] > 1
    assert sizes[1][1:] == (2, 0)
    assert sizes[2] == (8, 1, 1)


def test_any_whole_numbers_come_back_from_their_packing() -> None:
    levels = np.random.default_rng(0).integers(0, 65536, (7, 5, 3))
    np.testing.assert_array_equal(unpack(pack(levels)), levels.ravel())


READY = (
    "new Promise((done) => {{ const wait = setInterval(() => {{ const now = document.getElementById('viewer').dataset.ready; "
    "if (now === '{0}' || now === 'failed') {{ clearInterval(wait); done(now); }} }}, 20); }})"
)
PIXELS = (
    "(() => {{ const c = document.querySelectorAll('.plane')[{0}].querySelectorAll('canvas')[{1}]; "
    "return [c.height, c.width, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; }})()"
)


def _pixels(browser: Browser, plane: int, column: int) -> np.ndarray:
    height, width, *values = browser.value(PIXELS.format(plane, column))
    return np.array(values).reshape(height, width, 4)[..., :3]


def _choose(browser: Browser, what: str, place: int) -> None:
    browser.value(
        f"(() => {{ const s = document.getElementById('viewer-{what}'); s.selectedIndex = {place}; "
        "s.dispatchEvent(new Event('change')); })()"
    )


def test_the_viewer_shows_the_slice_that_slider_keys_wheel_and_click_ask_for(
    folder: Path, cases: list[Case], browser: Browser
) -> None:
    browser.open(folder / "report.html", 1280)
    assert browser.value(READY.format("0-0")) == "0-0"
    case = cases[0]
    label = "document.querySelector('.plane .slice').textContent"

    def check(axial: int) -> None:
        assert browser.value(label) == f"axial {axial + 1} / 32"
        # Lung window: width 1500, level -600. The patient's right on the left, front up.
        shown = ((case.original[:, :, axial].T[::-1, ::-1] + 600) / 1500 + 0.5).clip(0, 1) * 255
        np.testing.assert_allclose(_pixels(browser, 0, 0)[..., 0], shown, atol=0.7)
        hidden = case.hidden_voxels[:, :, axial].T[::-1, ::-1]
        np.testing.assert_array_equal((_pixels(browser, 0, 1) == [0x33, 0x45, 0x5E]).all(-1), hidden)
        difference = _pixels(browser, 0, 3)
        assert (difference[~hidden] == 0).all()
        made = ((case.reconstructions[MAESIL.label][:, :, axial].T[::-1, ::-1] + 600) / 1500 + 0.5).clip(0, 1) * 255
        np.testing.assert_allclose(_pixels(browser, 0, 2)[..., 0], made, atol=0.7)

    start = case.center[2]
    check(start)
    browser.value(
        "(() => { const s = document.querySelector('.plane input'); s.value = 3; s.dispatchEvent(new Event('input')); })()"
    )
    check(3)
    browser.value("document.querySelector('.views').focus()")
    browser.press("ArrowUp")
    browser.press("ArrowRight")
    browser.press("ArrowDown")
    check(4)
    browser.wheel(".views canvas", -100)
    check(5)
    # A click into the upper left corner of the coronal picture: the furthest to the right and to the head.
    browser.click(".plane:nth-of-type(3) canvas", 0.01, 0.01)
    check(31)
    assert "voxel 31, " in browser.value("document.querySelector('.readout').textContent")
    assert browser.problems == []


def test_case_model_window_and_plane_can_be_chosen(folder: Path, browser: Browser) -> None:
    browser.open(folder / "report.html", 1280)
    assert browser.value(READY.format("0-0")) == "0-0"
    before = [_pixels(browser, 0, column) for column in range(4)]
    _choose(browser, "model", len(MODELS) - 1)
    assert browser.value(READY.format(f"0-{len(MODELS) - 1}")) != "failed"
    after = [_pixels(browser, 0, column) for column in range(4)]
    assert [bool((a == b).all()) for a, b in zip(before, after, strict=True)] == [True, True, False, False]
    _choose(browser, "window", 1)
    assert (_pixels(browser, 0, 0) != after[0]).any()
    _choose(browser, "case", 1)
    assert browser.value(READY.format(f"1-{len(MODELS) - 1}")) != "failed"
    _choose(browser, "plane", 1)
    assert browser.value("[...document.querySelectorAll('.plane')].map((plane) => plane.offsetHeight > 0)") == [
        False,
        True,
        False,
    ]
    assert browser.problems == []


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_a_phone_and_pictures_keep_the_bodys_proportions(
    folder: Path, cases: list[Case], browser: Browser, dark: bool
) -> None:
    browser.open(folder / "report.html", 390, dark=dark)
    assert browser.value(READY.format("0-0")) == "0-0"
    assert browser.value("[document.documentElement.scrollWidth, innerWidth]") == [390, 390]
    assert browser.value("getComputedStyle(document.body).backgroundColor") == (
        "rgb(18, 22, 28)" if dark else "rgb(255, 255, 255)"
    )
    case = cases[0]
    _choose(browser, "plane", 3)
    # Coronal: across and up are the first and the last axis.
    box = "document.querySelectorAll('.plane')[1].querySelector('canvas').getBoundingClientRect()"
    wide, tall = browser.value(f"[{box}.width, {box}.height]")
    assert wide / tall == pytest.approx(case.spacing_mm[0] / case.spacing_mm[2], rel=0.02)


def test_a_page_that_had_to_be_made_smaller_says_so(
    folder: Path, tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "small")
    monkeypatch.setattr("maesil_monai.comparison.report.write.MAX_CHARACTERS", 10_000)
    browser.open(write_report(tmp_path / "small")[2], 1280)
    assert browser.value(READY.format("0-0")) == "0-0"
    told = browser.value("document.querySelector('.limits').textContent")
    assert told == "To keep this page small, values are rounded to 8 HU; cases left out: 1."


def test_without_scripts_the_page_says_what_is_missing_and_shows_the_rest(folder: Path, browser: Browser) -> None:
    browser.open(folder / "report.html", 1280, scripts=False)
    found = browser.value(
        "[document.getElementById('viewer').textContent, document.images.length, document.querySelectorAll('svg').length]"
    )
    assert found[0].startswith("The viewer needs JavaScript")
    # Two cases, two windows, three planes, two pictures for what was given and for each model.
    assert found[1] == 2 * 2 * 3 * 2 * (1 + len(MODELS))
    assert found[2] > 30


def test_no_chart_of_the_page_shares_an_id_with_another_and_every_colour_is_one_of_the_pages(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) > 30
    names = re.findall(r' id="([^"]+)"', page)
    assert len(set(names)) == len(names)
    colours = set(re.findall(r"var\(--(\w+)\)", "".join(charts)))
    assert {"text", "soft", "line", "card", "own", "behind", "bad", "base1", "base4"} <= colours
    assert colours <= set(re.findall(r"--(\w+):", page.split("</style>")[0]))
