"""Whole volumes from overlapping windows."""

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from maesil_monai.geometry import patchify, tokens_to_voxels
from maesil_monai.inferers import SuperpatchInferer
from maesil_monai.inferers.overlapping_windows import overlap_shifts, patches_touched, place_windows, window_starts
from maesil_monai.networks import MaskedAutoEncoder3D

SIZE, PATCH = (16, 16, 32), (4, 4, 8)  # 4 x 4 x 4 patches
SHAPE = (48, 32, 64)  # 3 x 2 x 2 superpatches
# 12 superpatches, and those between them along each axis: 2 x 2 x 2 + 3 x 1 x 2 + 3 x 2 x 1.
NUM_WINDOWS = 12 + 8 + 6 + 6


def inferer(**options):
    return SuperpatchInferer(SIZE, PATCH, **{"mask_rule": "random", "overlap": 0.5, **options})


def constant(image, hidden, target):
    """Predicts 0.7 where it was asked for, and NaN where it had no business."""
    return torch.where(tokens_to_voxels(target, PATCH), 0.7, torch.nan).expand_as(image)


def ripples(image, hidden, target):
    """A flat prediction with the same pattern in every patch, which shows the grid of patches."""
    ramp = torch.linspace(-1, 1, PATCH[2]).expand(1, 1, *PATCH)
    return 0.5 + 0.1 * ramp.repeat(len(image), 1, 4, 4, 4)


def stairs(image, hidden, target):
    """A prediction that rises within each superpatch, which shows the grid of superpatches."""
    return torch.linspace(0, 1, SIZE[2]).expand_as(image)


def step_share(volume, period):
    """Mean squared difference along the last axis across faces at multiples of a period, over that across the other faces."""
    steps = volume.diff(dim=-1).square().flatten(0, -2).mean(dim=0)
    at_border = torch.arange(1, len(steps) + 1) % period == 0
    return float(steps[at_border].mean() / steps[~at_border].mean())


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return MaskedAutoEncoder3D(
        img_size=SIZE, patch_size=PATCH, hidden_size=24, mlp_dim=48, num_layers=1, num_heads=4,
        decoder_hidden_size=24, decoder_mlp_dim=48, decoder_num_layers=1, decoder_num_heads=4,
    ).eval()  # fmt: skip


def test_windows_lie_on_the_plain_grid_and_between_its_superpatches():
    shifts = overlap_shifts((4, 4, 4), PATCH, 0.5)
    assert shifts == [(0, 0, 0), (8, 0, 0), (0, 8, 0), (0, 0, 16)]
    starts = [start for shift in shifts for start in window_starts(SHAPE, SIZE, shift)]
    assert len(starts) == len(set(starts)) == NUM_WINDOWS
    assert (40, 0, 0) not in starts  # half of it would stick out


def test_a_patch_is_hidden_if_it_touches_a_hidden_voxel():
    marked = inferer().hidden_patches(SHAPE)[0]
    voxels = tokens_to_voxels(marked[None], PATCH)[0]
    for start in [(0, 0, 0), (8, 0, 16), (2, 16, 5), (31, 1, 32)]:
        window = voxels[:, start[0] : start[0] + 16, start[1] : start[1] + 16, start[2] : start[2] + 32]
        expected = patchify(window[None], PATCH)[0].any(dim=1).view(4, 4, 4)
        assert torch.equal(patches_touched(marked, start, (4, 4, 4), PATCH), expected)


@pytest.mark.parametrize("overlap", [0.5, 2 / 3, 0.75])
@pytest.mark.parametrize("rule", ["total", "random"])
def test_a_constant_prediction_stays_that_constant_and_visible_voxels_are_pasted(overlap, rule):
    volume = torch.rand(2, 1, *SHAPE)
    one = inferer(mask_rule=rule, overlap=overlap, batch_size=5, seed=2)
    result = one(volume, constant)
    hidden = one.hidden_voxels(SHAPE).expand_as(volume)
    torch.testing.assert_close(result[hidden], torch.full_like(result[hidden], 0.7), rtol=0, atol=1e-6)
    assert torch.equal(result[~hidden], volume[~hidden])


@pytest.mark.parametrize("paste", [True, False])
def test_changing_every_hidden_voxel_changes_no_prediction(network, paste):
    volume = torch.rand(1, 1, *SHAPE)
    one = inferer(mask_rule="total", paste=paste, batch_size=4)
    hidden = one.hidden_voxels(SHAPE)[None]
    before, after = one(volume, network), one(torch.where(hidden, torch.rand_like(volume), volume), network)
    assert before[hidden].std() > 0
    assert torch.equal(before[hidden], after[hidden])
    assert torch.equal(before, after)


def test_no_overlap_is_each_superpatch_by_itself_to_the_bit(network):
    volume = torch.rand(1, 1, *SHAPE)
    plain = inferer(overlap=0.0, seed=7, shift_patches=True)
    result = plain(volume, network)
    for index, start in enumerate(window_starts(SHAPE, SIZE, (0, 0, 0))):
        place = (..., *(slice(a, a + size) for a, size in zip(start, SIZE, strict=True)))
        hidden = plain.draw_hidden(index)
        with torch.no_grad():
            alone = network(volume[place], hidden=hidden, target=hidden)
        assert torch.equal(result[place], torch.where(tokens_to_voxels(hidden, PATCH), alone, volume[place]))


