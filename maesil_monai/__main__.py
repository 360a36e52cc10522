"""The command line: ``python -m maesil_monai check | prepare | phantom | compare``; ``COMMAND --help`` says more."""

from __future__ import annotations

import inspect
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import fire

from maesil_monai.option_names import options_of, refuse_unknown
from maesil_monai.plain_errors import tell


def check(*paths: str, report: str | None = None) -> None:
    """Reads scans and says of each whether it is admitted: a line per scan, exit code 1 if any was refused.

    Args:
        paths: files, or folders of NIfTI, NRRD, MetaImage or DICOM series.
        report: also written there, as JSON.
    """
    from maesil_monai.data.volumes.check import check as check_scans

    if not paths:
        sys.exit("error: check needs at least one file or folder.")
    sys.exit(check_scans([str(path) for path in paths], report))


def prepare(
    output: str,
    btcv: str | None = None,
    lidc: str | None = None,
    totalsegmentator: str | None = None,
    folder: str | None = None,
    cases: str | None = None,
    patient_regex: str | None = None,
    series_policy: str = "thinnest",
    split_seed: int = 0,
    val_share: float = 0.1,
    test_share: float = 0.1,
    allow_refused_share: float = 0.0,
    pseudonyms: bool = True,
    key_file: str | None = None,
    thumbnails: str = "report",
    prune: bool = False,
    dry_run: bool = False,
    workers: int = 1,
    backend: str = "loky",
    scheduler: str | None = None,
    nan_fill: float | None = None,
    min_slices: int | None = None,
    max_voxels: int | None = None,
    links_out: bool = False,
) -> None:
    """Prepares scans as a store with a data list and a report; run it again after a kill, and it goes on.

    Exit code 1 if more scans were refused than allowed.

    Args:
        output: the store; a new folder, or one prepared before. Key, real names and messages with paths go to OUTPUT.private.
        btcv: folder of BTCV (RawData).
        lidc: folder of LIDC-IDRI as TCIA delivers it.
        totalsegmentator: folder of TotalSegmentator, version 1 or 2.
        folder: any tree of NIfTI, NRRD, MetaImage or DICOM.
        cases: CSV that says who is who in FOLDER: path, patient and, if wanted, study, dataset, split, label.
        patient_regex: pattern that finds the patient in a path below FOLDER.
        series_policy: which DICOM series of a study: thinnest, all, one-per-study.
        split_seed: seed of the sides of patients without an official one.
        val_share: share of those patients that validate.
        test_share: share of those patients that test.
        allow_refused_share: share of scans that may be refused without exit code 1.
        pseudonyms: publish keyed hashes for cases and patients; --nopseudonyms keeps their IDs.
        key_file: key of the hashes; default OUTPUT.private/key.
        thumbnails: report (pictures of up to 48 scans) or none.
        prune: delete entries that are not in the data list.
        dry_run: print scans, refusals by their headers, disk and hours; write nothing.
        workers: processes on this machine.
        backend: loky (this machine) or dask (a cluster).
        scheduler: address of the Dask scheduler.
        nan_fill: HU for voxels that are NaN or infinite, which are refused else.
        min_slices: fewest voxels on each axis.
        max_voxels: most voxels of a scan.
        links_out: follow links out of a collection's folder.
    """
    from maesil_monai.data.prepare import prepare as prepare_archive
    from maesil_monai.data.prepare.summary import summary
    from maesil_monai.data.volumes.admission import DEFAULT_RULES, AdmissionRules

    result = prepare_archive(
        output=str(output),
        btcv_dir=_path(btcv),
        lidc_dir=_path(lidc),
        totalsegmentator_dir=_path(totalsegmentator),
        folder_dir=_path(folder),
        cases=_path(cases),
        patient_regex=_path(patient_regex),
        series_policy=series_policy,  # type: ignore[arg-type]
        split_seed=split_seed,
        val_share=val_share,
        test_share=test_share,
        rules=AdmissionRules(
            max_voxels=DEFAULT_RULES.max_voxels if max_voxels is None else max_voxels,
            min_slices=DEFAULT_RULES.min_slices if min_slices is None else min_slices,
            nan_fill=nan_fill,
            links_out=links_out,
        ),
        allow_refused_share=allow_refused_share,
        pseudonyms=pseudonyms,
        key_file=_path(key_file),
        thumbnails=thumbnails,  # type: ignore[arg-type]
        prune_store=prune,
        dry_run=dry_run,
        workers=workers,
        backend=backend,  # type: ignore[arg-type]
        scheduler=_path(scheduler),
    )
    print(summary(result, str(output), workers))
    sys.exit(result.exit_code)


