"""The tables of benchmarks/data.py."""

from __future__ import annotations

from typing import Any


def report(results: dict[str, Any]) -> str:
    """Writes the tables."""
    ms, best, mib = results["median_ms"], results["best_ms"], 2**20
    store, floor = ms["store"], ms["floor"]
    nifti, nibabel = ms["read_volume of .nii.gz"], ms["nibabel get_fdata of .nii.gz"]
    what = {
        "store": f"store: entry opened anew, {results['superpatch']}^3 of the {results['cube']}^3 cube",
        "floor": "floor: open, read and Blosc-decompress the same chunks, interpolate the same box",
        "store, kept open": "store, entry kept open by the loader's cache",
        "store, kept open, drawn by body": "the same, drawn until 5 % is body, as in training",
        "PersistentDataset": f"PersistentDataset of the {results['cube']}^3 tensor "
        f"({results['persistent_bytes'] / mib:.0f} MiB), RandSpatialCropd",
        "MONAI from NIfTI": "LoadImaged, Orientationd, Resized, RandSpatialCropd from .nii.gz",
        "voxels by the store": "voxels below a superpatch alone, by the store's reader, opened anew",
        "voxels by zarr-python": "the same voxels by zarr-python, array kept open",
        "read_volume of .nii.gz": "whole .nii.gz with all checks (`read_volume`)",
        "check of .nii.gz": "the same by `check`",
        "nibabel get_fdata of .nii.gz": "whole .nii.gz by nibabel `get_fdata`",
    }
    peers = [
        ("MONAI from NIfTI / store", ms["MONAI from NIfTI"] / store, "at least 100"),
        ("PersistentDataset / store", ms["PersistentDataset"] / store, "at least 5"),
        ("store / floor", store / floor, "at most 2"),
        ("nibabel / check", nibabel / ms["check of .nii.gz"], "at least 2"),
        ("nibabel / read_volume", nibabel / nifti, ""),
    ]
    worker, prepare, entry = results["worker"], results["prepare"], results["entry"]
    lines = [
        "# Reading superpatches",
        "",
        f"{results['date']}, {results['machine']}, one thread, warm page cache, "
        + ", ".join(f"{name} {version}" for name, version in results["packages"].items())
        + f". What is compared took turns. The load of the machine's cores was {results['load'][0]:.1f} before and "
        f"{results['load'][1]:.1f} after the run.",
        "",
        f"    {results['command']}",
        "",
        f"Scan: phantom, {' x '.join(map(str, results['shape']))} voxels with noise; "
        f"{results['raw_bytes'] / mib:.0f} MiB as int16, {results['nifti_bytes'] / mib:.0f} MiB as .nii.gz, "
        f"{entry['bytes'] / mib:.0f} MiB in {entry['files']} files "
        "as an entry with body mask.",
        "",
        "| what | median, ms | best, ms |",
        "|---|---|---|",
        *(f"| {text} | {ms[name]:.1f} | {best[name]:.1f} |" for name, text in what.items()),
        "",
        "| ratio of medians | found | wanted |",
        "|---|---|---|",
        *(f"| {name} | {found:.1f} | {wanted} |" for name, found, wanted in peers),
        "",
        "Memory that a data loader's worker has for itself while it loads superpatches of 40 entries: "
        f"{worker['most_mib']:.0f} MiB at most, {worker['first_mib']:.0f} MiB after the first sample (wanted: below 500). "
        "Code and imported packages are shared with the main process.",
        "",
        f"Memory that preparing the scan adds to a worker of `prepare` at its peak: {prepare['added_mib']:.0f} MiB, "
        f"{prepare['added_mib'] * mib / results['raw_bytes']:.2f} times the raw int16 volume (wanted: at most 3), over the "
        f"{prepare['before_mib']:.0f} MiB of the interpreter and the imported packages.",
        "",
        "## Chunks and codecs",
        "",
        f"The voxels below a superpatch read, and the whole scan written. Chosen: {results['chosen']}. Smaller chunks cost more "
        "calls, larger ones decompress more than is wanted; lz4 reads faster and takes more space. blosc2's b2nd, which "
        "decompresses parts of chunks, is here for comparison: it is no Zarr, so the viewers of OME-NGFF could not open it.",
        "",
        "| format | MiB | read, ms (median) | write, s (once) |",
        "|---|---|---|---|",
        *(f"| {r['format']} | {r['bytes'] / mib:.1f} | {r['read_ms']:.1f} | {r['write_s']:.1f} |" for r in results["formats"]),
        "",
    ]
    return "\n".join(lines)
