"""Data lists: which scans of a folder, and on which side."""

import hashlib
import json
import pickle
import time
from pathlib import Path

import fsspec
import pytest

from maesil_monai.data.samples.catalog import build_datalist, data_hash
from maesil_monai.data.samples.packed_rows import Rows
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.volume_files import find_volumes


def _touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * len(name))


def _ids(rows):
    return [row["case_id"] for row in rows]


def test_volumes_are_found_sorted_and_labels_are_left_out(tmp_path):
    _touch(tmp_path, "pt_2/ct.nii.gz", "pt_10/ct.nii.gz", "a.NRRD", "b.mha", "c.mhd", "d.nii", "c.raw", "notes.txt", "scan.dcm")
    _touch(tmp_path, "pt_2/label.nii.gz", "pt_2/Seg_liver.nii", "pt_2/mask.mha", ".hidden.nii", ".cache/x.nii")
    _touch(tmp_path, "labelsTr/d.nii.gz", "pt_2/segmentations/liver.nii.gz", "label/e.nii", "Labels/f.nii")
    found = [path.relative_to(tmp_path).as_posix() for path in find_volumes(tmp_path)]
    assert found == ["a.NRRD", "b.mha", "c.mhd", "d.nii", "pt_10/ct.nii.gz", "pt_2/ct.nii.gz"]


def test_a_linked_folder_is_followed_and_a_loop_is_refused(tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    _touch(data, "case/ct.nii")
    run.mkdir()
    (run / "link").symlink_to(data)
    assert [path.name for path in find_volumes(run)] == ["ct.nii"]
    (data / "case" / "up").symlink_to(run)
    with pytest.raises(BadVolume, match="SYMLINK_LOOP"):
        find_volumes(run)


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="MISSING"):
        find_volumes(tmp_path / "nowhere")
    _touch(tmp_path, "a.nii")
    with pytest.raises(BadVolume, match="NOT_A_FOLDER"):
        find_volumes(tmp_path / "a.nii")


def test_one_file_is_all_there_is_but_nothing_to_split(tmp_path, monkeypatch):
    # It keeps its folder's name: results of the second patient's ct must not take the place of the first one's.
    _touch(tmp_path, "p1/ct.nii.gz", "p2/ct.nii.gz")
    (row,) = build_datalist(tmp_path / "p1/ct.nii.gz", "all")
    assert row == {"image": str(tmp_path / "p1/ct.nii.gz"), "case_id": "p1/ct"}
    monkeypatch.chdir(tmp_path / "p2")
    for path in ("ct.nii.gz", "../p2/ct.nii.gz", "../p1/../p2/./ct.nii.gz"):
        assert _ids(build_datalist(path, "all")) == ["p2/ct"]
    with pytest.raises(BadVolume, match="NOT_A_FOLDER"):
        build_datalist(tmp_path / "p1/ct.nii.gz", "training")


@pytest.mark.parametrize(("val_scans", "count"), [(0.1, 3), (0.11, 4), (0.001, 1), (5, 5), (29, 29)])
def test_the_last_scans_by_name_validate_and_none_is_on_both_sides(tmp_path, val_scans, count):
    _touch(tmp_path, *(f"pt_{i}/ct.nii.gz" for i in range(30)))
    training, validation = (list(build_datalist(tmp_path, side, val_scans)) for side in ("training", "validation"))
    assert _ids(training + validation) == sorted(f"pt_{i}/ct" for i in range(30))
    assert len(validation) == count
    assert list(build_datalist(tmp_path, "all")) == training + validation
    assert validation[-1] == {"image": str(tmp_path / "pt_9/ct.nii.gz"), "case_id": "pt_9/ct"}


def test_a_pattern_chooses_files(tmp_path):
    _touch(tmp_path, "a/ct.nii", "a/pet.nii", "b/ct.nii", "b/ct.txt")
    assert _ids(build_datalist(tmp_path, "all", pattern="*/ct.*")) == ["a/ct", "b/ct"]
    with pytest.raises(BadVolume, match="NO_VOLUME"):
        build_datalist(tmp_path, "all", pattern="*/mr.nii")
    with pytest.raises(ValueError, match="pattern="):
        build_datalist(tmp_path, "all", pattern="../*.nii")


