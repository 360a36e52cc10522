"""One DICOM series as a volume: the series, the order and the spacing are settled here before a decoder sees a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maesil_monai.data.dicom.header import Header, read_header
from maesil_monai.data.dicom.pixels import OUTSIDE_HU, check_format, is_lossy, read_pixels
from maesil_monai.data.dicom.series import Series, find_series, why_not_ct
from maesil_monai.data.dicom.slice_order import MIN_TILT_DEGREES, SliceFault, SliceStack, stack_slices, unit_axes
from maesil_monai.data.volumes.admission_checks import DEFAULT_RULES, AdmissionRules, check_affine, check_dims
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.hounsfield import ras_source
from maesil_monai.data.volumes.volume_note import Note
from maesil_monai.data.volumes.volume_source import ArraySource

# Directions are written with 6 decimals or so; a turn of a thousandth moves the edge of a 500 mm field by 0.25 mm.
_SAME_DIRECTION = 1e-3
_SAME_SPACING = 1e-3
_SHOWN = 10

_CURES = {
    "SLICE_INCREMENT": "Fetch the missing slices, or leave this series out.",
    "SLICE_SHIFT": "Leave this series out, or split it into its acquisitions.",
    "GANTRY_TILT": "Check that the files belong to one acquisition.",
    "TOO_FEW_SLICES": "Leave this series out.",
    "NOT_A_VOLUME": "Leave this series out, or split it into its time points.",
}


def read_series(
    series: Series | str | os.PathLike[str] | Sequence[str | os.PathLike[str]], rules: AdmissionRules = DEFAULT_RULES
) -> ArraySource:
    """Reads a CT series in RAS orientation.

    Slices are ordered by their position along the normal, and their distance comes from the positions; a gantry tilt stays as
    a shear of the affine. No tag's text is kept.

    Args:
        series: one of :func:`find_series`, a folder that holds one CT series at any depth, or the files of one.
        rules: what is admitted.

    Returns:
        int16 HU, of 2 bytes a voxel and a slice more while reading; axes turned to RAS, nothing resampled. ``notes`` says what
        was odd: DUPLICATE_SLICES (equal ones, dropped), GANTRY_TILT, NO_RESCALE, RESCALE_VARIES, ROUNDED, PADDING_FILLED,
        LOSSY, and those of :func:`ras_source`.

    Raises:
        BadVolume: NO_DICOM, NOT_CT, LOCALIZER, SEVERAL_SERIES, MIXED_SERIES, IMAGE_ORIENTATION_INCONSISTENT,
            SLICE_SIZE_INCONSISTENT, TOO_FEW_SLICES, NOT_A_VOLUME, SLICE_INCREMENT, SLICE_SHIFT, GANTRY_TILT, DUPLICATE_SLICES,
            and the codes of :func:`read_header`, :func:`check_format`, :func:`read_pixels`, :func:`check_dims`,
            :func:`check_affine` and :func:`ras_source`.
    """
    headers, place = _headers_of(series, rules)
    _check_one_series(headers, place)
    _check_kinds(headers, place)
    shapes = {check_format(header) for header in headers}
    orientation, pixel_spacing_mm = _check_same_grid(headers, place, len(shapes))
    positions = np.array([header.decimals("ImagePositionPatient", 3) for header in headers])
    stack = stack_slices(positions, orientation, rules.min_slices)
    if isinstance(stack, SliceFault):
        raise _slice_fault(stack, headers, place)
    _check_same_rescale_tags(headers)
    rows, columns = shapes.pop()
    check_dims(place, (columns, rows, len(stack.groups)), rules)
    affine = check_affine(place, stack.affine(orientation, pixel_spacing_mm))
    hu, notes = _read_stack(stack, headers, (rows, columns), place)
    source = ras_source(place, hu.transpose(2, 1, 0), affine, rules=rules, notes=notes + _header_notes(headers))
    if stack.tilt_degrees > MIN_TILT_DEGREES:
        found = f"slices that lean by {stack.tilt_degrees:.1f} degrees"
        tilt = Note("GANTRY_TILT", found, "kept as a shear of the affine, and so by resampling")
        source.notes = (tilt, *(note for note in source.notes if note.code != "SHEARED"))
    return source


def _headers_of(
    series: Series | str | os.PathLike[str] | Sequence[str | os.PathLike[str]], rules: AdmissionRules
) -> tuple[list[Header], Path]:
    """Gives the headers of a series' files, and the folder or file that messages name."""
    if isinstance(series, (str, os.PathLike)) and Path(series).is_dir():
        return _headers_of(_only_ct_series(Path(series), rules), rules)[0], Path(series)
    if isinstance(series, Series):
        files = list(series.files)
    else:
        files = [Path(series)] if isinstance(series, (str, os.PathLike)) else [Path(file) for file in series]
    if not files:
        raise ValueError("read_series got no file: expected those of one series.")
    headers = []
    for file in files:
        header = read_header(file, rules)
        if header is None:
            raise BadVolume("NO_DICOM", file, "no DICOM image", "a slice of a CT series", "Name the files of the series alone.")
        headers.append(header)
    return headers, files[0].parent if len(files) > 1 else files[0]


