"""Reading NRRD and MetaImage through ITK, with the same checks as NIfTI."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from maesil_monai.data.volumes.admission_checks import (
    DEFAULT_RULES,
    AdmissionRules,
    check_affine,
    check_dims,
    check_file,
    check_spacing,
)
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.hounsfield import ras_source
from maesil_monai.data.volumes.volume_note import Note
from maesil_monai.data.volumes.volume_source import ArraySource

ITK_SUFFIXES = (".nrrd", ".mha", ".mhd")

# ITK's world is LPS: x runs to the left, y to the back.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_HEADER_BYTES = 2**16
_VOXEL_FILE = re.compile(rb"^[ \t]*(?:ElementDataFile[ \t]*=|data ?file:)[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


def read_itk(path: str | os.PathLike[str], hounsfield: bool = True, rules: AdmissionRules = DEFAULT_RULES) -> ArraySource:
    """Reads an ``.nrrd``, ``.mha`` or ``.mhd`` volume in RAS orientation.

    Args:
        path: the file; a file of voxels that it names lies in the same folder.
        hounsfield: whether values must look like HU; False for labels.
        rules: what is admitted.

    Returns:
        int16 if all values are whole numbers within int16, else float32; axes turned to RAS, nothing resampled. ``notes``
        says what was odd.

    Raises:
        BadVolume: the codes of :func:`check_file`, :func:`check_dims`, :func:`check_affine` and :func:`ras_source`, and
            NOT_ITK, ESCAPING_PATH, COLOUR, UNREADABLE_VOXELS.
    """
    if not os.fspath(path).lower().endswith(ITK_SUFFIXES):
        raise BadVolume("NOT_ITK", path, "another file type by its name", ", ".join(ITK_SUFFIXES), "Use read_volume.")
    check_file(path, rules)
    _check_voxel_file(path, rules)
    import itk  # seconds: only runs that meet such a file pay for it

    header = _read_header(itk, path)
    components = header.GetNumberOfComponents()
    if components != 1:
        raise BadVolume("COLOUR", path, f"{components} values per voxel", "one", "Export the CT itself, one value per voxel.")
    num_dims = header.GetNumberOfDimensions()
    shape = check_dims(path, [header.GetDimensions(axis) for axis in range(num_dims)], rules)
    notes = (Note("SQUEEZED", f"{num_dims} dimensions, of size 1 beyond the third", "read as one 3-D volume"),) * (num_dims > 3)
    spacing_mm = [header.GetSpacing(axis) for axis in range(3)]
    check_spacing(path, spacing_mm)
    lps = np.eye(4)
    for axis in range(3):
        lps[:3, axis] = np.asarray(header.GetDirection(axis)[:3]) * spacing_mm[axis]
    lps[:3, 3] = [header.GetOrigin(axis) for axis in range(3)]
    affine = check_affine(path, _LPS_TO_RAS @ lps)
    try:
        image = itk.imread(os.fspath(path))
    except RuntimeError as error:
        found, cure = (
            "voxels that are missing, too few or damaged",
            "Copy the file again, and for .mhd the file of voxels beside it.",
        )
        raise BadVolume("UNREADABLE_VOXELS", path, found, "those that the header describes", cure) from error
    # ITK's arrays run z, y, x.
    raw = itk.array_from_image(image).reshape(shape[::-1]).transpose(2, 1, 0)
    del image  # which array_from_image copied
    return ras_source(path, raw, affine, hounsfield=hounsfield, rules=rules, notes=notes)


def _check_voxel_file(path: str | os.PathLike[str], rules: AdmissionRules) -> None:
    """Checks that a header does not send the reader to a file elsewhere."""
    with Path(path).open("rb") as file:
        head = file.read(_HEADER_BYTES)
    match = _VOXEL_FILE.search(head)
    name = os.fsdecode(match[1].strip()) if match else "LOCAL"
    if name == "LOCAL":
        return
    # More than one file of voxels is named in a list or by a pattern, whose every part would have to be judged.
    if name != Path(name).name or name.startswith("LIST") or "%" in name:
        raise BadVolume(
            "ESCAPING_PATH", path, f"voxels in {name!r}", "one file in the same folder", "Convert the volume to one file."
        )
    try:
        check_file(Path(path).parent / name, rules)
    except BadVolume as error:
        found, expected = f"voxels in {name!r}: {error.found}", "those that the header describes"
        raise BadVolume("UNREADABLE_VOXELS", path, found, expected, "Copy that file too.") from error


def _read_header(itk: Any, path: str | os.PathLike[str]) -> Any:
    """Reads the header alone, so that a claim of terabytes is refused before memory is asked for."""
    header = itk.ImageIOFactory.CreateImageIO(os.fspath(path), itk.CommonEnums.IOFileMode_ReadMode)
    if header is None:
        raise BadVolume("NOT_ITK", path, "no NRRD or MetaImage header", "one", "Convert the file, or correct its name.")
    header.SetFileName(os.fspath(path))
    try:
        header.ReadImageInformation()
    except RuntimeError as error:
        raise BadVolume("NOT_ITK", path, "a damaged header", "a readable one", "Export the volume again.") from error
    return header
