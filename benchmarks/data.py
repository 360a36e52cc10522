"""What a training superpatch costs from a store, from NIfTI with MONAI, and from a cache of resampled tensors.

    python benchmarks/data.py run --folder FOLDER --output benchmarks/results/data

The scan is a phantom of 512 x 512 x 200 voxels with noise, made once and kept in ``folder`` (1 GB with all that is derived from
it). All is measured in one process with one thread and a warm page cache; what is compared takes turns, and medians are given.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import math
import os
import platform
import shutil
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blosc2
import fire
import nibabel as nib
import numpy as np
import torch
import zarr
from data_memory import prepare_memory, training_chain, worker_memory
from data_report import report
from monai.data import PersistentDataset
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, Orientationd, RandSpatialCropd, Resized
from numcodecs import blosc

from maesil_monai.data.store import open_entry, write_entry
from maesil_monai.data.store.chunked_array import ChunkedArray
from maesil_monai.data.store.folder_or_url import Folder
from maesil_monai.data.store.write import write_array
from maesil_monai.data.store.zarr_metadata import AIR_HU, BLOSC, CHUNK, IMAGE, ArrayLayout
from maesil_monai.data.volumes.check_scans import check
from maesil_monai.data.volumes.volume_files import read_volume
from maesil_monai.geometry import Box
from maesil_monai.interpolation import apply_axis_matrices, axis_matrices, input_box, slices_of
from maesil_monai.phantom.made_up_scan import phantom_scan
from maesil_monai.training.run_record import hardware
from maesil_monai.transforms import BodyMask, LoadVolumed, RandSuperpatchCropd, ResampleToCubed

SHAPE, CUBE, SUPERPATCH = (512, 512, 200), 512, 128
CHUNKS = [(16, 16, 16), (32, 32, 16), (32, 32, 32), (64, 64, 16), (64, 64, 32), (64, 64, 64), (128, 128, 32)]
CODECS = [("zstd", 1, "bitshuffle"), ("zstd", 5, "bitshuffle"), ("zstd", 9, "bitshuffle"), ("zstd", 5, "shuffle")]
CODECS += [("lz4", 5, "bitshuffle"), ("lz4hc", 5, "bitshuffle")]
Timings = dict[str, list[float]]


def make_files(folder: Path) -> tuple[Path, Path]:
    """Makes the scan and its entry where they are not there yet."""
    scan, entry = folder / "scan.nii.gz", folder / "scan.zarr"
    folder.mkdir(parents=True, exist_ok=True)
    if not scan.exists():
        phantom = phantom_scan(7, SHAPE, (0.75, 0.75, 2.0), coverage="trunk", orientation="LPS", noise_hu=18.0)
        image = nib.Nifti1Image(phantom.hu, phantom.affine)
        image.set_sform(phantom.affine, code=1)
        nib.save(image, folder / "partial.nii.gz")
        (folder / "partial.nii.gz").rename(scan)
    source = read_volume(scan)
    began = time.perf_counter()
    body = BodyMask()(source)
    made_body = time.perf_counter()
    write_entry(entry, source, body.array, None, {})
    print(f"body mask {made_body - began:.1f} s, write_entry {time.perf_counter() - made_body:.1f} s")
    return scan, entry


def quiet_check(scan: Path) -> int:
    """Checks the scan as the command does, its line of print thrown away."""
    with contextlib.redirect_stdout(io.StringIO()):
        return check([str(scan)])


def take_turns(subjects: dict[str, tuple[int, Callable[[int], Any]]]) -> Timings:
    """Times each subject ``(number of times, call)``; in every round each that is not done yet has its turn."""
    seconds: Timings = {name: [] for name in subjects}
    for number in range(max(times for times, _ in subjects.values())):
        for name, (times, call) in subjects.items():
            if number < times:
                gc.collect()
                began = time.perf_counter()
                result = call(number)
                seconds[name].append(time.perf_counter() - began)
                del result
    return seconds


def boxes_below(count: int) -> list[tuple[Box, Any]]:
    """Draws superpatches of the cube; gives the box of the scan below each, and the matrices that interpolate it."""
    rng = np.random.default_rng(0)
    scale = [n / CUBE for n in SHAPE]
    offset = [0.5 * s - 0.5 for s in scale]
    drawn = []
    for _ in range(count):
        i, j, k = (int(a) for a in rng.integers(0, CUBE - SUPERPATCH + 1, 3))
        matrices = axis_matrices(SHAPE, ((i, j, k), (i + SUPERPATCH, j + SUPERPATCH, k + SUPERPATCH)), scale, offset)
        drawn.append((input_box(matrices), matrices))
    return drawn


class Floor:
    """The least that reading a superpatch takes: open, read and decompress its chunks, interpolate its box."""

    def __init__(self, entry: Path, drawn: list[tuple[Box, Any]]) -> None:
        array = ChunkedArray(Folder(str(entry)), IMAGE, ("int16",))
        self.shard = entry / array.shard
        self.ranges = [sorted(tuple(found) for _, found in array._below(box) if found[1] < 2**63) for box, _ in drawn]
        self.volumes = [torch.from_numpy(array.read(box))[None] for box, _ in drawn]
        self.matrices = [matrices for _, matrices in drawn]
        self.scratch = np.empty(CHUNK, np.int16)

    def __call__(self, number: int) -> torch.Tensor:
        descriptor = os.open(self.shard, os.O_RDONLY)
        for offset, size in self.ranges[number]:
            blosc.decompress(os.pread(descriptor, size - 4, offset), self.scratch)
        os.close(descriptor)
        return apply_axis_matrices(self.volumes[number], self.matrices[number])


def superpatches(scan: Path, entry: Path, folder: Path, times: int) -> tuple[Timings, int]:
    """Times a random superpatch by all ways; also gives the bytes of the cached tensor."""
    store = [ResampleToCubed(keys="image", size=CUBE), RandSuperpatchCropd("image", SUPERPATCH, 8, body_key=None)]
    fresh = Compose([LoadVolumed(keys="image", cache_bytes=0), *store])
    kept = Compose([LoadVolumed(keys="image"), *store])
    training = training_chain()
    peer = Compose(
        [
            LoadImaged(keys="image"),
            EnsureChannelFirstd(keys="image"),
            Orientationd(keys="image", axcodes="RAS", labels=None),
            Resized(keys="image", spatial_size=(CUBE,) * 3, mode="trilinear"),
            RandSpatialCropd(keys="image", roi_size=(SUPERPATCH,) * 3, random_size=False),
        ]
    )
    for chain in (fresh, kept, training, peer):
        chain.set_random_state(seed=0)
    tensors = PersistentDataset([{"image": str(scan)}], peer, folder / "persistent")
    _ = tensors[0]
    drawn = boxes_below(times)
    floor, root = Floor(entry, drawn), zarr.open_group(entry, mode="r")
    zyx = [tuple(reversed(slices_of(box))) for box, _ in drawn]
    seconds = take_turns(
        {
            "store": (times, lambda _: fresh({"image": str(entry)})),
            "floor": (times, floor),
            "store, kept open": (times, lambda _: kept({"image": str(entry)})),
            "store, kept open, drawn by body": (times, lambda _: training({"image": str(entry)})),
            "voxels by zarr-python": (times, lambda n: root[IMAGE][zyx[n]]),
            "voxels by the store": (times, lambda n: open_entry(entry).read(drawn[n][0])),
            "PersistentDataset": (min(times, 9), lambda _: tensors[0]),
            "MONAI from NIfTI": (min(times, 3), lambda _: peer({"image": str(scan)})),
        }
    )
    return seconds, sum(path.stat().st_size for path in (folder / "persistent").iterdir())


def formats(scan: Path, folder: Path, times: int) -> list[dict[str, Any]]:
    """Times the voxels below a superpatch for chunk shapes, codecs, and blosc2's own format."""
    source = read_volume(scan)
    drawn = boxes_below(times)
    rows: list[dict[str, Any]] = []
    reads: dict[str, Callable[[int], Any]] = {}
    cases = [(chunk, ("zstd", 5, "bitshuffle")) for chunk in CHUNKS] + [
        (CHUNK, codec) for codec in CODECS if codec[:2] != ("zstd", 5)
    ]
    cases.append((CHUNK, ("zstd", 5, "shuffle")))
    shutil.rmtree(folder / "formats", ignore_errors=True)
    for chunk, (cname, clevel, shuffle) in cases:
        name = f"{'x'.join(map(str, chunk))}, {cname}-{clevel} {shuffle}"
        place = folder / "formats" / name.replace(" ", "_")
        layout = ArrayLayout(
            source.shape, chunk, np.dtype(np.int16), AIR_HU, {"cname": cname, "clevel": clevel, "shuffle": shuffle}
        )
        began = time.perf_counter()
        write_array(place / IMAGE, layout, lambda box: source.read(box)[0].numpy())
        wrote = time.perf_counter() - began
        array = ChunkedArray(Folder(str(place)), IMAGE, ("int16",))
        rows.append({"format": name, "bytes": (place / array.shard).stat().st_size, "write_s": wrote})
        reads[name] = lambda n, array=array: array.read(drawn[n][0])
    for chunk, block in [((64, 64, 64), (16, 16, 16)), ((128, 128, 32), (32, 32, 16)), ((128, 128, 64), (32, 32, 16))]:
        name = f"b2nd {'x'.join(map(str, chunk))}, blocks {'x'.join(map(str, block))}"
        path = folder / "formats" / f"{'x'.join(map(str, chunk + block))}.b2nd"
        cparams = {"codec": blosc2.Codec.ZSTD, "clevel": 5, "filters": [blosc2.Filter.BITSHUFFLE], "nthreads": 1}
        began = time.perf_counter()
        whole = np.ascontiguousarray(source.array)
        blosc2.asarray(whole, chunks=chunk, blocks=block, cparams=cparams, urlpath=str(path), mode="w")
        rows.append({"format": name, "bytes": path.stat().st_size, "write_s": time.perf_counter() - began})
        reads[name] = lambda n, path=path: blosc2.open(str(path), mode="r", dparams={"nthreads": 1})[slices_of(drawn[n][0])]
    seconds = take_turns({name: (times, read) for name, read in reads.items()})
    for row in rows:
        row["read_ms"] = 1e3 * statistics.median(seconds[row["format"]])
    shutil.rmtree(folder / "formats")
    return rows


