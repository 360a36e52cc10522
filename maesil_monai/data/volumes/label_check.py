"""Whether a label belongs to its scan and holds what a label may hold."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from maesil_monai.data.volumes.affine_oddities import MAX_CORNER_DISTANCE_MM, corner_distance_mm
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.volume_source import ArraySource, VolumeSource

_NUM_SHOWN = 10


def check_label(image: VolumeSource, label: ArraySource, known_ids: Collection[int] | None = None) -> tuple[int, ...]:
    """Checks that a label lies on its scan's grid and holds ids only.

    Args:
        image: the scan.
        label: read with ``hounsfield=False``, RAS orientation.
        known_ids: the ids that may occur, 0 (nothing) aside; None allows any from 0 up.

    Returns:
        The ids that occur, 0 aside, sorted.

    Raises:
        BadVolume: LABEL_SHAPE; LABEL_PLACE, if a corner lies more than 1 mm elsewhere; LABEL_FRACTIONS; LABEL_IDS, with the ids
            that are negative or unknown.

    Example:
        >>> image = ArraySource(np.zeros((4, 4, 4), dtype=np.int16), np.eye(4))
        >>> label = ArraySource(np.full((4, 4, 4), 3, dtype=np.int16), np.eye(4), "label.nii")
        >>> check_label(image, label)
        (3,)
        >>> check_label(image, label, known_ids=(1, 2))
        Traceback (most recent call last):
        maesil_monai.data.volumes.bad_volume.BadVolume: label.nii: ids 3; expected ids 1, 2. Correct the label or ... [LABEL_IDS]
    """
    if label.shape != image.shape:
        found, expected = f"shape {label.shape}", f"that of its scan, {image.shape}"
        raise BadVolume("LABEL_SHAPE", label.name, found, expected, "Resample the label onto its scan.")
    distance = corner_distance_mm(image.shape, label.affine, image.affine)
    if distance > MAX_CORNER_DISTANCE_MM:
        found, expected = f"a corner {distance:.1f} mm from its scan's", f"at most {MAX_CORNER_DISTANCE_MM:g} mm"
        raise BadVolume("LABEL_PLACE", label.name, found, expected, "Resample the label onto its scan.")
    # Reading made whole numbers int16; what is float32 holds fractions, or ids beyond int16.
    values = _values(label.array)
    fractions = values[values != np.rint(values)] if values.dtype.kind == "f" else values[:0]
    if fractions.size:
        raise BadVolume(
            "LABEL_FRACTIONS", label.name, f"values {_shown(fractions)}", "whole numbers", "Resample it by nearest voxel."
        )
    ids = tuple(int(value) for value in values if value != 0)
    allowed = None if known_ids is None else set(known_ids)
    wrong = [value for value in ids if value < 0 or (allowed is not None and value not in allowed)]
    if wrong:
        expected = "ids from 0 up" if allowed is None else f"ids {', '.join(map(str, sorted(allowed)))}"
        cure = "Correct the label or the list of its ids."
        raise BadVolume("LABEL_IDS", label.name, f"ids {_shown(np.asarray(wrong))}", expected, cure)
    return ids


def _values(array: np.ndarray) -> np.ndarray:
    """Gives the values that occur, sorted; of int16 by a table, for sorting a scan takes seconds."""
    if array.dtype != np.int16:
        return np.unique(array)
    occurs = np.zeros(2**16, dtype=bool)
    for plane in array:
        occurs[plane.astype(np.int32) + 2**15] = True
    return np.flatnonzero(occurs) - 2**15


def _shown(values: np.ndarray) -> str:
    more = f" and {values.size - _NUM_SHOWN} more" if values.size > _NUM_SHOWN else ""
    return ", ".join(f"{value:g}" for value in values[:_NUM_SHOWN].tolist()) + more
