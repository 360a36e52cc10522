"""The arithmetic of blocks and tokens, on non-cubic grids and on every orientation."""

import itertools
import math

import numpy as np
import pytest
import torch

from maesil_monai.geometry import as_triple, axial_axis, box_at, grid_of, patchify, tokens_to_voxels, unpatchify

GRID, SIZE = (3, 2, 5), (2, 4, 3)
SHAPE = tuple(g * s for g, s in zip(GRID, SIZE, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int16, torch.bool, torch.float64])
def test_patchify_and_back_is_exact_to_the_bit(dtype):
    generator = torch.Generator().manual_seed(0)
    volume = torch.randint(-1000, 1000, (2, 3, *SHAPE), generator=generator).to(dtype)
    blocks = patchify(volume, SIZE)
    assert blocks.shape == (2, math.prod(GRID), 3 * math.prod(SIZE))
    assert blocks.dtype == dtype
    assert torch.equal(unpatchify(blocks, GRID, SIZE), volume)


def test_patchify_of_a_permuted_volume_equals_that_of_its_copy():
    volume = torch.arange(2.0 * math.prod(SHAPE)).reshape(2, *reversed(SHAPE))[:, None].permute(0, 1, 4, 3, 2)
    assert not volume.is_contiguous()
    assert torch.equal(patchify(volume, SIZE), patchify(volume.contiguous(), SIZE))


def test_token_n_holds_the_voxels_of_box_n_channel_slowest():
    volume = torch.arange(2.0 * math.prod(SHAPE)).reshape(1, 2, *SHAPE)
    blocks = patchify(volume, SIZE)
    for index in range(math.prod(GRID)):
        (i, j, k), (p, q, r) = box_at(index, GRID, SIZE)
        assert torch.equal(blocks[0, index], volume[0, :, i:p, j:q, k:r].flatten())


def test_patchify_keeps_gradients():
    volume = torch.zeros(1, 1, *SHAPE, requires_grad=True)
    unpatchify(patchify(volume, SIZE), GRID, SIZE).sum().backward()
    assert torch.equal(volume.grad, torch.ones_like(volume))


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.int64])
def test_tokens_to_voxels_gives_each_voxel_its_own_tokens_value(dtype):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 2, (2, *GRID), generator=generator).to(dtype)
    voxels = tokens_to_voxels(tokens, SIZE)
    assert voxels.shape == (2, 1, *SHAPE)
    assert voxels.dtype == dtype
    # Cut into patches again, every patch holds one value: the value of its token in C order.
    assert torch.equal(patchify(voxels, SIZE), tokens.flatten(1)[..., None].expand(-1, -1, math.prod(SIZE)))


def test_boxes_tile_the_volume_in_c_order():
    count = torch.zeros(SHAPE, dtype=torch.int64)
    starts = []
    for index in range(math.prod(GRID)):
        (i, j, k), (p, q, r) = box_at(index, GRID, SIZE)
        count[i:p, j:q, k:r] += 1
        starts.append((i, j, k))
    assert (count == 1).all()
    assert starts == sorted(starts)
    assert starts[1] == (0, 0, SIZE[2])


@pytest.mark.parametrize("index", [-1, 30])
def test_a_box_outside_the_grid_is_refused(index):
    with pytest.raises(ValueError, match=rf"index {index} is outside the grid \(3, 2, 5\): expected 0 to 29"):
        box_at(index, GRID, SIZE)


def test_sizes_are_one_number_or_three():
    assert as_triple(4, "size") == (4, 4, 4)
    assert as_triple([1, 2, 3], "size") == (1, 2, 3)


@pytest.mark.parametrize("value", [0, -8, 2.5, True, (8, 8), (8, 8, 0), (8, 8, 8, 8), [1.5, 2, 2]])
def test_other_sizes_are_refused_with_their_name(value):
    with pytest.raises(ValueError, match="patch_size="):
        as_triple(value, "patch_size")


def test_a_block_that_does_not_tile_is_refused():
    assert grid_of((16, 8, 24), (8, 8, 8)) == (2, 1, 3)
    with pytest.raises(ValueError, match=r"patch_size=\(8, 8, 8\) does not divide superpatch_size=\(16, 12, 24\)"):
        grid_of((16, 12, 24), (8, 8, 8))


def rotation(degrees_x: float, degrees_y: float, degrees_z: float) -> np.ndarray:
    """Rotation about the three world axes."""
    matrix = np.eye(3)
    for axis, degrees in enumerate((degrees_x, degrees_y, degrees_z)):
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        step = np.eye(3)
        a, b = (x for x in range(3) if x != axis)
        step[a, a], step[a, b], step[b, a], step[b, b] = c, -s, s, c
        matrix = step @ matrix
    return matrix


OBLIQUE = {
    "straight": np.eye(3),
    "tilted gantry": rotation(22, 0, 0),
    "oblique": rotation(15, -12, 20),
    "sheared": np.array([[1, 0, 0], [0, 1, 0.3], [0, 0, 1]]),
}


@pytest.mark.parametrize("tilt", OBLIQUE)
def test_the_axial_axis_is_found_in_all_48_orientations(tilt):
    checked = 0
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            affine = np.diag([0.0, 0.0, 0.0, 1.0])
            for voxel_axis, (world_axis, sign) in enumerate(zip(order, signs, strict=True)):
                # Thickest along A-P: the largest spacing must not be taken for S-I.
                affine[world_axis, voxel_axis] = sign * (0.7, 5.0, 0.8)[world_axis]
            affine[:3, :3] = OBLIQUE[tilt] @ affine[:3, :3]
            affine[:3, 3] = (-250, 31.5, 1200)
            assert axial_axis(affine) == order.index(2)
            assert axial_axis(torch.from_numpy(affine)) == order.index(2)
            checked += 1
    assert checked == 48


@pytest.mark.parametrize("broken", [np.zeros((4, 4)), np.eye(3), np.full((4, 4), np.nan), np.diag([1.0, 1.0, 0.0, 1.0])])
def test_an_affine_without_inverse_is_refused(broken):
    with pytest.raises(ValueError, match="no invertible 4 x 4 matrix"):
        axial_axis(broken)
