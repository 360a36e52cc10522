"""What holds of every pooled metric."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from ignite.engine import Engine
from metric_batches import make_batch, part_of
from monai.engines import SupervisedEvaluator

from maesil_monai.masking import MaskRule
from maesil_monai.metrics import (
    ErrorByDistance,
    PooledBlockiness,
    PooledLPIPS,
    PooledMetric,
    PooledMetricHandler,
    PooledPSNR,
    PooledSSIM,
    SliceLPIPS,
    is_better,
)

ALL_REGIONS = ("hidden", "body", "hidden_body", "full", "pasted")
GRID, PATCH = (2, 2, 3), (16, 16, 12)
SCANS = [0, 1, 0, 2, 1]
METRICS: dict[str, Callable[[], PooledMetric]] = {
    "psnr": lambda: PooledPSNR(ALL_REGIONS, soft_tissue=True),
    "ssim": lambda: PooledSSIM(ALL_REGIONS),
    "blockiness": lambda: PooledBlockiness(),
    "distance": lambda: ErrorByDistance(max_distance=2),
}


@pytest.fixture(params=[*METRICS, "lpips"])
def make(request: pytest.FixtureRequest) -> Callable[[], PooledMetric]:
    """Makes one of the metrics anew."""
    if request.param != "lpips":
        return METRICS[request.param]
    network = request.getfixturevalue("random_network")
    return lambda: PooledLPIPS(("hidden_body", "full"), slices=SliceLPIPS(network))


def _batch() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Two of three planes are the block, one patch of the third is hidden, all patches are targets: every value is defined."""
    pred, label = make_batch(SCANS, grid=GRID, patch=PATCH)
    label["hidden"] = MaskRule("total").draw(GRID, len(SCANS), torch.Generator().manual_seed(0))
    return pred, label | {"target": torch.ones_like(label["target"])}


def _measured(metric: PooledMetric, *rows: slice) -> PooledMetric:
    for part in rows:
        metric(*part_of(_batch(), part))
    return metric


def test_the_batching_and_the_order_of_the_superpatches_do_not_matter(make: Callable[[], PooledMetric]) -> None:
    whole = _measured(make(), slice(0, 5)).aggregate()
    parts = _measured(make(), slice(3, 5), slice(2, 3), slice(0, 2)).aggregate()
    assert parts == pytest.approx(whole, rel=1e-6)
    assert all(math.isfinite(value) for value in whole.values())


def test_values_are_means_over_scans_and_a_scan_measured_alone_has_its_own(make: Callable[[], PooledMetric]) -> None:
    metric = _measured(make(), slice(0, 5))
    found, means = metric.per_scan(), metric.aggregate()
    assert found["scan"].tolist() == [0, 1, 2]
    assert tuple(means) == metric.names == tuple(found)[1:]
    alone = _measured(make(), slice(0, 1), slice(2, 3)).aggregate()
    for name in metric.names:
        assert found[name].dtype == torch.float64
        assert float(found[name][0]) == pytest.approx(alone[name], rel=1e-6)
        assert means[name] == pytest.approx(float(found[name].mean()), rel=1e-12)


def test_a_scan_without_voxels_of_a_region_is_left_out_and_without_any_nothing_is_defined(
    make: Callable[[], PooledMetric],
) -> None:
    pred, label = _batch()
    label["target"][3], label["body"][3] = False, False  # all of scan 2
    metric = make()
    metric(pred, label)
    found = metric.per_scan()
    for name, mean in metric.aggregate().items():
        assert math.isnan(found[name][2])
        assert mean == pytest.approx(float(found[name][:2].mean()), rel=1e-12)
    empty = make()
    assert all(math.isnan(value) for value in empty.aggregate().values())
    assert empty.per_scan()["scan"].tolist() == []


def test_metrics_start_from_nothing_after_a_reset(make: Callable[[], PooledMetric]) -> None:
    metric = _measured(make(), slice(0, 5))
    metric.reset()
    assert _measured(metric, slice(1, 2)).aggregate() == _measured(make(), slice(1, 2)).aggregate()


def test_shapes_that_do_not_fit_are_refused(make: Callable[[], PooledMetric]) -> None:
    pred, label = _batch()
    with pytest.raises(ValueError, match="two equal shapes"):
        make()(pred[..., :16], label)


def _share(rank: int, folder: Path) -> None:
    """Measures this process's share of five superpatches, divided unevenly twice; the second time one process has none."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    results = {}
    for kind, make in METRICS.items():
        for shares in ((slice(0, 4), slice(4, 5)), (slice(0, 5), slice(5, 5))):
            own = shares[rank]
            metric = _measured(make(), *([own] if own.start < 5 else []))
            results[f"{kind} {shares}"] = metric.aggregate()
    (folder / f"{rank}.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()


def test_every_process_gets_the_values_of_one_process(tmp_path: Path) -> None:
    mp.spawn(_share, (tmp_path,), nprocs=2)
    expected = {kind: _measured(make(), slice(0, 5)).aggregate() for kind, make in METRICS.items()}
    for rank in range(2):
        gathered: dict[str, dict[str, float]] = json.loads((tmp_path / f"{rank}.json").read_text())
        assert len(gathered) == 2 * len(METRICS)
        for name, values in gathered.items():
            assert values == pytest.approx(expected[name.split(" ")[0]], rel=1e-9)


def test_none_of_them_is_defined_for_normalised_targets(make: Callable[[], PooledMetric]) -> None:
    with pytest.raises(ValueError, match="is not defined for a network that predicts normalised patches"):
        PooledMetricHandler(make(), normalised_targets=True)
    with pytest.raises(ValueError, match="PSNR is not defined"):
        PooledMetricHandler(PooledPSNR(), normalised_targets=True)


def _prepare(batch: tuple, device: torch.device, non_blocking: bool) -> tuple:
    return batch


def test_an_evaluator_takes_any_of_them_beside_its_key_metric() -> None:
    pred, label = _batch()
    further: dict[str, Any] = {
        "ssim_pasted": PooledMetricHandler(PooledSSIM(("pasted", "hidden"))),
        "blockiness": PooledMetricHandler(PooledBlockiness()),
        "mse_distance_1": PooledMetricHandler(ErrorByDistance()),
    }
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=[(pred, label)],
        network=torch.nn.Identity(),
        prepare_batch=_prepare,
        key_val_metric={"psnr_hidden_body": PooledMetricHandler(PooledPSNR())},
        additional_metrics=further,
        metric_cmp_fn=is_better,
        decollate=False,
    )
    evaluator.run()
    for metric in (PooledSSIM(("pasted", "hidden")), PooledBlockiness(), ErrorByDistance()):
        metric(pred, label)
        expected = metric.aggregate()
        assert {name: evaluator.state.metrics[name] for name in expected} == pytest.approx(expected, nan_ok=True)
        assert all(name in evaluator.state.metric_details for name in expected)
    assert evaluator.state.metric_details["scan"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="ssim_hidden_body, ssim_hidden"):
        PooledMetricHandler(PooledSSIM()).attach(Engine(lambda engine, batch: None), "ssim")
