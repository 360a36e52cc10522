"""Preparing an archive: from folders of scans to a store, a data list and a report."""

from __future__ import annotations

import errno
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from maesil_monai.data.prepare.collections import Listing, any_folder, btcv, lidc, totalsegmentator
from maesil_monai.data.prepare.disk_and_time import Estimate, estimate
from maesil_monai.data.prepare.dry_run import header_refusals
from maesil_monai.data.prepare.options import PrepareOptions
from maesil_monai.data.prepare.plan import Job, Plan, Refusal, make_plan
from maesil_monai.data.prepare.prepare_scan import Outcome, prepare_scan
from maesil_monai.data.prepare.pseudonyms import (
    DETAILS_NAME,
    Pseudonyms,
    add_to_map,
    open_private_folder,
    read_or_make_key,
    write_private,
)
from maesil_monai.data.prepare.report import REPORT_HTML, REPORT_JSON, all_refusals, report_of
from maesil_monai.data.prepare.report_page import Picture, report_page
from maesil_monai.data.prepare.store_datalist import datalist_of, refuse_twins
from maesil_monai.data.prepare.store_folder import (
    LOCK_NAME,
    check_free_space,
    check_place,
    make_store,
    prune,
    stored_entries,
)
from maesil_monai.data.samples.catalog import DATALIST_NAME
from maesil_monai.data.store import StoreSource
from maesil_monai.errors import BadSetting
from maesil_monai.folder_lock import FolderLock
from maesil_monai.reports.slices import thumbnail
from maesil_monai.whole_files import write_whole

logger = logging.getLogger(__name__)

MAX_THUMBNAILS = 48


@dataclass(frozen=True)
class Prepared:
    """What a run did, or, as a dry run, would do.

    Args:
        plan: the scans that were found.
        outcomes: what came of them; empty of a dry run.
        refusals: the scans that were refused; of a dry run by their headers alone.
        vanished: entries without a source.
        num_pruned: entries that were deleted.
        needs: disk and time of the whole archive.
        exit_code: 1 if more scans were refused than allowed, else 0.
    """

    plan: Plan
    outcomes: list[Outcome]
    refusals: list[Refusal]
    vanished: list[str]
    num_pruned: int
    needs: Estimate
    exit_code: int


def prepare(options: PrepareOptions) -> Prepared:
    """Prepares scans as a store: one entry each, ``datalist.json``, ``report.json`` and ``report.html``.

    It may be killed at any moment and called again with the same options: entries that are whole are kept, and the store ends
    up the same byte for byte. A source that changed is prepared again; one that has gone leaves the data list.

    Raises:
        ValueError: for shares that leave nobody to train on, or a place that holds something else.
        BadVolume: if a collection is not there or not laid out as it should be; LEAKAGE; NO_VOLUME. Bad scans are refused
            in the result.
        FolderInUse: if another run works on the store.
        OSError: if the disk has too little room, or a worker was killed.
    """
    store, folders = options.output, options.folders
    check_place(store, folders)
    listings = {name: (path, _list(name, path, options)) for name, path in folders.items()}
    for _, listing in listings.values():
        for warning in listing.warnings:
            logger.warning("%s", warning)
    sides = (options.rules, options.split_seed, options.val_share, options.test_share)
    if options.dry_run:
        plan = make_plan(listings, Pseudonyms(b"", plain=True), *sides)
        refusals = sorted([*plan.refusals, *header_refusals(plan.jobs)], key=lambda refusal: (refusal.dataset, refusal.case_id))
        return Prepared(plan, [], refusals, [], 0, estimate(plan.jobs), _exit_code(plan, refusals, options))
    private = open_private_folder(store)
    with FolderLock(private / LOCK_NAME, store):
        names = Pseudonyms(read_or_make_key(store, options.key_file), plain=not options.pseudonyms)
        plan = make_plan(listings, names, *sides)
        needs = estimate(plan.jobs)
        check_free_space(store, estimate(job for job in plan.jobs if not (store / job.entry).exists()).num_bytes)
        make_store(store)
        add_to_map(private, {job.entry: _identity(job) for job in plan.jobs})
        outcomes = refuse_twins(_work(plan.jobs, names.source_salt(), options))
        _write_json(store / DATALIST_NAME, datalist_of(outcomes))
        listed = [outcome.job.entry for outcome in outcomes if outcome.facts is not None]
        num_pruned = prune(store, listed) if options.prune else 0
        vanished = sorted(set(stored_entries(store)) - {job.entry for job in plan.jobs})
        report = report_of(plan, outcomes, vanished)
        _write_json(store / REPORT_JSON, report)
        pictures = _pictures(store, listed) if options.thumbnails == "report" else []
        write_whole(store / REPORT_HTML, report_page(report, pictures))
        refusals = all_refusals(plan, outcomes)
        _write_details(private, outcomes, refusals)
    return Prepared(plan, outcomes, refusals, vanished, num_pruned, needs, _exit_code(plan, refusals, options))


