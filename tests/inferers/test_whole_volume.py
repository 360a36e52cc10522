"""Whole volumes, superpatch by superpatch."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from maesil_monai.geometry import tokens_to_voxels
from maesil_monai.inferers import SuperpatchInferer
from maesil_monai.masking import MaskRule

SHAPE = (32, 16, 64)


def minus_one(image, hidden, target):
    """A "network" that shows what it was asked for: -1 at wanted voxels, and NaN where it had no business."""
    assert torch.equal(hidden, target)
    return torch.where(tokens_to_voxels(target, (8, 8, 8)), -1.0, torch.nan)


def test_hidden_voxels_are_predicted_and_visible_ones_pasted():
    volume = torch.rand(2, 1, *SHAPE)
    inferer = SuperpatchInferer(16, 8, "random", seed=3, batch_size=3)
    result = inferer(volume, minus_one)
    hidden = inferer.hidden_voxels(SHAPE)
    assert hidden.float().mean() == 0.75
    for scan in range(2):
        assert torch.equal(result[scan] == -1.0, hidden)
        assert torch.equal(result[scan][~hidden], volume[scan][~hidden])


def test_the_batch_size_changes_nothing():
    volume = torch.rand(1, 1, *SHAPE)
    one, many = (SuperpatchInferer(16, 8, "random", batch_size=size)(volume, minus_one) for size in (1, 5))
    assert torch.equal(one, many)


@pytest.mark.parametrize("rule", ["total", "union", "plane", "random"])
def test_two_passes_predict_every_voxel(rule):
    inferer = SuperpatchInferer((64, 64, 64), 8, rule, num_passes=2)
    first, second = inferer.draw_hidden(5)
    assert (first | second).all()
    assert first.sum() == second.sum() == MaskRule(rule).num_hidden((8, 8, 8))
    assert (SuperpatchInferer(16, 8, "random", num_passes=2)(torch.rand(1, 1, *SHAPE), minus_one) == -1.0).all()


def test_predictions_of_several_passes_are_averaged():
    answers = iter([0.0, 0.6])

    def network(image, hidden, target):
        return torch.full_like(image, next(answers))

    inferer = SuperpatchInferer(16, 8, "random", num_passes=2)
    result = inferer(torch.rand(1, 1, 16, 16, 16), network)
    first, second = tokens_to_voxels(inferer.draw_hidden(0), (8, 8, 8))
    torch.testing.assert_close(result[0][first & second], torch.full((1,), 0.3).expand(int((first & second).sum())))
    assert (result[0][second & ~first] == 0.6).all()


def test_masks_depend_on_seed_and_superpatch_alone():
    inferer = SuperpatchInferer(64, 8, seed=1)
    assert torch.equal(inferer.draw_hidden(4), SuperpatchInferer(64, 8, seed=1).draw_hidden(4))
    assert not torch.equal(inferer.draw_hidden(4), inferer.draw_hidden(5))
    assert not torch.equal(inferer.draw_hidden(4), SuperpatchInferer(64, 8, seed=2).draw_hidden(4))


def test_the_planes_hidden_are_axial_whatever_axis_they_lie_on():
    sideways = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=float)  # first axis is S-I
    volume = MetaTensor(torch.rand(1, 1, 16, 16, 16), affine=torch.from_numpy(sideways))
    result = SuperpatchInferer(16, 8, "axis")(volume, minus_one)
    assert isinstance(result, MetaTensor)
    planes = (result.as_tensor()[0, 0] == -1.0).flatten(1)  # of the first axis
    assert sorted(planes.float().mean(1).unique().tolist()) == [0.0, 1.0]


def test_raw_output_is_everything_decoded_and_warns(caplog):
    inferer = SuperpatchInferer(16, 8, "random", paste=False)
    assert "loss on all voxels" in caplog.text
    result = inferer(torch.rand(1, 1, *SHAPE), lambda image, hidden, target: torch.full_like(image, 7.0))
    assert (result == 7.0).all()


def test_impossible_settings_give_one_clear_error():
    with pytest.raises(ValueError, match="does not divide volume shape"):
        SuperpatchInferer(16, 8, "random")(torch.rand(1, 1, 16, 16, 20), minus_one)
    with pytest.raises(ValueError, match="num_passes=0"):
        SuperpatchInferer(16, 8, num_passes=0)
    with pytest.raises(ValueError, match="cannot be met"):
        SuperpatchInferer(16, 8, MaskRule("total", total_ratio=0.3))
