"""Cuts superpatches out of a volume at random places, so that most of them show the body."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal, get_args

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable, Transform
from monai.transforms.traits import MultiSampleTrait

from maesil_monai.data.volumes.volume_source import VolumeSource
from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Box
from maesil_monai.interpolation import slices_of
from maesil_monai.option_values import expect
from maesil_monai.transforms.crop_box import (
    Volume,
    as_box,
    crop_box,
    require_one_shape,
    valid_patches,
    volume_content,
    volume_shape,
)
from maesil_monai.transforms.superpatch_crop import SuperpatchCrop

Position = Literal["free", "grid"]
MAX_DRAWS = 64


class RandSuperpatchCrop(Randomizable, Transform, MultiSampleTrait):
    """Cuts superpatches out at random places.

    A place is drawn until the body takes up at least ``min_body`` of the superpatch; after 64 draws the place with the
    most body among them is taken, so that a scan with little body cannot stop the training.

    Args:
        superpatch_size, patch_size: voxels of a superpatch and of a patch, which tiles it, one number or three.
        num_samples: number of superpatches, drawn independently of one another.
        position: ``free``: every place inside the scan's own content is equally likely (on an axis where the content is
            shorter than a superpatch, every place inside the padded volume). ``grid``: every place of the grid that
            :class:`SuperpatchCrop` uses.
        min_body: share of the superpatch that is body, from 0 to below 1. It counts only where a body mask is given.

    Raises:
        ValueError: for an argument outside its range.

    Example:
        >>> crop = RandSuperpatchCrop(superpatch_size=4, patch_size=2, num_samples=3).set_random_state(seed=0)
        >>> [tuple(sample.shape) for sample in crop(torch.zeros(1, 8, 8, 8))]
        [(1, 4, 4, 4), (1, 4, 4, 4), (1, 4, 4, 4)]
    """

    def __init__(
        self,
        superpatch_size: int | Sequence[int],
        patch_size: int | Sequence[int],
        num_samples: int = 1,
        position: Position = "free",
        min_body: float = 0.05,
    ) -> None:
        self.on_grid = SuperpatchCrop(superpatch_size, patch_size)
        self.superpatch_size = self.on_grid.superpatch_size
        expect(num_samples >= 1, "num_samples", num_samples, "1 or more")
        expect(position in get_args(Position), "position", position, f"one of {', '.join(get_args(Position))}")
        expect(0.0 <= min_body < 1.0, "min_body", min_body, "a share from 0 to below 1")
        self.num_samples = num_samples
        self.position = position
        self.min_body = min_body
        self.boxes: list[Box] = []

    def randomize(self, data: Volume, body: Volume | None = None) -> None:
        """Draws the boxes of the next samples; arguments and errors as :meth:`__call__`."""
        shape = volume_shape(data)
        if body is not None and volume_shape(body) != shape:
            raise ValueError(f"the body mask has shape {volume_shape(body)}, the image {shape}: expected one grid for both.")
        places = self._places(data)
        self.boxes = [self._draw(places, body) for _ in range(self.num_samples)]

    def __call__(self, img: Volume, body: Volume | None = None, randomize: bool = True) -> list[MetaTensor]:
        """Cuts the samples out.

        Args:
            img: a source, or a tensor (C, D, H, W).
            body: mask on the same grid, a source or a tensor (1, D, H, W), bool; None takes the first place drawn.
            randomize: draws new places; otherwise those of the last call are used.

        Returns:
            ``num_samples`` images (C, *superpatch_size), see :func:`maesil_monai.transforms.crop_box.crop_box`.

        Raises:
            ValueError: if the volume is shorter than a superpatch on an axis, if the superpatches do not tile it
                (``position="grid"``), or if the mask has another shape.
        """
        if randomize:
            self.randomize(img, body)
        return [crop_box(img, box) for box in self.boxes]

    def _places(self, volume: Volume) -> list[np.ndarray]:
        """Lists the possible first voxels of a superpatch on each axis."""
        shape = volume_shape(volume)
        if any(n < s for n, s in zip(shape, self.superpatch_size, strict=True)):
            raise BadSetting(
                f"the volume's shape {shape} is smaller than superpatch_size={self.superpatch_size}. "
                "Put ResampleToCube before the crop (policy 'spacing' pads), or take a smaller superpatch."
            )
        if self.position == "grid":
            grid = self.on_grid.grid(volume)
            return [np.arange(count) * size for count, size in zip(grid, self.superpatch_size, strict=True)]
        places = []
        for start, stop, n, size in zip(*volume_content(volume), shape, self.superpatch_size, strict=True):
            low, high = (start, stop) if stop - start >= size else (0, n)
            places.append(np.arange(low, high - size + 1))
        return places

    def _draw(self, places: Sequence[np.ndarray], body: Volume | None) -> Box:
        """Draws one box, by rejection where a body mask is given."""
        best, most = self._draw_once(places), -1.0
        if body is None:
            return best
        box = best
        for _ in range(MAX_DRAWS):
            share = _share(body, box)
            if share > most:
                best, most = box, share
            if most >= self.min_body:
                break
            box = self._draw_once(places)
        return best

    def _draw_once(self, places: Sequence[np.ndarray]) -> Box:
        start = [int(axis[self.R.randint(len(axis))]) for axis in places]
        return as_box(start, [a + s for a, s in zip(start, self.superpatch_size, strict=True)])


def _share(body: Volume, box: Box) -> float:
    """Gives the share of a box that is body."""
    if isinstance(body, VolumeSource):
        return body.share(box)
    mask = body.as_tensor() if isinstance(body, MetaTensor) else body
    i, j, k = slices_of(box)
    inside = mask[:, i, j, k]
    return float(torch.count_nonzero(inside)) / inside.numel()


class RandSuperpatchCropd(Randomizable, MapTransform, MultiSampleTrait):
    """Dictionary form of :class:`RandSuperpatchCrop`: cuts every item at the same random places.

    Each sample gets ``valid``: bool (1, gi, gj, gk), True for the patches of the first volume without padding.

    Args:
        keys: volumes of one shape, the image first.
        superpatch_size, patch_size: see :class:`RandSuperpatchCrop`.
        body_key: item that holds the body mask; it is left out of the samples. None: no mask.
        allow_missing_keys: passes over volumes, and a body mask, that are not there.
        choices: further arguments of :class:`RandSuperpatchCrop`.

    Raises:
        ValueError: see :class:`RandSuperpatchCrop`; also when called on volumes of different shapes.
        KeyError: when called on data without a volume or the body mask, unless ``allow_missing_keys``.

    Example:
        >>> crop = RandSuperpatchCropd(keys="image", superpatch_size=4, patch_size=2, num_samples=2, body_key=None)
        >>> samples = crop({"image": torch.zeros(1, 8, 8, 8), "case_id": "a"})
        >>> len(samples), samples[1]["case_id"], tuple(samples[1]["valid"].shape)
        (2, 'a', (1, 2, 2, 2))
    """

    def __init__(
        self,
        keys: KeysCollection,
        superpatch_size: int | Sequence[int],
        patch_size: int | Sequence[int],
        *,
        body_key: str | None = "body",
        allow_missing_keys: bool = False,
        **choices: Any,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.cropper = RandSuperpatchCrop(superpatch_size, patch_size, **choices)
        self.body_key = body_key
        if body_key in self.keys:
            raise BadSetting(f"body_key={body_key!r} is also one of keys={self.keys}: the body mask only guides the crop.")

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandSuperpatchCropd:
        """Sets the state all draws come from."""
        super().set_random_state(seed, state)
        self.cropper.set_random_state(seed, state)
        return self

    def randomize(self, data: Volume, body: Volume | None = None) -> None:
        """Draws the places, the same for all items."""
        self.cropper.randomize(data, body)

    def __call__(self, data: Mapping[Hashable, Any]) -> list[dict[Hashable, Any]]:
        """Gives one dictionary for each sample, items that are not cropped copied into each."""
        present = list(self.key_iterator(data))
        if self.body_key is not None and self.body_key not in data and not self.allow_missing_keys:
            raise KeyError(
                f"key `{self.body_key}`, which holds the body mask, is missing in the data. Put BodyMaskd before the crop, "
                "or set body_key to None to crop anywhere."
            )
        others = {key: value for key, value in data.items() if key not in present and key != self.body_key}
        if not present:
            return [deepcopy(others) for _ in range(self.cropper.num_samples)]
        require_one_shape(data, present)
        self.randomize(data[present[0]], None if self.body_key is None else data.get(self.body_key))
        samples = []
        for box in self.cropper.boxes:
            sample = deepcopy(others)
            sample.update({key: crop_box(data[key], box) for key in present})
            content = sample[present[0]].meta["content_box"]
            sample["valid"] = valid_patches(content, self.cropper.on_grid.token_grid, self.cropper.on_grid.patch_size)
            samples.append(sample)
        return samples
