"""The dictionary form of a transform that goes back: the base of those that treat every key alike."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from monai.config import KeysCollection
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import ensure_tuple_rep


class EachKeyd(MapTransform, InvertibleTransform):
    """Applies a transform to the item under each key; the inverse goes back, key by key. Other items stay.

    Args:
        keys: the items.
        transform: one for all keys, or one for each.
        allow_missing_keys: passes over items that are not there.

    Example:
        >>> from monai.data import MetaTensor
        >>> from monai.transforms import Flip
        >>> forth = EachKeyd("row", Flip(0))
        >>> data = forth({"row": MetaTensor([[1, 2, 3]]), "name": "a"})
        >>> data["row"].tolist(), forth.inverse(data)["row"].tolist()
        ([[3, 2, 1]], [[1, 2, 3]])
    """

    def __init__(
        self,
        keys: KeysCollection,
        transform: InvertibleTransform | Sequence[InvertibleTransform],
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.transforms: tuple[Any, ...] = ensure_tuple_rep(transform, len(self.keys))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Applies the transforms."""
        out = dict(data)
        for key, transform in self.key_iterator(out, self.transforms):
            out[key] = transform(out[key])
        return out

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Undoes what :meth:`__call__` did."""
        out = dict(data)
        for key, transform in self.key_iterator(out, self.transforms):
            out[key] = transform.inverse(out[key])
        return out
