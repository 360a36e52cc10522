"""NRRD and MetaImage: the same volumes, the same refusals as NIfTI."""

import importlib
import warnings

import nibabel as nib
import numpy as np
import pytest

from maesil_monai.data.volumes.admission_checks import AdmissionRules
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.volume_files import read_volume

SHAPE = (8, 7, 6)


@pytest.fixture(scope="module")
def itk():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("itk")


def _hu():
    return np.random.default_rng(0).integers(-1000, 1500, SHAPE[::-1]).astype(np.int16)


def _write(itk, path, array, compression=False, is_vector=False):
    image = itk.image_from_array(array, is_vector=is_vector)
    if not is_vector and array.ndim == 3:
        image.SetSpacing([0.8, 0.9, 2.5])
        image.SetOrigin([10.0, 20.0, -30.0])
        image.SetDirection(itk.matrix_from_array(np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])))
    itk.imwrite(image, str(path), compression=compression)
    return path


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha", "scan.mhd"])
@pytest.mark.parametrize("compression", [False, True])
def test_voxels_keep_their_values_and_their_place_in_ras(itk, tmp_path, name, compression):
    hu = _hu()
    source = read_volume(_write(itk, tmp_path / name, hu, compression))
    assert source.array.dtype == np.int16
    assert nib.aff2axcodes(source.affine) == ("R", "A", "S")
    # Columns of the direction: x runs along LPS y, y along z, z along x; LPS to RAS negates the first two coordinates.
    for i, j, k in ((0, 0, 0), (7, 6, 5), (3, 1, 2)):
        lps = np.array([10.0 + 2.5 * k, 20.0 + 0.8 * i, -30.0 + 0.9 * j])
        voxel = np.linalg.solve(source.affine, [-lps[0], -lps[1], lps[2], 1.0])[:3]
        np.testing.assert_allclose(voxel, np.rint(voxel), atol=1e-6)
        assert source.array[tuple(np.rint(voxel).astype(int))] == hu[k, j, i]


def _cut(itk, path):
    _write(itk, path, _hu())
    path.write_bytes(path.read_bytes()[:-100])


def _cut_compressed(itk, path):
    _write(itk, path, _hu(), compression=True)
    path.write_bytes(path.read_bytes()[:-100])


def _html(itk, path):
    path.write_text("<!DOCTYPE html>")


def _voxels_elsewhere(itk, path):
    _write(itk, path, _hu())
    path.write_text(path.read_text().replace("ElementDataFile = scan.raw", "ElementDataFile = ../scan.raw"))


def _voxels_by_pattern(itk, path):
    path.write_text("NRRD0004\ntype: short\ndimension: 3\nsizes: 8 7 6\nencoding: raw\ndata file: slice%03d.raw 1 6 1\n\n")


def _without_voxels(itk, path):
    _write(itk, path, _hu())
    path.with_suffix(".raw").unlink()


REFUSED = [
    ("MISSING", "scan.nrrd", lambda itk, path: None),
    ("EMPTY_FILE", "scan.mha", lambda itk, path: path.touch()),
    ("NOT_ITK", "scan.nrrd", _html),
    ("NOT_ITK", "scan.mha", _html),
    ("UNREADABLE_VOXELS", "scan.nrrd", _cut),
    ("UNREADABLE_VOXELS", "scan.mha", _cut),
    ("UNREADABLE_VOXELS", "scan.nrrd", _cut_compressed),
    ("UNREADABLE_VOXELS", "scan.mha", _cut_compressed),
    ("UNREADABLE_VOXELS", "scan.mhd", _without_voxels),
    ("ESCAPING_PATH", "scan.mhd", _voxels_elsewhere),
    ("ESCAPING_PATH", "scan.nhdr.nrrd", _voxels_by_pattern),
    ("COLOUR", "scan.mha", lambda itk, path: _write(itk, path, np.zeros((8, 7, 6, 3), np.uint8), is_vector=True)),
    ("NOT_3D", "scan.mha", lambda itk, path: _write(itk, path, _hu()[0])),
    ("NOT_3D", "scan.nrrd", lambda itk, path: _write(itk, path, np.stack([_hu(), _hu()]))),
    ("TOO_FEW_SLICES", "scan.nrrd", lambda itk, path: _write(itk, path, _hu()[:3])),
    ("NOT_HOUNSFIELD", "scan.nrrd", lambda itk, path: _write(itk, path, _hu() + np.int16(1024))),
    ("NON_FINITE", "scan.mha", lambda itk, path: _write(itk, path, np.where(_hu() > 1400, np.nan, _hu()).astype(np.float32))),
]


@pytest.mark.parametrize(("code", "name", "make"), REFUSED, ids=[f"{i}-{row[0]}" for i, row in enumerate(REFUSED)])
def test_a_bad_file_is_refused_with_its_code_and_its_name(itk, tmp_path, code, name, make):
    path = tmp_path / name
    make(itk, path)
    with pytest.raises(BadVolume) as caught:
        read_volume(path)
    assert caught.value.code == code
    assert str(path) in str(caught.value)


def test_a_single_time_point_is_a_volume(itk, tmp_path):
    source = read_volume(_write(itk, tmp_path / "scan.mha", _hu()[None]))
    assert source.shape == SHAPE
    assert [note.code for note in source.notes] == ["SQUEEZED"]


def test_rules_hold_for_these_files_too(itk, tmp_path):
    path = _write(itk, tmp_path / "scan.mha", np.where(_hu() > 1400, np.nan, _hu()).astype(np.float32))
    source = read_volume(path, rules=AdmissionRules(nan_fill=-1024.0))
    assert [note.code for note in source.notes] == ["NON_FINITE_FILLED"]
    assert int((source.array == -1024).sum()) == int((_hu() > 1400).sum())
    with pytest.raises(BadVolume, match="TOO_LARGE"):
        read_volume(path, rules=AdmissionRules(max_voxels=100))
