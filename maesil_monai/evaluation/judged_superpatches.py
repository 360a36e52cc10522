"""Which superpatches of the held-out scans are judged, and under which masks: fixed once, the same for every method."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from monai.data import DataLoader, Dataset, DistributedSampler

from maesil_monai.data.samples.loaders import usable_workers
from maesil_monai.data.volumes.bad_volume import BadVolume, bad_volume_behind
from maesil_monai.errors import BadSetting
from maesil_monai.geometry import as_triple, box_at, grid_of
from maesil_monai.training.signals import shield_worker

logger = logging.getLogger(__name__)


def held_out_superpatches(
    data: Sequence[Mapping[str, Any]],
    sources: Callable[[dict[str, Any]], Mapping[str, Any]],
    superpatch_size: int | Sequence[int] = 128,
    min_body: float = 0.05,
    masks_per_superpatch: int = 2,
    max_superpatches: int = 0,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Lists the grid superpatches with enough body, each several times with a mask seed of its own.

    The list is a function of the scans and the arguments alone. When not all superpatches are wanted, scans are visited in a
    seeded order and each gives an equal share as far as it has so many, so that many patients are judged rather than few.

    Args:
        data: one dictionary per scan.
        sources: turns such a dictionary into ``{"image": source, "body": source}`` on the resampled grid.
        superpatch_size: voxels, one number or three.
        min_body: smallest share of body voxels, in [0, 1].
        masks_per_superpatch: fixed masks for each superpatch.
        max_superpatches: superpatches wanted, 0 for all.
        seed: of the choice and of the masks.

    Returns:
        Copies of the scans' dictionaries with ``scan`` (number in ``data``), ``superpatch`` (number in the grid), ``mask_seed``
        and ``spacing_mm`` (float32 tensor (3,) of the resampled grid), ordered by scan and superpatch.

    Raises:
        BadVolume: if scans cannot be read; all of them are logged first.
        ValueError: if no superpatch holds enough body, or for impossible numbers.

    Source: the design's protocol; the MAESIL paper does not say which superpatches are judged.
    """
    if max_superpatches < 0 or masks_per_superpatch < 1:
        raise BadSetting(
            f"max_superpatches={max_superpatches}, masks_per_superpatch={masks_per_superpatch}: expected at least 0 (all) and 1."
        )
    size = as_triple(superpatch_size, "superpatch_size")
    order = np.random.default_rng([seed, 0]).permutation(len(data)) if max_superpatches else np.arange(len(data))
    found: dict[int, tuple[list[int], torch.Tensor]] = {}
    bad: list[BadVolume] = []
    for scan in order.tolist():
        enough_seen = max_superpatches and sum(len(places) for places, _ in found.values()) >= max_superpatches
        if enough_seen and len(found) >= max_superpatches:
            break
        try:
            volumes = sources(dict(data[scan]))
            grid = grid_of(volumes["body"].shape, size, ("resampled volume", "superpatch_size"))
            boxes = [box_at(index, grid, size) for index in range(math.prod(grid))]
            places = [index for index, box in enumerate(boxes) if volumes["body"].share(box) >= min_body]
        except (BadVolume, RuntimeError) as error:
            fault = bad_volume_behind(error)
            if fault is None:
                raise
            logger.error("scan to be judged refused: %s Or leave it out; `python -m maesil_monai check` judges all.", fault)
            bad.append(fault)
            continue
        places = np.random.default_rng([seed, 1, scan]).permutation(places).tolist()
        found[scan] = (places, torch.as_tensor(volumes["image"].spacing_mm, dtype=torch.float32))
    if bad:
        raise bad[0]
    # One of each scan, then a second one of each, and so on, until enough are chosen.
    chosen = [(rank, turn, scan) for turn, (scan, (places, _)) in enumerate(found.items()) for rank in range(len(places))]
    items = []
    for rank, _, scan in sorted(chosen)[: max_superpatches or None]:
        places, spacing_mm = found[scan]
        for draw in range(masks_per_superpatch):
            mask_seed = int(np.random.SeedSequence([seed, 2, scan, places[rank], draw]).generate_state(1)[0])
            item = {"scan": scan, "superpatch": places[rank], "mask_seed": mask_seed, "spacing_mm": spacing_mm}
            items.append({**data[scan], **item})
    if not items:
        raise BadSetting(
            f"none of the {len(data)} validation scans has a superpatch of {size} voxels with at least {min_body:.0%} body. "
            "Check superpatch_size, and that the scans are CT in Hounsfield units."
        )
    logger.info(
        "%d superpatches of %d scans are judged, %d masks each (%d scans are held out)",
        len(items) // masks_per_superpatch,
        len({item["scan"] for item in items}),
        masks_per_superpatch,
        len(data),
    )
    return sorted(items, key=lambda item: (item["scan"], item["superpatch"]))


def held_out_loader(dataset: Dataset, batch_size: int, num_workers: int = 0) -> DataLoader:
    """Loads the held-out superpatches in order; in a job of several processes each loads its share, none twice.

    Args:
        dataset: over the items of :func:`held_out_superpatches`.
        batch_size: superpatches per batch and process.
        num_workers: processes that load; they live as long as the loader and leave stop signals to their parent.
    """
    sampler = None
    if idist.get_world_size() > 1:
        sampler = DistributedSampler(dataset, even_divisible=False, shuffle=False)
    return DataLoader(
        dataset,
        num_workers=usable_workers(num_workers),
        batch_size=batch_size,
        sampler=sampler,
        shuffle=False,
        persistent_workers=num_workers > 0,
        worker_init_fn=shield_worker,
    )
