"""Batches of made-up superpatches for the tests of metrics, and the regions by their definition, in numpy."""

from __future__ import annotations

import numpy as np
import torch

Batch = tuple[torch.Tensor, dict[str, torch.Tensor]]
GRID, PATCH, SHAPE = (2, 3, 2), (8, 4, 8), (16, 12, 16)


def make_batch(scans: list[int], seed: int = 0, grid: tuple[int, int, int] = GRID, patch: tuple[int, int, int] = PATCH) -> Batch:
    """Makes predictions, one for each number of a scan: smooth volumes with noise, more of it from sample to sample.

    The first two patches in C order are visible and hidden, and one patch in eight is no target (padding, or not decoded).
    """
    generator = torch.Generator().manual_seed(seed)
    batch, shape = len(scans), [g * p for g, p in zip(grid, patch, strict=True)]
    hidden = torch.rand(batch, *grid, generator=generator) < 0.6
    target = torch.rand(batch, *grid, generator=generator) < 0.875
    hidden.flatten(1)[:, :2] = torch.tensor([False, True])
    target.flatten(1)[:, :2] = True
    coarse = torch.rand(batch, 1, *(max(2, side // 4) for side in shape), generator=generator)
    image = torch.nn.functional.interpolate(coarse, shape, mode="trilinear")
    label = {
        "image": image,
        "hidden": hidden,
        "target": target,
        "body": torch.rand(batch, 1, *shape, generator=generator) < 0.7,
        "scan": torch.tensor(scans),
    }
    noise = torch.randn(batch, 1, *shape, generator=generator)
    # Superpatches of different difficulty, so that pooling and averaging cannot agree by chance.
    return (image + noise * torch.linspace(0.02, 0.3, batch).reshape(-1, 1, 1, 1, 1)).clamp(0, 1), label


def part_of(batch: Batch, rows: slice) -> Batch:
    """Takes some samples of a batch."""
    pred, label = batch
    return pred[rows], {key: value[rows] for key, value in label.items()}


def spread(tokens: torch.Tensor, patch: tuple[int, int, int] = PATCH) -> np.ndarray:
    """Spreads the patches of one sample (gi, gj, gk) over their voxels."""
    return np.kron(tokens.numpy(), np.ones(patch, dtype=bool)).astype(bool)


def region_of(name: str, label: dict[str, torch.Tensor], b: int, patch: tuple[int, int, int] = PATCH) -> np.ndarray:
    """Marks the voxels of a region of sample b, by the words of the documentation."""
    hidden, target = spread(label["hidden"][b], patch), spread(label["target"][b], patch)
    body = label["body"][b, 0].numpy()
    return {
        "hidden": hidden & target,
        "body": body,
        "hidden_body": hidden & target & body,
        "full": target,
        "pasted": target,
    }[name]


def volume_of(
    name: str, pred: torch.Tensor, label: dict[str, torch.Tensor], b: int, patch: tuple[int, int, int] = PATCH
) -> np.ndarray:
    """Gives the volume that maps of sample b are made of: raw for ``full``, else pasted; the truth where nothing was decoded."""
    hidden, target = spread(label["hidden"][b], patch), spread(label["target"][b], patch)
    predicted = target if name == "full" else hidden & target
    return np.where(predicted, pred[b, 0].numpy(), label["image"][b, 0].numpy())


def mean_in_regions(maps: dict[int, np.ndarray], regions: dict[int, np.ndarray], scans: list[int]) -> dict[int, float]:
    """Averages maps of samples over regions: all voxels of a scan together."""
    return {
        scan: float(np.mean(np.concatenate([maps[b][regions[b]] for b, own in enumerate(scans) if own == scan])))
        for scan in sorted(set(scans))
    }
