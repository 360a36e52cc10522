"""``prepare``: folders of scans as a store that training reads."""

from __future__ import annotations

import sys

from maesil_monai.commands.with_options import with_options
from maesil_monai.data import prepare as archive
from maesil_monai.data.prepare.summary import summary


@with_options(archive.PrepareOptions)
def prepare(options: archive.PrepareOptions) -> None:
    """Prepares scans as a store with a data list and a report; run it again after a kill, and it goes on.

    Exit code 1 if more scans were refused than allowed.
    """
    result = archive.prepare(options)
    print(summary(result, str(options.output), options.workers))
    sys.exit(result.exit_code)
