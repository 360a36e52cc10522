"""Which samples an iteration was made of, for reports: computed from the iteration alone, so it needs no room in the batch."""

from __future__ import annotations

from typing import Any

from monai.engines import Workflow

from maesil_monai.data.samples.sampling import EpochSampler, SeededDataset


def describe_batch(engine: Workflow) -> dict[str, Any]:
    """Describes the batch of the present iteration, or of the next one if it was still being fetched.

    Returns:
        ``keys``: list of [epoch, index]; ``cases``: the files, each as the data list names it (the first choice, should one have
        been refused); ``image_shape``: of the batch, where there is one. A part that cannot be known is left out.
    """
    found: dict[str, Any] = {}
    batch = engine.state.batch
    if isinstance(batch, dict) and "image" in batch:
        found["image_shape"] = list(batch["image"].shape)
    loader = getattr(engine, "data_loader", None)
    sampler, dataset = getattr(loader, "sampler", None), getattr(loader, "dataset", None)
    if isinstance(sampler, EpochSampler):
        done = engine.state.iteration - 1 if batch is not None else engine.state.iteration
        epochs, position = divmod(max(done, 0), sampler.num_batches)
        keys = sampler.keys(epochs + 1, position)
        found["keys"] = [list(key) for key in keys]
        if isinstance(dataset, SeededDataset):
            found["cases"] = [str(dataset.data[int(dataset.scans_of(key)[0])]["image"]) for key in keys]
    return found
