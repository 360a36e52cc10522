"""Data loaders whose workers live as long as the run."""

from __future__ import annotations

import os

import torch
from monai.data import DataLoader

from maesil_monai.data.samples.sampling import EpochSampler, SeededDataset


def usable_workers(num_workers: int) -> int:
    """Gives the number of loading processes, at most one for each core that this process may use.

    Example:
        >>> usable_workers(0)
        0
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(num_workers, cores)


def training_loader(dataset: SeededDataset, sampler: EpochSampler, num_workers: int = 0) -> DataLoader:
    """Loads the batches of a sampler; workers keep their caches and what they know of bad scans from epoch to epoch.

    Args:
        dataset: gives the samples.
        sampler: gives the keys and the batch size.
        num_workers: processes that load, see :func:`usable_workers`; 0 loads in the training process.
    """
    return DataLoader(
        dataset,
        num_workers=usable_workers(num_workers),
        sampler=sampler,
        batch_size=sampler.batch_size,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
