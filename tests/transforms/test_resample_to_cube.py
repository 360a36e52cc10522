"""Resampling keeps places in the world, lazily and eagerly alike, and goes back."""

import itertools
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch
from monai.transforms import Compose, Invertd

from maesil_monai.data.volumes.nifti import read_nifti
from maesil_monai.data.volumes.volume_source import ArraySource
from maesil_monai.interpolation import blocks_of
from maesil_monai.transforms.load_volume import LoadVolume, LoadVolumed
from maesil_monai.transforms.resample_to_cube import ResampleToCube, ResampleToCubed

CT_DIR = Path(os.environ.get("MAESIL_CT_DIR", ""))
needs_ct = pytest.mark.skipif("MAESIL_CT_DIR" not in os.environ, reason="MAESIL_CT_DIR is not set")

SHAPE = (20, 26, 15)
SPACING_MM = (1.1, 0.9, 2.3)
HALF_A_VOXEL_MM = 0.5 * min(SPACING_MM)
MARK = np.array([12, 11, 5])
ORIENTATIONS = ["".join(letters) for order in itertools.permutations(["LR", "PA", "IS"]) for letters in itertools.product(*order)]


def _rotation(angles):
    a, b, c = angles
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return x @ y @ z


def _affine(kind):
    """RAS affines: voxel (0, 0, 0) at a place that is not the origin."""
    matrix = {
        "straight": np.eye(3),
        "oblique": _rotation((0.3, -0.2, 0.25)),
        "left_handed": np.eye(3),
        "sheared": np.array([[1, 0, 0], [0, 1, np.tan(np.deg2rad(20))], [0, 0, 1]]),
    }[kind]
    affine = np.eye(4)
    affine[:3, :3] = matrix @ np.diag(SPACING_MM)
    affine[:3, 3] = (-40.0, 31.0, -650.0)
    if kind == "left_handed":
        # Stored right to left without saying so in the order of its axes: the determinant is negative before and after.
        affine[:, 0] *= -1
    return affine


def _scan(tmp_path, kind, axcodes):
    """A file of the given axes with one marked voxel; gives its path and the place of the mark in the world."""
    affine = _affine(kind)
    hu = np.full(SHAPE, -1000, dtype=np.int16)
    hu[tuple(MARK)] = 1000
    image = nib.Nifti1Image(hu, affine)
    turn = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(axcodes))
    path = tmp_path / "scan.nii"
    nib.save(image.as_reoriented(turn), path)
    return path, (affine @ [*MARK, 1.0])[:3]


def _centre_of(volume, affine):
    """Place in the world of the centre of mass of what is above air."""
    weights = (torch.as_tensor(volume)[0].double() + 1000).clamp_(min=0)
    axes = [torch.arange(n, dtype=torch.float64) for n in weights.shape]
    centre = [float((weights.sum([a for a in range(3) if a != axis]) * axes[axis]).sum() / weights.sum()) for axis in range(3)]
    return (np.asarray(affine) @ [*centre, 1.0])[:3]


POLICIES = {
    "stretch": {"policy": "stretch", "size": (32, 40, 36)},
    "stretch_smaller": {"policy": "stretch", "size": (13, 17, 21)},
    "spacing": {"policy": "spacing", "spacing_mm": 1.0, "superpatch_size": (16, 12, 8)},
    "spacing_coarser": {"policy": "spacing", "spacing_mm": (2.0, 1.7, 2.5), "superpatch_size": (8, 16, 4)},
}


@pytest.mark.parametrize("kind", ["straight", "oblique", "left_handed", "sheared"])
@pytest.mark.parametrize("axcodes", ORIENTATIONS)
def test_a_marked_voxel_keeps_its_world_position(tmp_path, kind, axcodes):
    path, place = _scan(tmp_path, kind, axcodes)
    load = LoadVolume(lazy=False)
    for settings in POLICIES.values():
        cube = ResampleToCube(**settings)
        image = cube(load(path))
        assert np.linalg.norm(_centre_of(image, image.affine) - place) < HALF_A_VOXEL_MM

        source = cube(LoadVolume()(path))
        start = tuple(n // 6 for n in source.shape)
        crop_affine = source.affine.copy()
        crop_affine[:3, 3] += source.affine[:3, :3] @ start
        crop = source.read((start, source.shape))
        inside = np.linalg.solve(crop_affine, [*place, 1.0])[:3]
        assert (inside > 1).all()
        assert np.linalg.norm(_centre_of(crop, crop_affine) - place) < HALF_A_VOXEL_MM

        back = load.inverse(cube.inverse(image))
        file = nib.load(path)
        assert back.shape[1:] == file.shape
        np.testing.assert_allclose(back.affine, file.affine, atol=1e-4)
        assert np.linalg.norm(_centre_of(back, back.affine) - place) < HALF_A_VOXEL_MM


@pytest.mark.parametrize("name", POLICIES)
def test_any_box_read_lazily_equals_the_eager_cube(name):
    hu = np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)
    affine = _affine("oblique")
    cube = ResampleToCube(**POLICIES[name])
    source = cube(ArraySource(hu, affine))
    image = cube(MetaTensor(torch.from_numpy(hu)[None], affine=torch.from_numpy(affine)))
    assert source.shape == image.shape[1:]
    np.testing.assert_array_equal(source.affine, image.affine)
    assert torch.equal(image.meta["content_box"], torch.tensor(source.content_box))
    # Two units in the last place of 1000 are 1.2e-4.
    for start, stop in blocks_of(source.shape, 11):
        eager = image.as_tensor()[:, start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]]
        torch.testing.assert_close(source.read((start, stop)), eager, atol=2e-4, rtol=0)


