"""Time and memory of a data list of many cases: opening it, planning its samples, drawing one.

    python benchmarks/catalogue.py
    python benchmarks/catalogue.py --num_cases 1000000 --repeats 3

One process, one thread. The list is made up, in the proportions of BTCV, LIDC-IDRI and TotalSegmentator, with rows as `prepare`
writes them. Times are taken apart from memory, which is what Python asked for (tracemalloc). Draws are timed without the
transforms: which scan a sample shows, and its row.
"""

from __future__ import annotations

import hashlib
import json
import platform
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fire

from maesil_monai.data.samples.catalog import build_datalist
from maesil_monai.data.samples.scan_order import Mixture
from maesil_monai.training.run_record import hardware

COLLECTIONS = {"btcv": 50, "lidc": 1018, "totalsegmentator": 1228}


def made_up_list(num_cases: int) -> dict[str, list[dict[str, Any]]]:
    """Makes the content of a store's data list; one patient of sixteen validates, every fiftieth has two scans."""
    names = [name for name, count in COLLECTIONS.items() for _ in range(count)]
    sections: dict[str, list[dict[str, Any]]] = {"training": [], "validation": [], "test": []}
    for number in range(num_cases):
        dataset = names[number * len(names) // num_cases]
        case = hashlib.sha256(f"{number}".encode()).hexdigest()
        patient = hashlib.sha256(f"patient {number - (number % 50 == 1)}".encode()).hexdigest()
        row = {
            "image": f"{dataset}/{case[:16]}.zarr",
            "label": f"{dataset}/{case[:16]}.zarr/labels/label",
            "dataset": dataset,
            "case_id": case[:16],
            "patient_id": patient[:16],
            "spacing_mm": [0.703125, 0.703125, 1.25],
            "shape": [512, 512, 200 + number % 300],
            "sha256": case,
        }
        sections["validation" if patient[0] in "0" else "training"].append(row)
    return sections


def seconds_of(call: Callable[[], Any], repeats: int) -> float:
    """Gives the median time of a call."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def memory_of(call: Callable[[], Any]) -> tuple[int, int]:
    """Gives the bytes that stay and the bytes at the peak of a call."""
    tracemalloc.start()
    kept = call()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return held, peak


class ManyRows(Sequence):
    """A list of any length that holds nothing, to see what the mixture itself costs."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, str]:  # type: ignore[override]
        return {"image": f"{index}"}


def main(num_cases: int = 100_000, repeats: int = 5, num_draws: int = 2000) -> None:
    """Measures and prints a table in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "datalist.json")
        listed.write_text(json.dumps(made_up_list(num_cases), indent=1), encoding="utf-8")
        print("| what | time | memory held | memory at the peak |\n|---|---|---|---|")

        def line(what: str, call: Callable[[], Any]) -> None:
            held, peak = memory_of(call)
            print(f"| {what} | {seconds_of(call, repeats):.2f} s | {held / 2**20:.1f} MiB | {peak / 2**20:.0f} MiB |", flush=True)

        line("the same list as Python objects (`json.loads` alone)", lambda: json.loads(listed.read_bytes()))
        line(f"`build_datalist`, section `all`, {num_cases:,} cases", lambda: build_datalist(folder, "all"))
        rows = build_datalist(folder, "training")
        for weights, by_patient in (("proportional", False), ("balanced", False), ("balanced", True)):
            name = f"`Mixture`, {weights}{', by patient' if by_patient else ''}, {len(rows):,} training cases"
            line(name, lambda weights=weights, by_patient=by_patient: Mixture(rows, 0, weights, by_patient))  # type: ignore[misc]

    print("\n| one draw: scan and row | median time | memory at the peak |\n|---|---|---|")
    mixtures = {
        f"proportional, {len(rows):,} cases": (rows, Mixture(rows, 0)),
        f"balanced, {len(rows):,} cases": (rows, Mixture(rows, 0, "balanced")),
        f"balanced, by patient, {len(rows):,} cases": (rows, Mixture(rows, 0, "balanced", by_patient=True)),
        **{f"proportional, {n:,} cases": (ManyRows(n), Mixture(ManyRows(n), 0)) for n in (100, 10_000_000)},
    }
    for name, (data, mixture) in mixtures.items():
        times = []
        for position in range(num_draws):
            began = time.perf_counter()
            data[mixture.order(position)[0]]
            times.append(time.perf_counter() - began)
        _, peak = memory_of(lambda data=data, mixture=mixture: [data[mixture.order(p)[0]] and None for p in range(100)])  # type: ignore[misc]
        print(f"| {name} | {1e6 * statistics.median(times):.0f} us | {peak / 2**10:.0f} KiB |", flush=True)
    print(f"\nMedian of {repeats} (draws: of {num_draws}); Python {platform.python_version()}, {hardware()['processor']}.")


if __name__ == "__main__":
    fire.Fire(main)
