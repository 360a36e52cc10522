"""The mask rules: their counts are computed here once more, from the formulas alone."""

import math
import random

import pytest
import torch

from maesil_monai.masking import MaskRule, draw_target, nearest_count

RULES = ("total", "union", "plane", "axis", "random")
BASE = (16, 16, 16)


def draw(rule, grid, batch_size=1, seed=0, axis=2):
    return rule.draw(grid, batch_size, torch.Generator().manual_seed(seed), axis)


def counts_by_plane(hidden, axis=2):
    """Hidden tokens of each axial plane, (B, G)."""
    return hidden.movedim(1 + axis, 1).flatten(2).sum(2)


def expected_counts(name, total_ratio, plane_ratio, axis_ratio, num_planes, per_plane):
    """Hidden planes and further hidden tokens; None where the rule leaves nothing visible or nothing hidden."""
    num_tokens = num_planes * per_plane
    block = 0
    if name in ("total", "union", "axis"):
        if num_planes < 2:
            return None
        block = max(1, min(math.floor(axis_ratio * num_planes + 0.5), num_planes - 1))
    surviving = num_planes - block
    rest = {
        "total": math.floor(total_ratio * num_tokens + 0.5) - block * per_plane,
        "random": math.floor(total_ratio * num_tokens + 0.5),
        "union": math.floor(plane_ratio * per_plane + 0.5) * surviving,
        "plane": math.floor(plane_ratio * per_plane + 0.5) * surviving,
        "axis": 0,
    }[name]
    if not 0 <= rest < surviving * per_plane or block + rest == 0:
        return None
    return block, rest


def test_counts_are_exact_for_a_thousand_random_shapes_and_ratios():
    rng = random.Random(0)
    met = 0
    for case in range(1000):
        grid = tuple(rng.randint(1, 7) for _ in range(3))
        axis = rng.randrange(3)
        name = RULES[case % 5]
        ratios = [rng.uniform(0.05, 0.95) for _ in range(3)]
        wrap = rng.random() < 0.5
        rule = MaskRule(name, *ratios, wrap)
        num_planes = grid[axis]
        per_plane = math.prod(grid) // num_planes
        expected = expected_counts(name, *ratios, num_planes, per_plane)
        if expected is None:
            with pytest.raises(ValueError, match="mask rule"):
                draw(rule, grid, axis=axis)
            continue
        met += 1
        block, rest = expected
        assert rule.num_hidden(grid, axis) == block * per_plane + rest
        hidden = draw(rule, grid, 3, seed=case, axis=axis)
        assert hidden.shape == (3, *grid)
        assert hidden.dtype == torch.bool
        assert hidden.flatten(1).sum(1).tolist() == [block * per_plane + rest] * 3
        if name != "random":
            assert_planes_are_even(counts_by_plane(hidden, axis), block, rest, per_plane, wrap)
    assert met > 500


def assert_planes_are_even(counts, block, rest, per_plane, wrap):
    """Checks that the block is in one piece and that the surviving planes hide the rest as evenly as possible."""
    num_planes = counts.shape[1]
    low, extra = divmod(rest, num_planes - block)
    for row in counts.tolist():
        # A surviving plane can be hidden whole too (never all of them), so the block is searched for among the full planes.
        num_starts = num_planes if wrap else num_planes - block + 1
        spans = [{(start + offset) % num_planes for offset in range(block)} for start in range(num_starts)]
        survivors = [
            sorted(c for plane, c in enumerate(row) if plane not in span)
            for span in spans
            if all(row[plane] == per_plane for plane in span)
        ]
        assert [low] * (num_planes - block - extra) + [low + 1] * extra in survivors


@pytest.mark.parametrize(
    ("name", "visible"), [("total", 1024), ("union", 512), ("plane", 1024), ("axis", 2048), ("random", 1024)]
)
def test_the_base_grid_shows_as_many_tokens_as_the_paper_implies(name, visible):
    # 16 planes of 256 tokens. union: 8 surviving planes x 64 visible; total: 8 x 128; axis: 8 x 256.
    hidden = draw(MaskRule(name), BASE, 4)
    assert (~hidden).flatten(1).sum(1).tolist() == [visible] * 4


