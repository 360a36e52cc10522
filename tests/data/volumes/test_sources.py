"""Sources: boxes of a volume, on its own grid and on another one."""

import numpy as np
import pytest
import torch

from maesil_monai.data.volumes.resampled_source import ResampledSource
from maesil_monai.data.volumes.volume_source import ArraySource


def _source(dtype=np.int16, shape=(6, 7, 8)):
    rng = np.random.default_rng(0)
    return ArraySource((rng.random(shape) * 200 - 100).astype(dtype), np.diag([0.5, 1.0, 2.0, 1.0]), "scan")


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.bool_])
def test_a_box_holds_the_voxels_of_the_array_in_its_own_dtype(dtype):
    source = _source(dtype)
    out = source.read(((1, 2, 3), (4, 7, 5)))
    assert out.shape == (1, 3, 5, 2)
    assert out.is_contiguous()
    assert np.array_equal(out[0].numpy(), source.array[1:4, 2:7, 3:5])
    assert out.numpy().dtype == dtype


def test_the_array_is_not_copied_and_what_is_read_is():
    source = _source()
    assert source.array.base is None or np.shares_memory(source.array, source.array.base)
    turned = ArraySource(source.array.transpose(2, 0, 1)[::-1], np.eye(4))
    assert np.shares_memory(turned.array, source.array)
    out = turned.read(((0, 0, 0), turned.shape))
    before = source.array.copy()
    out.zero_()
    assert np.array_equal(source.array, before)


def test_share_is_the_mean_of_the_box():
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[:2, 0, 0] = True
    source = ArraySource(mask, np.eye(4))
    assert source.share(((0, 0, 0), (4, 1, 1))) == 0.5
    assert source.share(((0, 0, 0), (4, 4, 4))) == 2 / 64
    assert _source().share(((0, 0, 0), (6, 7, 8))) == pytest.approx(_source().array.mean())


def test_geometry_and_memory_are_told():
    source = _source()
    assert source.spacing_mm == (0.5, 1.0, 2.0)
    assert source.content_box == ((0, 0, 0), (6, 7, 8))
    assert source.nbytes == 6 * 7 * 8 * 2
    assert source.notes == ()
    source.derived["body"] = ArraySource(np.ones(source.shape, dtype=bool), source.affine)
    assert source.nbytes == 6 * 7 * 8 * 3


@pytest.mark.parametrize("box", [((0, 0, 0), (7, 7, 8)), ((-1, 0, 0), (6, 7, 8)), ((3, 0, 0), (3, 7, 8))])
def test_a_box_outside_the_volume_is_refused(box):
    for call in (_source().read, _source().share):
        with pytest.raises(ValueError, match="does not fit into scan"):
            call(box)


def test_arrays_and_affines_that_make_no_volume_are_refused():
    with pytest.raises(ValueError, match="3 dimensions"):
        ArraySource(np.zeros((2, 2), dtype=np.int16), np.eye(4))
    with pytest.raises(ValueError, match="int16, float32 or bool"):
        ArraySource(np.zeros((2, 2, 2)), np.eye(4))
    with pytest.raises(ValueError, match="invertible"):
        ArraySource(np.zeros((2, 2, 2), dtype=np.int16), np.diag([1.0, 0.0, 1.0, 1.0]))


def _padded(array, mode="linear"):
    # 2 input voxels per axis and 0.5 input voxels a step make 4 voxels of content, between paddings of 2 and 2.
    source = ArraySource(array, np.eye(4))
    return ResampledSource(source, (8, 8, 8), (0.5,) * 3, (-1.25,) * 3, ((2, 2, 2), (6, 6, 6)), mode)


def test_padding_is_air_for_images_and_false_for_masks():
    image = _padded(np.full((2, 2, 2), 40, dtype=np.int16)).read(((0, 0, 0), (8, 8, 8)))
    assert image.dtype == torch.float32
    assert int((image == 40).sum()) == 4**3
    assert int((image == -1024).sum()) == 8**3 - 4**3
    mask = _padded(np.ones((2, 2, 2), dtype=bool), "mask")
    assert int(mask.read(((0, 0, 0), (8, 8, 8))).sum()) == 4**3
    assert not mask.read(((0, 0, 0), (2, 8, 8))).any()


def test_share_of_a_resampled_mask_counts_padding_as_outside():
    mask = _padded(np.ones((2, 2, 2), dtype=bool), "mask")
    assert mask.share(((0, 0, 0), (8, 8, 8))) == 1 / 8
    assert mask.share(((2, 2, 2), (6, 6, 6))) == 1.0
    assert mask.share(((0, 0, 0), (2, 8, 8))) == 0.0


def test_share_of_a_resampled_mask_is_close_to_the_share_of_its_voxels():
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in (30, 26, 14)), indexing="ij"))
    ball = ((grid - np.array([14, 13, 7])[:, None, None, None]) ** 2).sum(0) < 100
    scale = tuple(n / 64 for n in ball.shape)
    offset = tuple(0.5 * s - 0.5 for s in scale)
    source = ResampledSource(ArraySource(ball, np.eye(4)), (64,) * 3, scale, offset, ((0,) * 3, (64,) * 3), "mask")
    for start in ((0, 0, 0), (32, 0, 32), (17, 20, 9)):
        box = (start, tuple(a + 32 for a in start))
        assert source.share(box) == pytest.approx(float(source.read(box).float().mean()), abs=0.05)


def test_a_content_box_outside_the_grid_is_refused():
    with pytest.raises(ValueError, match="content_box"):
        ResampledSource(_source(), (4, 4, 4), (1.0,) * 3, (0.0,) * 3, ((0, 0, 0), (5, 4, 4)))