def _only_ct_series(folder: Path, rules: AdmissionRules) -> Series:
    found = find_series(folder)
    if not found:
        raise BadVolume("NO_DICOM", folder, "no DICOM file", "a CT series", "Check the folder.")
    ct = [series for series in found if series.is_ct]
    for series in ct:
        # A broken file is a series of its own; what is wrong with it says more than that there are two.
        if not series.modality:
            read_header(series.files[0], rules)
    if len(ct) > 1:
        raise _several([series.series_uid for series in ct], folder)
    if ct:
        return ct[0]
    reasons = sorted({series.why_not for series in found})
    code = "LOCALIZER" if any("localizer" in reason for reason in reasons) else "NOT_CT"
    raise BadVolume(code, folder, f"no CT scan but {', '.join(reasons)}", "a CT series", "Leave this folder out.")


def _several(uids: list[str], place: Path) -> BadVolume:
    shown = ", ".join(uids[:_SHOWN]) + (f" and {len(uids) - _SHOWN} more" if len(uids) > _SHOWN else "")
    return BadVolume("SEVERAL_SERIES", place, f"{len(uids)} series: {shown}", "one series", "Name the files of one of them.")


def _check_one_series(headers: list[Header], place: Path) -> None:
    uids = sorted({header.uid("SeriesInstanceUID") for header in headers})
    if len(uids) > 1:
        raise _several([uid or "one without a UID" for uid in uids], place)


def _check_kinds(headers: list[Header], place: Path) -> None:
    """Checks that every file is a CT slice: a localizer or a capture among slices would be one of them."""
    reasons = [(header, reason) for header in headers if (reason := why_not_ct(header))]
    if not reasons:
        return
    header, reason = reasons[0]
    all_of_it = len(reasons) == len(headers)
    code = "LOCALIZER" if reason == "a localizer" else "NOT_CT" if all_of_it else "MIXED_SERIES"
    found = f"{reason} ({len(reasons)} of {len(headers)} files of the series)"
    cure = "Leave this series out." if all_of_it else "Remove what is no slice from the series."
    raise BadVolume(code, place if all_of_it else header.path, found, "CT slices", cure)


