"""Which series a folder holds: one candidate for each UID, what is no CT is no failure, and which are chosen."""

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest

from maesil_monai.data.dicom import Series, choose_series, find_series, read_series
from maesil_monai.data.dicom import header as dicom_header
from maesil_monai.data.dicom.slice_order import SliceFault, group_places, stack_slices
from maesil_monai.data.volumes.bad_volume import BadVolume, UnreadableVolume
from maesil_monai.phantom.dicom_files import (
    PLANTED_TAGS,
    StudyTags,
    draw_uid,
    planted_patient_id,
    write_chest_film,
    write_ct,
    write_localizer,
)
from maesil_monai.phantom.made_up_scan import Phantom

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.fixture
def tree(tmp_path):
    """A study with a localizer, a CT of 5 slices and a report, a study with a chest film, and files that are no DICOM."""
    rng = np.random.default_rng(0)
    hu = rng.integers(-1024, 1500, (8, 7, 5)).astype(np.int16)
    scan = Phantom(hu, np.zeros(hu.shape, np.uint8), np.diag([-0.8, -0.8, 2.5, 1.0]))
    first, second = (StudyTags(4, draw_uid(rng), draw_uid(rng)) for _ in range(2))
    write_localizer(tmp_path / "p" / "a" / "scout", scan, first, 1, rng)
    write_ct(tmp_path / "p" / "a" / "ct", scan, first, 2, rng)
    write_chest_film(tmp_path / "p" / "b" / "film", scan, second, 1, rng)
    report = pydicom.dcmread(tmp_path / "p" / "b" / "film" / "1-001.dcm")
    report.SeriesInstanceUID, report.Modality = draw_uid(rng), "SR"
    del report.PixelData
    (tmp_path / "p" / "a" / "report").mkdir()
    report.save_as(tmp_path / "p" / "a" / "report" / "1-1.dcm")
    (tmp_path / "p" / "a" / "ct" / "069.xml").write_text("<xml/>")
    (tmp_path / "LICENSE").write_text("text")
    (tmp_path / "p" / "a" / "ct" / "._1-001.dcm").write_bytes(b"resource fork")
    return tmp_path


def test_what_is_no_ct_is_named_and_no_failure(tree):
    found = find_series(tree)
    assert [(series.files[0].parent.name, series.num_files, series.why_not) for series in found] == [
        ("ct", 5, ""),
        ("report", 1, "modality SR"),
        ("scout", 1, "a localizer"),
        ("film", 1, "modality CR"),
    ]
    ct = found[0]
    assert ct.is_ct
    assert ct.slice_mm == pytest.approx(2.5)
    assert ct.patient_id == planted_patient_id(4)
    assert ct.study_uid == found[2].study_uid != found[3].study_uid
    assert read_series(tree).shape == (8, 7, 5)


def test_a_series_shows_its_uid_and_not_its_patient(tree):
    shown = repr(find_series(tree)[0])
    assert pydicom.dcmread(tree / "p" / "a" / "ct" / "1-001.dcm").SeriesInstanceUID in shown
    assert not [value for _, value in PLANTED_TAGS if value in shown]


def test_a_capture_is_no_ct_whatever_its_modality_says(tree):
    film = tree / "p" / "b" / "film" / "1-001.dcm"
    dataset = pydicom.dcmread(film)
    dataset.Modality, dataset.SOPClassUID = "CT", "1.2.840.10008.5.1.4.1.1.7"
    dataset.save_as(film)
    assert find_series(tree)[3].why_not == "Secondary Capture Image Storage, no CT image"


def test_a_series_without_a_uid_is_one_of_its_folder(tree):
    for path in (tree / "p" / "a" / "ct").glob("1-*.dcm"):
        dataset = pydicom.dcmread(path)
        del dataset.SeriesInstanceUID
        dataset.save_as(path)
    series = find_series(tree)[0]
    assert series.num_files == 5
    assert series.series_uid.startswith("unnamed-")
    assert series.series_uid == find_series(tree)[0].series_uid
    assert read_series(series).shape == (8, 7, 5)


def test_one_series_in_two_folders_is_one_candidate(tree):
    away = tree / "q"
    away.mkdir()
    (tree / "p" / "a" / "ct" / "1-003.dcm").rename(away / "1-003.dcm")
    assert [series.num_files for series in find_series(tree) if series.is_ct] == [5]


