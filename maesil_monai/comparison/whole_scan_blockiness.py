"""Whole scans, reconstructed superpatch by superpatch and with overlapping ones: what blending does to the marks of borders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from maesil_monai.comparison.judging_pipeline import Pipeline, dataset_of
from maesil_monai.metrics import blockiness

OVERLAPS = {"none": 0.0, "overlap": 0.5}


@torch.no_grad()
def whole_scan_blockiness(pipeline: Pipeline, network: nn.Module, scans: Iterable[int], sees_input: bool) -> list[dict[str, Any]]:
    """Measures the blockiness of whole reconstructions.

    Args:
        pipeline: gives scans, masks and precision.
        network: in evaluation mode, on the pipeline's device.
        scans: the numbers of the scans.
        sees_input: a network that sees the whole input is judged on its raw output in the body; others on the hidden body.

    Returns:
        For each scan, without and with overlap (``stride``): ``dataset``, ``blockiness`` and that of the ``truth`` in the same
        region, None where it is not defined.
    """
    device = next(network.parameters()).device
    rows = []
    for number in scans:
        image, body = pipeline.whole(number)
        for stride, overlap in OVERLAPS.items():
            inferer = pipeline.superpatch_inferer(paste=not sees_input, overlap=overlap)
            pred = inferer(image.to(device), network).cpu()
            region = body if sees_input else body & inferer.hidden_voxels(image.shape[2:])[None]
            found, truth = (float(blockiness(volume, inferer.patch_size, region)) for volume in (pred, image))
            rows.append({"dataset": dataset_of(pipeline.scans[number]), "stride": stride, "blockiness": found, "truth": truth})
    return rows
