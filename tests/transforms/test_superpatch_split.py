"""Cutting a whole volume into superpatches and back."""

import math

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd

from maesil_monai.geometry import box_at
from maesil_monai.transforms import SuperpatchCrop, SuperpatchSplit, SuperpatchSplitd, WindowHUd

SIZE, GRID = (4, 6, 2), (2, 1, 3)
SHAPE = tuple(s * g for s, g in zip(SIZE, GRID, strict=True))
AFFINE = torch.tensor([[-0.8, 0, 0.1, 90], [0, 0.8, 0, -70], [0, 0.2, 2.5, 1200], [0, 0, 0, 1]], dtype=torch.float64)


def volume(channels=2, dtype=torch.float32):
    values = torch.randint(-1000, 1000, (channels, *SHAPE), generator=torch.Generator().manual_seed(0)).to(dtype)
    return MetaTensor(values, affine=AFFINE.clone(), meta={"filename_or_obj": "scan.nii.gz"})


@pytest.mark.parametrize("dtype", [torch.float32, torch.int16, torch.bool])
def test_split_and_back_is_exact_to_the_bit_with_affine_and_metadata(dtype):
    split, scan = SuperpatchSplit(SIZE), volume(dtype=dtype)
    parts = split(scan)
    assert parts.shape == (math.prod(GRID), 2, *SIZE)
    back = split.inverse(parts)
    assert back.dtype == dtype
    assert torch.equal(back.as_tensor(), scan.as_tensor())
    assert torch.equal(back.affine, AFFINE)
    assert back.meta["filename_or_obj"] == "scan.nii.gz"
    assert back.applied_operations == []


def test_part_n_is_the_superpatch_with_running_number_n():
    scan = volume()
    parts, crop = SuperpatchSplit(SIZE)(scan), SuperpatchCrop(SIZE, 2)
    for index in range(math.prod(GRID)):
        (i, j, k), (p, q, r) = box_at(index, GRID, SIZE)
        assert torch.equal(parts.as_tensor()[index], scan.as_tensor()[:, i:p, j:q, k:r])
        assert torch.equal(parts.as_tensor()[index], crop(scan, index).as_tensor())


def test_a_prediction_of_one_channel_goes_back_through_invertd():
    preprocessing = Compose([WindowHUd(keys="image", clip=False), SuperpatchSplitd(keys="image", superpatch_size=SIZE)])
    scan = volume()
    data = preprocessing({"image": scan})
    data["pred"] = MetaTensor(data["image"].as_tensor()[:, :1].clone())
    out = Invertd(keys="pred", transform=preprocessing, orig_keys="image")(data)["pred"]
    assert torch.allclose(out.as_tensor(), scan.as_tensor()[:1], atol=1e-3)
    assert torch.equal(out.affine, AFFINE)


def test_a_volume_that_does_not_tile_is_refused():
    with pytest.raises(ValueError, match=r"superpatch_size=\(5, 5, 5\) does not divide the volume's shape=\(8, 6, 6\)"):
        SuperpatchSplit(5)(volume())


def test_a_batch_is_refused():
    with pytest.raises(ValueError, match="expected four dimensions"):
        SuperpatchSplit(SIZE)(torch.zeros(1, 1, *SHAPE))


def test_superpatches_that_are_not_all_there_are_refused():
    split = SuperpatchSplit(SIZE)
    with pytest.raises(ValueError, match=r"do not make a volume of shape \(8, 6, 6\): expected \(6, C"):
        split.inverse(split(volume())[:5])
