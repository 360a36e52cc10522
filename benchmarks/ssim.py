"""What the structural similarity of volumes costs, and how exact it is, beside MONAI's and scikit-image's.

    python benchmarks/ssim.py run --output benchmarks/results/ssim

Times are medians; what is compared takes turns in one process. Memory is measured in processes of their own: the most a process
held during the call, beyond what it held before it with both volumes made and the code warmed up on a small pair.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import fire
import numpy as np
import torch

from maesil_monai.metrics import ssim, ssim_map
from maesil_monai.training.run_record import hardware

SIDE, LARGE = 128, 512
PACKAGES = ("torch", "monai", "scikit-image", "numpy")
Call = Callable[[torch.Tensor, torch.Tensor], Any]


def monai_ssim(prediction: torch.Tensor, truth: torch.Tensor) -> float:
    """MONAI's metric with its defaults: Gaussian window 11, sigma 1.5, data range 1."""
    from monai.metrics import SSIMMetric

    return float(SSIMMetric(spatial_dims=3)(prediction[None, None], truth[None, None]))


def scikit_image(prediction: torch.Tensor, truth: torch.Tensor) -> tuple[float, np.ndarray]:
    """scikit-image's value and map."""
    from skimage.metrics import structural_similarity

    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    return structural_similarity(prediction.numpy(), truth.numpy(), full=True, **settings)


SUBJECTS: dict[str, Call] = {"ssim": ssim, "ssim_map": ssim_map, "MONAI SSIMMetric": monai_ssim, "scikit-image": scikit_image}


def pair(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Makes two float32 volumes: exact air in the lower half, structure with noise in the upper, of one size in memory."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(side, side, side, generator=generator)
    prediction = torch.rand(side, side, side, generator=generator).mul_(0.2).add_(truth, alpha=0.8)
    truth[: side // 2], prediction[: side // 2] = 0.0, 0.0
    return prediction, truth


def take_turns(times: int) -> dict[str, list[float]]:
    """Times every subject in every round."""
    volumes = pair(SIDE)
    seconds: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    for _ in range(times):
        for name, call in SUBJECTS.items():
            gc.collect()
            began = time.perf_counter()
            call(*volumes)
            seconds[name].append(time.perf_counter() - began)
    return seconds


def exactness() -> dict[str, float]:
    """Compares with scikit-image in float64 and with MONAI on volumes of 64^3."""
    prediction, truth = pair(SIDE // 2)
    value, similarity = scikit_image(prediction.double(), truth.double())
    return {
        "value, scikit-image": abs(float(ssim(prediction, truth)) - value),
        "map, scikit-image": float(np.abs(ssim_map(prediction, truth).numpy() - similarity).max()),
        "value, MONAI": abs(float(ssim(prediction, truth)) - monai_ssim(prediction, truth)),
    }


def in_its_own_process(name: str, side: int, threads: int) -> dict[str, float]:
    """Gives seconds and MiB of one call in a fresh process."""
    command = [sys.executable, __file__, "one", name, str(side), str(threads)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def one(name: str, side: int, threads: int) -> None:
    """Calls a subject once, and prints its seconds, the memory before it, and the most during it."""
    torch.set_num_threads(threads)
    call, volumes = SUBJECTS[name], pair(side)
    call(*pair(16))
    Path("/proc/self/clear_refs").write_text("5")  # the most so far is what is held now
    before = _status_mib("VmRSS")
    began, worked = time.perf_counter(), time.process_time()
    result = call(*volumes)
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    del result
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "before_mib": before, "most_mib": _status_mib("VmHWM")}))


def _status_mib(name: str) -> float:
    """Reads a figure of this process: VmRSS, what it holds now, or VmHWM, the most it held."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return float(lines[name].split()[0]) / 2**10


def report(found: dict[str, Any]) -> str:
    """Writes the tables."""
    ms, extra, large, exact = found["median_ms"], found["extra_mib"], found["large"], found["exactness"]
    lines = [
        "# Structural similarity of volumes",
        "",
        f"{found['date']}, {found['machine']}, "
        + ", ".join(f"{name} {version}" for name, version in found["packages"].items())
        + f". One thread where not said otherwise. The load of the machine's cores was {found['load'][0]:.1f} before and "
        f"{found['load'][1]:.1f} after the run.",
        "",
        f"    {found['command']}",
        "",
        f"| {SIDE}^3, float32 | median, ms | best, ms | extra memory, MiB |",
        "|---|---|---|---|",
        *(f"| {name} | {ms[name]:.0f} | {found['best_ms'][name]:.0f} | {extra[name]:.0f} |" for name in SUBJECTS),
        "",
        "| compared | found | wanted |",
        "|---|---|---|",
        f"| time, MONAI / ssim | {ms['MONAI SSIMMetric'] / ms['ssim']:.0f} | at least 10 |",
        f"| time, MONAI / ssim_map | {ms['MONAI SSIMMetric'] / ms['ssim_map']:.0f} | at least 10 |",
        f"| extra memory, ssim / MONAI | {extra['ssim'] / extra['MONAI SSIMMetric']:.2f} | at most 0.2 |",
        f"| extra memory, ssim_map / MONAI | {extra['ssim_map'] / extra['MONAI SSIMMetric']:.2f} | at most 0.2 |",
        *(
            f"| {LARGE}^3, {name} | {values['seconds']:.1f} s ({values['cpu_seconds']:.1f} s of processor time), "
            f"{values['most_mib']:.0f} MiB in all, {values['most_mib'] - values['before_mib']:.0f} MiB extra | 15 s, 3000 MiB |"
            for name, values in large.items()
        ),
        f"| largest difference, value, scikit-image in float64 | {exact['value, scikit-image']:.0e} | 1e-5 |",
        f"| largest difference, map, scikit-image in float64 | {exact['map, scikit-image']:.0e} | 1e-5 |",
        f"| largest difference, value, MONAI | {exact['value, MONAI']:.0e} | 1e-4 |",
        "",
    ]
    return "\n".join(lines)


def run(output: str, times: int = 7) -> None:
    """Measures all and writes ``output``.json and ``output``.md."""
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    seconds = take_turns(times)
    alone = {name: in_its_own_process(name, SIDE, 1) for name in SUBJECTS}
    found = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": hardware()["processor"],
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "command": f"python benchmarks/ssim.py run --output {output}" + ("" if times == 7 else f" --times {times}"),
        "median_ms": {name: 1e3 * statistics.median(taken) for name, taken in seconds.items()},
        "best_ms": {name: 1e3 * min(taken) for name, taken in seconds.items()},
        "extra_mib": {name: values["most_mib"] - values["before_mib"] for name, values in alone.items()},
        "large": {
            f"{name}, {threads} thread{'s' * (threads > 1)}": in_its_own_process(name, LARGE, threads)
            for name in ("ssim", "ssim_map")
            for threads in (1, 2)
        },
        "exactness": exactness(),
        "load": [load, os.getloadavg()[0]],
    }
    Path(f"{output}.json").write_text(json.dumps(found, indent=4) + "\n")
    Path(f"{output}.md").write_text(report(found))
    print(report(found))


if __name__ == "__main__":
    fire.Fire({"run": run, "one": one})
