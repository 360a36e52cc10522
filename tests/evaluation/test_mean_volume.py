from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pytest
import torch

from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.volume_source import VolumeSource
from maesil_monai.evaluation import MeanVolume
from maesil_monai.geometry import Box


class _Scan:
    """As much of a volume source as a mean needs; notes the largest part that was read at once."""

    largest_read = 0

    def __init__(self, volume_hu: np.ndarray) -> None:
        self.volume_hu = volume_hu
        self.shape = volume_hu.shape

    def read(self, box: Box) -> torch.Tensor:
        part = self.volume_hu[tuple(slice(a, b) for a, b in zip(*box, strict=True))]
        _Scan.largest_read = max(_Scan.largest_read, part.size)
        return torch.from_numpy(part)[None]


def _load(item: Mapping[str, Any]) -> VolumeSource:
    return cast(VolumeSource, _Scan(item["image"]))


def _scans(count: int, shape: tuple[int, int, int], seed: int = 0) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [{"image": rng.integers(-1200, 1200, shape).astype(np.int16)} for _ in range(count)]


def _mean(scans: list[dict[str, np.ndarray]]) -> np.ndarray:
    return np.mean([np.clip((scan["image"] + 1000.0) / 2000.0, 0, 1) for scan in scans], axis=0)


def test_crops_are_the_voxelwise_mean_of_the_windowed_scans() -> None:
    scans = _scans(3, (70, 6, 9))  # more than one slab along the first axis
    volume = MeanVolume.from_datalist(scans, _load)
    assert volume is not None
    crops = volume.crop(torch.tensor([[0, 0, 0], [66, 1, 5]]), (4, 5, 4))
    np.testing.assert_allclose(crops[0, 0], _mean(scans)[:4, :5, :4], atol=1e-6)
    np.testing.assert_allclose(crops[1, 0], _mean(scans)[66:70, 1:6, 5:9], atol=1e-6)


def test_a_large_volume_is_kept_small_read_in_slabs_and_keeps_its_places() -> None:
    shape = (162, 8, 5)
    ramp = np.broadcast_to(np.arange(162, dtype=np.float32)[:, None, None] * 10 - 1000, shape)
    _Scan.largest_read = 0
    volume = MeanVolume.from_datalist([{"image": ramp.copy()}], _load)
    assert volume is not None
    assert tuple(volume.mean.shape) == (81, 4, 3)  # 162 is above 160: half of each axis, rounded up
    assert _Scan.largest_read == 64 * 8 * 5
    crop = volume.crop(torch.tensor([[50, 0, 0]]), (20, 8, 5))
    np.testing.assert_allclose(crop[0, 0], (ramp[50:70] + 1000) / 2000, atol=1e-6)


def test_scans_of_different_shape_have_no_mean_volume() -> None:
    assert MeanVolume.from_datalist(_scans(2, (4, 4, 4)) + _scans(1, (4, 4, 5)), _load) is None


def test_a_scan_that_cannot_be_read_is_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    scans = _scans(3, (4, 4, 4))

    def load(item: Mapping[str, Any]) -> VolumeSource:
        if item is scans[1]:
            raise BadVolume("CRC", "pt_2/ct.nii.gz", "a wrong checksum", "a whole file", "Copy it again.")
        return _load(item)

    volume = MeanVolume.from_datalist(scans, load)
    assert volume is not None
    np.testing.assert_allclose(volume.mean, _mean([scans[0], scans[2]]), atol=1e-6)
    assert "pt_2/ct.nii.gz" in caplog.text
    assert MeanVolume.from_datalist(scans[1:2], lambda item: load(scans[1])) is None


def test_the_seed_alone_decides_which_scans_are_read() -> None:
    scans = _scans(9, (2, 2, 2))
    means = [MeanVolume.from_datalist(scans, _load, max_scans=3, seed=seed) for seed in (4, 4, 5)]
    first, again, other = (cast(MeanVolume, volume).mean for volume in means)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_nothing_to_average_and_superpatches_outside_are_refused() -> None:
    with pytest.raises(ValueError, match="0 scans"):
        MeanVolume.from_datalist([], _load)
    volume = MeanVolume(torch.zeros(4, 4, 4), (4, 4, 4), 1)
    with pytest.raises(ValueError, match=r"\(4, 4, 4\) voxels"):
        volume.crop(torch.tensor([[0, 0, 1]]), 4)
