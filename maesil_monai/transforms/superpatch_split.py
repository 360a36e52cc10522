"""Cuts a whole volume into all its superpatches and puts them together again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor, get_track_meta
from monai.transforms import InvertibleTransform
from monai.utils import TraceKeys, convert_to_dst_type, convert_to_tensor

from maesil_monai.geometry import as_triple, grid_of, patchify, unpatchify
from maesil_monai.transforms.crop_box import volume_shape
from maesil_monai.transforms.each_key import EachKeyd

_NAMES = ("the volume's shape", "superpatch_size")


class SuperpatchSplit(InvertibleTransform):
    """Cuts a volume into its superpatches; the inverse gives the volume back to the bit.

    Args:
        superpatch_size: voxels per axis, one number or three.

    Raises:
        ValueError: if the size is not positive.

    Source: MAESIL section III-A (64 non-overlapping superpatches of 128^3 voxels in a volume of 512^3).

    Example:
        >>> split = SuperpatchSplit(superpatch_size=(2, 2, 4))
        >>> parts = split(torch.arange(64.0).reshape(1, 4, 4, 4))
        >>> tuple(parts.shape), parts[1, 0, 0, 0].tolist()
        ((4, 1, 2, 2, 4), [8.0, 9.0, 10.0, 11.0])
        >>> split.inverse(parts).flatten().tolist() == list(range(64))
        True
    """

    def __init__(self, superpatch_size: int | Sequence[int]) -> None:
        self.superpatch_size = as_triple(superpatch_size, "superpatch_size")

    def __call__(self, img: NdarrayOrTensor) -> torch.Tensor:
        """Cuts a volume.

        Args:
            img: shape (C, D, H, W), any dtype, every spatial size a multiple of ``superpatch_size``.

        Returns:
            Shape (n, C, *superpatch_size), n = product of the sizes' ratios, in C order, same dtype. Affine and metadata
            are the whole volume's; the superpatch with a running number lies at :func:`maesil_monai.geometry.box_at`.

        Raises:
            ValueError: if the superpatches do not tile the volume.
        """
        tensor = convert_to_tensor(img, track_meta=get_track_meta())
        shape = volume_shape(tensor)
        grid_of(shape, self.superpatch_size, _NAMES)
        values = tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
        blocks = patchify(values[None], self.superpatch_size)[0]
        out, *_ = convert_to_dst_type(blocks.view(-1, tensor.shape[0], *self.superpatch_size), dst=tensor, dtype=tensor.dtype)
        self.push_transform(out, orig_size=shape)
        return out

    def inverse(self, data: MetaTensor) -> MetaTensor:
        """Puts the superpatches together.

        Args:
            data: shape (n, C, *superpatch_size) with the trace of the split; C may differ from the volume's.

        Returns:
            Shape (C, D, H, W), same dtype, with the affine and metadata of the volume.

        Raises:
            ValueError: if ``data`` carries no trace (a plain tensor has none), or its shape does not fit the trace.
            RuntimeError: if it carries traces of other transforms only.
        """
        shape = [int(n) for n in self.pop_transform(data)[TraceKeys.ORIG_SIZE]]
        grid = grid_of(shape, self.superpatch_size, _NAMES)
        if data.ndim != 5 or data.shape[0] != grid[0] * grid[1] * grid[2] or tuple(data.shape[2:]) != self.superpatch_size:
            raise ValueError(
                f"superpatches of shape {tuple(data.shape)} do not make a volume of shape {tuple(shape)}: "
                f"expected ({grid[0] * grid[1] * grid[2]}, C, *{self.superpatch_size})."
            )
        values = unpatchify(data.as_tensor().reshape(1, data.shape[0], -1), grid, self.superpatch_size)[0]
        return convert_to_dst_type(values, dst=data, dtype=data.dtype)[0]


class SuperpatchSplitd(EachKeyd):
    """Dictionary form of :class:`SuperpatchSplit`.

    Args:
        keys: volumes to cut.
        superpatch_size: see :class:`SuperpatchSplit`.
        allow_missing_keys: passes over volumes that are not there.

    Raises:
        ValueError: see :class:`SuperpatchSplit`.

    Example:
        >>> SuperpatchSplitd(keys="image", superpatch_size=4)({"image": torch.zeros(1, 8, 8, 8)})["image"].shape[0]
        8
    """

    def __init__(self, keys: KeysCollection, superpatch_size: int | Sequence[int], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, SuperpatchSplit(superpatch_size), allow_missing_keys)
