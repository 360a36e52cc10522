"""From a path to a volume in RAS orientation: a source that is read box by box, or the whole scan as a MetaTensor."""

from __future__ import annotations

import os

import nibabel as nib
import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform
from monai.utils import MetaKeys, TraceKeys

from maesil_monai.data.volumes.volume_cache import VolumeCache
from maesil_monai.data.volumes.volume_files import open_volume
from maesil_monai.data.volumes.volume_source import VolumeSource
from maesil_monai.errors import BadSetting
from maesil_monai.transforms.each_key import EachKeyd


class LoadVolume(InvertibleTransform):
    """Reads a CT scan in RAS orientation, in Hounsfield units: an entry of a store (``.zarr``, a path or a URL), NIfTI, NRRD,
    MetaImage, or a folder that holds one DICOM series.

    Of an entry, later transforms read only the chunks they need; other files are read whole when they are opened. The inverse
    brings a volume back to the axes of the file, exactly; it needs ``lazy=False``.

    Args:
        lazy: gives a :class:`VolumeSource`, of which later transforms read what they need; else the whole scan.
        cache_bytes: with ``lazy``, how much of the sources read last each process keeps in memory, masks derived from them
            included; 0 keeps none.
        hounsfield: whether values must look like HU; False reads labels.

    Raises:
        ValueError: if ``cache_bytes`` is negative.

    Example:
        >>> source = LoadVolume()("pt_1/ct.nii.gz")
        Traceback (most recent call last):
        maesil_monai.data.volumes.bad_volume.MissingVolume: pt_1/ct.nii.gz: no such file; expected a volume. Check ... [MISSING]
    """

    def __init__(self, lazy: bool = True, cache_bytes: int = 2**30, hounsfield: bool = True) -> None:
        self.lazy = lazy
        self.hounsfield = hounsfield
        self.cache = VolumeCache(cache_bytes)

    def __call__(self, volume: str | os.PathLike[str] | VolumeSource) -> VolumeSource | MetaTensor:
        """Reads a file, or takes a source that is there already.

        Returns:
            With ``lazy`` a source; else a MetaTensor, float32, shape (1, D, H, W), with the ``affine`` of the RAS axes, and with
            ``original_affine`` and ``spatial_shape`` of the file's own axes.

        Raises:
            BadVolume: see :func:`maesil_monai.data.volumes.volume_files.open_volume`.
            TypeError: for anything but a path or a source.
        """
        if not isinstance(volume, (str, os.PathLike, VolumeSource)):
            raise TypeError(f"LoadVolume got {type(volume).__name__}: expected a path or a VolumeSource.")
        if isinstance(volume, VolumeSource):
            source = volume
        elif self.lazy:
            return self.cache.get(volume, self._read)
        else:
            source = self._read(volume)
        return source if self.lazy else self._whole(source)

    def inverse(self, data: MetaTensor) -> MetaTensor:
        """Turns a volume, shape (C, D, H, W) on the RAS grid, back to the file's own axes, with the file's own affine.

        Raises:
            ValueError: with ``lazy``, for boxes of a scan do not go back.
        """
        if self.lazy:
            raise BadSetting("LoadVolume(lazy=True) reads boxes and has no inverse: use lazy=False where volumes go back.")
        affine = np.asarray(self.pop_transform(data)[TraceKeys.EXTRA_INFO]["original_affine"])
        turn = nib.orientations.io_orientation(affine)
        # File axis i became RAS axis turn[i, 0], reversed where turn[i, 1] is -1.
        turned = data.as_tensor().permute(0, *(1 + turn[:, 0].astype(int)).tolist())
        turned = turned.flip([1 + axis for axis in range(3) if turn[axis, 1] < 0]).contiguous()
        out = MetaTensor(turned).copy_meta_from(data)
        out.affine = torch.as_tensor(affine, dtype=torch.float64)
        return out

    def _read(self, path: str | os.PathLike[str]) -> VolumeSource:
        return open_volume(path, self.hounsfield)

    def _whole(self, source: VolumeSource) -> MetaTensor:
        voxels = source.read(((0, 0, 0), source.shape)).to(torch.float32)
        turn = nib.orientations.io_orientation(source.original_affine)
        meta = {
            MetaKeys.ORIGINAL_AFFINE: torch.as_tensor(source.original_affine.copy()),
            MetaKeys.SPATIAL_SHAPE: np.asarray([source.shape[int(axis)] for axis in turn[:, 0]]),
            "filename_or_obj": source.name,
        }
        out = MetaTensor(voxels, affine=torch.as_tensor(source.affine.copy()), meta=meta)
        extra_info = {"original_affine": torch.as_tensor(source.original_affine.copy())}
        return self.push_transform(out, orig_size=source.shape, extra_info=extra_info)


class LoadVolumed(EachKeyd):
    """Dictionary form of :class:`LoadVolume`; every key shares one cache.

    Args:
        keys: keys whose values are paths or sources.
        lazy, cache_bytes, hounsfield: see :class:`LoadVolume`.
        allow_missing_keys: skips keys that are not there.

    Example:
        >>> LoadVolumed(keys="image", lazy=False).keys
        ('image',)
    """

    def __init__(
        self,
        keys: KeysCollection,
        lazy: bool = True,
        cache_bytes: int = 2**30,
        hounsfield: bool = True,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, LoadVolume(lazy, cache_bytes, hounsfield), allow_missing_keys)
