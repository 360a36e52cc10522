"""Reconstruction losses against sums written out by hand."""

import pytest
import torch

from maesil_monai.geometry import patchify
from maesil_monai.losses import ReconstructionLoss

PATCH = (4, 2, 3)
GRID = (2, 3, 4)


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    image, pred = torch.rand(2, 2, 2, 8, 6, 12, generator=generator)[:, :, :1]
    target = torch.rand(2, *GRID, generator=generator) < 0.4
    return pred, {"image": image, "target": target}


def patches_of_targets(pred, label):
    chosen = label["target"].flatten(1)
    return patchify(pred, PATCH)[chosen], patchify(label["image"], PATCH)[chosen]


def test_mse_and_l1_average_over_the_target_voxels_alone(case):
    predicted, true = patches_of_targets(*case)
    torch.testing.assert_close(ReconstructionLoss(PATCH)(*case), (predicted - true).square().mean())
    torch.testing.assert_close(ReconstructionLoss(PATCH, "l1")(*case), (predicted - true).abs().mean())


def test_target_everywhere_is_the_loss_over_all_voxels(case):
    pred, label = case
    label = {**label, "target": torch.ones_like(label["target"])}
    torch.testing.assert_close(ReconstructionLoss(PATCH)(pred, label), (pred - label["image"]).square().mean())


def test_normalised_patches_follow_the_formula_of_mae(case):
    predicted, true = patches_of_targets(*case)
    mean, variance = true.mean(1, keepdim=True), true.var(1, keepdim=True)
    expected = (predicted - (true - mean) / (variance + 1e-6) ** 0.5).square().mean()
    torch.testing.assert_close(ReconstructionLoss(PATCH, normalise_patches=True)(*case), expected)


def test_a_patch_of_constant_air_has_a_finite_normalised_loss(case):
    pred, label = case
    label["image"].zero_()
    assert torch.isfinite(ReconstructionLoss(PATCH, normalise_patches=True)(pred, label))


def test_a_batch_without_targets_has_loss_zero_and_a_gradient_of_zero(case):
    pred, label = case
    pred.requires_grad_()
    loss = ReconstructionLoss(PATCH)(pred, {**label, "target": torch.zeros_like(label["target"])})
    loss.backward()
    assert loss.item() == 0.0
    assert pred.grad.abs().sum() == 0.0


def test_the_auxiliary_term_is_added_and_its_owner_gives_the_loss_no_parameters(case):
    network = torch.nn.Linear(1, 1)
    loss = ReconstructionLoss(PATCH, auxiliary=lambda: network.weight.sum() * 0 + 2.0)
    torch.testing.assert_close(loss(*case), ReconstructionLoss(PATCH)(*case) + 2.0)
    assert list(loss.parameters()) == []
    torch.testing.assert_close(ReconstructionLoss(PATCH, auxiliary=lambda: None)(*case), ReconstructionLoss(PATCH)(*case))


def test_an_unknown_error_is_refused():
    with pytest.raises(ValueError, match="expected one of mse, l1"):
        ReconstructionLoss(8, "huber")
