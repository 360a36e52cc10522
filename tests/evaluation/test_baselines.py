import numpy as np
import pytest
import torch

from maesil_monai.evaluation import BASELINES, interpolate_axial, mean_of_visible, nearest_visible_patch
from maesil_monai.evaluation.baselines import constant_predictors
from maesil_monai.geometry import patchify, tokens_to_voxels
from maesil_monai.masking import MaskRule

GRID, PATCH = (2, 3, 4), (2, 3, 4)
SHAPE = (4, 9, 16)


def _case(batch_size: int = 2, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch_size, 1, *SHAPE, generator=generator)
    return image, MaskRule("random", total_ratio=0.7).draw(GRID, batch_size, generator)


@pytest.mark.parametrize("name", BASELINES)
def test_hidden_voxels_cannot_influence_a_baseline_and_visible_ones_stay(name: str) -> None:
    image, hidden = _case()
    hidden_voxels = tokens_to_voxels(hidden, PATCH)
    changed = torch.where(hidden_voxels, torch.full_like(image, torch.nan), image)
    result = BASELINES[name](changed, hidden)
    assert torch.equal(result, BASELINES[name](image, hidden))
    assert torch.equal(result[~hidden_voxels], image[~hidden_voxels])
    assert torch.isfinite(result).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_sample_without_a_visible_patch_is_refused(name: str) -> None:
    image, hidden = _case()
    hidden[1] = True
    with pytest.raises(ValueError, match="no visible patch"):
        BASELINES[name](image, hidden)


def test_each_sample_is_filled_with_the_mean_of_its_own_visible_voxels() -> None:
    image, hidden = _case()
    hidden_voxels = tokens_to_voxels(hidden, PATCH)
    result = mean_of_visible(image, hidden)
    for sample in range(2):
        expected = image[sample][~hidden_voxels[sample]].double().mean().item()
        assert result[sample][hidden_voxels[sample]].tolist() == pytest.approx([expected] * int(hidden_voxels[sample].sum()))


def test_a_linear_ramp_along_the_axial_axis_is_restored_between_visible_planes() -> None:
    slopes = torch.rand(1, 1, SHAPE[0], SHAPE[1], 1)
    image = (slopes * torch.arange(16.0) / 16).expand(1, 1, *SHAPE).contiguous()
    hidden = torch.zeros(1, *GRID, dtype=torch.bool)
    hidden[..., 1:3] = True  # visible planes at both ends
    torch.testing.assert_close(interpolate_axial(image, hidden), image, rtol=0, atol=1e-6)


def test_beyond_the_last_visible_voxel_its_value_goes_on() -> None:
    image = torch.arange(16.0).expand(1, 1, *SHAPE).contiguous()
    hidden = torch.ones(1, *GRID, dtype=torch.bool)
    hidden[..., 1] = False  # voxels 4 to 7 are visible
    column = interpolate_axial(image, hidden)[0, 0, 2, 5]
    assert column.tolist() == [4.0] * 4 + [4.0, 5.0, 6.0, 7.0] + [7.0] * 8


def test_interpolation_agrees_with_numpy_column_by_column() -> None:
    image, hidden = _case(seed=3)
    result, hidden_voxels = interpolate_axial(image, hidden), tokens_to_voxels(hidden, PATCH)
    for b, i, j in np.ndindex(2, SHAPE[0], SHAPE[1]):
        visible = np.flatnonzero(~hidden_voxels[b, 0, i, j].numpy())
        if len(visible):
            expected = np.interp(np.arange(16), visible, image[b, 0, i, j].numpy()[visible])
        else:
            expected = np.full(16, image[b][~hidden_voxels[b]].mean())
        np.testing.assert_allclose(result[b, 0, i, j].numpy(), expected, atol=1e-6)


def test_a_column_without_a_visible_voxel_takes_the_mean_of_the_visible() -> None:
    image, hidden = _case(1)
    hidden[0, 0, 0] = True
    assert not hidden.all()
    result = interpolate_axial(image, hidden)
    assert torch.equal(result[0, 0, :2, :3], mean_of_visible(image, hidden)[0, 0, :2, :3])


def test_nearest_visible_patch_agrees_with_a_search_over_all_patches() -> None:
    image, hidden = _case(3, seed=5)
    result = patchify(nearest_visible_patch(image, hidden), PATCH)
    blocks = patchify(image, PATCH)
    places = list(np.ndindex(*GRID))
    for b in range(3):
        for token, place in enumerate(places):
            ranked = [
                (sum((p - q) ** 2 for p, q in zip(place, other, strict=True)), index)
                for index, other in enumerate(places)
                if not hidden[(b, *other)]
            ]
            assert torch.equal(result[b, token], blocks[b, min(ranked)[1]])


def test_all_baselines_of_a_constant_volume_are_that_volume() -> None:
    _, hidden = _case()
    image = torch.full((2, 1, *SHAPE), 0.25)
    for baseline in BASELINES.values():
        assert torch.equal(baseline(image, hidden), image)


def test_constants_fill_hidden_voxels_with_air_or_water_within_the_window() -> None:
    image, hidden = _case()
    hidden_voxels = tokens_to_voxels(hidden, PATCH)
    for window_hu, expected in (((-1000.0, 1000.0), (0.0, 0.5)), ((-160.0, 240.0), (0.0, 0.4)), ((100.0, 500.0), (0.0, 0.0))):
        found = [predict({"image": image, "hidden": hidden}) for predict in constant_predictors(window_hu).values()]
        for result, value in zip(found, expected, strict=True):
            assert torch.equal(result, torch.where(hidden_voxels, torch.full_like(image, value), image))
