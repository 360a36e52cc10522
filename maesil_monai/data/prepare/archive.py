"""Preparing an archive: from folders of scans to a store, a data list and a report."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from maesil_monai.data.prepare.collections import Listing, btcv, folder_tree, lidc, totalsegmentator
from maesil_monai.data.prepare.collections.series import SeriesPolicy
from maesil_monai.data.prepare.datalist import refuse_twins, write_datalist
from maesil_monai.data.prepare.estimate import Estimate, estimate
from maesil_monai.data.prepare.headers import header_refusals
from maesil_monai.data.prepare.plan import Job, Plan, Refusal, make_plan
from maesil_monai.data.prepare.pseudonyms import (
    DETAILS_NAME,
    Pseudonyms,
    add_to_map,
    open_private_folder,
    read_or_make_key,
    write_private,
)
from maesil_monai.data.prepare.report import REPORT_HTML, all_refusals, report_of, write_report
from maesil_monai.data.prepare.store_folder import (
    check_free_space,
    check_place,
    make_store,
    one_run_at_a_time,
    prune,
    stored_entries,
)
from maesil_monai.data.prepare.work import Outcome, prepare_scan
from maesil_monai.data.store import StoreSource
from maesil_monai.data.volumes.admission import MAX_VOXELS, MIN_SLICES, AdmissionRules
from maesil_monai.errors import BadSetting
from maesil_monai.reports.report_html import Picture, report_page
from maesil_monai.reports.thumbnails import spread, thumbnail
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


def prepare(
    output: str | os.PathLike[str],
    btcv_dir: str | os.PathLike[str] | None = None,
    lidc_dir: str | os.PathLike[str] | None = None,
    totalsegmentator_dir: str | os.PathLike[str] | None = None,
    folder_dir: str | os.PathLike[str] | None = None,
    *,
    cases: str | os.PathLike[str] | None = None,
    patient_regex: str | None = None,
    series_policy: SeriesPolicy = "thinnest",
    split_seed: int = 0,
    val_share: float = 0.1,
    test_share: float = 0.1,
    rules: AdmissionRules | None = None,
    allow_refused_share: float = 0.0,
    pseudonyms: bool = True,
    key_file: str | os.PathLike[str] | None = None,
    thumbnails: Literal["report", "none"] = "report",
    prune_store: bool = False,
    dry_run: bool = False,
    workers: int = 1,
    backend: Literal["loky", "dask"] = "loky",
    scheduler: str | None = None,
) -> Prepared:
    """Prepares scans as a store: one entry each, ``datalist.json``, ``report.json`` and ``report.html``.

    It may be killed at any moment and called again with the same arguments: entries that are whole are kept, and the store ends
    up the same byte for byte. A source that changed is prepared again; one that has gone leaves the data list. All collections
    of a store are named in every call.

    Args:
        output: the store; a new folder, or one prepared before.
        btcv_dir: see :func:`~maesil_monai.data.prepare.collections.btcv.btcv`.
        lidc_dir: see :func:`~maesil_monai.data.prepare.collections.lidc.lidc`.
        totalsegmentator_dir: see :func:`~maesil_monai.data.prepare.collections.totalsegmentator.totalsegmentator`.
        folder_dir: see :func:`~maesil_monai.data.prepare.collections.folder_tree.folder_tree`.
        cases: table of who is who in ``folder_dir``.
        patient_regex: pattern of who is who in ``folder_dir``.
        series_policy: which DICOM series of a study are taken: ``thinnest``, ``all`` or ``one-per-study``.
        split_seed: of the sides of patients without an official one.
        val_share: share of those patients that validate.
        test_share: share of those patients that test.
        rules: what is admitted; its ``root`` is set to each collection's folder.
        allow_refused_share: share of the scans that may be refused with exit code 0.
        pseudonyms: publishes keyed hashes in the place of case and patient IDs.
        key_file: where the key of the hashes is; default in the folder ``STORE.private`` beside the store.
        thumbnails: ``report`` puts pictures of up to 48 scans into ``report.html``; ``none`` puts none.
        prune_store: deletes entries that are not in the data list.
        dry_run: reads names and headers only, and writes nothing.
        workers: processes at work on this machine; a Dask cluster has its own number.
        backend: ``loky`` works on this machine, ``dask`` on a cluster whose machines see sources and store under the same paths.
        scheduler: address of the Dask scheduler.

    Raises:
        ValueError: for settings that make no sense together, or a place that holds something else.
        BadVolume: if a collection is not there or not laid out as it should be; LEAKAGE; NO_VOLUME. Bad scans are refused
            in the result.
        OSError: if the disk has too little room, another run works on the store, or a worker was killed.
    """
    store = Path(output)
    folders = {
        # The machines of a cluster stand in other folders than this process.
        name: Path(folder).absolute() if backend == "dask" else Path(folder)
        for name, folder in (
            ("btcv", btcv_dir),
            ("lidc", lidc_dir),
            ("totalsegmentator", totalsegmentator_dir),
            ("folder", folder_dir),
        )
        if folder is not None
    }
    _check_settings(folders, cases, patient_regex, allow_refused_share, thumbnails, workers, backend, scheduler, series_policy)
    check_place(store, folders)
    listings = {name: (path, _list(name, path, cases, patient_regex, series_policy)) for name, path in folders.items()}
    for _, listing in listings.values():
        for warning in listing.warnings:
            logger.warning("%s", warning)
    rules = rules or AdmissionRules(max_voxels=MAX_VOXELS, min_slices=MIN_SLICES)
    key_path = None if key_file is None else Path(key_file)
    if dry_run:
        plan = make_plan(listings, Pseudonyms(b"", plain=True), rules, split_seed, val_share, test_share)
        refusals = sorted([*plan.refusals, *header_refusals(plan.jobs)], key=lambda refusal: (refusal.dataset, refusal.case_id))
        return Prepared(plan, [], refusals, [], 0, estimate(plan.jobs), _exit_code(plan, refusals, allow_refused_share))
    private = open_private_folder(store)
    with one_run_at_a_time(private, store):
        names = Pseudonyms(read_or_make_key(store, key_path), plain=not pseudonyms)
        plan = make_plan(listings, names, rules, split_seed, val_share, test_share)
        needs = estimate(plan.jobs)
        check_free_space(store, estimate(job for job in plan.jobs if not (store / job.entry).exists()).num_bytes)
        make_store(store)
        add_to_map(private, {job.entry: _identity(job) for job in plan.jobs})
        outcomes = refuse_twins(_work(plan.jobs, store, names.source_salt(), workers, backend, scheduler))
        write_datalist(store, outcomes)
        listed = [outcome.job.entry for outcome in outcomes if outcome.facts is not None]
        num_pruned = prune(store, listed) if prune_store else 0
        vanished = sorted(set(stored_entries(store)) - {job.entry for job in plan.jobs})
        report = report_of(plan, outcomes, vanished)
        write_report(store, report)
        pictures = _pictures(store, listed) if thumbnails == "report" else []
        write_whole(store / REPORT_HTML, report_page(report, pictures))
        refusals = all_refusals(plan, outcomes)
        _write_details(private, outcomes, refusals)
    return Prepared(plan, outcomes, refusals, vanished, num_pruned, needs, _exit_code(plan, refusals, allow_refused_share))


def _check_settings(
    folders: dict[str, Path],
    cases: object,
    patient_regex: object,
    allow_refused_share: float,
    thumbnails: str,
    workers: int,
    backend: str,
    scheduler: str | None,
    series_policy: str,
) -> None:
    if not folders:
        raise BadSetting("no collection is named: expected at least one of btcv, lidc, totalsegmentator and folder.")
    if "folder" not in folders and (cases is not None or patient_regex is not None):
        raise BadSetting("cases and patient_regex say who is who in a folder: expected folder to be given too.")
    if not 0.0 <= allow_refused_share <= 1.0:
        raise BadSetting(f"allow_refused_share={allow_refused_share}: expected a share from 0 to 1.")
    if workers < 1:
        raise BadSetting(f"workers={workers}: expected 1 or more processes.")
    for name, value, known in (
        ("thumbnails", thumbnails, ("report", "none")),
        ("backend", backend, ("loky", "dask")),
        ("series_policy", series_policy, ("thinnest", "all", "one-per-study")),
    ):
        if value not in known:
            raise BadSetting(f"{name}={value!r}: expected one of {', '.join(known)}.")
    if (backend == "dask") != (scheduler is not None):
        raise BadSetting(
            f"backend={backend!r}, scheduler={scheduler!r}: expected a scheduler's address with dask, and only there."
        )


def _list(
    name: str,
    path: Path,
    cases: str | os.PathLike[str] | None,
    patient_regex: str | None,
    series_policy: SeriesPolicy,
) -> Listing:
    if name == "btcv":
        return btcv(path)
    if name == "lidc":
        return lidc(path, series_policy)
    if name == "totalsegmentator":
        return totalsegmentator(path)
    return folder_tree(path, cases, patient_regex, series_policy)


def _work(jobs: Sequence[Job], store: Path, salt: bytes, workers: int, backend: str, scheduler: str | None) -> list[Outcome]:
    """Gives every scan to a worker; the order in which they end does not matter to what follows."""
    with _workers(backend, workers, scheduler) as parallel:
        done = parallel(joblib.delayed(prepare_scan)(job, store.absolute(), salt) for job in jobs)
        try:
            return list(tqdm(done, total=len(jobs), desc="scans", unit="scan", mininterval=_bar_interval_s()))
        except TerminatedWorkerError as error:
            cure = "a worker was killed, most often for want of memory; run again with fewer workers: what is done is kept"
            raise ChildProcessError(errno.ECHILD, cure, str(store)) from error


def _bar_interval_s() -> float:
    """A terminal is drawn anew all the time; a log gets a line every half minute."""
    return 0.1 if sys.stderr.isatty() else 30.0


@contextmanager
def _workers(backend: str, workers: int, scheduler: str | None) -> Iterator[joblib.Parallel]:
    if backend == "loky":
        yield joblib.Parallel(n_jobs=workers, backend="loky", return_as="generator_unordered", batch_size=1)
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise BadSetting("backend='dask' needs the package distributed: pip install 'maesil-monai[dask]'.") from error
    with Client(scheduler), joblib.parallel_config(backend="dask"):
        yield joblib.Parallel(return_as="generator_unordered", batch_size=1)


def _pictures(store: Path, entries: Sequence[str]) -> list[Picture]:
    pictures = []
    for place in spread(len(entries), MAX_THUMBNAILS):
        dataset, _, case = entries[place].partition("/")
        pictures.append((thumbnail(StoreSource(store / entries[place])), dataset, Path(case).stem))
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


def _exit_code(plan: Plan, refusals: Sequence[Refusal], allowed: float) -> int:
    return int(len(refusals) > allowed * sum(plan.num_scans.values()))