def _list(name: str, path: Path, options: PrepareOptions) -> Listing:
    if name == "btcv":
        return btcv(path)
    if name == "lidc":
        return lidc(path, options.series_policy)
    if name == "totalsegmentator":
        return totalsegmentator(path)
    return any_folder(path, options.cases, options.patient_regex, options.series_policy)


def _work(jobs: Sequence[Job], salt: bytes, options: PrepareOptions) -> list[Outcome]:
    """Gives every scan to a worker; the order in which they end does not matter to what follows."""
    with _workers(options) as parallel:
        done = parallel(joblib.delayed(prepare_scan)(job, options.output.absolute(), salt) for job in jobs)
        try:
            return list(tqdm(done, total=len(jobs), desc="scans", unit="scan", mininterval=_bar_interval_s()))
        except TerminatedWorkerError as error:
            cure = "a worker was killed, most often for want of memory; run again with fewer workers: what is done is kept"
            raise ChildProcessError(errno.ECHILD, cure, str(options.output)) from error


def _bar_interval_s() -> float:
    """A terminal is drawn anew all the time; a log gets a line every half minute."""
    return 0.1 if sys.stderr.isatty() else 30.0


@contextmanager
def _workers(options: PrepareOptions) -> Iterator[joblib.Parallel]:
    if options.backend == "loky":
        yield joblib.Parallel(n_jobs=options.workers, backend="loky", return_as="generator_unordered", batch_size=1)
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise BadSetting("backend='dask' needs the package distributed: pip install 'maesil-monai[dask]'.") from error
    with Client(options.scheduler), joblib.parallel_config(backend="dask"):
        yield joblib.Parallel(return_as="generator_unordered", batch_size=1)


def _pictures(store: Path, entries: Sequence[str]) -> list[Picture]:
    pictures = []
    count = min(len(entries), MAX_THUMBNAILS)
    for entry in (entries[number * len(entries) // count] for number in range(count)):
        scan = StoreSource(store / entry)
        x, y, z = scan.shape
        axial = scan.read(((0, 0, z // 2), (x, y, z // 2 + 1)))[0, :, :, 0].numpy()
        coronal = scan.read(((0, y // 2, 0), (x, y // 2 + 1, z)))[0, :, 0, :].numpy()
        dataset, _, case = entry.partition("/")
        pictures.append((thumbnail(axial, coronal, scan.spacing_mm), dataset, Path(case).stem))
    return pictures


def _identity(job: Job) -> dict[str, str | int]:
    candidate = job.candidate
    return {
        "case_id": candidate.case_id,
        "patient": job.patient_id,
        "patient_id": candidate.patient_id,
        "study_id": candidate.study_id,
        "source": str(candidate.files[0].parent if candidate.dicom else candidate.files[0]),
        "num_files": len(candidate.files),
    }


def _write_details(private: Path, outcomes: Sequence[Outcome], refusals: Sequence[Refusal]) -> None:
    """Keeps what reports must not say, with paths, for who has to repair the sources."""
    details = {
        "refusals": [asdict(refusal) for refusal in refusals],
        "notes": {outcome.job.entry: list(outcome.notes) for outcome in outcomes if outcome.notes},
    }
    write_private(private / DETAILS_NAME, json.dumps(details, indent=1) + "\n")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_whole(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _exit_code(plan: Plan, refusals: Sequence[Refusal], options: PrepareOptions) -> int:
    return int(len(refusals) > options.allow_refused_share * sum(plan.num_scans.values()))
