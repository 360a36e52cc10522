"""What a dry run can say about scans without reading their voxels."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from maesil_monai.data.prepare.plan import Job, Refusal
from maesil_monai.data.prepare.prepare_scan import refusal_of
from maesil_monai.data.volumes.admission_checks import check_file
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.nifti import NIFTI_SUFFIXES
from maesil_monai.data.volumes.nifti_header import HEADER_BYTES, parse_header


def header_refusals(jobs: Sequence[Job]) -> list[Refusal]:
    """Finds scans whose files are missing, empty or out of reach, or whose NIfTI headers are bad.

    The voxels may be bad all the same, and DICOM series are judged in full only when they are read.

    Args:
        jobs: the scans.
    """
    refusals = []
    for job in tqdm(jobs, desc="headers", unit="scan", disable=None):
        try:
            for file in job.candidate.all_files:
                check_file(file, job.rules)
            _check_header(job.candidate.files[0], job)
        except BadVolume as error:
            refusals.append(refusal_of(job, error))
    return refusals


def _check_header(file: Path, job: Job) -> None:
    name = file.name.lower()
    if not name.endswith(NIFTI_SUFFIXES):
        return
    try:
        with gzip.open(file) if name.endswith(".gz") else file.open("rb") as stream:
            head = stream.read(HEADER_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return  # reading the whole file says what is wrong with it, and whether it can be read all the same
    parse_header(file, head, job.rules)
