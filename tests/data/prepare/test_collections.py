"""The layouts of collections: which scans, whose, on which side, with which labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from maesil_monai.data.prepare.collections import Candidate, any_folder, btcv, totalsegmentator
from maesil_monai.data.prepare.collections.totalsegmentator import class_ids
from maesil_monai.data.prepare.collections.totalsegmentator_classes import CLASSES_V1, CLASSES_V2
from maesil_monai.data.volumes.bad_volume import BadVolume


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def _cases(candidates: list[Candidate]) -> list[tuple[str, str, str | None]]:
    return [(candidate.case_id, candidate.patient_id, candidate.split) for candidate in candidates]


@pytest.mark.parametrize("above", ["", "RawData", "Abdomen/RawData"])
def test_btcv_trains_on_its_labelled_scans_and_tests_on_the_others(tmp_path: Path, above: str) -> None:
    raw = tmp_path / above
    _touch(raw / "Training", "img/img0001.nii.gz", "img/img0002.nii.gz", "label/label0001.nii.gz", "img/._img0001.nii.gz")
    _touch(raw / "Testing", "img/img0061.nii.gz", "img/readme.txt")
    listing = btcv(tmp_path)
    assert _cases(listing.candidates) == [
        ("img0001", "btcv/0001", "training"),
        ("img0002", "btcv/0002", "training"),
        ("img0061", "btcv/0061", "test"),
    ]
    first = listing.candidates[0]
    assert first.labels == ((0, raw / "Training/label/label0001.nii.gz"),)
    assert first.label_names[5] == (6, "liver")
    assert [path.name for path, _ in listing.not_ct] == ["readme.txt"]
    assert [str(raw / "Training/img/img0002.nii.gz") in line for line in listing.warnings] == [True]


def test_a_folder_of_another_layout_is_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "img0001.nii.gz")
    for layout, code in ((btcv, "NOT_BTCV"), (totalsegmentator, "NOT_TOTALSEGMENTATOR")):
        with pytest.raises(BadVolume, match=code):
            layout(tmp_path)
        with pytest.raises(FileNotFoundError, match="MISSING"):
            layout(tmp_path / "nowhere")


def test_structures_have_the_ids_of_the_totalsegmentator_tool() -> None:
    assert len(CLASSES_V1) == len(set(CLASSES_V1)) == 104
    assert len(CLASSES_V2) == len(set(CLASSES_V2)) == 117
    first, second = ({name: number for number, name in class_ids(names)} for names in (["face"], ["skull"]))
    assert [first[name] for name in ("aorta", "vertebrae_C1", "rib_right_12", "sacrum", "urinary_bladder")] == [
        7,
        41,
        81,
        92,
        104,
    ]
    assert [second[name] for name in ("aorta", "vertebrae_C1", "hip_right", "rib_right_12", "sternum")] == [52, 50, 78, 115, 116]


@pytest.mark.parametrize(("structure", "version", "number"), [("face", "1", 93), ("skull", "2", 91)])
def test_totalsegmentator_follows_the_official_split_and_records_the_version(
    tmp_path: Path, structure: str, version: str, number: int
) -> None:
    root = tmp_path / "Totalsegmentator_dataset"
    for case in ("s0000", "s0001", "s0004"):
        _touch(root / case, "ct.nii.gz", "segmentations/liver.nii.gz", f"segmentations/{structure}.nii.gz")
    _touch(root, "docs/readme.txt")
    table = "\ufeffimage_id;age;split\ns0000;60;train\ns0001;61;val\ns0004;62;test\ns0009;63;train\n"
    (root / "meta.csv").write_text(table, encoding="utf-8")
    listing = totalsegmentator(tmp_path if version == "2" else root)
    assert _cases(listing.candidates) == [
        ("s0000", "totalsegmentator/s0000", "training"),
        ("s0001", "totalsegmentator/s0001", "validation"),
        ("s0004", "totalsegmentator/s0004", "test"),
    ]
    assert {candidate.version for candidate in listing.candidates} == {version}
    assert {name: n for n, name in listing.candidates[0].label_names} == {"liver": 5, structure: number}
    assert [path.name for path, _ in listing.not_ct] == ["docs"]
    assert len(listing.warnings) == 1
    assert "s0009" in listing.warnings[0]


def test_a_structure_that_the_publisher_does_not_know_gets_an_id_but_its_name_is_not_published(tmp_path: Path) -> None:
    _touch(tmp_path / "s1", "ct.nii.gz", "segmentations/skull.nii.gz", "segmentations/lesion_of_John_Doe.nii.gz")
    (candidate,) = totalsegmentator(tmp_path).candidates
    assert [number for number, _ in candidate.labels] == [118, 91]
    assert candidate.label_names == ((91, "skull"),)
    assert candidate.split is None


@pytest.mark.parametrize("table", ["image_id;side\ns1;train\n", "image_id;split\ns1;holdout\n"])
def test_an_official_table_that_says_something_else_is_refused(tmp_path: Path, table: str) -> None:
    _touch(tmp_path / "s1", "ct.nii.gz")
    (tmp_path / "meta.csv").write_text(table)
    with pytest.raises(BadVolume, match="BAD_CASES"):
        totalsegmentator(tmp_path)


def test_scans_of_a_folder_are_one_patients_and_one_line_warns_of_it(tmp_path: Path) -> None:
    _touch(tmp_path, "a/ct.nii.gz", "a/label.nii.gz", "b/1.nii", "b/2.nrrd", "b/label.nii")
    listing = any_folder(tmp_path)
    assert [(c.case_id, c.patient_id) for c in listing.candidates] == [
        ("a/ct", "folder/a"),
        ("b/1", "folder/b"),
        ("b/2", "folder/b"),
    ]
    # In b it is not plain whose label it is.
    assert [len(c.labels) for c in listing.candidates] == [1, 0, 0]
    assert listing.warnings == [
        f"{tmp_path}: neither --cases nor --patient-regex says whose 3 scans are: each of their 2 folders is taken as a patient"
    ]


@pytest.mark.parametrize("pattern", [r"(?P<patient>p\d+)_", r"(p\d+)_", r"p\d+"])
def test_a_pattern_finds_the_patient_in_the_path(tmp_path: Path, pattern: str) -> None:
    _touch(tmp_path, "x/p1_a.nii", "y/p1_b.nii", "y/p2_a.nii")
    listing = any_folder(tmp_path, patient_regex=pattern)
    assert [candidate.patient_id for candidate in listing.candidates] == ["p1", "p1", "p2"]
    assert listing.warnings == []


def test_a_pattern_that_finds_nobody_or_is_none_is_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "x.nii")
    with pytest.raises(ValueError, match=r"finds no patient in 'x.nii'"):
        any_folder(tmp_path, patient_regex=r"p\d")
    with pytest.raises(ValueError, match="expected a regular expression"):
        any_folder(tmp_path, patient_regex="(")
    with pytest.raises(ValueError, match="expected one of them"):
        any_folder(tmp_path, tmp_path / "cases.csv", "x")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_says_who_is_who_and_takes_no_other_scans(tmp_path: Path, delimiter: str) -> None:
    _touch(tmp_path, "a.nii.gz", "deep/b.nii", "deep/b_organs.nii", "c.nii")
    rows = [
        ("Path", "patient", "study", "dataset", "split", "label"),
        ("a.nii.gz", "Doe, J" if delimiter != "," else "Doe", "S1", "ward", "val", ""),
        ("deep/b.nii", "Roe", "", "", "", "deep/b_organs.nii"),
        ("gone.nii", "Roe", "", "", "", ""),
    ]
    (tmp_path / "cases.csv").write_text("".join(delimiter.join(row) + "\n" for row in rows), encoding="utf-8-sig")
    first, second, gone = any_folder(tmp_path, tmp_path / "cases.csv").candidates
    assert (first.patient_id[:3], first.study_id, first.dataset, first.split) == ("Doe", "S1", "ward", "validation")
    assert (second.patient_id, second.dataset, second.split) == ("Roe", "folder", None)
    assert second.labels == ((0, tmp_path / "deep/b_organs.nii"),)
    assert gone.files == (tmp_path / "gone.nii",)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "BAD_CASES"),
        ("path,name\na.nii,Doe\n", "BAD_CASES"),
        ("path,patient,extra\na.nii,Doe,1\n", "BAD_CASES"),
        ("path,patient\n", "BAD_CASES"),
        ("path,patient\na.nii,\n", "BAD_CASES"),
        ("path,patient,split\na.nii,Doe,holdout\n", "BAD_CASES"),
        ("path,patient\n../a.nii,Doe\n", "OUTSIDE_FOLDER"),
        ("path,patient\n/etc/a.nii,Doe\n", "OUTSIDE_FOLDER"),
        ("path,patient,label\na.nii,Doe,../b.nii\n", "OUTSIDE_FOLDER"),
        ("path,patient\na.nii,Doe\n./a.nii,Roe\n", "DUPLICATE_CASE"),
    ],
)
def test_a_bad_table_is_refused_with_its_code(tmp_path: Path, text: str, code: str) -> None:
    _touch(tmp_path, "a.nii")
    (tmp_path / "cases.csv").write_text(text)
    with pytest.raises(BadVolume) as caught:
        any_folder(tmp_path, tmp_path / "cases.csv")
    assert caught.value.code == code


def test_a_table_that_is_not_there_or_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="MISSING"):
        any_folder(tmp_path, tmp_path / "cases.csv")
    (tmp_path / "cases.csv").write_bytes(b"path,patient\na.nii,M\xfcller\n")
    with pytest.raises(BadVolume, match="not UTF-8"):
        any_folder(tmp_path, tmp_path / "cases.csv")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadVolume, match="NO_VOLUME"):
        any_folder(tmp_path)
