"""Preparing a store: what it holds, and that running again does no more than is needed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from prepared_stores import copy_patients, listed, tree

from maesil_monai.data.prepare import PrepareOptions, prepare
from maesil_monai.data.prepare.collections.btcv import ORGANS
from maesil_monai.data.prepare.pseudonyms import write_private
from maesil_monai.data.store import StoreSource, open_entry
from maesil_monai.data.volumes.volume_files import read_volume
from maesil_monai.phantom.layouts import write_layouts
from maesil_monai.reports.slices import thumbnail


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_layouts(tmp_path_factory.mktemp("layouts"), num_scans=3)


@pytest.fixture(scope="module")
def unified(layouts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("unified") / "store"
    result = prepare(PrepareOptions(store, layouts["btcv"], layouts["lidc"], layouts["totalsegmentator"]))
    assert result.exit_code == 0
    return store


@pytest.fixture
def scans(scan_folder: Path, tmp_path: Path) -> Path:
    """Three patients with a scan and its label each, which a test may spoil."""
    return copy_patients(scan_folder, tmp_path / "scans", 3)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    write_private(tmp_path / "key", "5" * 64)
    return tmp_path / "key"


def _datalist(store: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((store / "datalist.json").read_text())
    return content


def test_three_collections_become_one_store(unified: Path) -> None:
    content = _datalist(unified)
    # BTCV trains on 3 and tests on 1; TotalSegmentator has one scan on each side; LIDC is drawn by patient.
    official = {side: [row["dataset"] for row in content[side] if row["dataset"] != "lidc"] for side in ("training", "test")}
    assert official["training"] == ["btcv"] * 3 + ["totalsegmentator"]
    assert official["test"] == ["btcv", "totalsegmentator"]
    assert [row["dataset"] for row in content["validation"] if row["dataset"] != "lidc"] == ["totalsegmentator"]
    assert sum(row["dataset"] == "lidc" for row in listed(unified)) == 3
    assert content["numTraining"] == len(content["training"])
    for row in listed(unified):
        source = StoreSource(unified / row["image"])
        assert list(source.shape) == row["shape"]
        assert np.allclose(source.spacing_mm, row["spacing_mm"], atol=1e-6)
        assert source.body is not None
        assert ("label" in row) == (source.label is not None)


def test_the_report_shows_the_middle_axial_and_coronal_plane_of_every_scan(unified: Path) -> None:
    page = (unified / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(listed(unified))
    for row in listed(unified):
        source = StoreSource(unified / row["image"])
        _, y, z = source.shape
        hu = source.read(((0, 0, 0), source.shape))[0].numpy()
        assert thumbnail(hu[:, :, z // 2], hu[:, y // 2], source.spacing_mm) in page


def test_an_entry_holds_the_voxels_and_the_label_of_its_source(unified: Path, layouts: dict[str, Path]) -> None:
    names = json.loads((unified.parent / "store.private" / "names.json").read_text())
    (entry,) = (entry for entry, name in names.items() if name["case_id"] == "img0001")
    raw = layouts["btcv"] / "RawData/Training"
    source, label = open_entry(unified / entry), open_entry(unified / entry / "labels/label")
    image, truth = read_volume(raw / "img/img0001.nii.gz"), read_volume(raw / "label/label0001.nii.gz", hounsfield=False)
    whole = ((0, 0, 0), image.shape)
    assert np.array_equal(source.read(whole)[0], image.array)
    assert np.array_equal(label.read(whole)[0], truth.array)
    assert np.allclose(source.affine, image.affine)
    assert StoreSource(unified / entry).attributes["label_names"]["6"] == ORGANS[5] == "liver"


def test_the_structures_of_totalsegmentator_become_one_label(unified: Path, layouts: dict[str, Path]) -> None:
    names = json.loads((unified.parent / "store.private" / "names.json").read_text())
    (entry,) = (entry for entry, name in names.items() if name["case_id"] == "s0001")
    label = open_entry(unified / entry / "labels/label")
    known = StoreSource(unified / entry).attributes["label_names"]
    merged = label.read(((0, 0, 0), label.shape))[0].numpy()
    for file in sorted((layouts["totalsegmentator"] / "s0001/segmentations").iterdir()):
        (number,) = (int(number) for number, name in known.items() if f"{name}.nii.gz" == file.name)
        mask = read_volume(file, hounsfield=False).array != 0
        # Structures of the phantom do not overlap.
        assert np.array_equal(merged == number, mask), file.name
    assert StoreSource(unified / entry).attributes["dataset_version"] == "2"


def test_of_a_patients_series_the_thinnest_ct_is_taken_and_the_rest_is_told(unified: Path) -> None:
    report = json.loads((unified / "report.json").read_text())
    assert report["not_ct"]["lidc"] == {
        "a localizer": 3,
        "modality CR": 3,
        "not chosen by the series policy thinnest": 1,
    }
    assert report["datasets"]["lidc"]["admitted"] == 3


def test_a_patient_is_on_one_side_only(unified: Path) -> None:
    content = _datalist(unified)
    sides = [{row["patient_id"] for row in content[split]} for split in ("training", "validation", "test")]
    assert sum(map(len, sides)) == len(set.union(*sides))


def test_a_second_run_keeps_every_entry_and_every_byte(scans: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = prepare(PrepareOptions(store, folder=scans))
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*.zarr/**/*") if path.is_file()}
    digests = tree(store)
    second = prepare(PrepareOptions(store, folder=scans))
    assert [outcome.kept for outcome in first.outcomes] == [False] * 3
    assert [outcome.kept for outcome in second.outcomes] == [True] * 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert tree(store) == digests


def test_two_workers_and_another_folder_give_the_same_bytes(scans: Path, tmp_path: Path, key_file: Path) -> None:
    prepare(PrepareOptions(tmp_path / "one", folder=scans, key_file=key_file))
    moved = scans.rename(tmp_path / "moved")
    prepare(PrepareOptions(tmp_path / "two", folder=moved, key_file=key_file, workers=2))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_a_changed_source_is_prepared_again_and_the_others_are_kept(scans: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    prepare(PrepareOptions(store, folder=scans))
    before = {row["case_id"]: row["sha256"] for row in listed(store)}
    image = nib.load(scans / "p1/ct.nii.gz")
    changed = np.asarray(image.dataobj) + np.int16(1)
    nib.save(nib.Nifti1Image(changed, image.affine, image.header), scans / "p1/ct.nii.gz")
    result = prepare(PrepareOptions(store, folder=scans))
    after = {row["case_id"]: row["sha256"] for row in listed(store)}
    assert sorted(outcome.kept for outcome in result.outcomes) == [False, True, True]
    assert sum(before[case] != after[case] for case in before) == 1


def test_a_changed_label_alone_is_noticed(scans: Path, tmp_path: Path) -> None:
    prepare(PrepareOptions(tmp_path / "store", folder=scans))
    os.utime(scans / "p0/label.nii.gz", ns=(1, 1))
    result = prepare(PrepareOptions(tmp_path / "store", folder=scans))
    assert sum(not outcome.kept for outcome in result.outcomes) == 1


def test_a_vanished_source_is_reported_and_leaves_the_data_list(scans: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    prepare(PrepareOptions(store, folder=scans))
    shutil.rmtree(scans / "p2")
    result = prepare(PrepareOptions(store, folder=scans))
    report = json.loads((store / "report.json").read_text())
    assert len(listed(store)) == 2
    assert report["vanished"] == result.vanished
    assert len(result.vanished) == 1
    assert (store / result.vanished[0]).is_dir()
    assert prepare(PrepareOptions(store, folder=scans, prune=True)).num_pruned == 1
    assert len(list(store.glob("folder/*.zarr"))) == 2


def test_what_a_kill_left_behind_is_never_used_and_removed(scans: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    prepare(PrepareOptions(store, folder=scans))
    whole = tree(store)
    entries = sorted(store.glob("folder/*.zarr"))
    entries[0].rename(entries[0].with_name(f".{entries[0].name}.partial"))
    (entries[1] / "zarr.json").unlink()
    (store / ".datalist.json.partial").write_text("{")
    result = prepare(PrepareOptions(store, folder=scans))
    assert sorted(outcome.kept for outcome in result.outcomes) == [False, False, True]
    assert tree(store) == whole


def test_the_estimate_is_above_what_is_written_and_not_by_far(layouts: dict[str, Path], unified: Path, tmp_path: Path) -> None:
    dry = prepare(PrepareOptions(tmp_path / "store", layouts["btcv"], layouts["lidc"], layouts["totalsegmentator"], dry_run=True))
    written = sum(path.stat().st_size for path in unified.rglob("*.zarr/**/*") if path.is_file())
    assert written < dry.needs.num_bytes < 6 * written


def test_readable_ids_are_kept_on_request(scans: Path, tmp_path: Path) -> None:
    prepare(PrepareOptions(tmp_path / "store", folder=scans, pseudonyms=False))
    assert sorted(row["patient_id"] for row in listed(tmp_path / "store")) == ["folder/p0", "folder/p1", "folder/p2"]
    assert all(row["image"].startswith("folder/p") for row in listed(tmp_path / "store"))
