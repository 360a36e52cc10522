"""What preparing refuses: scans one by one, and whole runs that would do harm."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from prepared_stores import copy_patients, listed

from maesil_monai.data.prepare import Prepared, PrepareOptions, prepare, prepare_store
from maesil_monai.data.prepare.pseudonyms import open_private_folder
from maesil_monai.data.prepare.store_folder import LOCK_NAME
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.folder_lock import FolderInUse, FolderLock
from maesil_monai.plain_errors import clear_error


@pytest.fixture
def scans(scan_folder: Path, tmp_path: Path) -> Path:
    """Three patients with a scan and its label each, which a test may spoil."""
    return copy_patients(scan_folder, tmp_path / "scans", 3)


def _codes(result: Prepared) -> list[str]:
    return [refusal.code for refusal in result.refusals]


def test_bad_scans_are_refused_by_name_and_the_rest_is_prepared(scans: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    truncated = (scans / "p0/ct.nii.gz").read_bytes()
    (scans / "p0/ct.nii.gz").write_bytes(truncated[: len(truncated) // 2])
    (scans / "p1/label.nii.gz").write_bytes(b"")
    result = prepare(PrepareOptions(store, folder=scans))
    assert sorted(_codes(result)) == ["EMPTY_FILE", "TRUNCATED"]
    assert result.exit_code == 1
    assert len(listed(store)) == 1
    details = json.loads((tmp_path / "store.private/details.json").read_text())
    assert str(scans / "p0/ct.nii.gz") in details["refusals"][0]["message"] + details["refusals"][1]["message"]
    assert prepare(PrepareOptions(store, folder=scans, allow_refused_share=0.7)).exit_code == 0
    # Mended, they are admitted.
    (scans / "p0/ct.nii.gz").write_bytes(truncated)
    (scans / "p1/label.nii.gz").unlink()
    assert prepare(PrepareOptions(store, folder=scans)).exit_code == 0


def test_a_label_of_another_grid_is_refused(scans: Path, tmp_path: Path) -> None:
    image = nib.load(scans / "p0/label.nii.gz")
    nib.save(image.slicer[:, :, 1:], scans / "p0/label.nii.gz")
    assert _codes(prepare(PrepareOptions(tmp_path / "store", folder=scans))) == ["LABEL_SHAPE"]


def test_one_scan_under_two_names_is_refused_even_in_another_format(scans: Path, tmp_path: Path) -> None:
    (scans / "copy").mkdir()
    (scans / "copy/scan.nii").write_bytes(gzip.decompress((scans / "p0/ct.nii.gz").read_bytes()))
    result = prepare(PrepareOptions(tmp_path / "store", folder=scans))
    assert _codes(result) == ["DUPLICATE_SCAN"]
    assert len(listed(tmp_path / "store")) == 3
    assert len({row["sha256"] for row in listed(tmp_path / "store")}) == 3


def test_a_second_file_of_one_name_is_refused(scans: Path, tmp_path: Path) -> None:
    (scans / "p0/ct.nii").write_bytes(gzip.decompress((scans / "p1/ct.nii.gz").read_bytes()))
    result = prepare(PrepareOptions(tmp_path / "store", folder=scans))
    assert "DUPLICATE_CASE" in _codes(result)
    assert len(listed(tmp_path / "store")) == 2 + ("DUPLICATE_SCAN" not in _codes(result))


def test_a_patient_on_two_sides_stops_the_run_before_it_writes(scans: Path, tmp_path: Path) -> None:
    table = tmp_path / "cases.csv"
    table.write_text("path,patient,split\np0/ct.nii.gz,Doe,train\np1/ct.nii.gz,Doe,test\n")
    with pytest.raises(BadVolume, match="LEAKAGE"):
        prepare(PrepareOptions(tmp_path / "store", folder=scans, cases=table))
    assert not (tmp_path / "store").exists()


def test_a_link_out_of_the_collection_is_refused_unless_allowed(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.move(scans / "p0/ct.nii.gz", tmp_path / "elsewhere/ct.nii.gz")
    (scans / "p0/ct.nii.gz").symlink_to(tmp_path / "elsewhere/ct.nii.gz")
    assert _codes(prepare(PrepareOptions(tmp_path / "store", folder=scans))) == ["LINK_OUT"]
    assert not _codes(prepare(PrepareOptions(tmp_path / "store", folder=scans, links_out=True)))


def test_a_dry_run_writes_nothing_and_finds_what_headers_show(scans: Path, tmp_path: Path) -> None:
    (scans / "p0/ct.nii.gz").write_bytes(gzip.compress(b"<html>" * 200))
    (scans / "p1/ct.nii.gz").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    result = prepare(PrepareOptions(tmp_path / "store", folder=scans, dry_run=True))
    assert _codes(result) == ["NOT_NIFTI", "EMPTY_FILE"]
    assert result.exit_code == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_is_noticed_before_anything_is_written(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def free(place: object) -> Any:
        return SimpleNamespace(free=1000)

    monkeypatch.setattr(shutil, "disk_usage", free)
    with pytest.raises(OSError, match=r"are needed and 0\.0 GB are free"):
        prepare(PrepareOptions(tmp_path / "store", folder=scans))
    assert not (tmp_path / "store").exists()


def test_a_second_run_at_the_same_time_is_refused(scans: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with (
        FolderLock(open_private_folder(store) / LOCK_NAME, store),
        pytest.raises(FolderInUse, match=f"{store}: in use by process {os.getpid()} on .*; expected"),
    ):
        prepare(PrepareOptions(store, folder=scans))


@pytest.mark.parametrize("output", ["scans/store", "scans", ".", "other"])
def test_a_store_goes_neither_into_a_collection_nor_among_other_files(scans: Path, tmp_path: Path, output: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.tex").touch()
    with pytest.raises(ValueError, match="output="):
        prepare(PrepareOptions(tmp_path / output, folder=scans))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folder": None}, "no collection"),
        ({"workers": 0}, "workers=0"),
        ({"thumbnails": "all"}, "thumbnails='all'"),
        ({"backend": "spark"}, "backend='spark'"),
        ({"backend": "dask"}, "scheduler's address"),
        ({"scheduler": "tcp://x:1"}, "scheduler's address"),
        ({"series_policy": "best"}, "series_policy='best'"),
        ({"allow_refused_share": 2.0}, "allow_refused_share=2.0"),
        ({"val_share": 1.0}, "val_share=1.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(scans: Path, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(PrepareOptions(tmp_path / "store", **{"folder": scans, **settings}))
    assert not (tmp_path / "store").exists()


def test_a_killed_worker_ends_the_run_with_a_clear_error(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*arguments: object) -> None:
        raise TerminatedWorkerError("SIGKILL(-9)")

    monkeypatch.setattr(prepare_store, "prepare_scan", killed)
    with pytest.raises(ChildProcessError, match="fewer workers") as caught:
        prepare(PrepareOptions(tmp_path / "store", folder=scans))
    assert clear_error(caught.value) is caught.value
    assert not (tmp_path / "store/datalist.json").exists()