@pytest.mark.parametrize("val_scans", [0, 2, -1, 0.0, 1.0, 1.5, float("nan"), True])
def test_a_split_that_leaves_one_side_empty_is_refused(tmp_path, val_scans):
    _touch(tmp_path, "a.nii", "b.nii")
    with pytest.raises(ValueError, match="val_scans="):
        build_datalist(tmp_path, "training", val_scans)


def test_too_few_scans_and_unknown_sections_are_refused(tmp_path):
    with pytest.raises(BadVolume, match="NO_VOLUME"):
        build_datalist(tmp_path)
    _touch(tmp_path, "a.nii")
    with pytest.raises(ValueError, match="at least 2"):
        build_datalist(tmp_path)
    assert _ids(build_datalist(tmp_path, "all")) == ["a"]
    with pytest.raises(ValueError, match="section="):
        build_datalist(tmp_path, "train")
    with pytest.raises(BadVolume, match=r"no scan for the test.*NO_VOLUME"):
        build_datalist(tmp_path, "test")


def test_two_files_for_one_case_are_refused(tmp_path):
    _touch(tmp_path, "a.nii", "a.nii.gz")
    with pytest.raises(BadVolume, match="DUPLICATE_CASE"):
        build_datalist(tmp_path, "all")


def test_a_datalist_is_taken_as_it_is(tmp_path):
    _touch(tmp_path, "z.nii", "a.nii", "m.nii")
    rows = {"training": [{"image": "z.nii"}, {"image": "./a.nii"}], "validation": [{"image": "m.nii", "fold": 3}]}
    (tmp_path / "datalist.json").write_text(json.dumps(rows))
    assert _ids(build_datalist(tmp_path, "training")) == ["z", "a"]
    assert _ids(build_datalist(tmp_path, "validation")) == ["m"]
    del rows["validation"]
    (tmp_path / "datalist.json").write_text(json.dumps(rows))
    assert _ids(build_datalist(tmp_path, "validation", 1)) == ["z"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "BAD_DATALIST"),
        ("[]", "BAD_DATALIST"),
        ('{"training": {"image": "a.nii"}}', "BAD_DATALIST"),
        ('{"training": [], "validation": 3}', "BAD_DATALIST"),
        ('{"training": [NaN]}', "BAD_DATALIST"),
        ('{"training": [{"label": "a.nii"}]}', "BAD_DATALIST"),
        ('{"training": []}', "NO_VOLUME"),
        ('{"training": [{"image": "../a.nii"}]}', "OUTSIDE_FOLDER"),
        ('{"training": [{"image": "/etc/a.nii"}]}', "OUTSIDE_FOLDER"),
        ('{"training": [{"image": "a.nii", "label": "../l.nii"}]}', "OUTSIDE_FOLDER"),
        ('{"training": [{"image": "a.nii", "case_id": "../a"}]}', "OUTSIDE_FOLDER"),
        ('{"training": [{"image": "http://elsewhere/a.zarr"}]}', "OUTSIDE_FOLDER"),
        ('{"training": [{"image": "a.nii", "patient_id": ["p"]}]}', "BAD_DATALIST"),
        ('{"training": [{"image": "a.nii", "spacing_mm": [NaN]}]}', "BAD_DATALIST"),
        ("[" * 100_000, "BAD_DATALIST"),
        ('{"training": [{"image": "a.nii"}], "validation": [{"image": "a.nii"}]}', "DUPLICATE_CASE"),
        ('{"training": [{"image": "a.nii", "case_id": "1"}, {"image": "b.nii", "case_id": "1"}]}', "DUPLICATE_CASE"),
        ('{"training": [{"image": "a.nii", "case_id": "1"}, {"image": "./a.nii", "case_id": "2"}]}', "DUPLICATE_CASE"),
        ('{"training": [{"image": "a.nii", "patient_id": 1}], "test": [{"image": "b.nii", "patient_id": "1"}]}', "LEAKAGE"),
    ],
)
def test_a_bad_datalist_is_refused_with_its_code(tmp_path, text, code):
    (tmp_path / "datalist.json").write_text(text)
    with pytest.raises(BadVolume) as caught:
        build_datalist(tmp_path)
    assert caught.value.code == code


