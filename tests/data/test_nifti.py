"""Volume files: what is admitted comes out as HU in RAS, what is refused says why."""

import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from maesil_monai.data.bad_volume import BadVolume, MissingVolume, UnreadableVolume
from maesil_monai.data.nifti import read_nifti
from maesil_monai.data.volume_files import read_volume

CT_DIR = Path(os.environ.get("MAESIL_CT_DIR", ""))
needs_ct = pytest.mark.skipif("MAESIL_CT_DIR" not in os.environ, reason="MAESIL_CT_DIR is not set")
AFFINE = np.diag([0.8, 0.8, 2.5, 1.0])


def _hu(shape=(6, 7, 8)):
    return np.random.default_rng(0).integers(-1000, 1500, shape).astype(np.int16)


def _save(path, array, affine=AFFINE, **fields):
    image = nib.Nifti1Image(array, affine)
    nib.save(image, path)
    if fields:
        _patch(path, **fields)
    return path


def _patch(path, **fields):
    """Writes header fields of an uncompressed file behind nibabel's back."""
    data = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(data[:348]), check=False)
    for name, value in fields.items():
        if isinstance(value, dict):
            for index, entry in value.items():
                header[name][index] = entry
        else:
            header[name] = value
    data[:348] = header.binaryblock
    path.write_bytes(data)


def _empty(path):
    path.touch()


def _folder(path):
    path.mkdir()


def _loop(path):
    path.symlink_to(path)


def _fifo(path):
    os.mkfifo(path)


def _truncated(path):
    _save(path, _hu())
    path.write_bytes(path.read_bytes()[:-100])


def _gzip_cut(path):
    _save(path, _hu((20, 20, 20)))
    path.write_bytes(path.read_bytes()[:9000])


def _gzip_without_trailer(path):
    _save(path, _hu())
    path.write_bytes(path.read_bytes()[:-8])


def _gzip_wrong_crc(path):
    _save(path, _hu())
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)


def _gzip_bit_flip(path):
    _save(path, _hu())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)


def _gzip_short_inside(path):
    plain = path.with_suffix("")
    _save(plain, _hu())
    path.write_bytes(gzip.compress(plain.read_bytes()[:-100]))


def _gzip_bomb(path):
    plain = path.with_suffix("")
    _save(plain, _hu())
    path.write_bytes(gzip.compress(plain.read_bytes() + bytes(2**25), 1))


def _plain_named_gz(path):
    plain = path.with_suffix("")
    _save(plain, _hu())
    plain.rename(path)


def _html(path):
    path.write_text("<!DOCTYPE html>" + "<p>404</p>" * 100)


def _html_gz(path):
    path.write_bytes(gzip.compress(b"<!DOCTYPE html>" + b"<p>404</p>" * 100))


def _colour(path):
    voxels = np.zeros((6, 7, 8), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(voxels, AFFINE), path)


def _values(transform):
    return lambda path: _save(path, transform(_hu().astype(np.float32)))


def _fields(**fields):
    return lambda path: _save(path, _hu(), **fields)


def _with(value):
    def put(hu):
        hu[3, 3, 3] = value
        return hu

    return put