def _check_same_grid(headers: list[Header], place: Path, num_shapes: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Checks that all slices have one size and one orientation, and gives orientation and pixel spacing."""
    orientations = np.array([header.decimals("ImageOrientationPatient", 6) for header in headers])
    lengths = np.linalg.norm(orientations.reshape(-1, 2, 3), axis=2)
    skew = np.abs(np.einsum("ni,ni->n", orientations[:, :3], orientations[:, 3:]))
    for index in np.flatnonzero((np.abs(lengths - 1).max(axis=1) > _SAME_DIRECTION) | (skew > _SAME_DIRECTION))[:1].tolist():
        raise headers[index].bad_tag("ImageOrientationPatient", "not two unit vectors at right angles", "directions of an image")
    turned = np.abs(orientations - orientations[0]).max(axis=1) > _SAME_DIRECTION
    if turned.any():
        num_kinds = len(np.unique(np.round(orientations, 2), axis=0))
        other = headers[int(np.argmax(turned))].path.name
        found = f"slices of about {num_kinds} orientations, such as {headers[0].path.name} and {other}"
        cure = "Leave this series out; a localizer or a rotating view is no volume."
        raise BadVolume("IMAGE_ORIENTATION_INCONSISTENT", place, found, "one orientation", cure)
    spacings = np.array([header.decimals("PixelSpacing", 2) for header in headers])
    if num_shapes > 1 or np.abs(spacings - spacings[0]).max() > _SAME_SPACING * np.abs(spacings[0]).max():
        found, cure = "slices of several sizes or pixel spacings", "Split the series into its reconstructions."
        raise BadVolume("SLICE_SIZE_INCONSISTENT", place, found, "one size", cure)
    if spacings.min() <= 0:
        raise headers[int(np.argmin(spacings.min(axis=1)))].bad_tag("PixelSpacing", "0 or below", "2 lengths in mm")
    return tuple(unit_axes(orientations[0])[:2].ravel().tolist()), tuple(spacings[0].tolist())


def _check_same_rescale_tags(headers: list[Header]) -> None:
    """Checks that all slices have a rescale or none has one: one that lost its own would be off by a thousand HU."""
    for name in ("RescaleSlope", "RescaleIntercept"):
        without = [header for header in headers if not header.has(name)]
        if without and any(header.has("RescaleSlope") or header.has("RescaleIntercept") for header in headers):
            raise without[0].bad_tag(name, "absent or empty", "one in each slice, as in others of the series")


def _slice_fault(fault: SliceFault, headers: list[Header], place: Path) -> BadVolume:
    found = fault.found
    if fault.between is not None:
        first, second = (headers[index].path.name for index in fault.between)
        found += f", between {first} and {second}"
    uid = headers[0].uid("SeriesInstanceUID")
    found += f", in series {uid}" if uid else ""
    return BadVolume(fault.code, place, found, fault.expected, _CURES[fault.code])


def _read_stack(
    stack: SliceStack, headers: list[Header], shape: tuple[int, int], place: Path
) -> tuple[np.ndarray, tuple[Note, ...]]:
    """Reads the slices, shape (slices, rows, columns) int16, and drops duplicates that are equal."""
    import itk  # seconds: only runs that meet DICOM pay for it

    hu = np.empty((len(stack.groups), *shape), dtype=np.int16)
    num_padded = num_rounded = num_dropped = 0
    for index, group in enumerate(stack.groups):
        pixels = read_pixels(itk, headers[group[0]], shape)
        hu[index] = pixels.hu
        num_padded += pixels.num_padded
        num_rounded += pixels.num_rounded
        for other in group[1:]:
            if not np.array_equal(read_pixels(itk, headers[other], shape).hu, pixels.hu):
                found = f"{headers[group[0]].path.name} and {headers[other].path.name} lie at one place and differ"
                cure = "Split the series into its phases or acquisitions."
                raise BadVolume("DUPLICATE_SLICES", place, found, "one slice at each place", cure)
            num_dropped += 1
    notes: tuple[Note, ...] = ()
    if num_dropped:
        notes += (Note("DUPLICATE_SLICES", f"{num_dropped} slices twice, with equal pixels", "read once"),)
    if num_padded:
        notes += (Note("PADDING_FILLED", f"{num_padded} voxels marked by PixelPaddingValue", f"set to {OUTSIDE_HU:g} HU"),)
    if num_rounded:
        notes += (Note("ROUNDED", f"{num_rounded} voxels were no whole HU", "rounded to the nearest"),)
    return hu, notes


def _header_notes(headers: list[Header]) -> tuple[Note, ...]:
    notes: tuple[Note, ...] = ()
    if not headers[0].has("RescaleSlope"):
        notes += (Note("NO_RESCALE", "no slice has a rescale", "a slope of 1 and an intercept of 0 taken"),)
    scales = {header.text("RescaleSlope") + "\\" + header.text("RescaleIntercept") for header in headers}
    if len(scales) > 1:
        notes += (Note("RESCALE_VARIES", f"{len(scales)} rescales", "each slice brought to HU by its own"),)
    num_lossy = sum(map(is_lossy, headers))
    if num_lossy:
        notes += (Note("LOSSY", f"{num_lossy} slices were compressed with loss", "kept"),)
    return notes
