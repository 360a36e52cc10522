"""The HU window and its inverse."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd

from maesil_monai.data.volumes.volume_source import ArraySource
from maesil_monai.transforms import WindowHU, WindowHUd

AFFINE = torch.diag(torch.tensor([0.8, 0.8, 2.5, 1.0], dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.float32, torch.float64])
def test_the_windows_ends_become_zero_and_one_and_what_lies_outside_is_clipped(dtype):
    hu = torch.tensor([-3024, -1000, -500, 0, 240, 1000, 3071], dtype=dtype)
    out = WindowHU()(hu)
    assert out.dtype == torch.float32
    assert out.tolist() == pytest.approx([0, 0, 0.25, 0.5, 0.62, 1, 1])


def test_without_clip_the_map_stays_linear_outside_the_window():
    assert WindowHU((0, 100), clip=False)(torch.tensor([-50, 150])).tolist() == [-0.5, 1.5]


def test_the_image_given_is_not_changed():
    hu = torch.tensor([-2000.0, 0.0])
    WindowHU()(hu)
    assert hu.tolist() == [-2000.0, 0.0]


def test_affine_and_metadata_are_kept():
    image = MetaTensor(torch.zeros(1, 2, 2, 2), affine=AFFINE, meta={"filename_or_obj": "a.nii.gz"})
    out = WindowHU()(image)
    assert torch.equal(out.affine, AFFINE)
    assert out.meta["filename_or_obj"] == "a.nii.gz"
    assert [step["class"] for step in out.applied_operations] == ["WindowHU"]
    assert image.applied_operations == []


def test_arrays_are_taken_too():
    assert WindowHU((0, 10))(np.int16([0, 5, 10])).tolist() == [0, 0.5, 1]


def test_the_inverse_brings_every_hounsfield_unit_of_the_window_back():
    window = WindowHU((-1000, 1000))
    hu = torch.arange(-1000, 1001, dtype=torch.int16)
    for image in (hu, MetaTensor(hu)):
        back = window.inverse(window(image))
        assert torch.equal(torch.as_tensor(back).round().to(torch.int16), hu)
        assert (torch.as_tensor(back) - hu).abs().max() < 1e-3


def test_the_inverse_of_a_clipped_voxel_is_the_windows_end():
    window = WindowHU((-160, 240))
    assert window.inverse(window(torch.tensor([-1000, 3000]))).tolist() == pytest.approx([-160, 240])


def test_a_prediction_beyond_0_and_1_comes_back_as_the_windows_end():
    prediction = torch.tensor([-0.7, 0.5, 1.2])
    assert WindowHU((-1000, 1000)).inverse(prediction).tolist() == [-1000, 0, 1000]
    assert WindowHU((-1000, 1000), clip=False).inverse(prediction).tolist() == pytest.approx([-2400, 0, 1400])
    assert prediction.tolist() == pytest.approx([-0.7, 0.5, 1.2])


def test_invertd_brings_a_prediction_to_hounsfield_units():
    preprocessing = Compose([WindowHUd(keys="image", window_hu=(-1000, 1000))])
    data = preprocessing({"image": MetaTensor(torch.full((1, 2, 2, 2), 40.0), affine=AFFINE)})
    data["pred"] = MetaTensor(torch.full((1, 2, 2, 2), 0.75))
    out = Invertd(keys="pred", transform=preprocessing, orig_keys="image")(data)
    assert out["pred"].unique().tolist() == [500.0]
    assert out["image"].unique().tolist() == pytest.approx([0.52])


def test_a_metatensor_that_was_not_windowed_is_not_inverted():
    with pytest.raises(ValueError, match="applied_operations"):
        WindowHU().inverse(MetaTensor(torch.zeros(1, 2, 2, 2)))


@pytest.mark.parametrize("window", [(1000, -1000), (0, 0), (0, float("inf")), (float("nan"), 1), (0,), (0, 1, 2)])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(ValueError, match="window_hu="):
        WindowHU(window)


def test_a_volume_that_was_not_read_is_refused_with_the_cure():
    source = ArraySource(np.zeros((2, 2, 2), np.int16), np.eye(4))
    with pytest.raises(TypeError, match=r"ArraySource.*crop a lazily loaded volume first"):
        WindowHU()(source)


def test_missing_keys_follow_monais_rule():
    with pytest.raises(KeyError, match="image"):
        WindowHUd(keys="image")({"label": 1})
    assert WindowHUd(keys="image", allow_missing_keys=True)({"label": 1}) == {"label": 1}