@pytest.mark.parametrize("name", ["total", "union", "axis"])
def test_half_of_the_planes_are_hidden_as_one_contiguous_block(name):
    full = counts_by_plane(draw(MaskRule(name), BASE, 64)) == 256
    assert full.sum(1).tolist() == [8] * 64
    # One rise at most, and one fall at most, along S-I.
    assert (full.long().diff(dim=1).abs().sum(1) <= 2).all()


@pytest.mark.parametrize("name", ["total", "union", "axis"])
def test_with_wrap_the_block_is_contiguous_round_the_end(name):
    full = counts_by_plane(draw(MaskRule(name, wrap=True), BASE, 64)) == 256
    changes = (full != full.roll(1, dims=1)).sum(1)
    assert full.sum(1).tolist() == [8] * 64
    assert changes.tolist() == [2] * 64
    assert (full[:, 0] & full[:, -1]).any()


def test_surviving_planes_differ_by_one_hidden_token_at_most():
    # Grid 5 x 5 x 7, 175 tokens: hidden floor(131.75) = 131, block floor(4.0) = 4 planes = 100, so 31 on 3 planes: 10, 10, 11.
    counts = counts_by_plane(draw(MaskRule("total"), (5, 5, 7), 200))
    surviving = counts[counts < 25].view(200, 3)
    assert surviving.sort(1).values.tolist() == [[10, 10, 11]] * 200
    # Which plane gets one more is drawn.
    assert set(surviving.argmax(1).tolist()) == {0, 1, 2}


def test_plane_rule_hides_the_same_share_of_every_plane():
    assert (counts_by_plane(draw(MaskRule("plane"), BASE, 8)) == 192).all()


def test_wrap_hides_every_plane_equally_often():
    num_draws = 4000
    often = (counts_by_plane(draw(MaskRule("axis", wrap=True), (2, 2, 16), num_draws)) == 4).float().mean(0)
    # A share of one half over 4000 draws: standard deviation 0.0079, bound at 4.5 of them.
    assert (often - 0.5).abs().max() < 0.036


def test_without_wrap_the_middle_is_hidden_more_often_than_the_ends():
    often = (counts_by_plane(draw(MaskRule("axis"), (2, 2, 16), 4000)) == 4).float().mean(0)
    # 9 starts: an end plane is in 1 of the blocks (11 %), the two middle ones in 8 (89 %).
    assert often[[0, 15]].tolist() == pytest.approx([1 / 9, 1 / 9], abs=0.025)
    assert often[[7, 8]].tolist() == pytest.approx([8 / 9, 8 / 9], abs=0.025)


def test_every_token_of_a_surviving_plane_is_hidden_equally_often():
    hidden = draw(MaskRule("plane"), (4, 4, 4), 4000)
    # A share of 3/4 over 4000 draws: standard deviation 0.0068, bound at 5 of them.
    assert (hidden.float().mean(0) - 0.75).abs().max() < 0.034


@pytest.mark.parametrize("name", RULES)
def test_the_same_generator_state_gives_the_same_mask(name):
    rule = MaskRule(name)
    assert torch.equal(draw(rule, BASE, 2, seed=5), draw(rule, BASE, 2, seed=5))
    assert not torch.equal(draw(rule, BASE, 2, seed=5), draw(rule, BASE, 2, seed=6))


@pytest.mark.parametrize("name", RULES)
def test_drawing_leaves_the_global_random_state_alone(name):
    before = torch.get_rng_state()
    draw(MaskRule(name), (4, 4, 4))
    assert torch.equal(torch.get_rng_state(), before)


