import math
from typing import Any

import numpy as np
import pytest
import torch
from metric_batches import Batch, make_batch, mean_in_regions, part_of, region_of, volume_of

from maesil_monai.metrics import LPIPSUnavailable, PooledLPIPS, SliceLPIPS

GRID, PATCH = (2, 2, 1), (16, 18, 32)  # volumes of 32 x 36 x 32 voxels


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Two superpatches of scan 4 and one of scan 2."""
    return make_batch([4, 2, 4], grid=GRID, patch=PATCH)


def _direct(network: Any, volume: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The map of one volume by ``lpips`` itself, slice by slice, in three channels."""
    total = np.zeros(volume.shape)
    for axis in range(3):
        for n in range(volume.shape[axis]):
            place = tuple(n if a == axis else slice(None) for a in range(3))
            pair = [torch.from_numpy(v[place]).float().expand(1, 3, -1, -1) for v in (volume, truth)]
            total[place] += network(*pair, normalize=True)[0, 0].numpy() / 3
    return total


@pytest.fixture(scope="module")
def direct_maps(batch: Batch, random_network: Any) -> dict[str, dict[int, np.ndarray]]:
    """The maps of the pasted and of the raw volumes, of every sample."""
    pred, label = batch
    return {
        name: {b: _direct(random_network, volume_of(name, pred, label, b, PATCH), label["image"][b, 0].numpy()) for b in range(3)}
        for name in ("pasted", "full")
    }


def test_the_map_of_a_volume_is_the_mean_of_lpips_of_the_slices_through_each_voxel(
    batch: Batch, random_network: Any, direct_maps: dict[str, dict[int, np.ndarray]]
) -> None:
    pred, label = part_of(batch, slice(0, 2))
    volumes = [
        torch.from_numpy(np.stack([volume_of(name, pred, label, b, PATCH) for b in range(2)]))[:, None] for name in direct_maps
    ]
    for found, expected in zip(SliceLPIPS(random_network).maps(volumes, label["image"]), direct_maps.values(), strict=True):
        np.testing.assert_allclose(found[:, 0].numpy(), np.stack([expected[0], expected[1]]), atol=1e-5)


@pytest.mark.parametrize("region", ["hidden_body", "body", "pasted", "full"])
def test_values_of_regions_are_means_of_the_maps_over_all_voxels_of_a_scan(
    region: str, batch: Batch, random_network: Any, direct_maps: dict[str, dict[int, np.ndarray]]
) -> None:
    pred, label = batch
    maps = direct_maps["full" if region == "full" else "pasted"]
    expected = mean_in_regions(maps, {b: region_of(region, label, b, PATCH) for b in range(3)}, [4, 2, 4])
    metric = PooledLPIPS(regions=(region,), slices=SliceLPIPS(random_network, slices_per_batch=7))
    metric(pred, label)
    assert metric.per_scan()["scan"].tolist() == [2, 4]
    assert metric.per_scan()[f"lpips_{region}"].tolist() == pytest.approx([expected[2], expected[4]], abs=1e-6)
    assert metric.aggregate()[f"lpips_{region}"] == pytest.approx((expected[2] + expected[4]) / 2, abs=1e-6)


def test_slices_without_a_voxel_of_the_region_are_left_out(
    batch: Batch, random_network: Any, direct_maps: dict[str, dict[int, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pred, label = part_of(batch, slice(0, 1))
    body = torch.zeros_like(label["body"])
    body[0, 0, 3:5, 10:20, 7] = True
    seen = []
    slices = SliceLPIPS(random_network)
    features = slices._features

    def counting(pictures: torch.Tensor) -> list[torch.Tensor]:
        seen.append(len(pictures))
        return features(pictures)

    monkeypatch.setattr(slices, "_features", counting)
    metric = PooledLPIPS(regions=("body",), slices=slices)
    metric(pred, label | {"body": body})
    assert sum(seen) == 2 * (2 + 10 + 1)  # slices across each axis, of the truth and of the prediction
    expected = direct_maps["pasted"][0][3:5, 10:20, 7].mean()
    assert metric.aggregate()["lpips_body"] == pytest.approx(expected, abs=1e-6)


def test_features_of_the_truth_are_computed_once_for_methods_that_share_them(
    batch: Batch, random_network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pred, label = part_of(batch, slice(0, 1))
    sharing, alone = SliceLPIPS(random_network, truth_cache_bytes=10**9), SliceLPIPS(random_network)
    kept = [PooledLPIPS(slices=sharing) for _ in range(2)]
    plain = [PooledLPIPS(slices=alone) for _ in range(2)]
    seen = []
    features = sharing._features
    monkeypatch.setattr(sharing, "_features", lambda pictures: seen.append(len(pictures)) or features(pictures))
    for number, predicted in enumerate((pred, pred.flip(2))):
        kept[number](predicted, label)
        plain[number](predicted, label)
        assert kept[number].aggregate() == plain[number].aggregate()
    assert sum(seen) == 3 * (32 + 36 + 32)  # one truth, two predictions
    sharing.truth_cache_bytes = 10**6
    kept[0](pred.flip(3), label)
    assert sharing._kept_bytes <= 10**6


def test_identical_volumes_have_0_and_visible_voxels_of_the_prediction_do_not_matter(batch: Batch, random_network: Any) -> None:
    _, label = part_of(batch, slice(0, 1))
    metric = PooledLPIPS(slices=SliceLPIPS(random_network))
    pred = label["image"].clone()
    pred[:, :, :16, :18] = math.nan  # the first patch: visible
    metric(pred, label)
    assert metric.aggregate() == {"lpips_hidden_body": 0.0, "lpips_hidden": 0.0}
    pred[:, :, 0, 20, 0] = math.nan  # in the second patch: hidden
    metric(pred, label)
    assert all(math.isnan(value) for value in metric.aggregate().values())


def test_volumes_below_31_voxels_are_refused_and_31_are_enough(random_network: Any) -> None:
    slices = SliceLPIPS(random_network)
    with pytest.raises(ValueError, match="31 or more"):
        slices.maps([torch.zeros(1, 1, 31, 31, 30)], torch.zeros(1, 1, 31, 31, 30))
    smallest = torch.zeros(1, 1, 31, 31, 31)
    assert float(slices.maps([smallest + 0.5], smallest)[0].min()) > 0
    small = make_batch([0])
    with pytest.raises(ValueError, match=r"lpips_hidden_body needs volumes of 31 voxels.*\(16, 12, 16\)"):
        PooledLPIPS(slices=slices)(*small)
    metric = PooledLPIPS(slices=slices, optional=True)
    metric(*small)
    assert "31 voxels" in str(metric.not_measured)


def test_without_weights_an_optional_metric_is_not_measured_and_says_why(batch: Batch, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LPIPSUnavailable, match=r"nowhere\.pth"):
        PooledLPIPS(weights="nowhere.pth")
    metric = PooledLPIPS(weights="nowhere.pth", optional=True)
    metric(*batch)
    assert "nowhere.pth" in str(metric.not_measured)
    assert all(math.isnan(value) for value in metric.aggregate().values())
    assert metric.per_scan()["scan"].tolist() == [2, 4]
    assert len(caplog.records) == 1


def test_wrong_arguments_are_refused(random_network: Any) -> None:
    with pytest.raises(ValueError, match="slices_per_batch=0"):
        SliceLPIPS(random_network, slices_per_batch=0)
    with pytest.raises(ValueError, match="truth_cache_bytes=-1"):
        SliceLPIPS(random_network, truth_cache_bytes=-1)
