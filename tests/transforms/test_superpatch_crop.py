"""Cropping superpatches, at the places of the grid, lazily and eagerly."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from maesil_monai.data.volumes.volume_source import ArraySource
from maesil_monai.geometry import box_at
from maesil_monai.transforms import ResampleToCube, SuperpatchCrop, SuperpatchCropd
from maesil_monai.transforms.crop_box import crop_box

SIZE, PATCH = (8, 4, 12), (2, 2, 3)
SHAPE = (16, 12, 24)  # a grid of 2 x 3 x 2 superpatches
AFFINE = np.array([[-0.7, 0.1, 0.0, 120.0], [0.1, 0.8, 0.3, -80.0], [0.0, -0.2, 2.5, 900.0], [0.0, 0.0, 0.0, 1.0]])


def scan_array(shape=SHAPE):
    return np.random.default_rng(0).integers(-1000, 1000, shape).astype(np.int16)


def as_source(array=None):
    return ArraySource(scan_array() if array is None else array, AFFINE, name="scan.nii.gz")


def as_image(array=None, content_box=None):
    meta = {} if content_box is None else {"content_box": torch.tensor(content_box)}
    array = scan_array() if array is None else array
    return MetaTensor(torch.from_numpy(array.astype(np.float32))[None], affine=torch.from_numpy(AFFINE), meta=meta)


@pytest.mark.parametrize("make", [as_source, as_image])
def test_a_marked_voxel_keeps_its_world_position(make):
    marked = (11, 6, 17)
    array = np.zeros(SHAPE, np.int16)
    array[marked] = 1000
    crop = SuperpatchCrop(SIZE, PATCH)
    found = 0
    for index in range(12):
        out = crop(make(array), index)
        for place in torch.nonzero(out[0].as_tensor()).tolist():
            found += 1
            world = out.affine.numpy() @ [*place, 1]
            assert world == pytest.approx(AFFINE @ [*marked, 1], abs=1e-9)
    assert found == 1


@pytest.mark.parametrize("make", [as_source, as_image])
def test_a_crop_holds_the_voxels_of_its_box_in_memory_of_its_own(make):
    volume = make()
    for index in range(12):
        (i, j, k), (p, q, r) = box_at(index, (2, 3, 2), SIZE)
        out = SuperpatchCrop(SIZE, PATCH)(volume, index)
        assert out.dtype == torch.float32
        assert out.is_contiguous()
        assert np.array_equal(out[0].numpy(), scan_array()[i:p, j:q, k:r])
        out.zero_()
    again = SuperpatchCrop(SIZE, PATCH)(volume, 0)
    assert np.array_equal(again[0].numpy(), scan_array()[:8, :4, :12])


def test_a_mask_stays_bool():
    out = SuperpatchCrop(SIZE, PATCH)(as_source(scan_array() > 0), 5)
    assert out.dtype == torch.bool


def test_a_crop_carries_no_trace_that_cannot_be_inverted():
    resampled = ResampleToCube(size=SHAPE)(as_image())
    assert resampled.applied_operations != []
    assert SuperpatchCrop(SIZE, PATCH)(resampled, 0).applied_operations == []


@pytest.mark.parametrize(
    "resample",
    [ResampleToCube("stretch", size=(24, 8, 36)), ResampleToCube("spacing", spacing_mm=(0.9, 1.1, 2.0), superpatch_size=SIZE)],
)
def test_cropping_a_lazy_source_equals_cropping_the_eager_image(resample):
    lazy, eager = resample(as_source()), resample(as_image())
    crop = SuperpatchCrop(SIZE, PATCH)
    grid = crop.grid(lazy)
    assert grid == crop.grid(eager)
    for index in range(grid[0] * grid[1] * grid[2]):
        a, b = crop(lazy, index), crop(eager, index)
        assert torch.allclose(a.as_tensor(), b.as_tensor(), atol=1e-3)
        assert torch.allclose(a.affine, b.affine)
        assert torch.equal(a.meta["content_box"], b.meta["content_box"])


def test_the_content_box_is_given_in_the_crops_own_voxels():
    image = as_image(content_box=((3, 0, 5), (16, 9, 20)))
    crop = SuperpatchCrop(SIZE, PATCH)
    assert crop(image, 0).meta["content_box"].tolist() == [[3, 0, 5], [8, 4, 12]]
    # The last of 2 x 3 x 2: starts at (8, 8, 12).
    assert crop(image, 11).meta["content_box"].tolist() == [[0, 0, 0], [8, 1, 8]]
    assert crop(image, 11).meta["content_box"].dtype == torch.int64


def test_a_superpatch_of_padding_alone_has_no_valid_patch():
    image = as_image(content_box=((0, 0, 0), (8, 12, 24)))
    out = SuperpatchCropd("image", SIZE, PATCH)({"image": image, "superpatch": 11})
    start, stop = out["image"].meta["content_box"]
    assert (start >= stop).any()
    assert not out["valid"].any()


def test_valid_marks_the_patches_without_a_padded_voxel():
    image = as_image(content_box=((3, 0, 5), (16, 9, 20)))
    crop = SuperpatchCropd("image", SIZE, PATCH)
    first, last = (crop({"image": image, "superpatch": index}) for index in (0, 11))
    # Content 3..8 of 8 in patches of 2: the patches at 4 and 6. 0..4: both. 5..12 in patches of 3: those at 6 and 9.
    expected = torch.zeros(1, 4, 2, 4, dtype=torch.bool)
    expected[:, 2:, :, 2:] = True
    assert torch.equal(first["valid"], expected)
    # Content 0..1 of 4 on the second axis: no whole patch.
    assert not last["valid"].any()
    assert type(first["valid"]) is torch.Tensor


def test_the_dictionary_form_crops_image_and_mask_alike_and_says_where():
    array = scan_array()
    data = {"image": as_source(array), "body": as_source(array > 0), "superpatch": np.int64(7), "case_id": "a"}
    out = SuperpatchCropd(("image", "body"), SIZE, PATCH)(data)
    assert torch.equal(out["body"].as_tensor(), out["image"].as_tensor() > 0)
    assert out["body"].dtype == torch.bool
    # 7 = 1 * 6 + 0 * 2 + 1.
    assert out["start"].tolist() == [8, 0, 12]
    assert out["start"].dtype == torch.int64
    assert out["case_id"] == "a"
    assert isinstance(data["image"], ArraySource)


def test_a_shape_that_is_no_multiple_is_refused_with_the_cure():
    with pytest.raises(
        ValueError, match=r"shape \(16, 12, 24\) is no whole multiple of superpatch_size=\(8, 8, 8\).*ResampleToCube"
    ):
        SuperpatchCrop(8, 2)(as_source(), 0)


def test_an_index_outside_the_grid_is_refused():
    with pytest.raises(ValueError, match="index 12 is outside the grid"):
        SuperpatchCrop(SIZE, PATCH)(as_source(), 12)


def test_a_box_outside_the_volume_is_refused():
    with pytest.raises(ValueError, match="does not fit into the volume"):
        crop_box(as_image(), ((0, 0, 0), (8, 8, 25)))


@pytest.mark.parametrize("missing", ["image", "superpatch"])
def test_a_missing_item_is_named(missing):
    data = {"image": as_source(), "superpatch": 0}
    del data[missing]
    with pytest.raises(KeyError, match=missing):
        SuperpatchCropd("image", SIZE, PATCH)(data)


def test_missing_volumes_may_be_allowed():
    crop = SuperpatchCropd(("image", "body"), SIZE, PATCH, allow_missing_keys=True)
    assert sorted(crop({"image": as_source(), "superpatch": 0})) == ["image", "start", "superpatch", "valid"]


def test_volumes_of_different_shapes_are_refused():
    data = {"image": as_source(), "body": as_source(scan_array((8, 4, 12)) > 0), "superpatch": 0}
    with pytest.raises(ValueError, match="volumes of different shapes"):
        SuperpatchCropd(("image", "body"), SIZE, PATCH)(data)