def run(folder: str, output: str = "benchmarks/results/data", times: int = 31) -> None:
    """Measures everything, writes ``output``.json and ``output``.md."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    blosc.set_nthreads(1)
    blosc2.set_nthreads(1)
    place = Path(folder)
    load_before = os.getloadavg()[0]
    scan, entry = make_files(place)
    read = take_turns(
        {
            "read_volume of .nii.gz": (5, lambda _: read_volume(scan)),
            "check of .nii.gz": (5, lambda _: quiet_check(scan)),
            "nibabel get_fdata of .nii.gz": (5, lambda _: nib.load(scan).get_fdata()),
        }
    )
    seconds, persistent_bytes = superpatches(scan, entry, place, times)
    files = [path for path in entry.rglob("*") if path.is_file()]
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": hardware()["processor"],
        "packages": {module.__name__: module.__version__ for module in (np, torch, zarr, blosc2)}
        | {"python": platform.python_version()},
        "command": f"python benchmarks/data.py run --folder FOLDER --output {output} --times {times}",
        "shape": SHAPE,
        "superpatch": SUPERPATCH,
        "cube": CUBE,
        "chosen": f"{'x'.join(map(str, CHUNK))}, {BLOSC['cname']}-{BLOSC['clevel']} {BLOSC['shuffle']}",
        "median_ms": {name: 1e3 * statistics.median(times_) for name, times_ in (seconds | read).items()},
        "best_ms": {name: 1e3 * min(times_) for name, times_ in (seconds | read).items()},
        "formats": formats(scan, place, times),
        "worker": worker_memory(entry, place),
        "prepare": prepare_memory(scan),
        "load": [load_before, os.getloadavg()[0]],
        "entry": {"files": len(files), "bytes": sum(path.stat().st_size for path in files)},
        "raw_bytes": 2 * math.prod(SHAPE),
        "nifti_bytes": scan.stat().st_size,
        "persistent_bytes": persistent_bytes,
    }
    Path(f"{output}.json").write_text(json.dumps(results, indent=1) + "\n")
    Path(f"{output}.md").write_text(report(results))


if __name__ == "__main__":
    fire.Fire({"run": run})
