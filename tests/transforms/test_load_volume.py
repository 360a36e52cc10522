"""Loading: lazily with a cache, or whole; and back to the file's own axes."""

import os
import pickle
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, SaveImage

from maesil_monai.data.store import StoreSource, write_entry
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.volume_cache import VolumeCache
from maesil_monai.data.volumes.volume_source import ArraySource
from maesil_monai.phantom.dicom_files import StudyTags, draw_uid, write_ct
from maesil_monai.phantom.made_up_scan import phantom_scan
from maesil_monai.transforms.load_volume import LoadVolume, LoadVolumed

ORIENTATIONS = ["RAS", "LPS", "PIR", "SLA", "IPL"]


def _save(path, axcodes="RAS", shape=(9, 7, 5)):
    """A scan whose file has the given axes; the voxels differ everywhere."""
    hu = np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype(np.int16) - 400
    affine = np.array([[0.7, 0.1, 0, -30.0], [-0.1, 0.7, 0, 20.0], [0, 0, 2.5, 5.0], [0, 0, 0, 1.0]])
    turn = nib.orientations.axcodes2ornt(axcodes)
    image = nib.Nifti1Image(hu, affine).as_reoriented(turn)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("axcodes", ORIENTATIONS)
def test_a_whole_scan_is_ras_and_its_inverse_is_the_file_to_the_bit(tmp_path, axcodes):
    path = _save(tmp_path / "scan.nii.gz", axcodes)
    file = nib.load(path)
    load = LoadVolume(lazy=False)
    image = load(path)
    peer = nib.as_closest_canonical(file)
    assert image.dtype == torch.float32
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    np.testing.assert_allclose(image.affine, peer.affine, atol=1e-5)
    assert np.array_equal(image[0].numpy(), peer.get_fdata(dtype=np.float32))
    back = load.inverse(image)
    assert np.array_equal(back[0].numpy(), file.get_fdata(dtype=np.float32))
    np.testing.assert_allclose(back.affine, file.affine, atol=1e-6)
    assert back.applied_operations == []


def test_a_lazy_source_reads_the_same_voxels_as_the_whole_scan(tmp_path):
    path = _save(tmp_path / "scan.nii.gz", "LPS")
    source, image = LoadVolume()(path), LoadVolume(lazy=False)(str(path))
    box = ((1, 2, 0), (8, 5, 4))
    assert torch.equal(source.read(box).float(), image.as_tensor()[:, 1:8, 2:5, 0:4])
    np.testing.assert_array_equal(source.affine, image.affine)


def test_the_saved_inverse_has_the_name_and_the_geometry_of_the_scan(tmp_path):
    path = _save(tmp_path / "scan.nii.gz", "LPS")
    SaveImage(tmp_path / "out", output_postfix="copy", separate_folder=False, resample=True, print_log=False)(
        LoadVolume(lazy=False)(path)
    )
    file, saved = nib.load(path), nib.load(tmp_path / "out" / "scan_copy.nii.gz")
    np.testing.assert_allclose(saved.affine, file.affine, atol=1e-5)
    np.testing.assert_allclose(saved.get_fdata(), file.get_fdata(), atol=1e-3)


def test_a_file_is_read_once_while_it_is_cached_and_again_when_it_changed(tmp_path):
    load = LoadVolume()
    path = _save(tmp_path / "scan.nii")
    first = load(path)
    assert load(str(path)) is first
    os.utime(path, ns=(1, 1))
    assert load(path) is not first
    assert LoadVolume(cache_bytes=0)(path) is not LoadVolume(cache_bytes=0)(path)


def test_the_cache_drops_what_was_used_least_recently_and_counts_derived_volumes(tmp_path):
    paths = [_save(tmp_path / f"{name}.nii") for name in "abc"]
    one = 9 * 7 * 5 * 2
    load = LoadVolume(cache_bytes=2 * one)
    a, b = load(paths[0]), load(paths[1])
    assert load(paths[0]) is a
    load(paths[2])
    assert load(paths[0]) is a
    assert load(paths[1]) is not b
    a = load(paths[0])
    a.derived["body"] = ArraySource(np.zeros(a.shape, dtype=bool), a.affine)
    # a now holds 3 bytes a voxel: with another scan of 2 it is over the bound of 4.
    load(paths[2])
    assert load.cache.num_volumes == 1


def _entry(path, value):
    source = ArraySource(np.full((9, 7, 5), value, dtype=np.int16), np.eye(4))
    write_entry(path, source, source.array > 0, None, {})
    return path


