"""What of a sample goes into a batch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

BATCH_KEYS = ("image", "body", "hidden", "target", "scan", "start", "spacing_mm")


class BatchItemsd(MapTransform):
    """Keeps the items that engines, metrics and panels look at, without metadata; the last step of a chain.

    The others go: they would be copied between processes for nothing, and metadata makes a batch's tensors slow.

    Args:
        keys: the items, as far as a sample has them.

    Example:
        >>> import torch
        >>> sample = BatchItemsd()({"image": MetaTensor(torch.zeros(1, 2, 2, 2)), "case_id": "patient 7"})
        >>> {key: type(value).__name__ for key, value in sample.items()}
        {'image': 'Tensor'}
    """

    def __init__(self, keys: KeysCollection = BATCH_KEYS) -> None:
        super().__init__(keys, allow_missing_keys=True)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        kept = {key: data[key] for key in self.key_iterator(dict(data))}
        return {key: value.as_tensor() if isinstance(value, MetaTensor) else value for key, value in kept.items()}
