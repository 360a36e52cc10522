"""The mask of the patient's body, as a transform."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform

from maesil_monai.data.volumes.body import body_of, body_of_source
from maesil_monai.data.volumes.volume_source import ArraySource, VolumeSource
from maesil_monai.errors import BadSetting
from maesil_monai.geometry import axial_axis
from maesil_monai.transforms.crop_box import volume_shape


class BodyMask(Transform):
    """Makes the mask of the body: the largest connected tissue after an opening, filled in its axial planes.

    The mask of a source is made once and kept with the source, for as long as that lives.

    Args:
        threshold_hu: tissue lies above it.
        opening_mm: what is thinner than this in an axial plane (the table's shell) is taken away first; 0 keeps all.

    Raises:
        ValueError: if ``opening_mm`` is negative or one of the two is not finite.

    Example:
        >>> air = torch.full((1, 9, 9, 3), -1000.0)
        >>> air[:, 1:8, 1:8] = 40.0
        >>> air[:, 3:6, 3:6] = -900.0  # a lung
        >>> int(BodyMask(opening_mm=0)(air).sum())  # 7 x 7 x 3
        147
    """

    def __init__(self, threshold_hu: float = -500.0, opening_mm: float = 5.0) -> None:
        if not (math.isfinite(threshold_hu) and math.isfinite(opening_mm) and opening_mm >= 0):
            raise BadSetting(f"threshold_hu={threshold_hu}, opening_mm={opening_mm}: expected finite HU and 0 mm or more.")
        self.threshold_hu = threshold_hu
        self.opening_mm = opening_mm

    def __call__(self, img: VolumeSource | torch.Tensor) -> ArraySource | MetaTensor:
        """Makes the mask of a scan.

        Args:
            img: HU; a source, or a tensor (1, D, H, W) (without an affine: 1 mm voxels, S-I the last axis).

        Returns:
            Of a source an :class:`ArraySource` of bool on its grid; of a tensor a bool MetaTensor (1, D, H, W) with its
            affine and metadata, but without the trace of its transforms.

        Raises:
            ValueError: if a tensor has other than one channel.
        """
        if isinstance(img, VolumeSource):
            return body_of_source(img, self.threshold_hu, self.opening_mm)
        shape = volume_shape(img)
        if img.shape[0] != 1:
            raise ValueError(f"image of shape {tuple(img.shape)}: expected one channel of HU, (1, {', '.join(map(str, shape))}).")
        tensor = img if isinstance(img, MetaTensor) else MetaTensor(img)
        values = tensor.as_tensor()[0].detach().cpu().numpy()
        affine = tensor.affine.numpy()
        spacing_mm = np.linalg.norm(affine[:3, :3], axis=0).tolist()
        found = body_of(values, spacing_mm, axial_axis(affine), self.threshold_hu, self.opening_mm)
        body = torch.from_numpy(np.ascontiguousarray(found))
        meta = {key: value for key, value in tensor.meta.items() if key != "affine"}
        return MetaTensor(body[None], affine=tensor.affine.clone(), meta=meta)


class BodyMaskd(MapTransform):
    """Dictionary form of :class:`BodyMask`: adds the mask of the image.

    Args:
        keys: the image, one key.
        body_key: where the mask goes.
        allow_missing_keys: leaves data without the image as it is.
        choices: arguments of :class:`BodyMask`.

    Raises:
        ValueError: see :class:`BodyMask`; also for more than one key.

    Example:
        >>> sorted(BodyMaskd(keys="image")({"image": torch.zeros(1, 4, 4, 4)}))
        ['body', 'image']
    """

    def __init__(self, keys: KeysCollection, *, body_key: str = "body", allow_missing_keys: bool = False, **choices: Any) -> None:
        super().__init__(keys, allow_missing_keys)
        if len(self.keys) != 1:
            raise BadSetting(f"keys={self.keys}: expected one image, whose body goes to {body_key!r}.")
        self.masker = BodyMask(**choices)
        self.body_key = body_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Adds the mask; the other items stay."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[self.body_key] = self.masker(d[key])
        return d
