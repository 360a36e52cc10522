import pytest
import torch

from maesil_monai.metrics import REGION_NAMES, region_voxels
from maesil_monai.metrics.regions import checked_regions, complete_volume

GRID, PATCH, SHAPE = (2, 3, 1), (2, 1, 4), (4, 3, 4)


def _masks() -> dict[str, torch.Tensor]:
    hidden = torch.zeros(1, *GRID, dtype=torch.bool)
    hidden[0, 0, 0, 0] = hidden[0, 1, 2, 0] = True
    target = hidden.clone()
    target[0, 1, 2, 0] = False  # a padded patch, or one that was not decoded
    target[0, 1, 0, 0] = True  # decoded although it was seen (loss on all voxels)
    body = torch.zeros(1, 1, *SHAPE, dtype=torch.bool)
    body[0, 0, 1] = True
    return {"hidden": hidden, "body": body, "target": target}


def test_hidden_holds_only_patches_that_are_hidden_and_scored() -> None:
    label = _masks()
    region = region_voxels("hidden", label, PATCH)
    expected = torch.zeros(1, 1, *SHAPE, dtype=torch.bool)
    expected[0, 0, 0:2, 0:1, 0:4] = True
    assert torch.equal(region, expected)


def test_hidden_body_is_the_part_of_the_hidden_voxels_inside_the_body() -> None:
    label = _masks()
    region = region_voxels("hidden_body", label, PATCH)
    # Of the one scored patch (voxels 0:2 along the first axis) the body has the slice 1: 1 x 1 x 4 voxels.
    assert region.sum() == 4
    assert region[0, 0, 1, 0].all()
    assert torch.equal(region_voxels("body", label, PATCH), label["body"])


def test_full_and_pasted_hold_all_voxels_that_are_scored_and_need_no_body() -> None:
    label = _masks()
    del label["body"]
    expected = torch.zeros(1, 1, *SHAPE, dtype=torch.bool)
    expected[0, 0, 0:2, 0:1, 0:4] = True  # hidden and scored
    expected[0, 0, 2:4, 0:1, 0:4] = True  # seen and scored
    for name in ("full", "pasted"):
        assert torch.equal(region_voxels(name, label, PATCH), expected)


def test_the_image_stands_where_nothing_was_decoded_and_in_pasted_volumes_where_it_was_seen() -> None:
    label = _masks()
    del label["body"]
    image, pred = torch.zeros(1, 1, *SHAPE), torch.ones(1, 1, *SHAPE)
    for name in REGION_NAMES:
        volume = complete_volume(name, pred, {**label, "image": image}, PATCH)
        predicted = region_voxels("full" if name == "full" else "hidden", label, PATCH)
        assert torch.equal(volume, predicted.float())


def test_regions_are_a_list_of_known_names_each_once() -> None:
    assert checked_regions(["full", "hidden"]) == ("full", "hidden")
    for wrong in ((), ("lung",), ("hidden", "hidden"), "hidden"):
        with pytest.raises(ValueError, match="hidden_body, full, pasted"):
            checked_regions(wrong)


def test_an_unknown_region_is_refused_with_the_known_ones() -> None:
    label = _masks()
    with pytest.raises(ValueError, match="'lung' is unknown") as caught:
        region_voxels("lung", label, PATCH)
    assert all(name in str(caught.value) for name in REGION_NAMES)


def test_a_missing_or_wrongly_cropped_body_is_refused() -> None:
    label = _masks()
    with pytest.raises(ValueError, match="needs the body mask"):
        region_voxels("hidden_body", {key: label[key] for key in ("hidden", "target")}, PATCH)
    with pytest.raises(ValueError, match=r"\(1, 1, 4, 3, 2\)"):
        region_voxels("hidden_body", {**label, "body": label["body"][..., :2]}, PATCH)
