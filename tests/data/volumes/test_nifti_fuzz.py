"""Damaged NIfTI files: never wrong voxels, never another error than BadVolume, never long, never large."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name("fuzz_nifti.py")


@pytest.mark.parametrize("num_mutations", [500, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_damaged_file_is_refused_or_read_as_what_it_says(num_mutations):
    """Bits are flipped, bytes lost and files cut, compressed and plain; header fields are overwritten.

    The voxels of a plain file carry no checksum, so that there only the header is damaged: a flipped voxel cannot be told from
    a measured one. Nor can a header that was changed into another valid one, whose voxels an independent reader must see alike.
    """
    out = subprocess.run([sys.executable, FUZZ, str(num_mutations), "3"], capture_output=True, text=True, check=True).stdout
    summary = json.loads(out)
    assert summary["faults"] == []
    assert sum(summary["refused"].values()) + sum(summary["accepted"].values()) == num_mutations
    # Most damage must be found, and harmless damage (a time stamp, a description) be no reason to refuse.
    assert num_mutations / 2 < sum(summary["refused"].values()) < num_mutations
    assert summary["longest_s"] < 5
    assert summary["memory_growth_mib"] < 1024
