"""The store's data list, in the form of the Medical Segmentation Decathlon that MONAI reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from maesil_monai.data.prepare.plan import Job, Refusal
from maesil_monai.data.prepare.prepare_scan import Outcome
from maesil_monai.data.prepare.splits import SPLITS
from maesil_monai.data.volumes.bad_volume import BadVolume

# Where an entry keeps its label, as a path that opens the label alone.
LABEL_IN_ENTRY = "labels/label"


def datalist_of(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Lists the entries of admitted scans under ``training``, ``validation`` and ``test``.

    Args:
        outcomes: of all scans; refused ones are passed over.

    Returns:
        Rows sorted by entry: ``image`` and, with a label, ``label`` (paths in the store), ``dataset``, ``case_id``,
        ``patient_id``, ``spacing_mm``, ``shape``, ``sha256`` (of the voxels).
    """
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    num_labels = 0
    for outcome in sorted(outcomes, key=lambda outcome: outcome.job.entry):
        facts = outcome.facts
        if facts is None:
            continue
        row: dict[str, Any] = {"image": outcome.job.entry}
        if facts["has_label"]:
            row["label"] = f"{outcome.job.entry}/{LABEL_IN_ENTRY}"
            num_labels += 1
        for name in ("dataset", "case_id", "patient_id", "spacing_mm", "shape", "sha256"):
            row[name] = facts[name]
        rows[outcome.job.split].append(row)
    return {
        "name": "maesil_monai store",
        "description": "CT scans in Hounsfield units, RAS orientation, at their own grids",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        **{f"num{split.capitalize()}": len(rows[split]) for split in SPLITS},
        "numLabels": num_labels,
        **rows,
    }


def refuse_twins(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Refuses scans whose voxels are those of another one, all but the first by entry.

    A copy under another patient's name would else be able to stand on both sides of the split.

    Args:
        outcomes: of all scans.

    Returns:
        The same outcomes, sorted by entry, with refusals in the place of second ones.
    """
    first: dict[str, Job] = {}
    judged = []
    for outcome in sorted(outcomes, key=lambda outcome: outcome.job.entry):
        job = outcome.job
        if outcome.facts is not None and (other := first.setdefault(outcome.facts["sha256"], job)) is not job:
            found = f"the same voxels as {other.candidate.files[0]}"
            cure = "Remove one of the two, or say that they are of one patient."
            error = BadVolume("DUPLICATE_SCAN", job.candidate.files[0], found, "each scan once", cure)
            outcome = Outcome(job, refusal=Refusal(job.dataset, job.case_id, error.code, cure, str(error)))
        judged.append(outcome)
    return judged
