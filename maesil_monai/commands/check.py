"""``check``: which scans are admitted."""

from __future__ import annotations

import sys

from maesil_monai.data.volumes.check_scans import check as check_scans
from maesil_monai.errors import BadSetting


def check(*paths: str, report: str | None = None) -> None:
    """Reads scans and says of each whether it is admitted: a line per scan, exit code 1 if any was refused.

    Args:
        paths: files, or folders of NIfTI, NRRD, MetaImage or DICOM series.
        report: also written there, as JSON.
    """
    if not paths:
        raise BadSetting("check needs at least one file or folder.")
    sys.exit(check_scans([str(path) for path in paths], report))
