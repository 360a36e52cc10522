"""The matrices say what torch's interpolation says, box by box."""

import pytest
import torch
import torch.nn.functional as F

from maesil_monai.interpolation import (
    apply_axis_matrices,
    axis_matrices,
    axis_matrix,
    blocks_of,
    input_box,
    resample,
)


def _stretch(in_shape, out_shape):
    scale = [n / m for n, m in zip(in_shape, out_shape, strict=True)]
    return scale, [0.5 * s - 0.5 for s in scale]


def _random(shape, seed=0):
    return torch.rand((1, *shape), generator=torch.Generator().manual_seed(seed)) * 2000 - 1000


@pytest.mark.parametrize("out_shape", [(10, 7, 12), (13, 20, 9), (5, 6, 7)])
def test_enlarging_equals_trilinear_interpolation_of_torch(out_shape):
    volume = _random((5, 6, 7))
    expected = F.interpolate(volume[None], size=out_shape, mode="trilinear", align_corners=False)[0]
    torch.testing.assert_close(resample(volume, out_shape, *_stretch((5, 6, 7), out_shape)), expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("out_shape", [(6, 20), (7, 9), (31, 3)])
def test_in_a_plane_shrinking_and_enlarging_equal_antialiased_interpolation_of_torch(out_shape):
    volume = _random((4, 23, 17))
    expected = F.interpolate(volume, size=out_shape, mode="bilinear", align_corners=False, antialias=True)
    out = resample(volume, (4, *out_shape), *_stretch((4, 23, 17), (4, *out_shape)))
    torch.testing.assert_close(out, expected, atol=2e-3, rtol=0)


def test_shrinking_without_antialias_equals_trilinear_interpolation_of_torch():
    volume = _random((9, 12, 16))
    scale, offset = _stretch((9, 12, 16), (4, 5, 6))
    matrices = axis_matrices((9, 12, 16), ((0, 0, 0), (4, 5, 6)), scale, offset, antialias=False)
    box = input_box(matrices)
    below = volume[:, box[0][0] : box[1][0], box[0][1] : box[1][1], box[0][2] : box[1][2]]
    expected = F.interpolate(volume[None], size=(4, 5, 6), mode="trilinear", align_corners=False)[0]
    torch.testing.assert_close(apply_axis_matrices(below, matrices), expected, atol=2e-3, rtol=0)


def test_a_matrix_covers_only_the_input_it_needs():
    # Voxels 40..47 at scale 0.5 lie at 19.75..23.25: neighbours 19 to 24.
    matrix = axis_matrix(100, 40, 48, 0.5, -0.25)
    assert (matrix.start, matrix.stop) == (19, 25)
    assert matrix.weights.shape == (8, 6)
    torch.testing.assert_close(matrix.weights.sum(1), torch.ones(8))


def test_an_axis_that_stays_has_no_matrix_and_is_copied_to_the_bit():
    matrix = axis_matrix(100, 40, 48, 1.0, -10.0)
    assert matrix.weights is None
    assert (matrix.start, matrix.stop) == (30, 38)
    volume = _random((6, 7, 8))
    assert torch.equal(resample(volume, (6, 7, 8), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), volume)


def test_a_shift_by_whole_voxels_over_the_border_repeats_the_border():
    volume = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 1, 3)
    out = resample(volume, (1, 1, 6), (1.0, 1.0, 1.0), (0.0, 0.0, -2.0))
    assert out.flatten().tolist() == [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]


def test_a_constant_volume_stays_constant_at_any_scale():
    for scale in (0.3, 0.99, 1.7, 6.2):
        out = resample(torch.full((1, 9, 9, 9), -1000, dtype=torch.int16), (5, 5, 5), (scale,) * 3, (0.1,) * 3)
        torch.testing.assert_close(out, torch.full((1, 5, 5, 5), -1000.0), atol=1e-3, rtol=0)


def test_a_box_read_alone_equals_the_whole_result_there():
    in_shape, out_shape = (40, 37, 12), (50, 30, 29)
    volume = _random(in_shape)
    scale, offset = _stretch(in_shape, out_shape)
    whole = resample(volume, out_shape, scale, offset)
    for box in blocks_of(out_shape, 16):
        matrices = axis_matrices(in_shape, box, scale, offset)
        (a, b, c), (p, q, r) = input_box(matrices)
        (i, j, k), (u, v, w) = box
        part = apply_axis_matrices(volume[:, a:p, b:q, c:r], matrices)
        # Sums of float32 in another order: two units in the last place of 1000 are 1.2e-4.
        torch.testing.assert_close(part, whole[:, i:u, j:v, k:w], atol=2e-4, rtol=0)


def test_a_volume_larger_than_a_block_has_no_seams():
    # A ramp along an enlarged axis stays a ramp, across the border of blocks at 128 too.
    ramp = torch.arange(80.0).view(1, 80, 1, 1).expand(1, 80, 2, 2)
    out = resample(ramp, (160, 2, 2), (0.5, 1.0, 1.0), (-0.25, 0.0, 0.0))
    torch.testing.assert_close(out[0, 1:-1, 0, 0].diff(), torch.full((157,), 0.5), atol=1e-4, rtol=0)


def test_mask_mode_keeps_what_is_at_least_half_and_nearest_invents_no_values():
    mask = torch.tensor([False, True, True, False]).view(1, 1, 1, 4)
    out = resample(mask, (1, 1, 8), (1.0, 1.0, 0.5), (0.0, 0.0, -0.25), "mask")
    assert out.dtype == torch.bool
    assert out.flatten().tolist() == [False, False, True, True, True, True, False, False]
    labels = torch.tensor([0, 7, 3], dtype=torch.int16).view(1, 1, 1, 3)
    nearest = resample(labels, (1, 1, 6), (1.0, 1.0, 0.5), (0.0, 0.0, -0.25), "nearest")
    assert nearest.dtype == torch.int16
    assert nearest.flatten().tolist() == [0, 0, 7, 7, 3, 3]


def test_impossible_requests_are_named():
    with pytest.raises(ValueError, match="scale 0"):
        axis_matrix(4, 0, 2, 0.0, 0.0)
    with pytest.raises(ValueError, match="mode='cubic'"):
        resample(torch.zeros(1, 2, 2, 2), (2, 2, 2), (1.0,) * 3, (0.0,) * 3, "cubic")
    with pytest.raises(ValueError, match="does not cover"):
        apply_axis_matrices(torch.zeros(1, 2, 2, 2), axis_matrices((4, 4, 4), ((0, 0, 0), (4, 4, 4)), (1.0,) * 3, (0.0,) * 3))
