"""Cropping superpatches at random places."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Flipd

from maesil_monai.data.volumes.volume_source import ArraySource
from maesil_monai.geometry import box_at
from maesil_monai.transforms import RandSuperpatchCrop, RandSuperpatchCropd, ResampleToCube

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


def starts_of(crop, volume, body=None, draws=400):
    """First voxels of many random crops, (draws, 3)."""
    starts = []
    for _ in range(draws):
        crop.randomize(volume, body)
        starts += [box[0] for box in crop.boxes]
    return np.array(starts)


@pytest.mark.parametrize("make", [as_source, as_image])
def test_free_places_are_uniform_over_the_whole_volume(make):
    starts = starts_of(RandSuperpatchCrop(SIZE, PATCH).set_random_state(seed=0), make(), draws=2000)
    for axis in range(3):
        places, counts = np.unique(starts[:, axis], return_counts=True)
        assert places.tolist() == list(range(SHAPE[axis] - SIZE[axis] + 1))
        # Five standard deviations of a binomial count.
        mean = 2000 / len(places)
        assert abs(counts - mean).max() < 5 * mean**0.5


def test_free_places_stay_inside_the_content_and_reach_its_ends():
    # Axis 1: content of 3 voxels is shorter than the superpatch of 4, so every place in the padded volume counts.
    image = as_image(content_box=((2, 5, 6), (13, 8, 20)))
    starts = starts_of(RandSuperpatchCrop(SIZE, PATCH).set_random_state(seed=0), image)
    assert [np.unique(starts[:, axis]).tolist() for axis in range(3)] == [[2, 3, 4, 5], list(range(9)), [6, 7, 8]]


def test_grid_places_are_those_of_the_grid_each_equally_often():
    starts = starts_of(RandSuperpatchCrop(SIZE, PATCH, position="grid").set_random_state(seed=0), as_source(), draws=2400)
    places, counts = np.unique(starts, axis=0, return_counts=True)
    assert sorted(map(tuple, places.tolist())) == [box_at(index, (2, 3, 2), SIZE)[0] for index in range(12)]
    assert abs(counts - 200).max() < 5 * 200**0.5


@pytest.mark.parametrize("make", [as_source, as_image])
def test_a_superpatch_has_the_least_share_of_body(make):
    mask = np.zeros(SHAPE, bool)
    mask[:3, :, :] = True
    body = make(mask)
    crop = RandSuperpatchCrop(SIZE, PATCH, min_body=0.2).set_random_state(seed=0)
    starts = starts_of(crop, as_source(), body)
    # A superpatch of 8 voxels from 0 or 1 holds 3 or 2 of the body's: shares 0.375 and 0.25; from 2: 0.125.
    assert set(starts[:, 0]) == {0, 1}


def test_where_no_place_has_enough_body_the_best_of_64_draws_is_taken():
    mask = np.zeros(SHAPE, bool)
    mask[:3, :, :] = True

    class CountingSource(ArraySource):
        asked = 0

        def share(self, box):
            self.asked += 1
            return super().share(box)

    body = CountingSource(mask, AFFINE)
    crop = RandSuperpatchCrop(SIZE, PATCH, min_body=0.9).set_random_state(seed=0)
    crop.randomize(as_source(), body)
    assert body.asked == 64
    assert crop.boxes[0][0][0] == 0


def test_an_empty_body_mask_does_not_stop_the_crop():
    body = as_source(np.zeros(SHAPE, bool))
    assert len(RandSuperpatchCrop(SIZE, PATCH, num_samples=2)(as_source(), body)) == 2


def test_crops_are_a_function_of_the_random_state_alone_for_sources_and_images():
    def boxes(volume):
        crop = RandSuperpatchCrop(SIZE, PATCH, num_samples=3).set_random_state(seed=5)
        return [crop(volume), crop(volume)]

    for lazy, eager in zip(boxes(as_source()), boxes(as_image()), strict=True):
        for a, b in zip(lazy, eager, strict=True):
            assert torch.equal(a.as_tensor(), b.as_tensor())
            assert torch.equal(a.affine, b.affine)


def test_randomize_false_repeats_the_last_places():
    crop = RandSuperpatchCrop(SIZE, PATCH).set_random_state(seed=0)
    first = crop(as_source())[0]
    assert torch.equal(crop(as_source(), randomize=False)[0].as_tensor(), first.as_tensor())


def test_a_volume_shorter_than_a_superpatch_is_refused_with_the_cure():
    with pytest.raises(ValueError, match=r"shape \(16, 12, 24\) is smaller than superpatch_size=\(16, 16, 16\).*ResampleToCube"):
        RandSuperpatchCrop(16, 8)(as_source())


def test_a_body_mask_on_another_grid_is_refused():
    with pytest.raises(ValueError, match="expected one grid for both"):
        RandSuperpatchCrop(SIZE, PATCH)(as_source(), as_source(np.zeros((16, 12, 23), bool)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 0}, "num_samples=0"),
        ({"position": "anywhere"}, "expected one of free, grid"),
        ({"min_body": 1.0}, "min_body="),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandSuperpatchCrop(SIZE, PATCH, **arguments)


def test_the_dictionary_form_gives_one_dictionary_a_sample_without_the_body():
    array = scan_array()
    data = {"image": as_source(array), "label": as_source(array > 0), "body": as_source(array > -900), "extra": [1]}
    crop = RandSuperpatchCropd(("image", "label"), SIZE, PATCH, num_samples=3).set_random_state(seed=0)
    samples = crop(data)
    assert [sorted(sample) for sample in samples] == [["extra", "image", "label", "valid"]] * 3
    for sample in samples:
        assert torch.equal(sample["label"].as_tensor(), sample["image"].as_tensor() > 0)
        assert sample["valid"].all()
    samples[0]["extra"].append(2)
    assert samples[1]["extra"] == [1]
    assert len({tuple(sample["image"].affine[:3, 3].tolist()) for sample in samples}) > 1


@pytest.mark.parametrize("missing", ["image", "body"])
def test_a_missing_item_of_the_random_crop_is_named(missing):
    data = {"image": as_source(), "body": as_source(scan_array() > 0)}
    del data[missing]
    with pytest.raises(KeyError, match=missing):
        RandSuperpatchCropd("image", SIZE, PATCH)(data)


def test_without_body_key_a_mask_is_neither_needed_nor_used():
    samples = RandSuperpatchCropd("image", SIZE, PATCH, body_key=None)({"image": as_source()})
    assert sorted(samples[0]) == ["image", "valid"]


def test_valid_follows_the_image_through_flips():
    # Padded voxels are -1024 and no other voxel is.
    padded = ResampleToCube("spacing", spacing_mm=(0.71, 0.9, 2.5), superpatch_size=SIZE)(as_source())
    chain = Compose(
        [RandSuperpatchCropd("image", SIZE, PATCH, position="grid", body_key=None)]
        + [Flipd(keys=("image", "valid"), spatial_axis=axis) for axis in (0, 2)]
    ).set_random_state(seed=0)
    seen = set()
    for _ in range(20):
        (sample,) = chain({"image": padded})
        is_padding = torch.as_tensor(sample["image"]) == -1024
        patches = is_padding.reshape(4, 2, 2, 2, 4, 3).permute(0, 2, 4, 1, 3, 5).flatten(3).any(-1)
        assert torch.equal(torch.as_tensor(sample["valid"])[0], ~patches)
        seen.add(int(patches.sum()))
    assert len(seen) > 1
