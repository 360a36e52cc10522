"""NIfTI files that are admitted come out as HU in RAS. What is refused: see test_bad_inputs.py."""

import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from corpus_nifti import AFFINE, hu, patch, save

from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume
from maesil_monai.data.volumes.nifti import read_nifti
from maesil_monai.data.volumes.volume_files import read_volume

CT_DIR = Path(os.environ.get("MAESIL_CT_DIR", ""))
needs_ct = pytest.mark.skipif("MAESIL_CT_DIR" not in os.environ, reason="MAESIL_CT_DIR is not set")


def test_a_missing_file_is_a_missing_volume():
    with pytest.raises(MissingVolume):
        read_volume("nowhere.nrrd")


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "SCAN.NII.GZ"])
@pytest.mark.parametrize("version", [nib.Nifti1Image, nib.Nifti2Image])
def test_whole_numbers_come_out_as_int16_and_the_same(tmp_path, name, version):
    voxels = hu()
    nib.save(version(voxels, AFFINE), tmp_path / "twin.nii")
    data = (tmp_path / "twin.nii").read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.lower().endswith("gz") else data)
    source = read_nifti(tmp_path / name)
    assert source.array.dtype == np.int16
    assert np.array_equal(source.array, voxels)
    np.testing.assert_allclose(source.affine, AFFINE, atol=1e-6)
    assert source.name == str(tmp_path / name)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64, ">i2", ">f4"])
def test_scaled_and_foreign_types_come_out_as_the_same_hounsfield_units(tmp_path, dtype):
    raw = (np.random.default_rng(1).integers(0, 200, (6, 7, 8))).astype(dtype)
    image = nib.Nifti1Image(raw, AFFINE)
    image.set_data_dtype(dtype)
    nib.save(image, tmp_path / "scan.nii")
    patch(tmp_path / "scan.nii", scl_slope=8.0, scl_inter=-1024.0)
    source = read_nifti(tmp_path / "scan.nii")
    assert source.array.dtype == np.int16
    assert np.array_equal(source.array, raw.astype(np.float64) * 8 - 1024)
    patch(tmp_path / "scan.nii", scl_slope=7.3, scl_inter=-1024.0)
    source = read_nifti(tmp_path / "scan.nii")
    assert source.array.dtype == np.float32
    np.testing.assert_allclose(source.array, raw.astype(np.float64) * np.float32(7.3) - 1024, atol=1e-3)


def test_labels_are_read_without_the_checks_on_hounsfield_units(tmp_path):
    path = save(tmp_path / "label.nii", np.zeros((6, 7, 8), dtype=np.uint8))
    with pytest.raises(BadVolume):
        read_volume(path)
    assert read_volume(path, hounsfield=False).array.dtype == np.int16


def test_a_file_without_any_form_takes_its_spacing_from_pixdim(tmp_path):
    path = save(tmp_path / "scan.nii", hu(), sform_code=0, qform_code=0, pixdim={1: -0.8})
    assert read_nifti(path).spacing_mm == pytest.approx((0.8, 0.8, 2.5))


def test_axes_are_turned_to_ras_and_voxels_keep_their_place(tmp_path):
    lps = np.diag([-0.8, -0.8, 2.5, 1.0])
    lps[:3, 3] = [100.0, 90.0, -300.0]
    voxels = hu().transpose(2, 0, 1)
    affine = lps[:, [2, 0, 1, 3]]
    source = read_nifti(save(tmp_path / "scan.nii", voxels, affine))
    assert source.shape == (6, 7, 8)
    assert nib.aff2axcodes(source.affine) == ("R", "A", "S")
    np.testing.assert_allclose(source.original_affine, affine, atol=1e-4)
    for voxel in ((0, 0, 0), (7, 5, 6), (3, 1, 2)):
        world = affine @ [*voxel, 1.0]
        i, j, k = np.rint(np.linalg.solve(source.affine, world))[:3].astype(int)
        assert source.array[i, j, k] == voxels[voxel]


@needs_ct
def test_real_scans_are_admitted_and_a_colour_image_is_refused():
    for name in ("openkbp/pt_1/ct", "sts/STS_004/ct", "totalsegmentator_example/ct", "oddities/sheared_scaled_uint8"):
        path = CT_DIR / f"{name}.nii.gz"
        source, peer = read_nifti(path), nib.as_closest_canonical(nib.load(path))
        np.testing.assert_allclose(source.affine, peer.affine, atol=1e-4)
        np.testing.assert_allclose(source.array, peer.get_fdata(dtype=np.float32), atol=1e-3)
    with pytest.raises(BadVolume, match="COLOUR"):
        read_nifti(CT_DIR / "oddities/rgb_perfusion.nii.gz")
