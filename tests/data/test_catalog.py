"""Data lists: which scans of a folder, and on which side."""

import json

import pytest

from maesil_monai.data.bad_volume import BadVolume
from maesil_monai.data.catalog import build_datalist, data_hash
from maesil_monai.data.volume_files import find_volumes


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


@pytest.mark.parametrize(("val_scans", "count"), [(0.1, 3), (0.11, 4), (0.001, 1), (5, 5), (29, 29)])
def test_the_last_scans_by_name_validate_and_none_is_on_both_sides(tmp_path, val_scans, count):
    _touch(tmp_path, *(f"pt_{i}/ct.nii.gz" for i in range(30)))
    training, validation = (build_datalist(tmp_path, side, val_scans) for side in ("training", "validation"))
    assert _ids(training + validation) == sorted(f"pt_{i}/ct" for i in range(30))
    assert len(validation) == count
    assert build_datalist(tmp_path, "all") == training + validation
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
        build_datalist(tmp_path, "test")


def test_two_files_for_one_case_are_refused(tmp_path):
    _touch(tmp_path, "a.nii", "a.nii.gz")
    with pytest.raises(BadVolume, match="DUPLICATE_CASE"):
        build_datalist(tmp_path, "all")


def test_a_datalist_is_taken_as_it_is(tmp_path):
    _touch(tmp_path, "z.nii", "a.nii", "m.nii")
    rows = {"training": [{"image": "z.nii"}, {"image": "./a.nii"}], "validation": [{"image": "m.nii", "label": "x"}]}
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
        ('{"training": [{"image": "a.nii"}], "validation": [{"image": "a.nii"}]}', "DUPLICATE_CASE"),
    ],
)
def test_a_bad_datalist_is_refused_with_its_code(tmp_path, text, code):
    (tmp_path / "datalist.json").write_text(text)
    with pytest.raises(BadVolume) as caught:
        build_datalist(tmp_path)
    assert caught.value.code == code


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