def test_a_blended_voxel_is_the_weighted_mean_of_its_windows():
    def numbered(image, hidden, target):
        return image.amax(dim=(2, 3, 4), keepdim=True).expand_as(image)

    # One superpatch of ones between two of zeros: its neighbours along the axis of shifts see a one too.
    volume = torch.zeros(1, 1, 48, 16, 32)
    volume[..., 16:32, :, :] = 1.0
    with torch.no_grad():
        result = inferer(paste=False)(volume, numbered)[0, 0, :, 3, 5]
    hann = torch.sin(torch.pi * (torch.arange(16) + 0.5) / 16).square()
    expected = torch.cat([torch.zeros(8), hann[:8], torch.ones(16), hann[8:], torch.zeros(8)])
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


def test_batches_are_rectangular_and_their_size_changes_nothing(network):
    calls = []

    def watched(image, hidden, target):
        calls.append(hidden.flatten(1).sum(dim=1))
        return network(image, hidden=hidden, target=target)

    volume = torch.rand(2, 1, *SHAPE)
    one = inferer(batch_size=1)(volume, watched)
    assert len(calls) == 2 * NUM_WINDOWS
    calls.clear()
    many = inferer(batch_size=7)(volume, watched)
    assert len(calls) < 2 * NUM_WINDOWS
    assert all(len(counts.unique()) == 1 for counts in calls)
    torch.testing.assert_close(one, many, rtol=0, atol=1e-5)


def test_windows_with_nothing_visible_are_left_out_and_every_hidden_voxel_is_predicted():
    # The hidden block is half of 4 planes; moved along S-I by half, a window can hold the blocks of two superpatches.
    one = inferer(mask_rule="total")
    seed = next(s for s in range(100) if len(_windows(inferer(mask_rule="total", seed=s))) < NUM_WINDOWS)
    one.seed = seed
    shown = []

    def network(image, hidden, target):
        shown.append((~hidden).flatten(1).any(dim=1).all())
        return torch.full_like(image, -1.0)

    result = one(torch.rand(1, 1, *SHAPE), network)
    assert all(shown)
    assert torch.equal(result[0] < 0, one.hidden_voxels(SHAPE))


def _windows(one):
    return place_windows(one.hidden_patches(SHAPE), one.shifts, one.token_grid, one.patch_size)


def test_complementary_passes_predict_every_voxel():
    result = inferer(mask_rule="total", num_passes=2)(torch.rand(1, 1, *SHAPE), constant)
    torch.testing.assert_close(result, torch.full_like(result, 0.7), rtol=0, atol=1e-6)


def test_borders_of_superpatches_fade():
    volume = torch.rand(1, 1, *SHAPE)
    plain, blended = (inferer(overlap=overlap, paste=False)(volume, stairs) for overlap in (0.0, 0.5))
    # What is left lies in the edges where the borders of two axes meet, for no window is moved along both.
    assert step_share(blended, SIZE[2]) < 0.02 * step_share(plain, SIZE[2])
    middle = (..., slice(4, 12), slice(4, 12), slice(None))
    assert step_share(blended[middle], SIZE[2]) < 2


def test_borders_of_patches_fade_when_their_grid_is_moved():
    volume = torch.rand(1, 1, *SHAPE)
    plain, blended, moved = (
        inferer(paste=False, **options)(volume, ripples) for options in ({"overlap": 0.0}, {}, {"shift_patches": True})
    )
    torch.testing.assert_close(blended, plain)  # whole patches fall on whole patches
    assert step_share(moved, PATCH[2]) < 0.5 * step_share(plain, PATCH[2])


@pytest.mark.parametrize("shift_patches", [False, True])
def test_a_network_that_sees_the_whole_input_gives_it_back(shift_patches):
    volume = torch.rand(1, 1, *SHAPE)
    result = inferer(paste=False, shift_patches=shift_patches)(volume, lambda image, hidden, target: image)
    torch.testing.assert_close(result, volume, rtol=0, atol=1e-6)


def test_a_masked_network_refuses_windows_with_nothing_visible(network):
    with pytest.raises(ValueError, match="at least 1"):
        inferer(shift_patches=True)(torch.rand(1, 1, *SHAPE), network)


def test_a_volume_of_one_superpatch_is_as_without_overlap(network):
    volume = torch.rand(1, 1, *SIZE)
    torch.testing.assert_close(inferer()(volume, network), inferer(overlap=0.0)(volume, network), rtol=0, atol=1e-6)


def test_metadata_stays():
    volume = MetaTensor(torch.rand(1, 1, *SHAPE), affine=torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0])))
    result = inferer()(volume, constant)
    assert isinstance(result, MetaTensor)
    assert torch.equal(result.affine, volume.affine)


@pytest.mark.parametrize("overlap", [-0.5, 0.3, 1.0, 50])
def test_other_overlaps_are_refused(overlap):
    with pytest.raises(ValueError, match=r"expected 0 \(none\), 0.5"):
        inferer(overlap=overlap)
