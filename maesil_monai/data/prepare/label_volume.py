"""The label of a scan as one volume of ids on the scan's own grid."""

from __future__ import annotations

import numpy as np

from maesil_monai.data.prepare.collections.listing import Candidate
from maesil_monai.data.volumes.admission_checks import AdmissionRules
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.label_check import check_label
from maesil_monai.data.volumes.volume_files import read_volume
from maesil_monai.data.volumes.volume_source import ArraySource, VolumeSource

_MAX_ID = np.iinfo(np.uint16).max


def read_label(candidate: Candidate, image: VolumeSource, rules: AdmissionRules) -> np.ndarray | None:
    """Reads and checks the label of a scan; files of one structure each become one volume.

    Args:
        candidate: names the files.
        image: the scan, in RAS orientation.
        rules: what is admitted.

    Returns:
        uint8, or uint16 where ids go beyond 255; shape of the image. Where structures overlap, the highest id. None if the scan
        has no label.

    Raises:
        BadVolume: the codes of the readers and of :func:`check_label`; LABEL_IDS also for ids beyond 65535.
    """
    if not candidate.labels:
        return None
    merged = np.zeros(image.shape, dtype=np.uint8 if max(candidate.labels)[0] < 256 else np.uint16)
    for number, file in sorted(candidate.labels):
        label = read_volume(file, hounsfield=False, rules=rules)
        # An id of 0: the file holds ids itself.
        if number != 0:
            structure = ArraySource(label.array != 0, label.affine, label.name)
            check_label(image, structure)
            merged[structure.array] = number
            continue
        known = [known_id for known_id, _ in candidate.label_names] or None
        found = check_label(image, label, known)
        if found and found[-1] > _MAX_ID:
            raise BadVolume("LABEL_IDS", file, f"ids up to {found[-1]}", f"at most {_MAX_ID}", "Number the structures anew.")
        merged = label.array.astype(np.uint8 if not found or found[-1] < 256 else np.uint16)
    return merged
