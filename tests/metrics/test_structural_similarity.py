import math

import numpy as np
import pytest
import torch
from metric_batches import Batch, make_batch, mean_in_regions, region_of, volume_of
from monai.metrics import SSIMMetric
from skimage.metrics import structural_similarity

from maesil_monai.metrics import PooledSSIM, ssim, ssim_map
from maesil_monai.metrics import structural_similarity as module


def _reference(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray]:
    """scikit-image's value and map, in float64."""
    return structural_similarity(
        prediction.astype(np.float64),
        truth.astype(np.float64),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        full=True,
    )


def _hard_pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Exact air, air with a trace of noise, constant bone that was predicted too dark, and noise, in one volume."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(24, 31, 19, generator=generator)
    pred = (truth + 0.2 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    truth[:12], pred[:12, :14] = 0.0, 0.0
    pred[:12, 14:] = 0.003 * torch.rand(12, 17, 19, generator=generator)
    truth[12:, :15], pred[12:, :15] = 0.9, 0.5
    return pred, truth


def test_the_map_is_that_of_scikit_image_up_to_the_borders() -> None:
    pred, truth = _hard_pair()
    np.testing.assert_allclose(ssim_map(pred, truth).numpy(), _reference(pred.numpy(), truth.numpy())[1], atol=1e-6)


def test_the_mean_is_that_of_scikit_image_and_of_monai() -> None:
    pred, truth = _hard_pair()
    assert float(ssim(pred, truth)) == pytest.approx(_reference(pred.numpy(), truth.numpy())[0], abs=1e-10)
    assert float(ssim(pred, truth)) == pytest.approx(float(SSIMMetric(3)(pred[None, None], truth[None, None])), abs=1e-4)


@pytest.mark.parametrize("side", [1, 5, 18])
def test_how_much_is_computed_at_a_time_does_not_matter(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pred, truth = _hard_pair()
    whole = ssim_map(pred, truth), ssim(pred, truth)
    monkeypatch.setattr(module, "TILE_VOXELS", 1)
    monkeypatch.setattr(module, "TILE_SIDE", side)
    assert torch.equal(ssim_map(pred, truth), whole[0])
    assert float(ssim(pred, truth)) == pytest.approx(float(whole[1]), rel=1e-14)


def test_every_volume_of_a_batch_has_its_own_value() -> None:
    pred, label = make_batch([0, 0, 0])
    values = ssim(pred, label["image"])
    assert values.shape == (3, 1)
    assert values[2, 0] == ssim(pred[2, 0], label["image"][2, 0])
    assert torch.equal(ssim_map(pred, label["image"])[1, 0], ssim_map(pred[1, 0], label["image"][1, 0]))


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1.0])
def test_identical_volumes_have_exactly_1_everywhere(value: float) -> None:
    noise = torch.rand(12, 13, 14, generator=torch.Generator().manual_seed(0)) * 1e-3
    for volume in (torch.full((12, 13, 14), value), value + noise):
        assert (ssim_map(volume, volume.clone()) == 1).all()
        assert float(ssim(volume, volume.clone())) == 1.0


def test_constant_volumes_have_the_value_of_their_luminance() -> None:
    one, other = torch.full((11, 11, 11), 0.25), torch.full((11, 11, 11), 0.75)
    # (2 * 0.25 * 0.75 + 0.0001) / (0.25^2 + 0.75^2 + 0.0001); nothing varies, so the other factor is C2 / C2.
    expected = (0.375 + 1e-4) / (0.625 + 1e-4)
    assert float(ssim(one, other)) == pytest.approx(expected, rel=1e-12)
    assert ssim_map(one, other).numpy() == pytest.approx(expected, rel=1e-6)


def test_volumes_smaller_than_the_window_are_refused() -> None:
    small = torch.zeros(16, 10, 16)
    for function in (ssim, ssim_map):
        with pytest.raises(ValueError, match="11 voxels or more"):
            function(small, small)
        with pytest.raises(ValueError, match="two equal shapes"):
            function(torch.zeros(16, 16, 16), torch.zeros(16, 16, 17))
    pred, label = make_batch([0], grid=(2, 2, 2), patch=(8, 5, 8))
    with pytest.raises(ValueError, match=r"ssim_hidden_body needs volumes of 11 voxels.*\(16, 10, 16\)"):
        PooledSSIM()(pred, label)


def test_an_optional_metric_of_too_small_volumes_is_not_measured_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    metric = PooledSSIM(regions=("hidden",), optional=True)
    for _ in range(2):
        metric(*make_batch([0], grid=(2, 2, 2), patch=(8, 5, 8)))
    assert metric.not_measured is not None
    assert "11 voxels or more" in metric.not_measured
    assert math.isnan(metric.aggregate()["ssim_hidden"])
    assert [record.message for record in caplog.records] == [f"ssim_hidden is not measured: {metric.not_measured}"]


def test_a_nan_spoils_the_windows_it_lies_in_and_no_other() -> None:
    pred, truth = torch.rand(2, 24, 14, 16, generator=torch.Generator().manual_seed(0))
    spoilt = pred.clone()
    spoilt[3, 7, 10] = math.nan
    found, expected = ssim_map(spoilt, truth), ssim_map(pred, truth)
    # Five voxels to each side; along the first axis the mirror image of voxel 3 is -4, outside of windows that hold not 3.
    expected[:9, 2:13, 5:16] = math.nan
    assert torch.equal(found.isnan(), expected.isnan())
    assert torch.equal(found.nan_to_num(), expected.nan_to_num())


def test_float64_stays_and_half_precision_is_raised() -> None:
    volume = torch.rand(11, 11, 11, generator=torch.Generator().manual_seed(0))
    assert ssim_map(volume.double(), volume).dtype == torch.float64
    assert ssim_map(volume.bfloat16(), volume.bfloat16()).dtype == torch.float32
    assert not ssim_map(volume.requires_grad_(), volume).requires_grad


@pytest.fixture
def two_scans() -> Batch:
    """Three superpatches of scan 4 and one of scan 2."""
    return make_batch([4, 2, 4, 4])


@pytest.mark.parametrize("region", ["hidden", "body", "hidden_body", "full", "pasted"])
def test_values_of_regions_are_means_of_scikit_images_map_over_all_voxels_of_a_scan(region: str, two_scans: Batch) -> None:
    pred, label = two_scans
    maps = {b: _reference(volume_of(region, pred, label, b), label["image"][b, 0].numpy())[1] for b in range(4)}
    expected = mean_in_regions(maps, {b: region_of(region, label, b) for b in range(4)}, [4, 2, 4, 4])
    metric = PooledSSIM(regions=(region,))
    metric(pred, label)
    assert metric.per_scan()["scan"].tolist() == [2, 4]
    assert metric.per_scan()[f"ssim_{region}"].tolist() == pytest.approx([expected[2], expected[4]], abs=1e-6)
    assert metric.aggregate() == {f"ssim_{region}": pytest.approx((expected[2] + expected[4]) / 2, abs=1e-6)}
