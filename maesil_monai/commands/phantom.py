"""``phantom``: made-up scans in the layouts of three collections."""

from __future__ import annotations

from maesil_monai.phantom.layouts import LayoutSize, write_layouts


def phantom(output: str, num_scans: int = 4, seed: int = 0, size: LayoutSize = "tiny") -> None:
    """Writes small made-up collections in the three layouts: OUTPUT/btcv, OUTPUT/lidc (DICOM), OUTPUT/totalsegmentator.

    Args:
        output: folder, made if need be.
        num_scans: scans in each collection.
        seed: of the drawing.
        size: tiny or small.
    """
    write_layouts(str(output), num_scans=num_scans, seed=seed, size=size)
    print(f"Wrote {output}/btcv, {output}/lidc and {output}/totalsegmentator.")
