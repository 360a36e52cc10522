"""Memory of a data loader's worker and of a worker of prepare, each in a process of its own, for benchmarks/data.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import fire
import torch
from monai.data import DataLoader, Dataset
from monai.transforms import Compose

from maesil_monai.data.prepare.collections.listing import Candidate
from maesil_monai.data.prepare.plan import Job
from maesil_monai.data.prepare.prepare_scan import prepare_scan
from maesil_monai.data.volumes.admission_checks import AdmissionRules
from maesil_monai.transforms import BodyMaskd, LoadVolumed, RandSuperpatchCropd, ResampleToCubed


def training_chain() -> Compose:
    """Reads as the bundle's training does: superpatches are drawn until 5 % of one is body."""
    return Compose(
        [
            LoadVolumed(keys="image"),
            BodyMaskd(keys="image"),
            ResampleToCubed(keys=("image", "body"), size=512, mode=("linear", "mask")),
            RandSuperpatchCropd("image", 128, 8),
        ]
    )


def worker_memory(entry: Path, folder: Path, entries: int = 40, samples: int = 200) -> dict[str, float]:
    """Gives the memory in MiB that a data loader's worker has for itself while it loads superpatches of many entries."""
    many = folder / "many"
    shutil.rmtree(many, ignore_errors=True)
    for number in range(entries):
        shutil.copytree(entry, many / f"{number}.zarr", copy_function=os.link)
    command = [sys.executable, __file__, "worker", str(many), str(samples)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    shutil.rmtree(many)
    return json.loads(out.splitlines()[-1])


def worker(folder: str, samples: int) -> None:
    """Loads superpatches in a worker of a data loader, and prints its memory as it was after the first sample and at most."""
    torch.set_num_threads(1)
    chain = training_chain()
    entries = sorted(Path(folder).iterdir())

    def measured(row: dict[str, str]) -> float:
        samples_ = chain(row)
        private = private_mib()
        del samples_
        return private

    rows = [{"image": str(entries[number % len(entries)])} for number in range(samples)]
    found = [float(memory) for (memory,) in DataLoader(Dataset(rows, measured), num_workers=1, collate_fn=list)]
    print(json.dumps({"first_mib": found[0], "most_mib": max(found)}))


def private_mib() -> float:
    """Gives the memory of this process that no other one shares."""
    lines = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()]
    return sum(int(line[1]) for line in lines if line[0].startswith("Private_")) / 2**10


def prepare_memory(scan: Path) -> dict[str, float]:
    """Gives in MiB what preparing one scan adds, at its peak, to a process that has imported what it needs."""
    command = [sys.executable, __file__, "prepare", str(scan)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def prepare(scan: str) -> None:
    """Prepares one scan and prints what it took beyond the imports."""
    path = Path(scan)
    job = Job(Candidate((path,), False, "folder", "a", "a", "", None), "folder", "a", "a", "training", AdmissionRules())
    before = _status_mib("VmRSS")
    with tempfile.TemporaryDirectory() as folder:
        outcome = prepare_scan(job, Path(folder) / "store", b"key")
    if outcome.facts is None:
        sys.exit(f"the scan was refused: {outcome.refusal}")
    print(json.dumps({"before_mib": before, "added_mib": _status_mib("VmHWM") - before}))


def _status_mib(name: str) -> float:
    """Reads a figure of this process: VmRSS, what it holds now, or VmHWM, the most it held."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return float(lines[name].split()[0]) / 2**10


if __name__ == "__main__":
    fire.Fire({"worker": worker, "prepare": prepare})
