"""What the terminal shows at the end of a run: some lines that fit on a screen. It is not kept, so it may name files."""

from __future__ import annotations

from collections import Counter

from maesil_monai.data.prepare.prepare_store import Prepared
from maesil_monai.data.prepare.pseudonyms import DETAILS_NAME
from maesil_monai.data.prepare.splits import SPLITS

MAX_REFUSALS = 20


def summary(result: Prepared, output: str, workers: int = 1) -> str:
    """Says what was done, or, of a dry run, what would be.

    Args:
        result: of :func:`~maesil_monai.data.prepare.prepare_store.prepare`.
        output: the store, as the user named it.
        workers: processes, for the estimate of a dry run.
    """
    plan, is_dry = result.plan, not result.outcomes
    patients = len({job.patient_id for job in plan.jobs})
    lines = [f"{_count(sum(plan.num_scans.values()), 'scan')} of {_count(patients, 'patient')}"]
    for name in sorted(plan.num_scans):
        sides = Counter(job.split for job in plan.jobs if job.dataset == name)
        text = ", ".join(f"{sides[split]} {split}" for split in SPLITS)
        lines.append(f"  {name}: {_count(plan.num_scans[name], 'scan')} ({text})")
    for name in sorted(plan.not_ct):
        lines.append(f"  {name}: {sum(plan.not_ct[name].values())} files or series that are no CT or were not chosen")
    split = Counter(job.split for job in plan.jobs)
    if not split["training"]:
        lines.append("warning: nobody to train on; add scans, or choose --val-share 0 or another --split-seed")
    elif not split["validation"]:
        lines.append("warning: nobody validates; training then holds out val_scans of the scans; or choose a larger --val-share")
    if not split["test"]:
        lines.append(
            "note: nobody is held out for a test, which compare needs; choose a larger --test-share or another --split-seed"
        )
    if result.refusals:
        lines.append(f"{len(result.refusals)} refused{' by their headers' if is_dry else ''}:")
        lines += [f"  {refusal.message}" for refusal in result.refusals[:MAX_REFUSALS]]
        if len(result.refusals) > MAX_REFUSALS:
            lines.append(f"  and {len(result.refusals) - MAX_REFUSALS} more")
    if is_dry:
        lines += [
            "Voxels were not read, so more scans may be refused.",
            f"About {result.needs.num_bytes / 1e9:.2g} GB in {output}, "
            f"and {result.needs.hours(workers):.2g} hours with {workers} worker{'s' * (workers != 1)}.",
            "Nothing was written.",
        ]
        return "\n".join(lines)
    kept = sum(outcome.kept for outcome in result.outcomes)
    admitted = sum(outcome.facts is not None for outcome in result.outcomes)
    lines.append(f"{admitted} admitted, {kept} of them prepared before")
    if result.vanished:
        fate = "deleted" if result.num_pruned else "no longer in the data list; --prune deletes them"
        lines.append(f"{len(result.vanished)} entries without a source: {fate}")
    lines.append(f"{output}/report.html shows the store; {output}.private/{DETAILS_NAME} has every message in full")
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
