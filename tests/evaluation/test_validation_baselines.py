"""The baselines of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from maesil_monai.data.volumes.volume_source import ArraySource
from maesil_monai.evaluation import ValidationBaselines

TRAINING = [{"image": -1000}, {"image": 1000}, {"image": 1000}]


def _sources(item: dict[str, Any]) -> dict[str, ArraySource]:
    """Gives a scan of 8^3 voxels of one value."""
    return {"image": ArraySource(np.full((8, 8, 8), item["image"], dtype=np.int16), np.eye(4))}


def _batch(value: float) -> dict[str, torch.Tensor]:
    """One superpatch of one value, half of it hidden, all of it body."""
    hidden = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    hidden[:, 0] = True
    image = torch.full((1, 1, 8, 8, 8), value)
    body = torch.ones_like(image, dtype=torch.bool)
    place = {"scan": torch.tensor([0]), "start": torch.zeros(1, 3, dtype=torch.int64)}
    return {"image": image, "hidden": hidden, "target": hidden, "body": body, **place}


def test_the_mean_volume_is_made_of_the_training_scans_in_the_window_of_the_run() -> None:
    results = ValidationBaselines([_batch(0.5)], TRAINING, _sources, window_hu=(-1000, 1000))()
    # The scans are 0, 1 and 1 in the window: their mean misses 0.5 by 1/6.
    assert results["mean_training_volume"]["psnr_hidden_body"] == pytest.approx(20 * np.log10(6), abs=1e-4)
    wider = ValidationBaselines([_batch(0.5)], TRAINING, _sources, window_hu=(-1000, 3000))()
    # Here they are 0, 1/2 and 1/2, mean 1/3: the same miss, of twice as many HU.
    for key, factor in (("psnr_hidden_body", 1.0), ("mae_hu_hidden_body", 2.0)):
        assert wider["mean_training_volume"][key] == pytest.approx(factor * results["mean_training_volume"][key], rel=1e-4)


def test_all_four_baselines_are_measured_and_none_is_better_than_the_truth() -> None:
    results = ValidationBaselines([_batch(0.25)], TRAINING, _sources)()
    assert set(results) == {"mean_of_visible", "interpolate_axial", "nearest_visible_patch", "mean_training_volume"}
    # A volume of one value is guessed by what looks at its visible half.
    assert results["mean_of_visible"]["mae_hu_hidden_body"] == pytest.approx(0.0, abs=1e-3)
    assert results["mean_training_volume"]["mae_hu_hidden_body"] == pytest.approx((2 / 3 - 0.25) * 2000, abs=0.1)


def test_at_most_so_many_scans_are_read_and_the_seed_says_which() -> None:
    read: list[int] = []

    def noted(item: dict[str, Any]) -> dict[str, ArraySource]:
        read.append(item["number"])
        return _sources(item)

    data = [{"image": 0, "number": number} for number in range(20)]
    for seed in (0, 0, 1):
        ValidationBaselines([_batch(0.5)], data, noted, max_scans=5, seed=seed)()
    assert read[:5] == read[5:10] != read[10:]
    assert len(set(read[:5])) == 5


def test_nothing_is_measured_before_it_is_asked_for() -> None:
    def fail(item: dict[str, Any]) -> dict[str, ArraySource]:
        raise AssertionError("read too early")

    assert callable(ValidationBaselines([_batch(0.5)], TRAINING, fail))