def test_a_datalist_with_nobody_to_train_on_is_refused_and_one_without_validation_is_told(tmp_path, caplog):
    (tmp_path / "datalist.json").write_text(json.dumps({"training": [], "validation": [{"image": "m.nii"}]}))
    with pytest.raises(BadVolume, match=r"no scan to train on.*--val-share 0"):
        build_datalist(tmp_path, "training")
    assert _ids(build_datalist(tmp_path, "validation")) == ["m"]

    (tmp_path / "datalist.json").write_text(json.dumps({"training": [{"image": "a.nii"}, {"image": "b.nii"}]}))
    with caplog.at_level("INFO"):
        assert _ids(build_datalist(tmp_path, "training", 1)) == ["a"]
    assert "names no validation: its last 1 scans are held out" in caplog.text


def test_one_collection_can_be_chosen_or_left_out_and_the_split_stays(tmp_path):
    rows = [{"image": f"{name}{place}.nii", "dataset": name} for name in "ab" for place in range(4)]
    (tmp_path / "datalist.json").write_text(json.dumps({"training": rows}))
    assert _ids(build_datalist(tmp_path, "validation", 3)) == ["b1", "b2", "b3"]
    assert _ids(build_datalist(tmp_path, "training", 3, leave_out="a")) == ["b0"]
    assert _ids(build_datalist(tmp_path, "all", dataset="a")) == ["a0", "a1", "a2", "a3"]
    with pytest.raises(ValueError, match=r"leave_out='c'.*it has a, b"):
        build_datalist(tmp_path, "training", leave_out="c")
    with pytest.raises(BadVolume, match="no scan to train on"):
        build_datalist(tmp_path, "training", 4, leave_out="a")


STORE_ROW = {"image": "lidc/a.zarr", "label": "lidc/a.zarr/labels/label", "dataset": "lidc", "case_id": "a", "patient_id": "p"}


def test_rows_of_a_store_keep_who_is_who_and_lead_to_image_and_label(tmp_path):
    row = {**STORE_ROW, "sha256": "0f", "spacing_mm": [1.0, 1.0, 2.5], "shape": [8, 8, 8]}
    others = {
        "validation": [{"image": "btcv/a.zarr", "dataset": "btcv", "case_id": "a"}],
        "test": [{"image": "c.zarr", "label": 1}],
    }
    (tmp_path / "datalist.json").write_text(json.dumps({"training": [row], **others}))
    label = str(tmp_path / "lidc/a.zarr/labels/label")
    (found,) = build_datalist(tmp_path)
    assert found == {**STORE_ROW, "sha256": "0f", "image": str(tmp_path / "lidc/a.zarr"), "label": label}
    # One case id in two collections is two scans, and a label that is no path stays what it is.
    assert [row["image"] for row in build_datalist(tmp_path, "all")] == [
        str(tmp_path / name) for name in ("lidc/a.zarr", "btcv/a.zarr", "c.zarr")
    ]
    assert build_datalist(tmp_path, "test")[0]["label"] == 1


def test_a_store_behind_a_url_gives_urls_and_without_a_list_is_refused():
    files = fsspec.filesystem("memory")
    files.pipe("/catalog-test/datalist.json", json.dumps({"training": [STORE_ROW]}).encode())
    (row,) = build_datalist("memory://catalog-test/", "all")
    assert row["image"] == "memory://catalog-test/lidc/a.zarr"
    assert data_hash([row]) == data_hash([{**row, "image": "memory://elsewhere/a.zarr"}])
    with pytest.raises(FileNotFoundError, match=r"memory://nowhere/datalist.json.*MISSING"):
        build_datalist("memory://nowhere")


