"""Loaders whose workers live as long as the run."""

import os

import pytest

from maesil_monai.data.samples.loaders import training_loader, usable_workers
from maesil_monai.data.samples.sampling import EpochSampler, SeededDataset


def test_no_more_workers_are_started_than_cores_may_be_used(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert [usable_workers(number) for number in (0, 2, 3, 64)] == [0, 2, 3, 3]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_the_loader_gives_the_batches_of_the_sampler_and_keeps_its_workers(num_workers):
    sampler = EpochSampler(num_samples=6, batch_size=3)
    dataset = SeededDataset([{"image": number} for number in range(6)], transform=[], seed=0, sampler=sampler)
    loader = training_loader(dataset, sampler, num_workers)
    batches = [batch["image"].tolist() for batch in loader]
    assert [len(batch) for batch in batches] == [3, 3]
    assert sorted(number for batch in batches for number in batch) == list(range(6))
    assert loader.persistent_workers == (num_workers > 0)
