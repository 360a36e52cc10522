"""Scans that tests of several packages train on and judge."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path

import nibabel as nib
import pytest

from maesil_monai.phantom import phantom_scan


@pytest.fixture(scope="session")
def scan_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six made-up scans of 48 x 48 voxels and 36 to 67 slices, stored along differing axes (LPS, RPS, LPI, PLI)."""
    folder = tmp_path_factory.mktemp("scans")
    for index in range(6):
        scan, case = phantom_scan([1, index], size="tiny"), folder / f"phantom_{index:04d}"
        case.mkdir()
        for name, voxels in (("ct", scan.hu), ("label", scan.label)):
            image = nib.Nifti1Image(voxels, scan.affine)
            image.header.set_xyzt_units("mm")
            nib.save(image, case / f"{name}.nii.gz")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: object) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Takes a skipped test for a failed one in CI, which has all that tests need: a missing piece must not go unseen."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome, report.longrepr = "failed", f"skipped in CI: {report.longrepr}"
    return report


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
