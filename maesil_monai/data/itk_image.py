"""Reading NRRD and MetaImage through ITK, with the same checks as NIfTI."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from maesil_monai.data.admission import check_affine, check_dims, check_file, check_spacing
from maesil_monai.data.bad_volume import BadVolume
from maesil_monai.data.hounsfield import ras_source
from maesil_monai.data.source import ArraySource

ITK_SUFFIXES = (".nrrd", ".mha", ".mhd")

# ITK's world is LPS: x runs to the left, y to the back.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_itk(path: str | os.PathLike[str], hounsfield: bool = True) -> ArraySource:
    """Reads an ``.nrrd``, ``.mha`` or ``.mhd`` volume in RAS orientation.

    Args:
        path: the file; for ``.mhd`` its voxel file lies beside it.
        hounsfield: whether values must look like HU; False for labels.

    Returns:
        int16 if all values are whole numbers within int16, else float32; axes turned to RAS, nothing resampled.

    Raises:
        BadVolume: the codes of :func:`check_file`, :func:`check_dims`, :func:`check_affine` and :func:`ras_source`, and
            NOT_ITK, COLOUR, UNREADABLE_VOXELS.
    """
    if not os.fspath(path).lower().endswith(ITK_SUFFIXES):
        raise BadVolume("NOT_ITK", path, "another file type by its name", ", ".join(ITK_SUFFIXES), "Use read_volume.")
    check_file(path)
    import itk  # seconds: only runs that meet such a file pay for it

    header = _read_header(itk, path)
    components = header.GetNumberOfComponents()
    if components != 1:
        raise BadVolume("COLOUR", path, f"{components} values per voxel", "one", "Export the CT itself, one value per voxel.")
    num_dims = header.GetNumberOfDimensions()
    shape = check_dims(path, [header.GetDimensions(axis) for axis in range(num_dims)])
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
        raise BadVolume(
            "UNREADABLE_VOXELS",
            path,
            "voxels that are missing, too few or damaged",
            "those that the header describes",
            "Copy the file again, and for .mhd the file of voxels beside it.",
        ) from error
    # ITK's arrays run z, y, x.
    raw = itk.array_from_image(image).reshape(shape[::-1]).transpose(2, 1, 0)
    return ras_source(path, raw, affine, hounsfield=hounsfield)


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
