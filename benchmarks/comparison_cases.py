"""Writes who is who in the folder of real CT that the comparison's results are made of, for `prepare --folder --cases`.

    python benchmarks/comparison_cases.py --folder "$MAESIL_CT_DIR" --table cases.csv
    python -m maesil_monai prepare --folder "$MAESIL_CT_DIR" --cases cases.csv --output store --workers 2

Patients of a collection are sorted by name, as strings. Of `openkbp` (48) the last 8 validate, as in the first run, and the 11
before them test, for 3 of these have no superpatch with 5 % body; of `sts` (20) the last 8 test and the 4 before them validate.
Collections of one patient only test: pictures with a number, no claim.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import fire

# Collection: pattern of its volumes, and the patients of each side in the order of their names.
SPLITS = {
    "openkbp": ("openkbp/*/ct.nii.gz", {"train": 29, "test": 11, "val": 8}),
    "sts": ("sts/*/ct.nii.gz", {"train": 8, "val": 4, "test": 8}),
}
SINGLE = {
    "totalsegmentator": "totalsegmentator_example/ct.nii.gz",
    "abdomen": "abdomen_dicom",
    "lidc": "lidc_dicom",
}


def main(folder: str, table: str) -> None:
    """Writes the table; every collection must be there with all of its patients."""
    root = Path(folder)
    rows: list[tuple[str, str, str, str]] = []
    for dataset, (pattern, split) in SPLITS.items():
        files = sorted(root.glob(pattern), key=lambda file: file.parent.name)
        sides = [side for side, count in split.items() for _ in range(count)]
        if len(files) != len(sides):
            sys.exit(f"error: {root / pattern} matches {len(files)} files; expected {len(sides)}.")
        rows += [
            (file.relative_to(root).as_posix(), file.parent.name, dataset, side) for file, side in zip(files, sides, strict=True)
        ]
    for dataset, path in SINGLE.items():
        if not (root / path).exists():
            sys.exit(f"error: {root / path} is missing.")
        rows.append((path, dataset, dataset, "test"))
    with Path(table).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "patient", "dataset", "split"))
        writer.writerows(rows)


if __name__ == "__main__":
    fire.Fire(main)
