"""Masks as a transform: counts, axial planes after turning, seeds, padding."""

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Flipd, Rotate90d

from maesil_monai.masking import MaskRule
from maesil_monai.transforms import DualMask, DualMaskd

PATCH = (2, 4, 3)
GRID = (4, 6, 8)
IMAGE = torch.zeros(1, *(p * g for p, g in zip(PATCH, GRID, strict=True)))


def full_planes(hidden, axis):
    """Number of wholly hidden planes across an axis."""
    return int(hidden.movedim(axis, 0).flatten(1).all(1).sum())


def test_masks_are_plain_bool_tensors_of_the_token_grid_with_exact_counts():
    hidden, target = DualMask(PATCH).set_random_state(seed=0)(MetaTensor(IMAGE))
    for mask in (hidden, target):
        assert type(mask) is torch.Tensor
        assert mask.dtype == torch.bool
        assert mask.shape == GRID
    assert hidden.sum() == 144  # three quarters of 192
    assert torch.equal(hidden, target)
    assert full_planes(hidden, 2) == 4


def test_the_same_random_state_gives_the_same_masks_and_calls_differ():
    first, second = (DualMask(PATCH, decode_ratio=0.5).set_random_state(seed=3) for _ in range(2))
    drawn = [first(IMAGE) for _ in range(4)]
    for hidden, target in drawn:
        again = second(IMAGE)
        assert torch.equal(again[0], hidden)
        assert torch.equal(again[1], target)
    assert len({tuple(hidden.flatten().tolist()) for hidden, _ in drawn}) == 4


def test_a_seed_fixes_the_masks_and_leaves_the_random_state_alone():
    first, second = (DualMask(PATCH).set_random_state(seed=3) for _ in range(2))
    fixed = [first(IMAGE, seed=7)[0], first(IMAGE, seed=7)[0], DualMask(PATCH)(IMAGE, seed=7)[0]]
    assert torch.equal(fixed[0], fixed[1])
    assert torch.equal(fixed[0], fixed[2])
    assert not torch.equal(fixed[0], first(IMAGE, seed=8)[0])
    assert torch.equal(first(IMAGE)[0], second(IMAGE)[0])


def test_the_global_random_states_do_not_matter():
    torch.manual_seed(0)
    a = DualMask(PATCH).set_random_state(seed=1)(IMAGE)[0]
    torch.manual_seed(99)
    assert torch.equal(a, DualMask(PATCH).set_random_state(seed=1)(IMAGE)[0])


@pytest.mark.parametrize(("axes", "expected"), [((0, 1), 2), ((1, 2), 1), ((0, 2), 0)])
def test_the_planes_stay_axial_when_the_superpatch_is_turned(axes, expected):
    # Turning about the axis that is not in `axes` swaps the other two; S-I moves with them.
    image = MetaTensor(torch.zeros(1, 16, 16, 16), affine=torch.eye(4, dtype=torch.float64))
    chain = Compose([Rotate90d(keys="image", spatial_axes=axes), Flipd(keys="image", spatial_axis=expected)])
    turned = chain({"image": image})["image"]
    hidden, _ = DualMask(2).set_random_state(seed=0)(turned)
    assert [full_planes(hidden, axis) for axis in range(3)] == [4 if axis == expected else 0 for axis in range(3)]


def test_a_padded_patch_is_hidden_like_others_but_never_a_target():
    valid = torch.ones(1, *GRID, dtype=torch.bool)
    valid[..., :3] = False
    for transform in (DualMask(PATCH), DualMask(PATCH, loss_on_all=True), DualMask(PATCH, decode_ratio=0.5)):
        hidden, target = transform(IMAGE, valid, seed=5)
        free_hidden, free_target = transform(IMAGE, seed=5)
        assert torch.equal(hidden, free_hidden)
        assert torch.equal(target, free_target & valid[0])
        assert free_target[..., :3].any()
    # Without a channel axis, and as a MetaTensor (what a flip makes of it), it says the same.
    assert torch.equal(transform(IMAGE, valid[0], seed=5)[1], target)
    assert type(transform(IMAGE, MetaTensor(valid), seed=5)[1]) is torch.Tensor


