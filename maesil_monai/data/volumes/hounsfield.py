"""From a file's raw voxels to Hounsfield units in RAS orientation: the checks on values, and no larger copy than needed."""

from __future__ import annotations

import os

import nibabel as nib
import numpy as np

from maesil_monai.data.volumes.admission_checks import DEFAULT_RULES, AdmissionRules
from maesil_monai.data.volumes.affine_oddities import geometry_notes
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.volume_note import Note
from maesil_monai.data.volumes.volume_source import ArraySource
from maesil_monai.geometry import Triple

# CT stores HU in 12 or 16 bits; beyond this it is a rescale that went wrong.
VALUE_LIMIT_HU = 32768.0
# Every CT shows some air; a volume without a voxel below this is MR or PET, or was windowed, or lost its rescale intercept.
MUST_REACH_HU = -200.0
# Bone and contrast end below; metal, where the scanner has an extended scale, does not.
METAL_HU = 4095.0
# Air is -1000 and noise reaches -1100; scanners mark what lies outside their circle by less.
OUTSIDE_HU = -1200.0
_SLAB_VOXELS = 2**18


class VoxelIntake:
    """Takes raw voxels slab by slab, gives them back in HU, and judges them on the way: nothing is looked at twice.

    Memory is 2 bytes a voxel and a slab as long as values are whole numbers; with the first that is not, it becomes 4.

    Args:
        path: the file as the user named it.
        num_voxels: how many will come.
        slope, inter: value = slope * raw + inter.
        hounsfield: whether values must look like HU; False for labels.
        rules: ``nan_fill`` counts here.
        values: native int16 voxels in HU that are in memory already; they are judged as they come and not copied.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        num_voxels: int,
        slope: float = 1.0,
        inter: float = 0.0,
        hounsfield: bool = True,
        rules: AdmissionRules = DEFAULT_RULES,
        values: np.ndarray | None = None,
    ) -> None:
        self.path = path
        self.slope, self.inter = slope, inter
        self.hounsfield = hounsfield
        self.nan_fill = rules.nan_fill
        self.values = np.empty(num_voxels, dtype=np.int16) if values is None else values
        self._is_copy = values is None
        self.low, self.high = np.inf, -np.inf
        self.num_taken = self.num_bad = 0

    def take(self, raw: np.ndarray) -> None:
        """Takes the next voxels, shape (N,), any real dtype and byte order."""
        start, self.num_taken = self.num_taken, self.num_taken + raw.size
        if raw.size == 0:
            return
        if raw.dtype == np.int16 and self.slope == 1.0 and self.inter == 0.0:
            self._widen(float(raw.min()), float(raw.max()))
            if self._is_copy:
                self.values[start : self.num_taken] = raw
            return
        # What a damaged scaling overflows to is infinite, and is counted as such.
        with np.errstate(all="ignore"):
            values = raw.astype(np.float64) * self.slope + self.inter
            low, high = float(values.min()), float(values.max())
            # NaN and infinity of a voxel show in the extremes.
            if not (np.isfinite(low) and np.isfinite(high)):
                low, high = self._fill(values)
            self._widen(low, high)
            if self.num_bad and self.nan_fill is None:
                return
            whole = low >= -VALUE_LIMIT_HU and high < VALUE_LIMIT_HU and bool((values == np.rint(values)).all())
            if not whole and self.values.dtype == np.int16:
                wider = np.empty(self.values.size, dtype=np.float32)
                wider[:start] = self.values[:start]
                self.values = wider
            self.values[start : self.num_taken] = values

    def finish(self) -> tuple[np.ndarray, tuple[Note, ...]]:
        """Judges the volume as a whole.

        Returns:
            The values in the order they came, int16 if all are whole numbers within int16, else float32; and the notes.

        Raises:
            BadVolume: NON_FINITE, VALUE_RANGE, CONSTANT, NOT_HOUNSFIELD.
        """
        notes: tuple[Note, ...] = ()
        if self.num_bad:
            found = f"{self.num_bad} of {self.num_taken} voxels are NaN or infinite"
            if self.nan_fill is None or self.num_bad == self.num_taken:
                cure = (
                    "Leave this scan out." if self.num_bad == self.num_taken else "Repair this scan, or give nan_fill, say -1024."
                )
                raise BadVolume("NON_FINITE", self.path, found, "finite values", cure)
            notes += (Note("NON_FINITE_FILLED", found, f"set to {self.nan_fill:g}"),)
        _check_values(self.path, self.low, self.high, self.hounsfield)
        if self.hounsfield and self.high > METAL_HU:
            notes += (Note("METAL", f"values up to {self.high:g} HU", "kept; the HU window clips them"),)
        if self.hounsfield and self.low < OUTSIDE_HU:
            notes += (Note("OUTSIDE_MARKED", f"values down to {self.low:g} HU", "kept; the HU window clips them"),)
        return self.values, notes

    def _widen(self, low: float, high: float) -> None:
        self.low, self.high = min(self.low, low), max(self.high, high)

    def _fill(self, values: np.ndarray) -> tuple[float, float]:
        bad = ~np.isfinite(values)
        self.num_bad += int(np.count_nonzero(bad))
        if self.nan_fill is None:
            return np.inf, -np.inf
        values[bad] = self.nan_fill
        return float(values.min()), float(values.max())


def ras_source(
    path: str | os.PathLike[str],
    raw: np.ndarray,
    affine: np.ndarray,
    hounsfield: bool = True,
    rules: AdmissionRules = DEFAULT_RULES,
    notes: tuple[Note, ...] = (),
) -> ArraySource:
    """Makes a source in RAS orientation from voxels in HU.

    Args:
        path: the file as the user named it.
        raw: shape (D, H, W), any real dtype and byte order; not changed.
        affine: voxel to world (RAS+, mm) of ``raw``, shape (4, 4), invertible.
        hounsfield: whether values must look like HU; False for labels.
        rules: what is admitted.
        notes: what the reader noted before.

    Returns:
        int16 if all values are whole numbers within int16, else float32. Where ``raw`` is native int16 it is not copied; axes
        are turned by strides. Its notes are ``notes``, then those on geometry, then those on values.

    Raises:
        BadVolume: NON_FINITE, VALUE_RANGE, CONSTANT, NOT_HOUNSFIELD.
    """
    # In the order of memory, so that the flat view is no copy for C and Fortran order alike.
    order = np.argsort([-abs(stride) for stride in raw.strides], kind="stable")
    ordered = raw.transpose(order)
    flat = ordered.reshape(-1)
    values_in_place = flat if flat.dtype == np.int16 else None
    intake = VoxelIntake(path, raw.size, hounsfield=hounsfield, rules=rules, values=values_in_place)
    for start in range(0, flat.size, _SLAB_VOXELS):
        intake.take(flat[start : start + _SLAB_VOXELS])
    values, value_notes = intake.finish()
    turned_back = values.reshape(ordered.shape).transpose(np.argsort(order))
    return turned_to_ras(path, turned_back, affine, (*notes, *geometry_notes(affine), *value_notes))


def turned_to_ras(path: str | os.PathLike[str], values: np.ndarray, affine: np.ndarray, notes: tuple[Note, ...]) -> ArraySource:
    """Makes a source of values in HU; axes are turned and mirrored by strides, never copied.

    Args:
        path: the file as the user named it.
        values: shape (D, H, W), int16 or float32.
        affine: voxel to world (RAS+, mm) of ``values``, shape (4, 4), invertible.
        notes: the source's notes.
    """
    shape: Triple = (values.shape[0], values.shape[1], values.shape[2])
    turn = nib.orientations.io_orientation(affine)
    ras_affine = affine @ nib.orientations.inv_ornt_aff(turn, shape)
    source = ArraySource(nib.orientations.apply_orientation(values, turn), ras_affine, os.fspath(path), affine)
    source.notes = notes
    return source


def _check_values(path: str | os.PathLike[str], low: float, high: float, hounsfield: bool) -> None:
    if max(abs(low), abs(high)) > VALUE_LIMIT_HU:
        raise BadVolume(
            "VALUE_RANGE", path, f"values {low:g} to {high:g}", f"at most +-{VALUE_LIMIT_HU:g}", "Repair the rescale slope."
        )
    if hounsfield and low == high:
        raise BadVolume("CONSTANT", path, f"every voxel is {low:g}", "a scan of something", "Leave this scan out.")
    if hounsfield and low >= MUST_REACH_HU:
        expected = f"Hounsfield units, some below {MUST_REACH_HU:g}"
        cure = "Export the CT without windowing and with its rescale intercept."
        raise BadVolume("NOT_HOUNSFIELD", path, f"values {low:g} to {high:g}", expected, cure)
