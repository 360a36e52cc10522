import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from ignite.engine import Engine
from monai.engines import SupervisedEvaluator

from maesil_monai.geometry import tokens_to_voxels
from maesil_monai.metrics import PooledMetricHandler, PooledPSNR, is_better, pred_and_label

GRID, PATCH, SHAPE = (2, 1, 3), (4, 8, 4), (8, 8, 12)
WINDOW_HU = (-1000.0, 500.0)


def _batch(batch_size: int, seed: int, scans: list[int]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.rand(batch_size, *GRID, generator=generator) < 0.6
    label = {
        "image": torch.rand(batch_size, 1, *SHAPE, generator=generator),
        "hidden": hidden,
        "target": hidden & (torch.rand(batch_size, *GRID, generator=generator) < 0.8),
        "body": torch.rand(batch_size, 1, *SHAPE, generator=generator) < 0.4,
        "scan": torch.tensor(scans),
    }
    noise = torch.randn(batch_size, 1, *SHAPE, generator=generator)
    # Superpatches of different difficulty, so that pooling and averaging cannot agree by chance.
    return label["image"] + noise * torch.linspace(0.01, 0.3, batch_size).reshape(-1, 1, 1, 1, 1), label


def _by_hand(pred: torch.Tensor, label: dict[str, torch.Tensor], with_body: bool) -> tuple[dict[int, float], dict[int, float]]:
    """PSNR and MAE in HU per scan, voxel by voxel from the definition."""
    errors: dict[int, list[float]] = {}
    error = (pred.double() - label["image"].double()).numpy()
    for b, scan in enumerate(label["scan"].tolist()):
        for i, j, k in np.ndindex(*SHAPE):
            token = (b, i // PATCH[0], j // PATCH[1], k // PATCH[2])
            if label["hidden"][token] and label["target"][token] and (not with_body or label["body"][b, 0, i, j, k]):
                errors.setdefault(scan, []).append(float(error[b, 0, i, j, k]))
    psnr = {scan: 10 * math.log10(1 / np.mean(np.square(e))) for scan, e in errors.items()}
    return psnr, {scan: float(np.mean(np.abs(e))) * 1500 for scan, e in errors.items()}


def test_values_agree_with_a_voxel_by_voxel_computation() -> None:
    pred, label = _batch(4, 0, [7, 7, 2, 7])
    metric = PooledPSNR(window_hu=WINDOW_HU)
    metric(pred, label)
    per_scan, means = metric.per_scan(), metric.aggregate()
    assert per_scan["scan"].tolist() == [2, 7]
    for region, with_body in (("hidden_body", True), ("hidden", False)):
        psnr, mae_hu = _by_hand(pred, label, with_body)
        assert per_scan[f"psnr_{region}"].tolist() == pytest.approx([psnr[2], psnr[7]], rel=1e-5)
        assert per_scan[f"mae_hu_{region}"].tolist() == pytest.approx([mae_hu[2], mae_hu[7]], rel=1e-5)
        assert means[f"psnr_{region}"] == pytest.approx((psnr[2] + psnr[7]) / 2, rel=1e-5)
        assert means[f"mae_hu_{region}"] == pytest.approx((mae_hu[2] + mae_hu[7]) / 2, rel=1e-5)


def _flat_error(error: float, scan: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    everywhere = torch.ones(1, *GRID, dtype=torch.bool)
    image = torch.zeros(1, 1, *SHAPE)
    body = torch.ones(1, 1, *SHAPE, dtype=torch.bool)
    label = {"image": image, "hidden": everywhere, "target": everywhere, "body": body, "scan": torch.tensor([scan])}
    return image + error, label


def test_errors_are_pooled_within_a_scan_and_decibels_averaged_over_scans() -> None:
    metric = PooledPSNR()
    for error, scan in ((0.1, 0), (0.001, 0), (0.1, 1)):
        metric(*_flat_error(error, scan))
    # Scan 0: mean squared error (1e-2 + 1e-6) / 2, 23.0099 dB; its superpatches' decibels (20 and 60) would average to 40.
    first = -10 * math.log10((1e-2 + 1e-6) / 2)
    assert metric.per_scan()["psnr_hidden"].tolist() == pytest.approx([first, 20.0], abs=1e-4)
    assert metric.aggregate()["psnr_hidden"] == pytest.approx((first + 20.0) / 2, abs=1e-4)


def test_the_batching_of_the_superpatches_does_not_matter() -> None:
    pred, label = _batch(6, 1, [0, 1, 0, 2, 2, 1])
    whole, parts = PooledPSNR(), PooledPSNR()
    whole(pred, label)
    for part in (slice(0, 1), slice(1, 5), slice(5, 6)):
        parts(pred[part], {key: value[part] for key, value in label.items()})
    assert parts.aggregate() == whole.aggregate()


def test_a_scan_without_the_region_is_left_out_of_its_mean_only() -> None:
    metric = PooledPSNR()
    metric(*_flat_error(0.1, 0))
    pred, label = _flat_error(0.01, 1)
    metric(pred, label | {"body": torch.zeros_like(label["body"])})
    assert metric.aggregate()["psnr_hidden_body"] == pytest.approx(20.0, abs=1e-4)
    assert metric.aggregate()["psnr_hidden"] == pytest.approx(30.0, abs=1e-4)
    assert math.isnan(metric.per_scan()["psnr_hidden_body"][1])


def test_a_region_no_scan_has_is_not_defined() -> None:
    pred, label = _flat_error(0.1, 0)
    metric = PooledPSNR()
    metric(pred, label | {"target": torch.zeros_like(label["target"])})
    assert all(math.isnan(value) for value in metric.aggregate().values())
    assert all(math.isnan(value) for value in PooledPSNR().aggregate().values())


def test_identical_volumes_are_infinitely_many_decibels() -> None:
    metric = PooledPSNR()
    metric(*_flat_error(0.0, 0))
    assert metric.aggregate()["psnr_hidden"] == math.inf
    assert metric.aggregate()["mae_hu_hidden"] == 0.0


def test_a_nan_prediction_spoils_the_regions_it_lies_in_and_no_other() -> None:
    pred, label = _flat_error(0.1, 0)
    pred[0, 0, 0, 0, 0] = math.nan
    label["body"][0, 0, 0, 0, 0] = False
    metric = PooledPSNR()
    metric(pred, label)
    metric(*_flat_error(0.1, 1))
    assert math.isnan(metric.aggregate()["psnr_hidden"])
    assert math.isnan(metric.aggregate()["mae_hu_hidden"])
    assert metric.aggregate()["psnr_hidden_body"] == pytest.approx(20.0, abs=1e-4)


def test_pasted_gives_visible_voxels_no_error_and_full_that_of_the_raw_output() -> None:
    pred, label = _flat_error(0.1, 0)
    label["hidden"] = torch.tensor([True, False, True, False, True, False]).reshape(1, *GRID)
    metric = PooledPSNR(regions=("full", "pasted", "hidden"))
    metric(pred, label)
    found = metric.aggregate()
    # Half of the voxels are seen: half of the squared error, 3.01 dB more.
    assert [found["psnr_full"], found["psnr_hidden"]] == pytest.approx([20.0, 20.0], abs=1e-4)
    assert found["psnr_pasted"] == pytest.approx(20.0 + 10 * math.log10(2), abs=1e-4)
    assert found["mae_hu_pasted"] == pytest.approx(found["mae_hu_full"] / 2, rel=1e-6)
    pred[:, :, :4, :, 4:8] = math.nan  # a patch that was seen
    metric.reset()
    metric(pred, label)
    assert math.isnan(metric.aggregate()["psnr_full"])
    assert metric.aggregate()["psnr_pasted"] == found["psnr_pasted"]


def test_the_soft_tissue_error_is_that_of_voxels_whose_truth_lies_within_its_hu() -> None:
    pred, label = _batch(3, 3, [0, 1, 0])
    plain, soft = PooledPSNR(window_hu=WINDOW_HU), PooledPSNR(window_hu=WINDOW_HU, soft_tissue=True)
    plain(pred, label)
    soft(pred, label)
    assert plain.aggregate().items() <= soft.aggregate().items()
    hu = label["image"] * 1500 - 1000
    error_hu = (pred - label["image"]).abs() * 1500
    inside = (hu >= -160) & (hu <= 240) & tokens_to_voxels(label["hidden"] & label["target"], PATCH)
    expected = [float(error_hu[[0, 2]][inside[[0, 2]]].mean()), float(error_hu[1][inside[1]].mean())]
    assert soft.per_scan()["mae_soft_hu_hidden"].tolist() == pytest.approx(expected, rel=1e-5)
    assert soft.names == tuple(f"{q}_{r}" for r in ("hidden_body", "hidden") for q in ("psnr", "mae_hu", "mae_soft_hu"))


def test_a_scan_without_soft_tissue_is_left_out_of_its_mean() -> None:
    metric = PooledPSNR(regions=("hidden",), soft_tissue=True)
    metric(*_flat_error(0.1, 0))  # the truth is -1000 HU everywhere
    pred, label = _flat_error(0.01, 1)
    metric(pred + 0.5, label | {"image": label["image"] + 0.5})
    assert metric.aggregate()["mae_soft_hu_hidden"] == pytest.approx(20.0, rel=1e-4)
    assert math.isnan(metric.per_scan()["mae_soft_hu_hidden"][0])


def test_nan_is_never_the_best_and_never_stays_the_best() -> None:
    assert not is_better(math.nan, -1.0)
    assert not is_better(math.nan, math.nan)
    assert is_better(-1.0, math.nan)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden_body"):
        PooledPSNR(regions=("lung",))
    with pytest.raises(ValueError, match="lower < upper"):
        PooledPSNR(window_hu=(500, -500))
    with pytest.raises(ValueError, match="reaches beyond"):
        PooledPSNR(window_hu=(-160, 240), soft_tissue=True)
    pred, label = _flat_error(0.1, 0)
    with pytest.raises(ValueError, match="two equal shapes"):
        PooledPSNR()(pred[..., :4], label)
    with pytest.raises(ValueError, match="'psnr_full'"):
        PooledMetricHandler(PooledPSNR()).attach(Engine(lambda engine, batch: None), "psnr_full")


def _share(rank: int, folder: Path) -> None:
    """Measures this process's share of five superpatches, divided unevenly twice; the second time one process has none."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    pred, label = _batch(5, 2, [0, 1, 0, 2, 1])
    results = []
    for shares in ((slice(0, 4), slice(4, 5)), (slice(0, 5), slice(5, 5))):
        metric, mine = PooledPSNR(), shares[rank]
        if mine.start < 5:
            metric(pred[mine], {key: value[mine] for key, value in label.items()})
        results.append(metric.aggregate())
    (folder / f"{rank}.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()


def test_every_process_gets_the_values_of_one_process(tmp_path: Path) -> None:
    mp.spawn(_share, (tmp_path,), nprocs=2)
    metric = PooledPSNR()
    metric(*_batch(5, 2, [0, 1, 0, 2, 1]))
    for rank in range(2):
        for gathered in json.loads((tmp_path / f"{rank}.json").read_text()):
            assert gathered == pytest.approx(metric.aggregate(), rel=1e-12)


def _prepare(batch: tuple, device: torch.device, non_blocking: bool) -> tuple:
    return batch


def test_an_evaluator_gets_all_values_from_one_metric_and_judges_by_the_key_one() -> None:
    batches = [_flat_error(0.1, 0), _flat_error(0.01, 1)]
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=batches,
        network=torch.nn.Identity(),
        prepare_batch=_prepare,
        key_val_metric={"psnr_hidden_body": PooledMetricHandler(PooledPSNR())},
        metric_cmp_fn=is_better,
        decollate=False,
    )
    evaluator.run()
    metrics = evaluator.state.metrics
    assert set(metrics) == {"psnr_hidden_body", "psnr_hidden", "mae_hu_hidden_body", "mae_hu_hidden"}
    # Scans at 20 and 40 dB; absolute errors 0.1 and 0.01 of 2000 HU.
    assert metrics["psnr_hidden_body"] == pytest.approx(30.0, abs=1e-4)
    assert metrics["mae_hu_hidden_body"] == pytest.approx((200 + 20) / 2, rel=1e-5)
    assert evaluator.state.best_metric == metrics["psnr_hidden_body"]
    assert evaluator.state.metric_details["psnr_hidden_body"].tolist() == pytest.approx([20.0, 40.0], abs=1e-4)
    evaluator.run()
    assert evaluator.state.metrics == metrics  # a second validation starts from nothing


def test_pred_and_label_are_picked_from_an_engine_output() -> None:
    pred, label = _flat_error(0.1, 0)
    assert pred_and_label({"image": pred, "pred": pred, "label": label}) == (pred, label)