def test_all_scans_of_a_patient_go_to_one_side(tmp_path):
    rows = [{"image": f"{number}.nii", "patient_id": patient} for number, patient in enumerate("abcacd")]
    (tmp_path / "datalist.json").write_text(json.dumps({"training": rows}))
    # The last two scans are of c and d; the other scan of c goes with them.
    assert _ids(build_datalist(tmp_path, "validation", 2)) == ["2", "4", "5"]
    assert _ids(build_datalist(tmp_path, "training", 2)) == ["0", "1", "3"]
    with pytest.raises(ValueError, match="hold out fewer"):
        build_datalist(tmp_path, "training", 5)


def test_rows_are_a_sequence_that_is_made_when_asked_for():
    rows = Rows([{"image": f"{number}.nii", "case_id": "m\udc80\u00e9"} for number in range(5)], root="data/")
    assert rows[-1] == {"image": "data/4.nii", "case_id": "m\udc80\u00e9"}
    assert rows[1:4:2] == [rows[1], rows[3]]
    assert [row["image"] for row in pickle.loads(pickle.dumps(rows))] == [f"data/{number}.nii" for number in range(5)]
    assert len(Rows([], root="data")) == 0
    with pytest.raises(IndexError):
        rows[5]


@pytest.mark.long
def test_a_store_of_100_000_scans_opens_within_3_seconds_and_takes_under_30_mb(tmp_path):
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(100_000)]
    rows = [
        {
            "image": f"lidc/{d[:16]}.zarr",
            "dataset": "lidc",
            "case_id": d[:16],
            "patient_id": d[-16:],
            "sha256": d,
            "shape": [512] * 3,
        }
        for d in digests
    ]
    (tmp_path / "datalist.json").write_text(json.dumps({"training": rows}, indent=1))
    began = time.process_time()
    found = build_datalist(tmp_path, "all")
    assert time.process_time() - began < 3
    assert len(found) == 100_000
    assert found[99_999]["sha256"] == digests[-1]
    assert found.nbytes < 30e6


def test_the_hash_of_a_store_needs_no_files_and_changes_with_the_voxels():
    rows = [
        {"image": "nowhere/a.zarr", "case_id": "a", "sha256": "0f"},
        {"image": "nowhere/b.zarr", "case_id": "b", "sha256": "1f"},
    ]
    assert data_hash(rows) == data_hash(rows[::-1])
    assert data_hash(rows) != data_hash([rows[0], {**rows[1], "sha256": "2f"}])


def test_a_series_folder_counts_by_the_files_in_it(tmp_path):
    _touch(tmp_path, "series/1.dcm", "series/2.dcm")
    before = data_hash([{"image": str(tmp_path / "series")}])
    _touch(tmp_path, "series/3.dcm")
    assert data_hash([{"image": str(tmp_path / "series")}]) != before


def test_the_hash_changes_with_names_and_sizes_only(tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    for root in (first, second):
        _touch(root, "a.nii", "b.nii")
    rows = build_datalist(first, "all")
    assert data_hash(rows) == data_hash(rows[::-1]) == data_hash(build_datalist(second, "all"))
    (second / "a.nii").write_bytes(b"longer than before")
    assert data_hash(rows) != data_hash(build_datalist(second, "all"))
    (first / "a.nii").rename(first / "c.nii")
    assert data_hash(rows[1:]) != data_hash(build_datalist(first, "all"))
    with pytest.raises(FileNotFoundError):
        data_hash(rows)


def test_dicom_beside_other_volumes_is_left_out_with_a_word(tmp_path, caplog):
    _touch(tmp_path, "a.nii.gz", "b.nii.gz", "patient/1.dcm", "patient/2.IMA")
    assert _ids(build_datalist(tmp_path, "training")) == ["a"]
    assert _ids(build_datalist(tmp_path, "validation")) == ["b"]
    assert caplog.text.count("2 DICOM files are left out; `python -m maesil_monai prepare` reads DICOM") == 1


def test_entries_are_found_where_there_is_no_list(tmp_path):
    _touch(tmp_path, "a.zarr/zarr.json", "b.zarr/1.dcm", "c.nii.gz")
    assert [Path(row["image"]).name for row in build_datalist(tmp_path, "all")] == ["a.zarr", "b.zarr", "c.nii.gz"]