def test_samples_of_a_batch_are_drawn_independently():
    hidden = draw(MaskRule("total"), BASE, 8).flatten(1)
    assert len({tuple(row.tolist()) for row in hidden}) == 8


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_planes_lie_across_the_axial_axis(axis):
    grid = [4, 6, 8]
    counts = counts_by_plane(draw(MaskRule("axis"), grid, 10, axis=axis), axis)
    per_plane = 192 // grid[axis]
    assert counts.sort(1).values.tolist() == [[0] * (grid[axis] // 2) + [per_plane] * (grid[axis] // 2)] * 10


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_patches_to_hide_first_are_hidden_where_the_rule_has_a_choice(name, axis):
    grid, rule = (4, 6, 8), MaskRule(name)
    first = torch.rand(5, *grid, generator=torch.Generator().manual_seed(9)) < 0.4
    free = draw(rule, grid, 5, seed=1, axis=axis)
    hidden = rule.draw(grid, 5, torch.Generator().manual_seed(1), axis, hide_first=first)
    if name == "random":
        # 144 of 192 are hidden, fewer than half of the 192 come first: all of these are.
        assert hidden.flatten(1).sum(1).tolist() == [144] * 5
        assert (hidden | ~first).all()
        return
    # The same planes hide the same number; in each, those that come first are all hidden, or nothing else is.
    assert torch.equal(counts_by_plane(hidden, axis), counts_by_plane(free, axis))
    wanted_but_seen = counts_by_plane(first & ~hidden, axis)
    others_hidden = counts_by_plane(hidden & ~first, axis)
    assert ((wanted_but_seen == 0) | (others_hidden == 0)).all()


@pytest.mark.parametrize("name", RULES)
def test_hiding_none_or_all_first_changes_nothing(name):
    for first in (torch.zeros(2, *BASE, dtype=torch.bool), torch.ones(2, *BASE, dtype=torch.bool)):
        hidden = MaskRule(name).draw(BASE, 2, torch.Generator().manual_seed(3), hide_first=first)
        assert torch.equal(hidden, draw(MaskRule(name), BASE, 2, seed=3))


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, 3072), (0.5, 1536), (1 / 3, 1024), (0.25, 768), (1e-9, 1)])
def test_decoded_patches_are_a_subset_of_the_hidden_ones_of_exact_size(ratio, expected):
    hidden = draw(MaskRule("total"), BASE, 3)
    target = draw_target(hidden, ratio, torch.Generator().manual_seed(1))
    assert target.dtype == torch.bool
    assert not (target & ~hidden).any()
    assert target.flatten(1).sum(1).tolist() == [expected] * 3


def test_decoding_all_gives_a_copy_of_hidden_that_can_be_changed():
    hidden = draw(MaskRule("total"), (4, 4, 4))
    target = draw_target(hidden, 1.0, torch.Generator())
    target &= False
    assert hidden.sum() == 48


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.01, float("nan")])
def test_an_impossible_decode_ratio_is_refused(ratio):
    with pytest.raises(ValueError, match="decode_ratio="):
        draw_target(draw(MaskRule("total"), (4, 4, 4)), ratio, torch.Generator())


@pytest.mark.parametrize("name", ["", "dual", "TOTAL"])
def test_an_unknown_rule_is_refused(name):
    with pytest.raises(ValueError, match="expected one of total, union, plane, axis, random"):
        MaskRule(name)


@pytest.mark.parametrize("key", ["total_ratio", "plane_ratio", "axis_ratio"])
@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, 1.5, float("nan")])
def test_a_ratio_outside_zero_and_one_is_refused(key, ratio):
    with pytest.raises(ValueError, match=f"{key}="):
        MaskRule("total", **{key: ratio})


@pytest.mark.parametrize(
    ("rule", "grid"),
    [
        (MaskRule("total", total_ratio=0.4), (4, 4, 4)),  # the block alone hides half
        (MaskRule("total"), (4, 4, 1)),  # no second plane to survive
        (MaskRule("union"), (4, 4, 1)),
        (MaskRule("axis"), (4, 4, 1)),
        (MaskRule("random", total_ratio=0.01), (2, 2, 2)),  # hides none of 8
        (MaskRule("random", total_ratio=0.99), (2, 2, 2)),  # hides all 8
        (MaskRule("plane", plane_ratio=0.95), (3, 3, 3)),  # floor(9.05): hides all 9 of each plane
        (MaskRule("union", plane_ratio=0.95), (3, 3, 4)),
    ],
)
def test_a_rule_that_a_grid_cannot_meet_is_refused(rule, grid):
    with pytest.raises(ValueError, match=rf"mask rule .*{grid[0]}, {grid[1]}, {grid[2]}"):
        draw(rule, grid)


def test_counts_round_half_up():
    # Python's own round() gives 2 for 2.5.
    assert [nearest_count(0.5, n) for n in (1, 2, 3, 4, 5)] == [1, 1, 2, 2, 3]