def test_loss_on_all_makes_every_patch_a_target():
    hidden, target = DualMask(PATCH, loss_on_all=True)(IMAGE)
    assert target.all()
    assert hidden.sum() == 144


def test_decode_ratio_takes_its_share_of_the_hidden_patches():
    hidden, target = DualMask(PATCH, decode_ratio=0.25)(IMAGE)
    assert target.sum() == 36
    assert not (target & ~hidden).any()


@pytest.mark.parametrize(("rule", "count"), [("total", 144), ("union", 168), ("plane", 144), ("axis", 96), ("random", 144)])
def test_every_rule_has_its_count(rule, count):
    # 8 planes of 24: union hides 4 planes and 18 of each of the others.
    assert DualMask(PATCH, rule=rule)(IMAGE)[0].sum() == count


def test_a_rule_made_already_counts_with_its_own_ratios():
    rule = MaskRule("random", total_ratio=0.5)
    assert torch.equal(DualMask(PATCH, rule=rule)(IMAGE, seed=1)[0], DualMask(PATCH, "random", total_ratio=0.5)(IMAGE, seed=1)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "dual"}, "mask rule 'dual' is unknown"),
        ({"total_ratio": 1.0}, "total_ratio="),
        ({"decode_ratio": 0.0}, "decode_ratio="),
        ({"decode_ratio": 0.5, "loss_on_all": True}, "Set one of the two"),
        ({"patch_size": 0}, "patch_size=0"),
    ],
)
def test_impossible_arguments_are_refused_when_the_transform_is_made(arguments, message):
    with pytest.raises(ValueError, match=message):
        DualMask(**{"patch_size": PATCH, **arguments})


def test_an_image_that_patches_do_not_tile_is_refused():
    with pytest.raises(ValueError, match=r"patch_size=\(5, 5, 5\) does not divide the image's shape"):
        DualMask(5)(IMAGE)


def test_valid_of_another_grid_is_refused():
    with pytest.raises(ValueError, match=r"valid has shape \(4, 6, 7\): expected \(4, 6, 8\)"):
        DualMask(PATCH)(IMAGE, torch.ones(4, 6, 7, dtype=torch.bool))


def test_dictionary_form_equals_array_form_and_keeps_the_other_items():
    valid = torch.ones(1, *GRID, dtype=torch.bool)
    valid[:, 0] = False
    mask = DualMaskd(keys="image", patch_size=PATCH, decode_ratio=0.5).set_random_state(seed=4)
    out = mask({"image": IMAGE, "valid": valid, "case_id": "a"})
    hidden, target = DualMask(PATCH, decode_ratio=0.5).set_random_state(seed=4)(IMAGE, valid)
    assert torch.equal(out["hidden"], hidden)
    assert torch.equal(out["target"], target)
    assert out["case_id"] == "a"


@pytest.mark.parametrize("seed", [11, torch.tensor(11)])
def test_seed_key_fixes_the_masks_of_an_item(seed):
    mask = DualMaskd(keys="image", patch_size=PATCH, valid_key=None, seed_key="mask_seed")
    assert torch.equal(mask({"image": IMAGE, "mask_seed": seed})["hidden"], DualMask(PATCH)(IMAGE, seed=11)[0])


def test_compose_seeds_the_dictionary_form():
    chains = [Compose([DualMaskd(keys="image", patch_size=PATCH, valid_key=None)]).set_random_state(seed=2) for _ in range(2)]
    a, b = (chain({"image": IMAGE})["hidden"] for chain in chains)
    assert torch.equal(a, b)


@pytest.mark.parametrize("missing", ["image", "valid", "mask_seed"])
def test_a_missing_item_is_named(missing):
    data = {"image": IMAGE, "valid": torch.ones(GRID, dtype=torch.bool), "mask_seed": 1}
    del data[missing]
    with pytest.raises(KeyError, match=missing):
        DualMaskd(keys="image", patch_size=PATCH, seed_key="mask_seed")(data)


def test_two_images_are_refused():
    with pytest.raises(ValueError, match="expected one image"):
        DualMaskd(keys=("image", "other"), patch_size=PATCH)