REFUSED = [
    ("MISSING", "scan.nii.gz", lambda path: None),
    ("SYMLINK_LOOP", "scan.nii.gz", _loop),
    ("NOT_A_FILE", "scan.nii.gz", _folder),
    ("NOT_A_FILE", "scan.nii", _fifo),
    ("EMPTY_FILE", "scan.nii.gz", _empty),
    ("UNKNOWN_TYPE", "scan.dat", _empty),
    ("TRUNCATED", "scan.nii", _truncated),
    ("TRUNCATED", "scan.nii.gz", _gzip_cut),
    ("TRUNCATED", "scan.nii.gz", _gzip_without_trailer),
    ("TRUNCATED", "scan.nii.gz", _gzip_short_inside),
    ("GZIP_DAMAGED", "scan.nii.gz", _gzip_wrong_crc),
    ("GZIP_DAMAGED", "scan.nii.gz", _gzip_bit_flip),
    ("TRAILING_DATA", "scan.nii.gz", _gzip_bomb),
    ("NOT_GZIP", "scan.nii.gz", _plain_named_gz),
    ("NOT_GZIP", "scan.nii.gz", _html),
    ("NOT_NIFTI", "scan.nii", _html),
    ("NOT_NIFTI", "scan.nii.gz", _html_gz),
    ("NOT_3D", "scan.nii", lambda path: _save(path, _hu((6, 7, 8, 2)))),
    ("NOT_3D", "scan.nii", lambda path: _save(path, _hu((6, 7, 8, 1, 3)))),
    ("NOT_3D", "scan.nii", lambda path: _save(path, _hu((6, 7)))),
    ("TOO_FEW_SLICES", "scan.nii", lambda path: _save(path, _hu((6, 7, 3)))),
    ("TOO_LARGE", "scan.nii", _fields(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])),
    ("TRUNCATED", "scan.nii", _fields(dim=[3, 1200, 1200, 1200, 1, 1, 1, 1])),
    ("BAD_DIMENSIONS", "scan.nii", _fields(dim={0: 0})),
    ("BAD_DIMENSIONS", "scan.nii", _fields(dim={0: 9})),
    ("BAD_DIMENSIONS", "scan.nii", _fields(dim={2: 0})),
    ("BAD_DIMENSIONS", "scan.nii", _fields(dim={2: -7})),
    ("COLOUR", "scan.nii", _colour),
    ("COMPLEX", "scan.nii", lambda path: _save(path, _hu().astype(np.complex64))),
    ("BAD_DATATYPE", "scan.nii", _fields(datatype=77)),
    ("BAD_DATATYPE", "scan.nii", _fields(bitpix=8)),
    ("BAD_OFFSET", "scan.nii", _fields(vox_offset=-16)),
    ("TRUNCATED", "scan.nii", _fields(vox_offset=1e9)),
    ("BAD_SCALING", "scan.nii", _fields(scl_slope=1.0, scl_inter=np.inf)),
    ("BAD_SPACING", "scan.nii", _fields(pixdim={2: 0.0})),
    ("BAD_SPACING", "scan.nii", _fields(pixdim={2: np.nan})),
    ("BAD_SPACING", "scan.nii", lambda path: _save(path, _hu(), np.diag([0.8, 0.8, 1e-7, 1.0]))),
    ("BAD_SPACING", "scan.nii", lambda path: _save(path, _hu(), np.diag([800.0, 800.0, 2500.0, 1.0]))),
    ("BAD_UNIT", "scan.nii", _fields(xyzt_units=1)),
    ("BAD_AFFINE", "scan.nii", _fields(srow_x=0.0)),
    ("BAD_AFFINE", "scan.nii", _fields(srow_x=np.nan)),
    ("BAD_AFFINE", "scan.nii", _fields(srow_x=[0.8, 0.8, 0, 0], srow_y=[0.8, 0.8, 0, 0])),
    ("BAD_AFFINE", "scan.nii", _fields(sform_code=0, qform_code=1, quatern_b=5.0)),
    ("NON_FINITE", "scan.nii", _values(_with(np.nan))),
    ("NON_FINITE", "scan.nii", _values(_with(-np.inf))),
    ("VALUE_RANGE", "scan.nii", _values(_with(40000.0))),
    ("VALUE_RANGE", "scan.nii", _fields(scl_slope=1e30, scl_inter=0.0)),
    ("NOT_HOUNSFIELD", "scan.nii", _values(lambda hu: (hu + 1000) / 2500)),
    ("NOT_HOUNSFIELD", "scan.nii", _values(lambda hu: hu + 1024)),
    ("CONSTANT", "scan.nii", _values(lambda hu: hu * 0 - 1024)),
]


@pytest.mark.parametrize(("code", "name", "make"), REFUSED, ids=[f"{i}-{row[0]}" for i, row in enumerate(REFUSED)])
def test_a_bad_file_is_refused_with_its_code_and_its_name(tmp_path, code, name, make):
    path = tmp_path / name
    make(path)
    with pytest.raises(BadVolume) as caught:
        read_volume(path)
    assert caught.value.code == code
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, FileNotFoundError) == (code == "MISSING")


def test_a_file_without_permission_is_not_called_bad(tmp_path, monkeypatch):
    path = _save(tmp_path / "scan.nii", _hu())

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    # Permission bits do not stop the superuser, who may run the tests.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnreadableVolume) as caught:
        read_volume(path)
    assert caught.value.code == "UNREADABLE"
    assert isinstance(caught.value, PermissionError)


