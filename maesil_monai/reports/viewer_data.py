"""The superpatches inside the page, for the viewer: whole HU, differenced, deflated, as base64.

Of a reconstruction only the hidden voxels are kept; the others are the original's.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from jinja2.utils import htmlsafe_json_dumps

from maesil_monai.reports.case import Case
from maesil_monai.reports.slices import DIFFERENCE_COLOURS, PLANES, WINDOWS

# HU between neighbouring values: the first that lets everything fit is taken. 2 is finer than a grey of the soft-tissue window.
STEPS_HU = (1, 2, 4, 8)
MAX_CHARACTERS = 9_000_000


def pack(levels: np.ndarray) -> str:
    """Packs whole numbers so that a browser unpacks them with ``DecompressionStream`` and a running sum.

    Args:
        levels: whole numbers of 0 to 65535, any shape.

    Returns:
        base64 of zlib of the low bytes, then the high bytes, of the differences of neighbours (modulo 65536).
    """
    flat = levels.reshape(-1).astype(np.uint16)
    apart = np.diff(flat, prepend=np.uint16(0))  # wraps round
    planes = np.concatenate([apart & 255, apart >> 8]).astype(np.uint8)
    return base64.b64encode(zlib.compress(planes.tobytes())).decode("ascii")


def viewer_data(cases: Sequence[Case], window_hu: tuple[float, float], max_characters: int = MAX_CHARACTERS) -> str:
    """Writes the elements that ``viewer.js`` reads: an index as JSON and one element per volume.

    Args:
        cases: what to show. Cases at the end are left out where even the coarsest step makes the page too large.
        window_hu: the HU of 0 and 1.
        max_characters: how many characters of volumes the page may hold; the first case is always kept.

    Returns:
        HTML of ``script`` elements that are data.
    """
    for step in STEPS_HU:
        volumes = [_volumes(case, window_hu[0], step) for case in cases]
        sizes = list(accumulate(sum(map(len, of_case)) for of_case in volumes))
        if sizes[-1] <= max_characters:
            break
    kept = max(1, sum(size <= max_characters for size in sizes))
    index: dict[str, Any] = {
        "step": step,
        "start": window_hu[0],
        "left_out": len(cases) - kept,
        "cases": [_entry(case) for case in cases[:kept]],
        "windows": [[f"{name.replace('_', '-')} window", *window] for name, window in WINDOWS.items()]
        + [["full range", window_hu[1] - window_hu[0], (window_hu[0] + window_hu[1]) / 2]],
        "planes": [[name, axis, letters] for name, axis, letters in PLANES],
        "stops": DIFFERENCE_COLOURS,
    }
    parts = [f'<script type="application/json" id="viewer-index">{htmlsafe_json_dumps(index)}</script>']
    for number, of_case in enumerate(volumes[:kept]):
        parts += [
            f'<script type="text/plain" id="volume-{number}-{place}">{packed}</script>' for place, packed in enumerate(of_case)
        ]
    return "\n".join(parts)


def _volumes(case: Case, start_hu: float, step: int) -> list[str]:
    """Packs the original, then the hidden voxels of every reconstruction."""
    hidden = case.hidden_voxels
    volumes = [case.original, *(made[hidden] for made in case.reconstructions.values())]
    return [pack(np.rint((volume - start_hu) / step)) for volume in volumes]


def _entry(case: Case) -> dict[str, Any]:
    return {
        "name": f"{case.dataset}, {case.name}",
        "shape": list(case.original.shape),
        "grid": list(case.hidden.shape),
        "hidden": base64.b64encode(np.packbits(case.hidden.reshape(-1)).tobytes()).decode("ascii"),
        "spacing": list(case.spacing_mm),
        "center": list(case.center),
        "models": list(case.reconstructions),
    }
