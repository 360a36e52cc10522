"""Cuts one superpatch out of a volume, at a place of the grid that tiles the volume."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Box, Triple, as_triple, box_at, grid_of
from maesil_monai.transforms.crop_box import Volume, crop_box, require_one_shape, valid_patches, volume_shape


class SuperpatchCrop(Transform):
    """Cuts the superpatch with a running number out of a volume.

    Works on a source, of which it reads the superpatch alone, and on a tensor in memory, with equal results.

    Args:
        superpatch_size, patch_size: voxels of a superpatch and of a patch, which tiles it, one number or three.

    Raises:
        ValueError: for sizes that are not positive or do not divide.

    Source: MAESIL section III-A.

    Example:
        >>> volume = torch.arange(4.0 * 4 * 8).reshape(1, 4, 4, 8)
        >>> crop = SuperpatchCrop(superpatch_size=4, patch_size=2)
        >>> crop.grid(volume)
        (1, 1, 2)
        >>> crop(volume, 1)[0, 0, 0].tolist()
        [4.0, 5.0, 6.0, 7.0]
    """

    def __init__(self, superpatch_size: int | Sequence[int], patch_size: int | Sequence[int]) -> None:
        self.superpatch_size = as_triple(superpatch_size, "superpatch_size")
        self.patch_size = as_triple(patch_size, "patch_size")
        self.token_grid = grid_of(self.superpatch_size, self.patch_size)

    def grid(self, volume: Volume) -> Triple:
        """Counts the superpatches of a volume on each axis.

        Raises:
            ValueError: if they do not tile the volume.
        """
        shape = volume_shape(volume)
        if any(n % s for n, s in zip(shape, self.superpatch_size, strict=True)):
            raise BadSetting(
                f"the volume's shape {shape} is no whole multiple of superpatch_size={self.superpatch_size} on every axis. "
                "Put ResampleToCube with this superpatch_size before the crop (policy 'spacing' pads to a multiple), "
                "or change superpatch_size."
            )
        return grid_of(shape, self.superpatch_size, ("the volume's shape", "superpatch_size"))

    def box(self, volume: Volume, index: int) -> Box:
        """Gives the box of a superpatch; errors as :meth:`__call__`."""
        return box_at(int(index), self.grid(volume), self.superpatch_size)

    def __call__(self, img: Volume, index: int) -> MetaTensor:  # type: ignore[override]
        """Cuts a superpatch out.

        Args:
            img: a source, or a tensor (C, D, H, W).
            index: running number of the superpatch, C order, ``0 <= index < product(grid)``.

        Returns:
            Shape (C, *superpatch_size), see :func:`maesil_monai.transforms.crop_box.crop_box`.

        Raises:
            ValueError: if the superpatches do not tile the volume or ``index`` lies outside their grid.
        """
        return crop_box(img, self.box(img, index))


class SuperpatchCropd(MapTransform):
    """Dictionary form of :class:`SuperpatchCrop`: cuts the same superpatch out of every item.

    Adds ``valid``: bool (1, gi, gj, gk), True for the patches of the first volume without padding; and ``start``: int64 (3,),
    the superpatch's first voxel in the volume.

    Args:
        keys: volumes of one shape, the image first.
        superpatch_size, patch_size: see :class:`SuperpatchCrop`.
        index_key: item that holds the superpatch's running number.
        allow_missing_keys: passes over volumes that are not there.

    Raises:
        ValueError: see :class:`SuperpatchCrop`; also when called on volumes of different shapes.
        KeyError: when called on data without a volume (unless ``allow_missing_keys``) or without the running number.

    Example:
        >>> crop = SuperpatchCropd(keys="image", superpatch_size=4, patch_size=2)
        >>> sample = crop({"image": torch.zeros(1, 4, 4, 8), "superpatch": 1})
        >>> sample["start"].tolist(), tuple(sample["valid"].shape)
        ([0, 0, 4], (1, 2, 2, 2))
    """

    def __init__(
        self,
        keys: KeysCollection,
        superpatch_size: int | Sequence[int],
        patch_size: int | Sequence[int],
        index_key: str = "superpatch",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.cropper = SuperpatchCrop(superpatch_size, patch_size)
        self.index_key = index_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Cuts the superpatch out of the volumes; the other items stay."""
        d = dict(data)
        if self.index_key not in d:
            raise KeyError(f"key `{self.index_key}`, which holds the superpatch's running number, is missing in the data.")
        present = list(self.key_iterator(d))
        if not present:
            return d
        require_one_shape(d, present)
        box = self.cropper.box(d[present[0]], d[self.index_key])
        for key in present:
            d[key] = crop_box(d[key], box)
        content = d[present[0]].meta["content_box"]
        d["valid"] = valid_patches(content, self.cropper.token_grid, self.cropper.patch_size)
        d["start"] = torch.tensor(box[0], dtype=torch.int64)
        return d
