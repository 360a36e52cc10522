"""Which side a patient is on: as the publisher says, else by a hash, so that adding scans moves nobody."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Iterable

from maesil_monai.data.prepare.collections.listing import Candidate, Split
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.errors import BadSetting

SPLITS: tuple[Split, ...] = ("training", "validation", "test")


def drawn_split(patient_id: str, seed: int, val_share: float, test_share: float) -> Split:
    """Draws the side of one patient, from the seed and the patient alone.

    Args:
        patient_id: names the patient.
        seed: another seed, another draw.
        val_share, test_share: share of patients that validate and that test, 0 to below 1.

    Returns:
        The same for the same arguments, on every machine, whatever other patients there are.

    Example:
        >>> [drawn_split(f"patient {i}", 0, 0.1, 0.1) for i in range(4)]
        ['training', 'test', 'training', 'training']
    """
    digest = hmac.digest(str(seed).encode(), patient_id.encode(), hashlib.sha256)
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < test_share:
        return "test"
    return "validation" if place < test_share + val_share else "training"


def assign_splits(
    candidates: Iterable[Candidate], seed: int = 0, val_share: float = 0.1, test_share: float = 0.1
) -> dict[str, Split]:
    """Puts every patient on one side.

    A patient with an official side in any collection is there with all scans; the others are drawn.

    Args:
        candidates: all scans.
        seed, val_share, test_share: see :func:`drawn_split`; the shares are those of the drawn patients.

    Returns:
        The side of each ``patient_id``.

    Raises:
        ValueError: if the shares leave nobody to train on.
        BadVolume: LEAKAGE, if the publishers' sides of a patient differ.
    """
    if not (math.isfinite(val_share + test_share) and min(val_share, test_share) >= 0 and val_share + test_share < 1):
        raise BadSetting(f"val_share={val_share}, test_share={test_share}: expected shares from 0 up whose sum is below 1.")
    official: dict[str, Candidate] = {}
    patients: dict[str, None] = {}
    for candidate in candidates:
        patients[candidate.patient_id] = None
        if candidate.split is None:
            continue
        other = official.setdefault(candidate.patient_id, candidate)
        if other.split != candidate.split:
            found = f"{candidate.split}, while {other.files[0]} of the same patient is {other.split}"
            cure = "Correct the split or the patient in the table of cases."
            raise BadVolume("LEAKAGE", candidate.files[0], found, "all scans of a patient on one side", cure)
    return {
        patient: (official[patient].split if patient in official else None) or drawn_split(patient, seed, val_share, test_share)
        for patient in patients
    }
