"""Scans that tests of several packages train on and judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from maesil_monai.phantom.folder import write_phantom_folder


@pytest.fixture(scope="session")
def scan_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six made-up scans of 48 x 48 voxels and 36 to 67 slices, stored along differing axes (LPS, RPS, LPI, PLI)."""
    folder = tmp_path_factory.mktemp("scans")
    write_phantom_folder(folder, num_scans=6, seed=1, size="tiny")
    return folder
