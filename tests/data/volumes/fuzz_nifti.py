"""Damages good NIfTI files at random and judges what the reader makes of them.

    python tests/data/volumes/fuzz_nifti.py NUM_MUTATIONS SEED

prints a summary as JSON. It is a program of its own so that its peak of memory is that of the reader.
"""

import gzip
import json
import logging
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np

from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.nifti import read_nifti

SHAPE = (20, 24, 16)
KINDS = (
    "gzip bits",
    "gzip cut",
    "gzip bytes lost",
    "gzip block",
    "header bits",
    "plain cut",
    "header field",
    "header field gzip",
)


def originals():
    """Good files of different kinds: bytes of the plain form, and the class of their header."""
    rng = np.random.default_rng(0)
    hu = rng.normal(-300, 500, SHAPE)
    # Left-handed, oblique, mirrored: as scans come.
    affine = np.array([[0.0, -0.7, 0.01, 90], [-0.7, 0, 0.02, 80], [0.01, 0.02, 2.5, -300], [0, 0, 0, 1]])
    for kind, dtype in (
        (nib.Nifti1Image, np.int16),
        (nib.Nifti2Image, np.int16),
        (nib.Nifti1Image, np.float32),
        (nib.Nifti1Image, np.int32),
    ):
        image = kind(hu.astype(dtype), affine)
        image.set_qform(affine, 1, strip_shears=True)
        yield image.to_bytes(), type(image.header)
    swapped = nib.Nifti1Image(hu.astype(">i2"), affine, nib.Nifti1Header(endianness=">"))
    swapped.header.set_data_dtype(np.int16)
    yield swapped.to_bytes(), nib.Nifti1Header


def mutate(rng, plain, header_class, kind):
    """Gives the bytes of a damaged file and its name's suffix."""
    if kind.startswith("gzip"):
        data = bytearray(gzip.compress(plain, int(rng.integers(1, 10)), mtime=0))
        place = int(rng.integers(len(data)))
        if kind == "gzip bits":
            for _ in range(int(rng.integers(1, 5))):
                data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        elif kind == "gzip cut":
            del data[place:]
        elif kind == "gzip bytes lost":
            del data[place : place + int(rng.integers(1, 100))]
        else:
            end = min(place + int(rng.integers(1, 100)), len(data))
            data[place:end] = rng.bytes(end - place)
        return bytes(data), ".nii.gz"
    data = bytearray(plain)
    size = header_class.template_dtype.itemsize
    if kind == "header bits":
        for _ in range(int(rng.integers(1, 5))):
            data[int(rng.integers(size))] ^= 1 << int(rng.integers(8))
    elif kind == "plain cut":
        del data[int(rng.integers(len(data))) :]
    else:
        header = header_class(bytes(data[:size]), check=False)
        name = str(rng.choice([name for name in header.template_dtype.names if header[name].dtype.kind in "iuf"]))
        field = header._structarr[name]
        index = tuple(int(rng.integers(n)) for n in field.shape)
        field[index] = any_value(rng, field.dtype)
        data[:size] = header.binaryblock
        if kind == "header field gzip":
            return gzip.compress(bytes(data), 1, mtime=0), ".nii.gz"
    return bytes(data), ".nii"


def any_value(rng, dtype):
    """A value that headers hold when they are wrong: any bits, an extreme, a small number."""
    if rng.random() < 0.3:
        return np.frombuffer(rng.bytes(dtype.itemsize), dtype.newbyteorder("="))[0]
    if dtype.kind == "f":
        return rng.choice([np.nan, np.inf, -np.inf, 0.0, -1.0, 1.0, 2.5, 1e-7, 1e30, 352.0, 353.0, 368.0])
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return rng.choice(np.array([low, high, 0, 1, 2, 3, 4, 8, 16, 64, 512, max(low, -1)]).astype(dtype))


def fault_of(source, before, data, suffix, kind):
    """Says what is wrong with an accepted file, or nothing.

    A damaged gzip stream must be the scan as it was, voxels and place. A changed header is a header all the same: there the
    judge is an independent reader of the same bytes (nibabel), or, where that reader refuses, the scan as it was.
    """
    if "cut" in kind:
        return "accepted though cut"
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.io_orientation(source.original_affine))
    voxels = nib.orientations.apply_orientation(source.array, turn)
    if kind.startswith("gzip"):
        same_place = np.array_equal(source.affine, before.affine)
        return "" if same_place and np.array_equal(source.array, before.array) else "another scan than before"
    raw = gzip.decompress(data) if suffix == ".nii.gz" else data
    image_class = nib.Nifti2Image if raw[4:7] == b"n+2" else nib.Nifti1Image
    try:
        with np.errstate(all="ignore"):
            expected = np.asarray(image_class.from_bytes(raw).dataobj, dtype=np.float64).reshape(voxels.shape)
    except (nib.spatialimages.HeaderDataError, nib.spatialimages.ImageDataError, ValueError, OSError, OverflowError):
        expected = nib.orientations.apply_orientation(
            before.array,
            nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.io_orientation(before.original_affine)),
        )
    same = np.allclose(voxels, expected, rtol=1e-6, atol=1e-3)
    return "" if same and np.isfinite(source.affine).all() else "other voxels than an independent reader sees"


def fuzz(num_mutations, seed):
    """Runs the mutations; mutation i is drawn from (seed, i) alone."""
    accepted, refused, faults = Counter(), Counter(), []
    longest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        good = []
        for plain, header_class in originals():
            path = Path(folder) / "good.nii"
            path.write_bytes(plain)
            good.append((plain, header_class, read_nifti(path)))
        # In KiB on Linux. From here on what grows is due to damaged files.
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for index in range(num_mutations):
            rng = np.random.default_rng([seed, index])
            kind = KINDS[index % len(KINDS)]
            plain, header_class, before = good[index // len(KINDS) % len(good)]
            data, suffix = mutate(rng, plain, header_class, kind)
            path = Path(folder) / f"scan{suffix}"
            path.write_bytes(data)
            start = time.process_time()
            try:
                source = read_nifti(path)
            except BadVolume as error:
                refused[error.code] += 1
                source = None
            except Exception as error:
                faults.append(f"{index} ({kind}): {type(error).__name__}: {error}")
                continue
            longest = max(longest, time.process_time() - start)
            if source is not None:
                accepted[kind] += 1
                if fault := fault_of(source, before, data, suffix, kind):
                    faults.append(f"{index} ({kind}): {fault}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base
    return {
        "mutations": num_mutations,
        "seed": seed,
        "accepted": dict(sorted(accepted.items())),
        "refused": dict(refused.most_common()),
        "faults": faults,
        "longest_s": round(longest, 3),
        "memory_growth_mib": round(grown / 1024, 1),
    }


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # nibabel tells of each header that it repairs
    print(json.dumps(fuzz(int(sys.argv[1]), int(sys.argv[2])), indent=1))
