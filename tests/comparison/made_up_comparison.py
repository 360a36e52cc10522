"""What a comparison leaves behind, made up: all systems, two collections, three seeds, LPIPS not measured, two cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from maesil_monai.masking import MaskRule
from maesil_monai.phantom import phantom_scan

# Model, rule of the training, PSNR on hidden_body under rule total (mean over both collections).
MODELS: tuple[tuple[str, str, float], ...] = (
    ("maesil", "total", 13.42),
    ("maesil", "random", 12.61),
    ("maesil", "plane", 12.05),
    ("maesil", "axis", 12.97),
    ("maesil", "union", 13.36),
    ("maesil+loss_on_all=true", "total", 13.10),
    ("mae", "random", 12.61),
    ("hi_end_mae", "random", 13.35),
    ("hi_end_mae_paper", "random", 13.90),  # above MAESIL, on superpatches of its own size
    ("medmae", "plane", 9.10),
    ("ae", "total", 23.4),
    ("ae_8", "total", 28.9),
    ("ae_512", "total", 18.2),
    ("vae", "total", 21.8),
    ("vqvae", "total", 22.5),
    ("ae_masked", "total", 11.7),
    ("vae_masked", "total", 11.2),
    ("vqvae_masked", "total", 10.9),
)
BASELINE_PSNR = {"mean_of_visible": 6.58, "interpolate_axial": 9.31, "nearest_visible_patch": 9.02, "mean_training_volume": 10.44}
RULES = ("random", "plane", "axis", "total", "union")
PATIENTS = {"openkbp": 12, "sts": 8}
REGIONS = {"hidden_body": 0.0, "hidden": 5.8, "full": 1.9, "pasted": 7.1}
WHOLE = ("ae", "ae_8", "ae_512", "vae", "vqvae")
SAME_SUPERPATCHES = {"hi_end_mae_paper": False, "mae": True}  # of the others results.json says nothing
NO_LPIPS = "no backbone weights; set MAESIL_LPIPS_WEIGHTS"


def make_up_comparison(folder: Path, size: int = 32) -> None:
    """Writes ``results.json`` and ``figures`` with superpatches of ``size`` voxels a side."""
    (folder / "figures").mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results(), indent=1))
    for number, (dataset, case) in enumerate((("openkbp", "pt_7"), ("sts", "sts/STS_012"))):
        _superpatch(folder / "figures", dataset, case, number, size)


def results() -> dict[str, Any]:
    """Gives the content of ``results.json``."""
    rows = []
    systems: list[tuple[str, str | None, float]] = [*MODELS, *((name, None, psnr) for name, psnr in BASELINE_PSNR.items())]
    for model, rule, psnr in systems:
        for evaluation_rule in RULES if model in ("maesil", "hi_end_mae_paper") else ("total",):
            for region, more in REGIONS.items():
                if region != "hidden_body" and (evaluation_rule != "total" or (rule is None and region != "hidden")):
                    continue
                for dataset, shift in (("unified", 0.0), ("openkbp", 1.1), ("sts", -1.1)):
                    bonus = (
                        0.4 * (rule == evaluation_rule) - 0.3 * (evaluation_rule == "union")
                        if evaluation_rule != "total"
                        else 0.0
                    )
                    rows += _rows(model, rule, evaluation_rule, dataset, region, psnr + more + shift + bonus)
    curves = [_curve(model, rule, seed, psnr) for model, rule, psnr in MODELS for seed in (0, 1, 2)]
    return {
        "rows": rows,
        "settings": {
            "headline_rule": "total",
            "superpatch_size": 64,
            "patch_size": 8,
            "window_hu": [-1000, 1000],
            "patch_mm": {"openkbp": [31.2, 31.2, 24.0], "sts": [29.5, 29.5, 40.1]},
            "acquired_slices_per_patch": {"openkbp": 9.6, "sts": 12.3},
            "masks_per_superpatch": 2,
            "store": "<store> & more",
            "commands": ["python -m maesil_monai compare --store STORE --output OUT --train --seeds 0,1,2"],
        },
        "versions": {"maesil_monai": "0.4.0", "torch": "2.14.0"},
        "checkpoints": {f"{model}@{rule}-seed0": f"{number:064x}" for number, (model, rule, _) in enumerate(MODELS)},
        "models": {
            model: {
                "parameters": 3_349_370 + len(model),
                "sees_input": model in WHOLE,
                "latent_values_per_voxel": None,
                **({"same_superpatches": SAME_SUPERPATCHES[model]} if model in SAME_SUPERPATCHES else {}),
            }
            for model, _, _ in MODELS
        },
        "by_distance": _by_distance(),
        "curves": curves,
        "search": [
            {"model": model, "learning_rate": rate, "psnr_hidden_body": 11 - abs(rate - 1e-3) * 900, "chosen": rate == 1e-3}
            for model in ("maesil", "mae")
            for rate in (3e-4, 1e-3, 3e-3)
        ],
        "blockiness": [
            {"model": model, "training_rule": rule, "dataset": dataset, "stride": stride, "blockiness": value, "truth": 1.02}
            for model, rule, psnr in MODELS
            for dataset in PATIENTS
            for stride, value in (("none", 1 + 6 / psnr), ("overlap", 1 + 1.5 / psnr))
        ],
        "codebook": {"vqvae@total-seed0": {"used": 431, "size": 512, "perplexity": 288.4}},
        "not_measured": {"lpips": NO_LPIPS},
        "hours": 5.25,
    }


def _rows(model: str, rule: str | None, evaluation_rule: str, dataset: str, region: str, psnr: float) -> list[dict[str, Any]]:
    """Makes a row per metric; all follow the PSNR, so that ranks are known."""
    num_patients = PATIENTS.get(dataset, sum(PATIENTS.values()))
    unpaired = (model, rule) == ("maesil", "total") or not SAME_SUPERPATCHES.get(model, True)
    away = psnr - next(value for name, _, value in MODELS if name == "maesil") - REGIONS[region]
    away -= {"unified": 0.0, "openkbp": 1.1, "sts": -1.1}[dataset]
    made = []
    for metric, scale, start, half in (
        ("psnr", 1.0, psnr, 0.9),
        ("ssim", 0.02, 0.2 + 0.02 * psnr, 0.03),
        ("lpips", 0.0, None, 0.0),
        ("mae_hu", -9.0, 400 - 9 * psnr, 20.0),
        ("mae_soft_hu", -4.0, 150 - 4 * psnr, 6.0),
    ):
        difference = None if unpaired or start is None else scale * away
        reach = abs(scale) * 0.2
        made.append(
            {
                "model": model,
                "training_rule": rule,
                "evaluation_rule": evaluation_rule,
                "dataset": dataset,
                "region": region,
                "metric": metric,
                "mean": start,
                "low": None if start is None else start - half,
                "high": None if start is None else start + half,
                "num_patients": num_patients,
                "seeds": [] if rule is None else [0, 1, 2],
                "difference": difference,
                "difference_low": None if difference is None else difference - reach,
                "difference_high": None if difference is None else difference + reach,
            }
        )
    return made


def _curve(model: str, rule: str, seed: int, psnr: float) -> dict[str, Any]:
    superpatches = [1600 * step for step in range(1, 11)]
    noise = np.random.default_rng([seed, len(model)]).normal(0, 0.12, 10)
    values = [psnr - (psnr - 6) * np.exp(-step / 2.2) + noise[step - 1] for step in range(1, 11)]
    return {
        "run": f"{model}@{rule}-seed{seed}",
        "model": model,
        "training_rule": rule,
        "seed": seed,
        "superpatches": superpatches,
        "minutes": [count / 1900 for count in superpatches],
        "psnr_hidden_body": [None if step == 1 and seed == 2 else round(float(value), 3) for step, value in enumerate(values)],
    }


def _by_distance() -> list[dict[str, Any]]:
    rows = []
    for model, rule, psnr in [*MODELS, *((name, None, psnr) for name, psnr in BASELINE_PSNR.items())]:
        for dataset in PATIENTS:
            for distance in range(1, 5):
                error = (400 - 11 * psnr) * (0.7 + 0.16 * distance * (1.3 if rule is None else 0.8))
                where = {"evaluation_rule": "total", "dataset": dataset, "distance": distance}
                for planes, more in (("all", 0.0), ("block", 30.0), ("surviving", -30.0)):
                    found = {"mae_hu": error + more, "mse": 0.01, "num_voxels": 9000 // distance}
                    rows.append({"model": model, "training_rule": rule, **where, "planes": planes, **found})
    return rows


def _superpatch(folder: Path, dataset: str, case: str, number: int, size: int) -> None:
    """Draws a phantom, and reconstructions that are the more blurred the lower a model's PSNR is."""
    scan = phantom_scan(number + 3, size="tiny" if size < 48 else "small", coverage="chest", noise_hu=15)
    hu = nib.as_closest_canonical(nib.Nifti1Image(scan.hu, scan.affine)).get_fdata()
    unit = ((hu + 1000) / 2000).clip(0, 1)
    unit = zoom(unit, [size / length for length in unit.shape], order=1)
    grid = (size // 8,) * 3
    hidden = MaskRule("total").draw(grid, 1, _generator(number))[0].numpy()
    voxels = hidden.repeat(8, 0).repeat(8, 1).repeat(8, 2)
    spacing = np.array(hu.shape) * np.linalg.norm(scan.affine[:3, :3], axis=0) / size
    spacing[2] *= 0.75
    kept = {"original": unit.astype(np.float16), "hidden": hidden, "body": gaussian_filter(unit, 2) > 0.25}
    (folder / case).parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / f"{case}.npz", **kept, spacing_mm=spacing, dataset=dataset)
    for model, rule, psnr in MODELS:
        blurred = gaussian_filter(unit, 16 / psnr if model not in WHOLE else 0.6)
        blurred += (np.indices(unit.shape) % 8 == 0).any(0) * 0.012
        made = np.where(voxels, blurred, unit).clip(0, 1).astype(np.float16)
        base, plus, changes = model.partition("+")
        file = folder / f"{base}@{rule}{plus}{changes}" / f"{case}.npz"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(file, reconstruction=made)


def _generator(seed: int) -> Any:
    import torch

    return torch.Generator().manual_seed(seed)
