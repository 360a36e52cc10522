import math

import numpy as np
import pytest
import torch
from metric_batches import make_batch, region_of

from maesil_monai.masking import MaskRule
from maesil_monai.metrics import ErrorByDistance, PooledPSNR, patch_distances

WINDOW_HU = (-1000.0, 500.0)


def _distance(hidden: np.ndarray, token: tuple[int, int, int]) -> float:
    """The distance to the nearest visible patch, by trying all."""
    return min(math.dist(token, other) for other in np.ndindex(*hidden.shape) if not hidden[other])


def test_distances_are_those_to_the_nearest_of_all_visible_patches() -> None:
    hidden = MaskRule("total").draw((6, 5, 7), 3, torch.Generator().manual_seed(0))
    found = patch_distances(hidden)
    for b in range(3):
        for token in np.ndindex(6, 5, 7):
            assert float(found[(b, *token)]) == pytest.approx(_distance(hidden[b].numpy(), token), rel=1e-12)


def test_values_are_those_of_a_computation_voxel_by_voxel() -> None:
    grid, patch, scans = (3, 2, 5), (2, 3, 2), [4, 2, 4]
    pred, label = make_batch(scans, grid=grid, patch=patch)
    label["hidden"] = MaskRule("total").draw(grid, 3, torch.Generator().manual_seed(1))
    errors: dict[tuple[int, str, int], list[float]] = {}
    for b, scan in enumerate(scans):
        hidden = label["hidden"][b].numpy()
        for voxel in np.argwhere(region_of("hidden_body", label, b, patch)):
            token = tuple(int(v) // p for v, p in zip(voxel, patch, strict=True))
            planes = "block" if hidden[:, :, token[2]].all() else "surviving"
            place = (b, 0, *voxel.tolist())
            error = float(pred[place]) - float(label["image"][place])
            for key in ((scan, planes, min(2, int(_distance(hidden, token)))), (scan, planes, 0)):
                errors.setdefault(key, []).append(error)
    metric = ErrorByDistance(max_distance=2, window_hu=WINDOW_HU)
    metric(pred, label)
    found = metric.per_scan()
    assert {planes for _, planes, _ in errors} == {"block", "surviving"}
    for row, scan in enumerate([2, 4]):
        for n in (1, 2):
            all_planes = errors.get((scan, "block", n), []) + errors.get((scan, "surviving", n), [])
            assert float(found[f"mse_distance_{n}"][row]) == pytest.approx(np.square(all_planes).mean(), rel=1e-4)
            assert float(found[f"mae_hu_distance_{n}"][row]) == pytest.approx(np.abs(all_planes).mean() * 1500, rel=1e-4)
        for planes in ("block", "surviving"):
            own = errors[scan, planes, 0]
            assert float(found[f"psnr_{planes}"][row]) == pytest.approx(-10 * math.log10(np.square(own).mean()), rel=1e-4)
            assert float(found[f"mae_hu_{planes}"][row]) == pytest.approx(np.abs(own).mean() * 1500, rel=1e-4)
    for table in metric.by_distance([4]):
        if table["planes"] != "all":
            own = errors[4, str(table["planes"]), int(table["distance"])]
            assert table["num_voxels"] == len(own)
            assert table["mse"] == pytest.approx(np.square(own).mean(), rel=1e-4)


def test_the_table_averages_over_scans_and_adds_up_to_all_hidden_voxels() -> None:
    batch = make_batch([4, 2, 4])
    metric, whole = ErrorByDistance(), PooledPSNR()
    metric(*batch)
    whole(*batch)
    table = metric.by_distance()
    voxels = sum(int(region_of("hidden_body", batch[1], b).sum()) for b in range(3))
    assert sum(int(row["num_voxels"]) for row in table if row["planes"] == "all") == voxels
    assert sum(int(row["num_voxels"]) for row in table if row["planes"] != "all") == voxels
    means = metric.aggregate()
    for row in table:
        if row["planes"] == "all":
            assert row["mse"] == pytest.approx(means[f"mse_distance_{row['distance']}"])
            assert row["mae_hu"] == pytest.approx(means[f"mae_hu_distance_{row['distance']}"])
    assert metric.by_distance([9]) == []
    # All at one distance: the plain error of the region.
    near = ErrorByDistance(max_distance=1)
    near(*batch)
    assert near.aggregate()["mae_hu_distance_1"] == pytest.approx(whole.aggregate()["mae_hu_hidden_body"], rel=1e-6)


def test_the_last_distance_holds_all_that_are_farther() -> None:
    hidden = torch.ones(1, 1, 1, 6, dtype=torch.bool)
    hidden[..., 0] = False
    image = torch.zeros(1, 1, 2, 2, 12)
    label = {"image": image, "hidden": hidden, "target": hidden, "scan": torch.tensor([0])}
    metric = ErrorByDistance(max_distance=3, region="hidden")
    metric(image + torch.arange(12.0) // 2 / 10, label)  # errors 0, 0.1, ..., 0.5 at distances 0 to 5
    found = metric.aggregate()
    assert found["mae_hu_distance_1"] == pytest.approx(200)
    assert found["mae_hu_distance_3"] == pytest.approx((600 + 800 + 1000) / 3)
    assert [row["num_voxels"] for row in metric.by_distance() if row["planes"] == "all"] == [8, 8, 24]
    assert all(row["planes"] != "surviving" for row in metric.by_distance())
    assert math.isnan(found["psnr_surviving"])


def test_a_nan_spoils_its_own_distance_and_planes_only() -> None:
    hidden = torch.ones(1, 1, 2, 4, dtype=torch.bool)
    hidden[..., 0, :2] = False
    image = torch.zeros(1, 1, 2, 4, 8)
    label = {"image": image, "hidden": hidden, "target": hidden, "scan": torch.tensor([0])}
    pred = image + 0.1
    pred[..., 7] = math.nan  # the last plane of the block, two patches away
    metric = ErrorByDistance(max_distance=2, region="hidden")
    metric(pred, label)
    spoilt = {name for name, value in metric.aggregate().items() if math.isnan(value)}
    assert spoilt == {"mse_distance_2", "mae_hu_distance_2", "psnr_block", "mae_hu_block"}


def test_what_has_no_distance_is_refused() -> None:
    with pytest.raises(ValueError, match="no visible patch"):
        patch_distances(torch.ones(1, 2, 2, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="hidden or hidden_body"):
        ErrorByDistance(region="body")
    with pytest.raises(ValueError, match="max_distance=0"):
        ErrorByDistance(max_distance=0)