def test_a_mask_stays_a_mask_lazily_and_eagerly():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[5:15, 6:20, 4:11] = True
    cube = ResampleToCube("spacing", spacing_mm=1.0, superpatch_size=16, mode="mask")
    source = cube(ArraySource(mask, _affine("straight")))
    image = cube(MetaTensor(torch.from_numpy(mask)[None], affine=torch.from_numpy(_affine("straight"))))
    whole = source.read(((0, 0, 0), source.shape))
    assert whole.dtype == image.dtype == torch.bool
    assert torch.equal(whole, image.as_tensor())
    # 10 x 14 x 7 voxels of 1.1 x 0.9 x 2.3 mm in voxels of 1 mm.
    assert int(whole.sum()) == pytest.approx(10 * 1.1 * 14 * 0.9 * 7 * 2.3, rel=0.1)
    back = cube.inverse(image)
    assert back.dtype == torch.bool
    assert float((back[0].numpy() != mask).mean()) < 0.02


def test_no_voxel_is_read_before_it_is_wanted():
    class Counting(ArraySource):
        num_voxels = 0

        def _read(self, box):
            out = super()._read(box)
            self.num_voxels += out.numel()
            return out

    source = Counting(np.zeros((64, 64, 32), dtype=np.int16), np.eye(4))
    cube = ResampleToCube(size=128)(source)
    assert source.num_voxels == 0
    cube.read(((0, 0, 0), (32, 32, 32)))
    # Half of 32 voxels and one more on the inner side; a quarter of 32 and one.
    assert source.num_voxels == 17 * 17 * 9


def test_spacing_is_exact_aligned_at_the_first_edges_and_padded_evenly():
    grid = ResampleToCube("spacing", spacing_mm=2.0, superpatch_size=16).target_grid((30, 31, 5), (1.0, 1.0, 5.0))
    # 15, 15.5 -> 16 and 12.5 -> 13 voxels of content; 16 each in all; the odd voxel goes to the end.
    assert grid.shape == (16, 16, 16)
    assert grid.content_box == ((0, 0, 1), (15, 16, 14))
    assert grid.scale == (2.0, 2.0, 0.4)
    for start, scale, offset in zip(grid.content_box[0], grid.scale, grid.offset, strict=True):
        assert scale * (start - 0.5) + offset == pytest.approx(-0.5)


def test_a_volume_on_the_grid_already_comes_back_to_the_bit():
    hu = torch.randint(-1000, 1000, (1, 16, 8, 12), dtype=torch.int16, generator=torch.Generator().manual_seed(0))
    for cube in (ResampleToCube(size=(16, 8, 12)), ResampleToCube("spacing", spacing_mm=1.0, superpatch_size=10)):
        image = cube(MetaTensor(hu, affine=torch.eye(4, dtype=torch.float64)))
        assert torch.equal(cube.inverse(image).as_tensor(), hu.float())


def test_resampling_leaves_its_input_alone():
    image = LoadVolume(lazy=False)(ArraySource(np.full((8, 9, 10), -500, dtype=np.int16), np.eye(4)))
    ResampleToCube("spacing", spacing_mm=0.5, superpatch_size=8)(image)
    assert image.shape == (1, 8, 9, 10)
    assert "content_box" not in image.meta
    assert len(image.applied_operations) == 1
    np.testing.assert_array_equal(image.affine, np.eye(4))


def test_channels_are_resampled_alike():
    image = torch.rand(3, 6, 7, 8, generator=torch.Generator().manual_seed(0))
    out = ResampleToCube(size=12)(MetaTensor(image))
    for channel in range(3):
        assert torch.equal(
            out[channel : channel + 1].as_tensor(), ResampleToCube(size=12)(MetaTensor(image[channel][None])).as_tensor()
        )


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"policy": "cut"}, "policy="),
        ({"size": 0}, "size="),
        ({"size": (64, 64)}, "size="),
        ({"size": 4096}, "size="),
        ({"policy": "spacing"}, "spacing_mm=None"),
        ({"policy": "spacing", "spacing_mm": -1.0}, "spacing_mm="),
        ({"policy": "spacing", "spacing_mm": (1.0, 1.0)}, "spacing_mm="),
        ({"policy": "spacing", "spacing_mm": float("nan")}, "spacing_mm="),
        ({"policy": "spacing", "spacing_mm": 1.0, "superpatch_size": -8}, "superpatch_size="),
        ({"mode": "cubic"}, "mode="),
    ],
)
def test_impossible_settings_are_refused_by_name(settings, named):
    with pytest.raises(ValueError, match=named):
        ResampleToCube(**settings)


