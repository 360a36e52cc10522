import math

import pytest
import torch

from maesil_monai.evaluation import BASELINES, MEAN_VOLUME, MeanVolume, evaluate_baselines
from maesil_monai.masking import MaskRule
from maesil_monai.metrics import PooledPSNR

SHAPE, GRID = (8, 8, 12), (2, 2, 3)


def _loader() -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    batches = []
    for number in range(2):
        hidden = MaskRule("random").draw(GRID, 2, generator)
        batches.append(
            {
                "image": torch.rand(2, 1, *SHAPE, generator=generator),
                "hidden": hidden,
                "target": hidden,
                "body": torch.rand(2, 1, *SHAPE, generator=generator) < 0.5,
                "scan": torch.tensor([0, number]),
                "start": torch.tensor([[0, 0, 0], [8, 0, 0]]),
            }
        )
    return batches


def test_each_baseline_is_measured_like_a_network() -> None:
    results = evaluate_baselines(_loader(), window_hu=(-1000, 500))
    for name, baseline in BASELINES.items():
        metric = PooledPSNR(window_hu=(-1000, 500))
        for batch in _loader():
            metric(baseline(batch["image"], batch["hidden"]), batch)
        assert results[name] == metric.aggregate()


def test_without_a_mean_volume_its_values_are_not_defined() -> None:
    values = evaluate_baselines(_loader())[MEAN_VOLUME]
    assert set(values) == {"psnr_hidden_body", "psnr_hidden", "mae_hu_hidden_body", "mae_hu_hidden"}
    assert all(math.isnan(value) for value in values.values())


def test_a_mean_volume_that_does_not_cover_the_superpatches_is_not_defined() -> None:
    values = evaluate_baselines(_loader(), MeanVolume(torch.zeros(8, 8, 12), (8, 8, 12), 1))  # superpatches start at 8
    assert all(math.isnan(value) for value in values[MEAN_VOLUME].values())
    assert all(math.isfinite(value) for value in values["mean_of_visible"].values())


def test_the_mean_volume_is_judged_at_the_place_of_each_superpatch() -> None:
    batches = _loader()
    mean = torch.rand(16, 8, 12)
    for batch in batches:  # scans that equal the mean volume but for an error of 0.1
        batch["image"] = torch.stack([mean[i : i + 8] for i in batch["start"][:, 0].tolist()])[:, None] + 0.1
    values = evaluate_baselines(batches, MeanVolume(mean, (16, 8, 12), 1))[MEAN_VOLUME]
    assert values["psnr_hidden_body"] == pytest.approx(20.0, abs=1e-3)
    assert values["mae_hu_hidden"] == pytest.approx(200.0, abs=1e-2)
