"""The browser that opens pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from headless_browser import Browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium without network; tests that need it skip where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium in PATH")
    browser = Browser(CHROMIUM, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()