def test_an_entry_stays_open_while_it_is_cached_and_is_opened_again_when_it_was_replaced(tmp_path):
    load = LoadVolume()
    path = _entry(tmp_path / "case.zarr", 5)
    first = load(path)
    assert isinstance(first, StoreSource)
    assert load(str(path)) is first
    _entry(path, 7)
    assert load(path).read(((0, 0, 0), (1, 1, 1))).item() == 7
    assert LoadVolume(hounsfield=False)(path / "labels" / "body").read(((0, 0, 0), (1, 1, 1))).item() is True


def test_a_folder_that_holds_a_dicom_series_is_a_scan_and_one_of_its_files_is_not(tmp_path):
    scan = phantom_scan(1, (24, 24, 9), (15.0, 15.0, 9.0), orientation="LPS")
    rng = np.random.default_rng(0)
    write_ct(tmp_path / "ct", scan, StudyTags(1, draw_uid(rng), draw_uid(rng)), 1, rng)
    image = LoadVolume(lazy=False)(tmp_path / "ct")
    # LPS turned to RAS: the first two axes reversed.
    assert np.array_equal(image[0].numpy(), scan.hu[::-1, ::-1])
    assert np.array_equal(LoadVolume()(tmp_path / "ct").read(((3, 4, 5), (9, 9, 9)))[0], scan.hu[::-1, ::-1][3:9, 4:9, 5:9])
    for name in ("1-001.dcm", "no_suffix"):
        shutil.copy(tmp_path / "ct" / "1-001.dcm", tmp_path / name)
        with pytest.raises(BadVolume, match="TOO_FEW_SLICES"):
            LoadVolume()(tmp_path / name)


def test_what_an_entry_keeps_in_memory_counts_once_it_is_there(tmp_path):
    paths = [_entry(tmp_path / f"{name}.zarr", 5) for name in "abc"]
    # Sums over 2 x 1 x 1 blocks, at 3 x 2 x 2 corners, of 4 bytes each: 48 bytes an entry.
    load = LoadVolume(cache_bytes=100)
    for path in paths:
        load(path).body.share(((0, 0, 0), (9, 7, 5)))
    assert load.cache.num_volumes == 3
    load(paths[0])
    assert load.cache.num_volumes == 2


def test_a_pickled_loader_leaves_its_volumes_behind(tmp_path):
    load = LoadVolume(cache_bytes=10**6)
    load(_save(tmp_path / "scan.nii"))
    twin = pickle.loads(pickle.dumps(load))
    assert (load.cache.num_volumes, twin.cache.num_volumes) == (1, 0)
    assert twin.cache.max_bytes == 10**6


def test_a_cache_of_negative_size_is_refused():
    with pytest.raises(ValueError, match="cache_bytes=-1"):
        VolumeCache(-1)


def test_a_source_passes_through_and_other_things_are_refused(tmp_path):
    source = ArraySource(np.zeros((4, 5, 6), dtype=np.int16), np.eye(4), "made")
    assert LoadVolume()(source) is source
    assert LoadVolume(lazy=False)(source).meta["filename_or_obj"] == "made"
    with pytest.raises(TypeError, match="ndarray"):
        LoadVolume()(np.zeros(3))
    with pytest.raises(ValueError, match="lazy=False"):
        LoadVolume().inverse(LoadVolume(lazy=False)(source))


def test_the_dictionary_form_loads_its_keys_only(tmp_path):
    path = _save(tmp_path / "scan.nii")
    data = {"image": path, "label": path, "case_id": "scan"}
    out = LoadVolumed(keys=("image", "label"))(data)
    assert out["image"] is out["label"]
    assert out["case_id"] == "scan"
    assert data["image"] == path
    with pytest.raises(KeyError, match="body"):
        LoadVolumed(keys="body")(data)
    assert LoadVolumed(keys="body", allow_missing_keys=True)(data) == data


def test_whole_scans_collate_into_a_batch_and_a_bad_one_is_named_as_the_cause(tmp_path):
    rows = [{"image": _save(tmp_path / f"{axes}.nii", axes)} for axes in ("RAS", "LPS")]
    load = Compose([LoadVolumed(keys="image", lazy=False)])
    batch = next(iter(DataLoader(Dataset(rows, load), batch_size=2)))
    assert batch["image"].shape == (2, 1, 9, 7, 5)
    # MONAI wraps what a transform raises; the family stays visible as the cause.
    with pytest.raises(RuntimeError) as caught:
        load({"image": Path("nowhere.nii")})
    assert isinstance(caught.value.__cause__, BadVolume)
    assert caught.value.__cause__.code == "MISSING"
