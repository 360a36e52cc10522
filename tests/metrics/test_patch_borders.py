import math

import numpy as np
import pytest
import torch
from metric_batches import PATCH, SHAPE, make_batch, region_of, volume_of

from maesil_monai.geometry import tokens_to_voxels
from maesil_monai.metrics import PooledBlockiness, blockiness
from maesil_monai.metrics import patch_borders as module


def _face_sums(volume: np.ndarray, region: np.ndarray, patch: tuple[int, int, int]) -> np.ndarray:
    """Sums and numbers (2, border or not, axis), one face after the other."""
    found = np.zeros((2, 2, 3))
    for voxel in np.ndindex(*volume.shape):
        for axis in range(3):
            behind = list(voxel)
            behind[axis] += 1
            if behind[axis] < volume.shape[axis] and region[voxel] and region[tuple(behind)]:
                inner = int(voxel[axis] // patch[axis] == behind[axis] // patch[axis])
                found[:, inner, axis] += [(float(volume[tuple(behind)]) - float(volume[voxel])) ** 2, 1]
    return found


def _index(sums: np.ndarray) -> float:
    means = sums[0] / sums[1]
    return means[0].sum() / means[1].sum()


def test_the_index_is_that_of_a_computation_face_by_face() -> None:
    pred, label = make_batch([0])
    volume, region = pred[:, :1], label["body"]
    sums = _face_sums(volume[0, 0].numpy(), region[0, 0].numpy(), PATCH)
    assert blockiness(volume, PATCH, region).tolist() == pytest.approx([_index(sums)], rel=1e-5)
    for axis in range(3):
        assert blockiness(volume, PATCH, region, axis).tolist() == pytest.approx([_index(sums[..., [axis]])], rel=1e-5)


def test_pooled_values_are_those_of_all_faces_of_a_scan() -> None:
    scans = [4, 2, 4, 2, 2]
    pred, label = make_batch(scans)
    for region in ("hidden_body", "full", "pasted"):
        metric = PooledBlockiness(region)
        metric(pred, label)
        expected, of_truth = {2: 0.0, 4: 0.0}, {2: 0.0, 4: 0.0}
        for b, scan in enumerate(scans):
            voxels = region_of(region, label, b)
            expected[scan] = expected[scan] + _face_sums(volume_of(region, pred, label, b), voxels, PATCH)
            of_truth[scan] = of_truth[scan] + _face_sums(label["image"][b, 0].numpy(), voxels, PATCH)
        found = metric.per_scan()
        assert found["blockiness"].tolist() == pytest.approx([_index(expected[2]), _index(expected[4])], rel=1e-5)
        assert found["blockiness_truth"].tolist() == pytest.approx([_index(of_truth[2]), _index(of_truth[4])], rel=1e-5)
        assert set(metric.aggregate()) == set(metric.names)


def test_a_picture_without_blocks_has_1_on_thick_slices_under_masks_of_whole_planes_too() -> None:
    # Noise that is smooth in axial planes only, as on thick slices. Of four token planes the middle two are hidden, so the
    # region has one border along S-I but three along the other axes: faces with large differences are rarer among borders.
    generator = torch.Generator().manual_seed(0)
    planes = torch.nn.functional.avg_pool2d(torch.randn(4, 32, 40, 40, generator=generator), 9, stride=1)
    image = planes.permute(0, 2, 3, 1)[:, None]
    hidden = torch.zeros(4, 4, 4, 4, dtype=torch.bool)
    hidden[..., 1:3] = True
    label = {"image": image, "hidden": hidden, "target": hidden, "scan": torch.zeros(4, dtype=torch.int64)}
    metric = PooledBlockiness("hidden")
    metric(image, label)
    assert metric.aggregate()["blockiness"] == pytest.approx(1.0, abs=0.05)
    assert metric.aggregate()["blockiness_truth"] == metric.aggregate()["blockiness"]
    sums, numbers = module.face_sums(image, (8, 8, 8), tokens_to_voxels(hidden, (8, 8, 8))).sum(dim=(0, 3))
    assert sums[0] / numbers[0] / (sums[1] / numbers[1]) < 0.9  # without regard to axes


def test_steps_at_borders_raise_the_index_and_seams_to_visible_patches_count_only_where_they_are_in_the_region() -> None:
    generator = torch.Generator().manual_seed(0)
    image = 0.01 * torch.randn(1, 1, 16, 16, 16, generator=generator)
    hidden = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    hidden[:, 0] = True
    label = {"image": image, "hidden": hidden, "target": torch.ones_like(hidden), "scan": torch.tensor([0])}
    seam = image + 0.5 * tokens_to_voxels(hidden, (8, 8, 8))  # one step, between what is hidden and what is visible
    steps = image + 0.5 * tokens_to_voxels(torch.arange(8).reshape(1, 2, 2, 2) % 2, (8, 8, 8))  # steps in both halves
    found = {}
    for region in ("hidden", "pasted"):
        for name, volume in (("seam", seam), ("steps", steps)):
            metric = PooledBlockiness(region)
            metric(volume, label)
            found[region, name] = metric.aggregate()["blockiness"]
    assert found["hidden", "seam"] == pytest.approx(1.0, abs=0.2)
    assert found["pasted", "seam"] > 100
    assert found["hidden", "steps"] > 100


def test_a_whole_volume_has_the_index_of_its_slabs_together(monkeypatch: pytest.MonkeyPatch) -> None:
    pred, label = make_batch([0, 0])
    whole = blockiness(pred, PATCH, label["body"])
    monkeypatch.setattr(module, "SLAB_VOXELS", 3 * SHAPE[1] * SHAPE[2])
    assert blockiness(pred, PATCH, label["body"]).tolist() == pytest.approx(whole.tolist(), rel=1e-12)


def test_a_constant_volume_is_not_defined_and_one_constant_in_every_patch_is_infinite() -> None:
    flat = torch.full((1, 1, 16, 16, 16), 0.3)
    assert math.isnan(blockiness(flat, 8))
    blocks = tokens_to_voxels(torch.arange(8.0).reshape(1, 2, 2, 2), (8, 8, 8))
    assert blockiness(blocks, 8) == math.inf
    assert math.isnan(blockiness(blocks, 16))  # one patch: there is no border
    assert math.isnan(blockiness(blocks, 8, torch.zeros_like(blocks, dtype=torch.bool)))


def test_an_axis_without_both_kinds_of_faces_is_left_out() -> None:
    volume = torch.rand(1, 1, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    sums = _face_sums(volume[0, 0].numpy(), np.ones((8, 16, 16), dtype=bool), (8, 4, 8))[..., 1:]
    assert blockiness(volume, (8, 4, 8)).tolist() == pytest.approx([_index(sums)], rel=1e-5)


def test_a_nan_counts_in_its_region_only() -> None:
    pred, label = make_batch([0])
    pred[0, 0, 0, 5, 9] = math.nan  # in the second patch in C order: hidden and scored
    metric = PooledBlockiness()
    metric(pred, label | {"body": torch.ones_like(label["body"])})
    assert math.isnan(metric.aggregate()["blockiness"])
    metric.reset()
    body = torch.ones_like(label["body"])
    body[0, 0, 0, 5, 9] = False
    metric(pred, label | {"body": body})
    assert math.isfinite(metric.aggregate()["blockiness"])


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden_body"):
        PooledBlockiness("lung")
    with pytest.raises(ValueError, match=r"expected two equal shapes \(B, 1, D, H, W\)"):
        blockiness(torch.zeros(16, 16, 16), 8)
    with pytest.raises(ValueError, match="patch_size"):
        blockiness(torch.zeros(1, 1, 16, 16, 16), 0)