def test_volumes_that_do_not_fit_are_refused():
    scan = ArraySource(np.zeros((50, 50, 50), dtype=np.int16), np.eye(4))
    with pytest.raises(ValueError, match=r"spacing_mm=\(0\.02"):
        ResampleToCube("spacing", spacing_mm=0.02)(scan)
    cube = ResampleToCube("spacing", spacing_mm=1.0, superpatch_size=64)
    with pytest.raises(ValueError, match="padding already"):
        cube(cube(scan))
    image = cube(MetaTensor(torch.zeros(1, 50, 50, 50)))
    with pytest.raises(ValueError, match="padding already"):
        cube(image)
    with pytest.raises(ValueError, match=r"expected \(64, 64, 64\)"):
        cube.inverse(image[:, :32])


def test_a_batch_goes_back_after_collation(tmp_path):
    rows = []
    for axcodes in ("LPS", "SAR"):
        (tmp_path / axcodes).mkdir()
        rows.append({"image": _scan(tmp_path / axcodes, "oblique", axcodes)[0]})
    steps = Compose([LoadVolumed("image", lazy=False), ResampleToCubed("image", size=(24, 32, 16))])
    batch = next(iter(DataLoader(Dataset(rows, steps), batch_size=2)))
    batch["pred"] = torch.full_like(batch["image"], 7.0)
    for row, item in zip(rows, decollate_batch(batch), strict=True):
        pred = Invertd("pred", steps, orig_keys="image", nearest_interp=False)(item)["pred"]
        file = nib.load(row["image"])
        assert pred.shape[1:] == file.shape
        np.testing.assert_allclose(pred.affine, file.affine, atol=1e-4)
        torch.testing.assert_close(pred.as_tensor(), torch.full_like(pred.as_tensor(), 7.0))


def test_labels_go_back_by_nearest_voxel_without_new_values(tmp_path):
    path, _ = _scan(tmp_path, "straight", "LPS")
    steps = Compose([LoadVolumed("image", lazy=False), ResampleToCubed("image", size=24)])
    item = steps({"image": path})
    item["pred"] = MetaTensor(torch.randint(0, 5, (1, 24, 24, 24), generator=torch.Generator().manual_seed(0)).float())
    back = Invertd("pred", steps, orig_keys="image")(item)["pred"]
    assert set(back.unique().tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}


def test_the_dictionary_form_resamples_each_key_in_its_mode():
    scan = ArraySource(np.full((8, 9, 10), -500, dtype=np.int16), np.eye(4))
    body = ArraySource(np.ones((8, 9, 10), dtype=bool), np.eye(4))
    out = ResampleToCubed(("image", "body"), "spacing", spacing_mm=1.0, superpatch_size=16, mode=("linear", "mask"))(
        {"image": scan, "body": body}
    )
    whole = ((0, 0, 0), (16, 16, 16))
    assert int((out["image"].read(whole) == -500).sum()) == int(out["body"].read(whole).sum()) == 8 * 9 * 10
    assert float(out["image"].read(whole).min()) == -1024
    with pytest.raises(KeyError, match="body"):
        ResampleToCubed(("image", "body"))({"image": scan})
    assert ResampleToCubed("body", allow_missing_keys=True)({"image": scan})["image"] is scan


@needs_ct
@pytest.mark.parametrize(
    "name", ["openkbp/pt_1/ct", "sts/STS_004/ct", "totalsegmentator_example/ct", "oddities/sheared_scaled_uint8"]
)
@pytest.mark.parametrize("policy", ["stretch", "spacing"])
def test_a_real_scan_comes_back_onto_its_own_grid(name, policy):
    path = CT_DIR / f"{name}.nii.gz"
    file = nib.load(path)
    spacing_mm = min(read_nifti(path).spacing_mm)
    # A grid no coarser than the scan: what comes back is the scan, but for the smoothing of two interpolations.
    cube = ResampleToCubed(
        "image", policy, size=tuple(max(n, 128) for n in file.shape), spacing_mm=spacing_mm, superpatch_size=32
    )
    steps = Compose([LoadVolumed("image", lazy=False), cube])
    item = steps({"image": path})
    item["pred"] = item["image"].clone()
    back = Invertd("pred", steps, orig_keys="image", nearest_interp=False)(item)["pred"]
    assert back.shape[1:] == file.shape
    np.testing.assert_allclose(back.affine, file.affine, atol=1e-4)
    scan = file.get_fdata(dtype=np.float32)
    error = np.abs(back[0].numpy() - scan).mean()
    # Two interpolations smooth noise away, up to 24 HU in a sharp scan; a shift by one voxel either way is worse on every axis.
    assert error < 25
    for axis, shift in itertools.product(range(3), (-1, 1)):
        assert np.abs(back[0].numpy() - np.roll(scan, shift, axis)).mean() > 1.2 * error