def test_a_missing_file_is_a_missing_volume():
    with pytest.raises(MissingVolume):
        read_volume("nowhere.nrrd")


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "SCAN.NII.GZ"])
@pytest.mark.parametrize("version", [nib.Nifti1Image, nib.Nifti2Image])
def test_whole_numbers_come_out_as_int16_and_the_same(tmp_path, name, version):
    hu = _hu()
    nib.save(version(hu, AFFINE), tmp_path / "twin.nii")
    data = (tmp_path / "twin.nii").read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.lower().endswith("gz") else data)
    source = read_nifti(tmp_path / name)
    assert source.array.dtype == np.int16
    assert np.array_equal(source.array, hu)
    np.testing.assert_allclose(source.affine, AFFINE, atol=1e-6)
    assert source.name == str(tmp_path / name)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64, ">i2", ">f4"])
def test_scaled_and_foreign_types_come_out_as_the_same_hounsfield_units(tmp_path, dtype):
    raw = (np.random.default_rng(1).integers(0, 200, (6, 7, 8))).astype(dtype)
    image = nib.Nifti1Image(raw, AFFINE)
    image.set_data_dtype(dtype)
    nib.save(image, tmp_path / "scan.nii")
    _patch(tmp_path / "scan.nii", scl_slope=8.0, scl_inter=-1024.0)
    source = read_nifti(tmp_path / "scan.nii")
    assert source.array.dtype == np.int16
    assert np.array_equal(source.array, raw.astype(np.float64) * 8 - 1024)
    _patch(tmp_path / "scan.nii", scl_slope=7.3, scl_inter=-1024.0)
    source = read_nifti(tmp_path / "scan.nii")
    assert source.array.dtype == np.float32
    np.testing.assert_allclose(source.array, raw.astype(np.float64) * np.float32(7.3) - 1024, atol=1e-3)


@pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
def test_a_slope_that_means_unscaled_changes_nothing(tmp_path, slope):
    path = _save(tmp_path / "scan.nii", _hu(), scl_slope=slope, scl_inter=5.0)
    assert np.array_equal(read_nifti(path).array, _hu())


def test_a_single_time_point_is_a_volume(tmp_path):
    path = _save(tmp_path / "scan.nii", _hu()[..., None])
    assert read_nifti(path).shape == (6, 7, 8)


def test_labels_are_read_without_the_checks_on_hounsfield_units(tmp_path):
    path = _save(tmp_path / "label.nii", np.zeros((6, 7, 8), dtype=np.uint8))
    with pytest.raises(BadVolume):
        read_volume(path)
    assert read_volume(path, hounsfield=False).array.dtype == np.int16


def test_a_file_without_any_form_takes_its_spacing_from_pixdim(tmp_path):
    path = _save(tmp_path / "scan.nii", _hu(), sform_code=0, qform_code=0, pixdim={1: -0.8})
    assert read_nifti(path).spacing_mm == pytest.approx((0.8, 0.8, 2.5))


def test_axes_are_turned_to_ras_and_voxels_keep_their_place(tmp_path):
    lps = np.diag([-0.8, -0.8, 2.5, 1.0])
    lps[:3, 3] = [100.0, 90.0, -300.0]
    hu = _hu().transpose(2, 0, 1)
    affine = lps[:, [2, 0, 1, 3]]
    source = read_nifti(_save(tmp_path / "scan.nii", hu, affine))
    assert source.shape == (6, 7, 8)
    assert nib.aff2axcodes(source.affine) == ("R", "A", "S")
    np.testing.assert_allclose(source.original_affine, affine, atol=1e-4)
    for voxel in ((0, 0, 0), (7, 5, 6), (3, 1, 2)):
        world = affine @ [*voxel, 1.0]
        i, j, k = np.rint(np.linalg.solve(source.affine, world))[:3].astype(int)
        assert source.array[i, j, k] == hu[voxel]


@needs_ct
def test_real_scans_are_admitted_and_a_colour_image_is_refused():
    for name in ("openkbp/pt_1/ct", "sts/STS_004/ct", "totalsegmentator_example/ct", "oddities/sheared_scaled_uint8"):
        path = CT_DIR / f"{name}.nii.gz"
        source, peer = read_nifti(path), nib.as_closest_canonical(nib.load(path))
        np.testing.assert_allclose(source.affine, peer.affine, atol=1e-4)
        np.testing.assert_allclose(source.array, peer.get_fdata(dtype=np.float32), atol=1e-3)
    with pytest.raises(BadVolume, match="COLOUR"):
        read_nifti(CT_DIR / "oddities/rgb_perfusion.nii.gz")
