"""What can be chosen when an archive is prepared: the one list of the options, for Python and for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from maesil_monai.data.dicom import SeriesPolicy
from maesil_monai.data.volumes.admission_checks import MAX_VOXELS, MIN_SLICES, AdmissionRules
from maesil_monai.errors import BadSetting
from maesil_monai.option_values import expect, read_options

COLLECTIONS = ("btcv", "lidc", "totalsegmentator", "folder")


@dataclass(frozen=True)
class PrepareOptions:
    """The options of :func:`~maesil_monai.data.prepare.prepare`; all collections of a store are named in every call.

    Args:
        output: the store; a new folder, or one prepared before. Key, real names and messages with paths go to OUTPUT.private.
        btcv: folder of BTCV (RawData).
        lidc: folder of LIDC-IDRI as TCIA delivers it.
        totalsegmentator: folder of TotalSegmentator, version 1 or 2.
        folder: any tree of NIfTI, NRRD, MetaImage or DICOM.
        cases: CSV that says who is who in FOLDER: path, patient and, if wanted, study, dataset, split, label.
        patient_regex: pattern that finds the patient in a path below FOLDER.
        series_policy: which DICOM series of a study: thinnest, all, one-per-study.
        split_seed: seed of the sides of patients without an official one.
        val_share: share of those patients that validate.
        test_share: share of those patients that test.
        allow_refused_share: share of scans that may be refused without exit code 1.
        pseudonyms: publish keyed hashes for cases and patients; --nopseudonyms keeps their IDs.
        key_file: key of the hashes; default OUTPUT.private/key.
        thumbnails: report (pictures of up to 48 scans) or none.
        prune: delete entries that are not in the data list.
        dry_run: print scans, refusals by their headers, disk and hours; write nothing.
        workers: processes on this machine; a Dask cluster has its own number.
        backend: loky (this machine) or dask (a cluster whose machines see sources and store under the same paths).
        scheduler: address of the Dask scheduler.
        nan_fill: HU for voxels that are NaN or infinite, which are refused else.
        min_slices: fewest voxels on each axis.
        max_voxels: most voxels of a scan.
        links_out: follow links out of a collection's folder.

    Raises:
        ValueError: for an impossible value, or values that make no sense together.

    Example:
        >>> PrepareOptions("store", folder="scans", workers=0)
        Traceback (most recent call last):
        maesil_monai.errors.BadSetting: workers=0: expected 1 or more processes.
    """

    output: Path
    btcv: Path | None = None
    lidc: Path | None = None
    totalsegmentator: Path | None = None
    folder: Path | None = None
    cases: Path | None = None
    patient_regex: str | None = None
    series_policy: SeriesPolicy = "thinnest"
    split_seed: int = 0
    val_share: float = 0.1
    test_share: float = 0.1
    allow_refused_share: float = 0.0
    pseudonyms: bool = True
    key_file: Path | None = None
    thumbnails: Literal["report", "none"] = "report"
    prune: bool = False
    dry_run: bool = False
    workers: int = 1
    backend: Literal["loky", "dask"] = "loky"
    scheduler: str | None = None
    nan_fill: float | None = None
    min_slices: int = MIN_SLICES
    max_voxels: int = MAX_VOXELS
    links_out: bool = False

    def __post_init__(self) -> None:
        read_options(self)
        if not self.folders:
            raise BadSetting(f"no collection is named: expected at least one of {', '.join(COLLECTIONS)}.")
        if self.folder is None and (self.cases is not None or self.patient_regex is not None):
            raise BadSetting("cases and patient_regex say who is who in a folder: expected folder to be given too.")
        expect(0.0 <= self.allow_refused_share <= 1.0, "allow_refused_share", self.allow_refused_share, "a share from 0 to 1")
        expect(self.workers >= 1, "workers", self.workers, "1 or more processes")
        if (self.backend == "dask") != (self.scheduler is not None):
            found = f"backend={self.backend!r}, scheduler={self.scheduler!r}"
            raise BadSetting(f"{found}: expected a scheduler's address with dask, and only there.")
        _ = self.rules  # which judges its own values

    @property
    def folders(self) -> dict[str, Path]:
        """The folder of each collection that is named."""
        named = {name: getattr(self, name) for name in COLLECTIONS if getattr(self, name) is not None}
        # The machines of a cluster stand in other folders than this process.
        return {name: path.absolute() if self.backend == "dask" else path for name, path in named.items()}

    @property
    def rules(self) -> AdmissionRules:
        """What is admitted."""
        return AdmissionRules(self.max_voxels, self.min_slices, self.nan_fill, links_out=self.links_out)
