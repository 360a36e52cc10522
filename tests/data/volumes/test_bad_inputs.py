"""The corpus of bad and odd files: refused with the right code, or accepted with the right notes and the right voxels."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from corpus_nifti import AFFINE, CASES, GZ, content, hu, rotated, save, sheared, values, voxel

from maesil_monai.data.volumes.admission_checks import AdmissionRules
from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume, UnreadableVolume
from maesil_monai.data.volumes.label_check import check_label
from maesil_monai.data.volumes.nifti import read_nifti
from maesil_monai.data.volumes.volume_files import read_volume
from maesil_monai.data.volumes.volume_source import ArraySource

CT_DIR = Path(os.environ.get("MAESIL_CT_DIR", ""))
needs_ct = pytest.mark.skipif("MAESIL_CT_DIR" not in os.environ, reason="MAESIL_CT_DIR is not set")


@pytest.mark.parametrize("case", [case for case in CASES if case.code], ids=str)
def test_a_bad_file_is_refused_with_its_code_and_its_name(tmp_path, case):
    path = tmp_path / case.name
    case.make(path)
    with pytest.raises(BadVolume) as caught:
        read_volume(path)
    assert caught.value.code == case.code
    assert caught.value.path == str(path)
    assert isinstance(caught.value, FileNotFoundError) == (case.code == "MISSING")


@pytest.mark.parametrize("case", [case for case in CASES if not case.code], ids=str)
def test_an_odd_file_is_admitted_with_its_notes_and_its_voxels(tmp_path, case):
    path = tmp_path / case.name
    case.make(path)
    source = read_volume(path)
    assert tuple(note.code for note in source.notes) == case.notes
    assert source.array.dtype == np.int16
    assert np.array_equal(source.array[:: -1 if case.mirrored else 1], hu())


def test_the_corpus_has_every_row_that_concerns_one_file():
    # Rows 10, 12, 42 and 50 to 51 have tests of their own below; 52 to 54 are about several files and DICOM.
    assert {case.row for case in CASES} == set(range(1, 50)) - {10, 12, 42} | {55}


def test_a_file_without_permission_is_not_called_bad(tmp_path, monkeypatch):
    path = save(tmp_path / "scan.nii", hu())

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    # Permission bits do not stop the superuser, who may run the tests.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnreadableVolume) as caught:
        read_volume(path)
    assert caught.value.code == "UNREADABLE"
    assert isinstance(caught.value, PermissionError)


def test_a_name_that_no_file_can_have_is_a_missing_volume():
    with pytest.raises(MissingVolume):
        read_nifti("a\0b.nii")


def test_a_link_out_of_the_root_is_refused_with_the_real_place_unless_allowed(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir(), outside.mkdir()
    real = save(outside / "scan.nii", hu())
    link, twin = inside / "link.nii", inside / "twin.nii"
    link.symlink_to(real)
    save(inside / "scan.nii", hu())
    twin.symlink_to(inside / "scan.nii")
    with pytest.raises(BadVolume) as caught:
        read_volume(link, rules=AdmissionRules(root=inside))
    assert caught.value.code == "LINK_OUT"
    assert str(real) in caught.value.found
    with pytest.raises(BadVolume, match="LINK_OUT"):
        read_volume(inside / ".." / "outside" / "scan.nii", rules=AdmissionRules(root=inside))
    for path, rules in ((link, AdmissionRules(root=inside, links_out=True)), (link, AdmissionRules())):
        assert read_volume(path, rules=rules).shape == (6, 7, 8)
    assert read_volume(twin, rules=AdmissionRules(root=inside)).shape == (6, 7, 8)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_filled_on_request_and_counted(tmp_path, value):
    path = tmp_path / "scan.nii"
    values(voxel(value))(path)
    source = read_volume(path, rules=AdmissionRules(nan_fill=-1024.0))
    expected = hu()
    expected[3, 3, 3] = -1024
    assert np.array_equal(source.array, expected)
    assert source.array.dtype == np.int16
    assert [note.code for note in source.notes] == ["NON_FINITE_FILLED"]
    assert source.notes[0].found == "1 of 336 voxels are NaN or infinite"
    values(lambda array: array * np.nan)(path)
    with pytest.raises(BadVolume, match="NON_FINITE"):
        read_volume(path, rules=AdmissionRules(nan_fill=-1024.0))


def test_bounds_of_size_are_the_users_choice(tmp_path):
    path = save(tmp_path / "scan.nii", hu((6, 7, 3)))
    assert read_volume(path, rules=AdmissionRules(min_slices=3)).shape == (6, 7, 3)
    with pytest.raises(BadVolume, match="TOO_LARGE"):
        read_volume(path, rules=AdmissionRules(min_slices=3, max_voxels=100))
    for wrong in ({"min_slices": 0}, {"max_voxels": 0}, {"nan_fill": np.nan}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            AdmissionRules(**wrong)


def test_metal_and_padding_marks_are_kept_and_noted(tmp_path):
    path = tmp_path / "scan.nii"
    values(voxel(30000.0))(path)
    source = read_volume(path)
    assert [note.code for note in source.notes] == ["METAL"]
    assert source.array[3, 3, 3] == 30000
    values(voxel(-3024.0))(path)
    assert [note.code for note in read_volume(path).notes] == ["OUTSIDE_MARKED"]


@pytest.mark.parametrize("affine", [AFFINE, rotated(30), sheared(20)], ids=["straight", "oblique", "sheared"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_left_and_right_survive_in_left_and_right_handed_files(tmp_path, affine, mirrored):
    mirror = np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0, 1.0])
    stored = affine @ mirror
    stored[:3, 3] = [12.0, -7.0, 30.0]
    array = hu() // 2 + np.int16(0)
    array[5, 2, 6] = 1400
    source = read_volume(save(tmp_path / "scan.nii", array, stored))
    place = np.argwhere(source.array == 1400)[0]
    np.testing.assert_allclose(source.affine @ [*place, 1.0], stored @ [5, 2, 6, 1.0], atol=1e-4)
    assert np.linalg.det(source.affine[:3, :3]) > 0


def test_a_sheared_sform_agrees_with_the_qform_of_its_rotation(tmp_path):
    image = nib.Nifti1Image(hu(), sheared(20))
    image.set_sform(sheared(20), 1)
    image.set_qform(sheared(20), 1, strip_shears=True)
    nib.save(image, tmp_path / "scan.nii")
    source = read_volume(tmp_path / "scan.nii")
    assert [note.code for note in source.notes] == ["SHEARED"]
    np.testing.assert_allclose(source.affine, sheared(20), atol=1e-5)


def _label(array, affine=AFFINE):
    return ArraySource(np.asarray(array), affine, "label.nii")


def test_a_label_must_lie_on_its_scan_and_hold_known_ids():
    image = ArraySource(hu(), AFFINE, "ct.nii")
    good = np.zeros(image.shape, dtype=np.int16)
    good[1:3, 2, 2], good[4, 4, 4] = 1, 7
    assert check_label(image, _label(good)) == (1, 7)
    assert check_label(image, _label(good), known_ids=range(8)) == (1, 7)
    negative, fraction = good.copy(), good.astype(np.float32)
    negative[0, 0, 0] = -2
    fraction[0, 0, 0] = 0.5
    spacing = np.diag([0.8, 0.8, 3.0, 1.0])
    for code, found, label, ids in (
        ("LABEL_SHAPE", "(6, 7, 7)", _label(good[..., :-1]), None),
        ("LABEL_PLACE", "3.5 mm", _label(good, spacing), None),  # 7 steps of half a mm
        ("LABEL_IDS", "ids -2", _label(negative), None),
        ("LABEL_IDS", "ids 7", _label(good), (1, 2)),
        ("LABEL_FRACTIONS", "values 0.5", _label(fraction), None),
    ):
        with pytest.raises(BadVolume) as caught:
            check_label(image, label, ids)
        assert caught.value.code == code
        assert found in caught.value.found


@needs_ct
def test_real_oddities_are_judged_rightly():
    with pytest.raises(BadVolume, match="COLOUR"):
        read_volume(CT_DIR / "oddities/rgb_perfusion.nii.gz")
    assert [note.code for note in read_volume(CT_DIR / "oddities/sheared_scaled_uint8.nii.gz").notes] == ["SHEARED"]


def test_reading_does_not_depend_on_where_pieces_are_cut(tmp_path, monkeypatch):
    path = tmp_path / "scan.nii.gz"
    content(GZ)(path)
    for size in (1, 7, 351, 353, 4096):
        monkeypatch.setattr("maesil_monai.data.volumes.plain_or_gzip._IN_BYTES", size)
        monkeypatch.setattr("maesil_monai.data.volumes.plain_or_gzip._OUT_BYTES", size)
        assert np.array_equal(read_nifti(path).array, hu())
