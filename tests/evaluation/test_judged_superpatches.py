"""Which superpatches are judged, and that nothing but the scans and the arguments decides it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import Dataset
from monai.transforms import Compose

from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.volume_source import ArraySource
from maesil_monai.evaluation.judged_superpatches import held_out_loader, held_out_superpatches

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])


def _scan(*shares: float) -> dict[str, ArraySource]:
    """Makes a scan of 8-voxel superpatches in a row, with so large a share of body in each."""
    body = np.zeros((2, 2, 2 * len(shares)), dtype=bool)
    for index, share in enumerate(shares):
        block = np.arange(8).reshape(2, 2, 2) < round(8 * share)
        body[..., 2 * index : 2 * index + 2] = block
    return {"image": ArraySource(np.zeros(body.shape, dtype=np.int16), AFFINE), "body": ArraySource(body, AFFINE)}


def _chosen(scans: list[dict[str, Any]], **arguments: Any) -> list[dict[str, Any]]:
    """Lists the superpatches of scans that are their own sources."""
    data = [{"case_id": f"pt_{number}", **scan} for number, scan in enumerate(scans)]
    return held_out_superpatches(data, lambda item: item, superpatch_size=2, **arguments)


def _places(items: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(item["scan"], item["superpatch"]) for item in items]


def test_superpatches_with_enough_body_are_listed_by_scan_and_place_once_for_each_mask() -> None:
    items = _chosen([_scan(0.0, 0.5, 0.25), _scan(0.125, 1.0, 0.0)], min_body=0.25, masks_per_superpatch=2)
    assert _places(items) == [(0, 1), (0, 1), (0, 2), (0, 2), (1, 1), (1, 1)]
    assert [item["case_id"] for item in items] == ["pt_0"] * 4 + ["pt_1"] * 2


def test_exactly_the_least_share_is_enough() -> None:
    assert _places(_chosen([_scan(0.125, 0.25)], min_body=0.125, masks_per_superpatch=1)) == [(0, 0), (0, 1)]
    assert _places(_chosen([_scan(0.125, 0.25)], min_body=0.126, masks_per_superpatch=1)) == [(0, 1)]


def test_items_know_the_spacing_of_their_grid() -> None:
    (item,) = _chosen([_scan(1.0)], masks_per_superpatch=1)
    assert item["spacing_mm"].tolist() == [1.0, 2.0, 3.0]


def test_every_mask_has_a_seed_of_its_own_that_depends_on_the_seed_alone() -> None:
    scans = [_scan(*[1.0] * 6) for _ in range(4)]
    seeds = [item["mask_seed"] for item in _chosen(scans)]
    assert len(set(seeds)) == 4 * 6 * 2
    assert seeds == [item["mask_seed"] for item in _chosen(scans)]
    assert not set(seeds) & {item["mask_seed"] for item in _chosen(scans, seed=1)}


def test_a_superpatch_keeps_its_masks_when_fewer_are_judged() -> None:
    scans = [_scan(*[1.0] * 6) for _ in range(4)]
    every = {(item["scan"], item["superpatch"], item["mask_seed"]) for item in _chosen(scans)}
    assert {(item["scan"], item["superpatch"], item["mask_seed"]) for item in _chosen(scans, max_superpatches=5)} <= every


@pytest.mark.parametrize(("wanted", "counts"), [(8, [2, 2, 2, 2]), (4, [1, 1, 1, 1]), (2, [1, 1])])
def test_a_limit_is_spread_over_the_scans(wanted: int, counts: list[int]) -> None:
    items = _chosen([_scan(*[1.0] * 6) for _ in range(4)], max_superpatches=wanted, masks_per_superpatch=1)
    assert len(set(_places(items))) == wanted
    assert sorted(Counter(item["scan"] for item in items).values()) == sorted(counts)


def test_a_limit_above_what_is_there_takes_all() -> None:
    assert len(_chosen([_scan(1.0, 1.0), _scan(1.0)], max_superpatches=100, masks_per_superpatch=1)) == 3


def test_the_choice_follows_the_seed() -> None:
    scans = [_scan(*[1.0] * 8) for _ in range(8)]
    choices = [tuple(_places(_chosen(scans, max_superpatches=6, seed=seed))) for seed in (0, 0, 1)]
    assert choices[0] == choices[1] != choices[2]


def test_a_scan_without_body_does_not_matter() -> None:
    items = _chosen([_scan(0.0, 0.0), _scan(0.0, 1.0)], masks_per_superpatch=1)
    assert _places(items) == [(1, 1)]
    assert _places(_chosen([_scan(0.0, 0.0), _scan(0.0, 1.0)], masks_per_superpatch=1, max_superpatches=2)) == [(1, 1)]


def test_no_body_anywhere_is_an_error_that_says_what_to_check() -> None:
    with pytest.raises(ValueError, match=r"none of the 2 validation scans .* at least 5% body"):
        _chosen([_scan(0.0), _scan(0.0)])


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="max_superpatches=-1"):
        _chosen([_scan(1.0)], max_superpatches=-1)
    with pytest.raises(ValueError, match="masks_per_superpatch=0"):
        _chosen([_scan(1.0)], masks_per_superpatch=0)


@pytest.mark.parametrize("through_monai", [False, True])
def test_every_scan_that_cannot_be_read_is_logged_before_the_first_is_raised(
    through_monai: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def read(item: dict[str, Any]) -> dict[str, Any]:
        if item["case_id"] != "pt_1":
            raise BadVolume("EMPTY_FILE", item["case_id"], "0 bytes", "a volume", "Copy it again.")
        return item

    data = [{"case_id": f"pt_{number}", **_scan(1.0)} for number in range(3)]
    with pytest.raises(BadVolume, match="pt_0"):
        held_out_superpatches(data, Compose([read]) if through_monai else read, superpatch_size=2)
    refused = [record.getMessage() for record in caplog.records if record.name.startswith("maesil_monai")]
    assert [("pt_0" in line, "pt_2" in line) for line in refused] == [(True, False), (False, True)]


def test_an_error_that_is_no_bad_volume_is_raised_as_it_is() -> None:
    def fail(item: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        held_out_superpatches([{"case_id": "pt_0"}], fail, superpatch_size=2)


def test_the_loader_keeps_the_order_and_drops_nothing() -> None:
    items = _chosen([_scan(*[1.0] * 5)], masks_per_superpatch=1)
    dataset = Dataset([{"superpatch": item["superpatch"]} for item in items])
    batches = [batch["superpatch"] for batch in held_out_loader(dataset, batch_size=2)]
    assert [batch.tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    assert batches[0].dtype == torch.int64
