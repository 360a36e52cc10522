"""How much memory a worker takes for a scan."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np

from maesil_monai.data.prepare.collections.listing import Candidate
from maesil_monai.data.prepare.plan import Job
from maesil_monai.data.prepare.prepare_scan import prepare_scan
from maesil_monai.data.volumes.admission_checks import AdmissionRules
from maesil_monai.transforms.body_mask import BodyMask


def test_a_worker_takes_at_most_three_times_the_raw_volume(tmp_path: Path) -> None:
    assert BodyMask.__module__  # imported before memory is counted
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    plane = np.where((x / 0.8) ** 2 + (y / 0.6) ** 2 < 1, 40, -1000)
    noise = np.random.default_rng(0).normal(0, 15, (256, 256, 160))
    volume = (plane[:, :, None] + noise).astype(np.int16)
    nib.Nifti1Image(volume, np.diag([1.4, 1.4, 1.5, 1.0])).to_filename(tmp_path / "ct.nii.gz")
    candidate = Candidate((tmp_path / "ct.nii.gz",), False, "folder", "ct", "a", "", None)
    job = Job(candidate, "folder", "ct", "a", "training", AdmissionRules())
    del noise
    tracemalloc.start()
    try:
        assert prepare_scan(job, tmp_path / "store", b"salt").facts is not None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 20 MiB of voxels; buffers of the reader and the writer do not grow with the scan.
    assert peak < 3 * volume.nbytes