def phantom(output: str, num_scans: int = 4, seed: int = 0, size: str = "tiny") -> None:
    """Writes small made-up collections in the three layouts: OUTPUT/btcv, OUTPUT/lidc (DICOM), OUTPUT/totalsegmentator.

    Args:
        output: folder, made if need be.
        num_scans: scans in each collection.
        seed: of the drawing.
        size: tiny or small.
    """
    from maesil_monai.phantom.layouts import write_layouts

    write_layouts(str(output), num_scans=num_scans, seed=seed, size=size)  # type: ignore[arg-type]
    print(f"Wrote {output}/btcv, {output}/lidc and {output}/totalsegmentator.")


def compare(
    store: str,
    output: str,
    models: str | tuple[str, ...] | None = None,
    checkpoints: str | tuple[str, ...] | None = None,
    train: bool = False,
    overlay: str | None = None,
    seeds: int | tuple[int, ...] = 0,
    rules: str | tuple[str, ...] | None = None,
    learning_rates: float | tuple[float, ...] | None = None,
    search_share: float = 0.2,
    section: str = "test",
    ablate: bool = False,
    leave_out: str = "",
    max_superpatches: int = 0,
    figures: int = 1,
    bundle: str | None = None,
) -> None:
    """Compares systems on a store's held-out scans, by the same masks for all: results.json, table2.md, table3.md, report.html.

    A second call with the same OUTPUT goes on where the first was stopped, and adds models or seeds to it.

    Args:
        store: a store of `prepare`, or a folder with a data list that names a test split.
        output: folder of the comparison.
        models: MODEL[@RULE][+KEY=VALUE...], separated by commas outside brackets; MODEL is an overlay in bundle/configs/models,
            KEY a setting of train.json.
        checkpoints: MODEL=FILE, separated by commas: weights that are there; of several of a model each counts as a seed.
            MODEL is written as in --models; the first = that is not of a change begins FILE, which may have more of them.
        train: train the models that have no weights.
        overlay: configuration between train.json and the models' overlays, such as bundle/configs/comparison_small.json.
        seeds: of the trainings, distinct whole numbers, separated by commas.
        rules: mask rules of the evaluation, separated by commas; under the first, every metric is measured.
        learning_rates: three rates, say, of which each trained model gets its best, found in short runs on validation.
        search_share: length of a short run as a share of a whole one, above 0, at most 1.
        section: test, or validation for choices.
        ablate: also train and judge MAESIL with other superpatches, rules, ratios and decoders.
        leave_out: collection that is not trained on, and alone is judged.
        max_superpatches: superpatches that are judged; 0 for all.
        figures: scans of each collection that pictures are made of.
        bundle: folder of the bundle, where it is neither in the working directory nor beside the package.
    """
    import logging

    from maesil_monai.comparison.bundle_files import BundleFiles
    from maesil_monai.comparison.compare import MODELS
    from maesil_monai.comparison.compare import compare as compare_systems
    from maesil_monai.comparison.request import one_text, request_of

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    files = BundleFiles.find(
        None if bundle is None else one_text("bundle", bundle), None if overlay is None else one_text("overlay", overlay)
    )
    request = request_of(
        files,
        MODELS,
        store=store,
        output=output,
        models=models,
        checkpoints=checkpoints,
        train=train,
        seeds=seeds,
        rules=rules,
        learning_rates=learning_rates,
        search_share=search_share,
        section=section,
        ablate=ablate,
        leave_out=leave_out,
        max_superpatches=max_superpatches,
        figures=figures,
        command=_command(),
    )
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _leave)  # which ends and awaits the training that is under way
    for written in compare_systems(request, files):
        print(f"Wrote {written}")


def main(arguments: list[str] | None = None) -> None:
    """Runs a command; an error of data or settings is one line on the error stream; exit code 1 after any.

    Args:
        arguments: instead of the process's own.
    """
    commands: dict[str, Callable[..., None]] = {"check": check, "compare": compare, "phantom": phantom, "prepare": prepare}
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if words and words[0] in commands:
            known = {*inspect.signature(commands[words[0]]).parameters, "help"}
            page = f"{words[0]} --help"
            refuse_unknown(options_of(words), known, page, f"`python -m maesil_monai {page}` lists them.")
        fire.Fire(commands, command=arguments, name="maesil_monai")
    except Exception as error:
        tell(error)
        sys.exit(1)


def _leave(number: int, frame: FrameType | None) -> None:
    """Ends a command that was signalled as an error ends it: what it has under way is closed."""
    sys.exit(128 + number)


def _path(value: Any) -> str | None:
    """Turns what fire took for a number back into the name that it is."""
    return None if value is None else str(value)


def _command() -> str:
    """Gives what was typed; empty where these functions are called by a program of another name."""
    is_typed = Path(sys.argv[0]).parts[-2:] == ("maesil_monai", "__main__.py")
    return shlex.join(["python", "-m", "maesil_monai", *sys.argv[1:]]) if is_typed else ""


if __name__ == "__main__":
    main()
