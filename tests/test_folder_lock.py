"""One at a time in a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Adds to a number in a file in two steps, between which another one would get in.
ADDING = """
import sys, time
from pathlib import Path
from maesil_monai.folder_lock import alone

folder, times = Path(sys.argv[1]), int(sys.argv[2])
for _ in range(times):
    with alone(folder, "adding"):
        number = int((folder / "number").read_text())
        time.sleep(0.001)
        (folder / "number").write_text(str(number + 1))
"""


def test_processes_that_do_the_same_wait_for_one_another(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    adding = [subprocess.Popen([sys.executable, "-c", ADDING, str(tmp_path), "25"]) for _ in range(3)]
    assert [process.wait(timeout=120) for process in adding] == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "75"
    assert list((tmp_path / ".locks").iterdir()) == []
