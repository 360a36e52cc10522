"""Scans that tests of several packages train on and judge."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from maesil_monai.phantom.folder import write_phantom_folder


@pytest.fixture(scope="session")
def scan_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six made-up scans of 48 x 48 voxels and 36 to 67 slices, stored along differing axes (LPS, RPS, LPI, PLI)."""
    folder = tmp_path_factory.mktemp("scans")
    write_phantom_folder(folder, num_scans=6, seed=1, size="tiny")
    return folder


_exit_status = 0


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Notes how the session ended, for :func:`pytest_unconfigure`."""
    global _exit_status
    _exit_status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leaves without the interpreter's teardown, in which ITK 5.4 crashes if TorchScript was used in the same process.

    Everything has been reported and written by then; the exit status is that of the session.
    """
    if "itk" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_status)
