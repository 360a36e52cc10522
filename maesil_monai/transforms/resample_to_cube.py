"""Bringing a scan onto the grid a network is trained on, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform
from monai.utils import TraceKeys, convert_to_tensor, ensure_tuple, ensure_tuple_rep

from maesil_monai.data.volumes.admission_checks import MAX_VOXELS
from maesil_monai.data.volumes.resampled_source import ResampledSource, grid_affine, pad_value_of
from maesil_monai.data.volumes.volume_source import VolumeSource
from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Box, Triple, as_triple
from maesil_monai.interpolation import ResampleMode, check_mode, dtype_of, resample, slices_of
from maesil_monai.transforms.each_key import EachKeyd

Policy = Literal["stretch", "spacing"]


@dataclass(frozen=True)
class TargetGrid:
    """A grid to resample to: voxel o of an axis lies at input coordinate ``scale * o + offset``."""

    shape: Triple
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    content_box: Box


class ResampleToCube(InvertibleTransform):
    """Brings a volume onto a grid that superpatches tile.

    Trilinear, clamped at the border, antialiased along axes that shrink (:mod:`maesil_monai.interpolation`). A source becomes a
    source, and no voxel is read; a MetaTensor becomes a MetaTensor. The inverse goes from the grid back to the volume's own
    shape and affine. Nothing is ever cropped.

    Args:
        policy: ``stretch`` resizes each axis to ``size``. ``spacing`` resamples to ``spacing_mm``, the outer edges of the first
            voxels aligned, and pads each axis, as evenly as possible, up to a multiple of ``superpatch_size``.
        size: for ``stretch``, voxels per axis of the result; one number for a cube.
        spacing_mm: for ``spacing``, distance of voxel centres; one number for all axes.
        superpatch_size: for ``spacing``, voxels per axis of a superpatch.
        mode: ``linear`` (float32, padded with -1024 HU), ``mask`` (bool, padded with False), ``nearest`` (labels, padded with 0).

    Raises:
        ValueError: for an unknown policy or mode, a size that is not positive, or policy ``spacing`` without ``spacing_mm``.

    Example:
        >>> grid = ResampleToCube("spacing", spacing_mm=1.0, superpatch_size=64).target_grid((100, 100, 25), (0.7, 0.7, 2.5))
        >>> grid.shape, grid.content_box
        ((128, 128, 64), ((29, 29, 0), (99, 99, 63)))

    Source: MAESIL section III ("512 x 512 x 512") for ``stretch``.
    """

    def __init__(
        self,
        policy: Policy = "stretch",
        size: int | Sequence[int] = 512,
        spacing_mm: float | Sequence[float] | None = None,
        superpatch_size: int | Sequence[int] = 128,
        mode: ResampleMode = "linear",
    ) -> None:
        if policy not in ("stretch", "spacing"):
            raise BadSetting(f"policy={policy!r}: expected stretch or spacing.")
        check_mode(mode)
        self.policy = policy
        self.size = as_triple(size, "size")
        self.superpatch_size = as_triple(superpatch_size, "superpatch_size")
        self.spacing_mm = _spacing(spacing_mm) if policy == "spacing" else None
        self.mode: ResampleMode = mode
        if policy == "stretch" and math.prod(self.size) > MAX_VOXELS:
            raise BadSetting(f"size={self.size}: expected at most {MAX_VOXELS} voxels in all.")

    def target_grid(self, shape: Sequence[int], spacing_mm: Sequence[float]) -> TargetGrid:
        """Gives the grid for a volume.

        Args:
            shape: voxels per axis of the volume.
            spacing_mm: its distance of voxel centres per axis.

        Raises:
            ValueError: if the result would have more than 2**31 voxels.
        """
        axes = [self._axis(axis, shape[axis], spacing_mm[axis]) for axis in range(3)]
        sizes, scales, offsets, starts, stops = zip(*axes, strict=True)
        if math.prod(sizes) > MAX_VOXELS:
            raise BadSetting(
                f"spacing_mm={self.spacing_mm} makes {sizes} voxels of a volume of {tuple(shape)} at "
                f"{tuple(spacing_mm)} mm: expected at most {MAX_VOXELS} in all. Choose a larger spacing_mm."
            )
        return TargetGrid(sizes, scales, offsets, (starts, stops))

    def _axis(self, axis: int, size: int, spacing_mm: float) -> tuple[int, float, float, int, int]:
        """Gives for one axis of the grid its voxels, scale and offset, and where the content starts and stops."""
        if self.spacing_mm is None:
            content = total = self.size[axis]
            scale = size / total
        else:
            scale = self.spacing_mm[axis] / spacing_mm
            content = max(math.floor(size / scale + 0.5), 1)
            total = -(-content // self.superpatch_size[axis]) * self.superpatch_size[axis]
        before = (total - content) // 2
        return total, scale, 0.5 * scale - 0.5 - scale * before, before, before + content

    def __call__(self, volume: VolumeSource | MetaTensor) -> VolumeSource | MetaTensor:
        """Resamples a volume.

        Args:
            volume: a source, or a MetaTensor of shape (C, D, H, W). A tensor without meta data counts as 1 mm, RAS.

        Returns:
            The same kind on the target grid. A MetaTensor has ``meta["content_box"]``, int64, shape (2, 3): where the scan is.

        Raises:
            ValueError: see :meth:`target_grid`; if the volume is padded already.
        """
        if isinstance(volume, VolumeSource):
            _refuse_padded(volume.content_box, volume.shape, volume.name)
            grid = self.target_grid(volume.shape, volume.spacing_mm)
            return ResampledSource(volume, grid.shape, grid.scale, grid.offset, grid.content_box, self.mode)
        image = convert_to_tensor(volume, track_meta=True)
        shape = (image.shape[1], image.shape[2], image.shape[3])
        if "content_box" in image.meta:
            _refuse_padded(image.meta["content_box"].tolist(), shape, str(image.meta.get("filename_or_obj", "")))
        affine = np.asarray(image.affine, dtype=np.float64)
        grid = self.target_grid(shape, np.linalg.norm(affine[:3, :3], axis=0).tolist())
        out = self._on_grid(image.as_tensor(), grid).copy_meta_from(image)
        out.meta["content_box"] = torch.tensor(grid.content_box)
        step = torch.as_tensor(grid_affine(np.eye(4), grid.scale, grid.offset))
        extra_info = {
            "mode": self.mode,
            "affine": torch.as_tensor(affine.copy()),
            "scale": list(grid.scale),
            "offset": list(grid.offset),
            "content_box": torch.tensor(grid.content_box),
            "shape": list(grid.shape),
        }
        return self.push_transform(out, orig_size=shape, affine=step, extra_info=extra_info)

    def inverse(self, data: MetaTensor) -> MetaTensor:
        """Brings a volume, shape (C, *grid), back to the shape and the affine that the resampled volume had.

        Raises:
            ValueError: if the volume is not on the grid any more.
        """
        applied = self.pop_transform(data)
        info = applied[TraceKeys.EXTRA_INFO]
        if tuple(data.shape[1:]) != tuple(info["shape"]):
            raise ValueError(f"volume of shape {tuple(data.shape)}: expected {tuple(info['shape'])} to resample back.")
        start, stop = info["content_box"].tolist()
        i, j, k = slices_of((start, stop))
        content = data.as_tensor()[:, i, j, k]
        scale = [1.0 / s for s in info["scale"]]
        offset = [-o / s - a for o, s, a in zip(info["offset"], info["scale"], start, strict=True)]
        out = MetaTensor(resample(content, tuple(applied[TraceKeys.ORIG_SIZE]), scale, offset, info["mode"])).copy_meta_from(data)
        out.meta.pop("content_box", None)
        out.affine = info["affine"]
        return out

    def _on_grid(self, voxels: torch.Tensor, grid: TargetGrid) -> MetaTensor:
        """Interpolates the content and puts the padding round it."""
        start, stop = grid.content_box
        size = (stop[0] - start[0], stop[1] - start[1], stop[2] - start[2])
        offset = [o + s * a for o, s, a in zip(grid.offset, grid.scale, start, strict=True)]
        pad_value, dtype = pad_value_of(self.mode), dtype_of(self.mode, voxels)
        out = torch.full((voxels.shape[0], *grid.shape), pad_value, dtype=dtype, device=voxels.device)
        i, j, k = slices_of(grid.content_box)
        resample(voxels, size, grid.scale, offset, self.mode, out=out[:, i, j, k])
        return MetaTensor(out)


class ResampleToCubed(EachKeyd):
    """Dictionary form of :class:`ResampleToCube`.

    Args:
        keys: keys whose values are sources or MetaTensors.
        policy: see :class:`ResampleToCube`.
        mode: one for all keys or one per key.
        allow_missing_keys: skips keys that are not there.
        choices: ``size``, ``spacing_mm`` and ``superpatch_size``.

    Example:
        >>> cube = ResampleToCubed(keys=("image", "body"), size=8, mode=("linear", "mask"))
        >>> cube({"image": torch.zeros(1, 4, 4, 2), "body": torch.ones(1, 4, 4, 2)})["body"].dtype
        torch.bool
    """

    def __init__(
        self,
        keys: KeysCollection,
        policy: Policy = "stretch",
        *,
        mode: ResampleMode | Sequence[ResampleMode] = "linear",
        allow_missing_keys: bool = False,
        **choices: Any,
    ) -> None:
        modes = ensure_tuple_rep(mode, len(ensure_tuple(keys)))
        super().__init__(keys, [ResampleToCube(policy, mode=one, **choices) for one in modes], allow_missing_keys)


def _spacing(value: float | Sequence[float] | None) -> tuple[float, float, float]:
    values = tuple(value) if isinstance(value, Sequence) else (value,) * 3
    if len(values) != 3 or any(isinstance(v, bool) or not isinstance(v, (int, float)) or not 0.0 < v < math.inf for v in values):
        raise BadSetting(f"spacing_mm={value!r}: policy 'spacing' expects one positive number of mm or three of them.")
    return float(values[0]), float(values[1]), float(values[2])  # type: ignore[arg-type]


def _refuse_padded(content_box: Sequence[Sequence[int]], shape: Sequence[int], name: str) -> None:
    if tuple(content_box[0]) != (0, 0, 0) or tuple(content_box[1]) != tuple(shape):
        raise BadSetting(
            f"{name or 'the volume'} holds padding already, outside {content_box}: resample a scan once, from its file."
        )
