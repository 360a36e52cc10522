"""Which files of a folder are volumes, and which reader a path goes to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np

from maesil_monai.data.store import ENTRY_SUFFIX, is_entry, open_entry
from maesil_monai.data.store.folder_or_url import is_url
from maesil_monai.data.volumes.admission_checks import DEFAULT_RULES, DICOM_SUFFIXES, AdmissionRules, check_folder
from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume
from maesil_monai.data.volumes.itk_image import ITK_SUFFIXES, read_itk
from maesil_monai.data.volumes.nifti import NIFTI_SUFFIXES, read_nifti
from maesil_monai.data.volumes.volume_source import ArraySource, VolumeSource

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


def open_volume(path: str | os.PathLike[str], hounsfield: bool = True, rules: AdmissionRules = DEFAULT_RULES) -> VolumeSource:
    """Opens a volume in RAS orientation: an entry of a store is read box by box, anything else whole.

    Args:
        path: an entry of a store, or a label in one, as path or URL; or what :func:`read_volume` takes.
        hounsfield: whether values must look like HU; False for labels. Entries were judged when they were written.
        rules: what is admitted where the choice is the user's.

    Raises:
        BadVolume: the codes of :func:`maesil_monai.data.store.open_entry` and of :func:`read_volume`.
    """
    return open_entry(path) if is_entry(path) else read_volume(path, hounsfield, rules)


def read_volume(path: str | os.PathLike[str], hounsfield: bool = True, rules: AdmissionRules = DEFAULT_RULES) -> ArraySource:
    """Reads a whole volume in RAS orientation with the reader of its type; there is no second try with another one.

    Args:
        path: ``.nii``, ``.nii.gz``, ``.nrrd``, ``.mha`` or ``.mhd``; a DICOM file, or a folder that holds one series; an entry
            of a store (``.zarr``) or a label in one.
        hounsfield: whether values must look like HU; False for labels.
        rules: as in :func:`open_volume`.

    Raises:
        MissingVolume: MISSING.
        BadVolume: UNKNOWN_TYPE, URL, and the codes of the readers.
    """
    if is_entry(path):
        return _whole(open_entry(path))
    if is_url(path):
        raise BadVolume("URL", path, "a URL", f"the URL of a store's entry ({ENTRY_SUFFIX})", "Copy the file to this machine.")
    suffix = volume_suffix(path).lower()
    if suffix in NIFTI_SUFFIXES:
        return read_nifti(path, hounsfield, rules)
    if suffix in ITK_SUFFIXES:
        return read_itk(path, hounsfield, rules)
    if _is_dicom(Path(path)):
        # Imported where it is needed: most processes that load data read no DICOM.
        from maesil_monai.data.dicom import read_series

        return read_series(path if Path(path).is_dir() else [path], rules)
    if not Path(path).exists():
        raise MissingVolume("MISSING", path, "no such file or folder", "a volume", "Check the path.")
    expected = f"{', '.join(VOLUME_SUFFIXES)}, {ENTRY_SUFFIX}, or DICOM"
    raise BadVolume("UNKNOWN_TYPE", path, "no volume by its name", expected, "Convert the file to NIfTI.")


def _whole(source: VolumeSource) -> ArraySource:
    if isinstance(source, ArraySource):
        return source
    voxels = source.read(((0, 0, 0), source.shape))[0].numpy()
    # Ids of labels: uint8 fits int16; what was uint16 is exact in float32.
    array = voxels.astype({1: np.int16, 2: np.int16, 4: np.float32}[voxels.dtype.itemsize], copy=False)
    return ArraySource(array, source.affine, source.name, source.original_affine)


def _is_dicom(path: Path) -> bool:
    """Tells DICOM: any folder; a file by its suffix, or by the letters behind the preamble, for a PACS often writes no suffix."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return False
    if stat.S_ISDIR(mode) or path.suffix.lower() in DICOM_SUFFIXES:
        return True
    if not stat.S_ISREG(mode) or not os.access(path, os.R_OK):
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def find_volumes(folder: str | os.PathLike[str], others: tuple[str, ...] = ()) -> list[Path]:
    """Finds the volumes below a folder, links to folders followed; hidden files and labels are left out.

    An entry of a store is a volume, though it is a folder; DICOM series are found by :mod:`maesil_monai.data.dicom`.

    Labels are files whose name begins with ``label``, ``seg`` or ``mask`` and files in folders named as in ``LABEL_FOLDERS``,
    upper or lower case.

    Args:
        folder: where to look.
        others: suffixes of other files to find in the same walk, in lower case.

    Returns:
        Paths that begin with ``folder``, sorted as strings by their path below it. They are not opened.

    Raises:
        MissingVolume: MISSING, if there is no such folder.
        BadVolume: NOT_A_FOLDER; SYMLINK_LOOP, if a folder leads back to one above it.
    """
    root = check_folder(folder, "a folder of volumes")
    found: list[Path] = []
    for place, folders, files in os.walk(root, followlinks=True):
        here = Path(place)
        for link in (here / name for name in folders if (here / name).is_symlink()):
            # The way here may itself lead over links, so each step of it is looked at where it really is.
            way = [here, *(parent for parent in here.parents if parent.is_relative_to(root))]
            if any(step.resolve().is_relative_to(link.resolve()) for step in way):
                raise BadVolume("SYMLINK_LOOP", link, "a link to a folder above it", "folders that end", "Remove the link.")
        found += [here / name for name in folders if is_entry(name) and not name.startswith(".")]
        folders[:] = [name for name in folders if not (name.startswith(".") or is_entry(name) or name.lower() in LABEL_FOLDERS)]
        found += [here / name for name in files if _is_image_name(name, others)]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _is_image_name(name: str, others: tuple[str, ...]) -> bool:
    low = name.lower()
    return low.endswith((*VOLUME_SUFFIXES, *others)) and not low.startswith((".", *LABEL_PREFIXES))