def test_a_broken_file_is_a_candidate_of_its_own_that_is_refused_by_name(tree):
    broken = tree / "p" / "a" / "ct" / "1-005.dcm"
    broken.write_bytes(broken.read_bytes()[:140])
    ct = [series for series in find_series(tree) if series.is_ct]
    assert [series.num_files for series in ct] == [4, 1]
    with pytest.raises(BadVolume) as caught:
        read_series(ct[1])
    assert caught.value.code == "DAMAGED_HEADER"
    assert str(broken) in str(caught.value)
    with pytest.raises(BadVolume) as caught:
        read_series(tree)
    assert caught.value.code == "DAMAGED_HEADER"


def test_a_file_that_may_not_be_read_is_refused_as_such(tree, monkeypatch):
    def forbidden(path, rules):
        if path.name == "1-005.dcm":
            raise UnreadableVolume("UNREADABLE", path, "no permission to read", "a readable file", "Change it.")
        return 1

    monkeypatch.setattr(dicom_header, "check_file", forbidden)
    with pytest.raises(UnreadableVolume):
        read_series(tree)


def test_a_link_to_a_folder_above_ends(tree):
    (tree / "p" / "loop").symlink_to(tree, target_is_directory=True)
    assert len(find_series(tree)) == 4


def test_a_pipe_is_passed_over(tree):
    os.mkfifo(tree / "p" / "pipe")
    assert len(find_series(tree)) == 4


@pytest.mark.parametrize(("name", "code"), [("nowhere", "MISSING"), ("LICENSE", "NOT_A_FOLDER")])
def test_a_folder_that_is_none_is_refused(tree, name, code):
    with pytest.raises(BadVolume) as caught:
        find_series(tree / name)
    assert caught.value.code == code


def test_only_the_bytes_before_the_pixels_are_read(tree):
    path = tree / "p" / "a" / "ct" / "1-001.dcm"
    header = dicom_header.read_header(path)
    # 8 x 7 pixels of 2 bytes behind an element head of 12.
    assert header.pixel_offset == path.stat().st_size - 8 * 7 * 2 - 12


def test_bytes_changed_anywhere_in_a_header_give_a_header_or_a_refusal(tree):
    path = tree / "p" / "a" / "ct" / "1-001.dcm"
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for trial in range(300):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content) - 8 * 7 * 2, 1 + trial % 6):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged[: int(rng.integers(1, len(content)))] if trial % 3 == 0 else damaged)
        # One slice is no volume, whatever its header says.
        with pytest.raises(BadVolume) as caught:
            read_series(path)
        assert not [value for _, value in PLANTED_TAGS if value in str(caught.value)]


def _ct(uid, num_files, slice_mm, study="1.9", why_not=""):
    return Series((Path(uid),) * num_files, uid, study, "", "CT", slice_mm, why_not)


POLICIES = {
    "all": ["thick", "thin 1", "thin 2", "detail", "bolus", "alone"],
    "thinnest": ["thin 1", "thin 2", "alone"],
    "one-per-study": ["thin 2", "alone"],
}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_chooses_among_the_series_of_a_study(policy):
    series = [
        _ct("thick", 80, 5.0),
        _ct("thin 1", 300, 1.25),
        _ct("thin 2", 310, 1.25),
        _ct("detail", 60, 0.6),
        _ct("bolus", 20, None),
        _ct("localizer", 2, None, why_not="a localizer"),
        _ct("alone", 50, 3.0, study="1.8"),
    ]
    assert [chosen.series_uid for chosen in choose_series(series, policy)] == POLICIES[policy]


def test_a_study_of_short_series_alone_loses_none_of_the_thinnest():
    assert [chosen.num_files for chosen in choose_series([_ct("short", 2, 5.0)])] == [2]


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="thinnest, all, one-per-study"):
        choose_series([], "best")


def _heights(*values):
    return np.array([(0.0, 0.0, value) for value in values])


def test_slices_are_even_up_to_a_hundredth_of_their_distance_and_uneven_beyond():
    # 20 slices, 5 mm apart: 1 % is 0.05 mm.
    for off_mm, even in ((0.04, True), (0.06, False)):
        places = _heights(*(5.0 * k for k in range(20)))
        places[7, 2] += off_mm
        assert isinstance(stack_slices(places, AXIAL, 4), SliceFault) is not even


def test_steps_that_drift_are_uneven_though_neighbours_agree():
    # Steps grow from 1.000 by 0.0005 mm: neighbours differ by 0.05 %, the middle of 100 slices lies 0.6 mm off.
    fault = stack_slices(_heights(*np.cumsum(1 + 0.0005 * np.arange(100))), AXIAL, 4)
    assert isinstance(fault, SliceFault)
    assert fault.code == "SLICE_INCREMENT"


def test_slices_at_one_place_stand_together_in_the_order_given():
    assert group_places(_heights(5.0, 0.0, 5.001, -2.5), np.array([0.0, 0.0, 1.0])) == [[3], [1], [0, 2]]
