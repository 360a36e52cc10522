"""Which files of a folder are volumes, and which reader a file goes to."""

from __future__ import annotations

import os
from pathlib import Path

from maesil_monai.data.bad_volume import BadVolume, MissingVolume
from maesil_monai.data.itk_image import ITK_SUFFIXES, read_itk
from maesil_monai.data.nifti import NIFTI_SUFFIXES, read_nifti
from maesil_monai.data.source import ArraySource

VOLUME_SUFFIXES = (*NIFTI_SUFFIXES, *ITK_SUFFIXES)
LABEL_PREFIXES = ("label", "seg", "mask")
LABEL_FOLDERS = ("segmentations", "labels", "labelstr", "label")


def volume_suffix(path: str | os.PathLike[str]) -> str:
    """Gives the suffix that makes a file a volume, as it is written (``.nii.gz`` as one), or an empty string.

    Example:
        >>> volume_suffix("pt_1/ct.nii.gz"), volume_suffix("notes.txt")
        ('.nii.gz', '')
    """
    name = Path(path).name
    for suffix in sorted(VOLUME_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[-len(suffix) :]
    return ""


def read_volume(path: str | os.PathLike[str], hounsfield: bool = True) -> ArraySource:
    """Reads a volume file in RAS orientation with the reader of its type; there is no second try with another one.

    Args:
        path: ``.nii``, ``.nii.gz``, ``.nrrd``, ``.mha`` or ``.mhd``.
        hounsfield: whether values must look like HU; False for labels.

    Raises:
        BadVolume: UNKNOWN_TYPE, and the codes of the readers.
    """
    suffix = volume_suffix(path).lower()
    if suffix in NIFTI_SUFFIXES:
        return read_nifti(path, hounsfield)
    if suffix in ITK_SUFFIXES:
        return read_itk(path, hounsfield)
    raise BadVolume("UNKNOWN_TYPE", path, "no volume by its name", ", ".join(VOLUME_SUFFIXES), "Convert the file to NIfTI.")


def find_volumes(folder: str | os.PathLike[str]) -> list[Path]:
    """Finds the volumes below a folder, links to folders followed; hidden files and labels are left out.

    Labels are files whose name begins with ``label``, ``seg`` or ``mask`` and files in folders named as in ``LABEL_FOLDERS``,
    upper or lower case.

    Args:
        folder: where to look.

    Returns:
        Paths that begin with ``folder``, sorted as strings by their path below it. They are not opened.

    Raises:
        MissingVolume: MISSING, if there is no such folder.
        BadVolume: NOT_A_FOLDER; SYMLINK_LOOP, if a folder leads back to one above it.
    """
    root = Path(folder)
    if not root.is_dir():
        if root.exists():
            raise BadVolume("NOT_A_FOLDER", root, "a file", "a folder of volumes", "Name the folder that holds it.")
        raise MissingVolume("MISSING", root, "no such folder", "a folder of volumes", "Check the path.")
    found: list[Path] = []
    for place, folders, files in os.walk(root, followlinks=True):
        here = Path(place)
        for link in (here / name for name in folders if (here / name).is_symlink()):
            # The way here may itself lead over links, so each step of it is looked at where it really is.
            way = [here, *(parent for parent in here.parents if parent.is_relative_to(root))]
            if any(step.resolve().is_relative_to(link.resolve()) for step in way):
                raise BadVolume("SYMLINK_LOOP", link, "a link to a folder above it", "folders that end", "Remove the link.")
        folders[:] = [name for name in folders if not name.startswith(".") and name.lower() not in LABEL_FOLDERS]
        found += [here / name for name in files if _is_image_name(name)]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _is_image_name(name: str) -> bool:
    return bool(volume_suffix(name)) and not name.startswith(".") and not name.lower().startswith(LABEL_PREFIXES)
