"""Overlapping windows: where they lie and what is hidden in them.

The mask of a volume is fixed once, as patches of the plain grid. A window may lie anywhere; a patch of its own grid is hidden
if it touches a hidden patch of the plain grid, so no window shows a hidden voxel to the network.

Windows are moved along one axis at a time. A window then sees the masks of two superpatches; moved along all three it sees
pieces of eight, a pattern that no network was trained on: on held-out CT the blend of all (2n - 1)^3 windows half a window
apart was worse than that of these n^3 + 3 n^2 (n - 1).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Triple


class Window(NamedTuple):
    """A superpatch at any place."""

    start: Triple  # its first voxel
    draw: int  # which of the volume's masks it is under
    hidden: torch.Tensor  # bool (gi, gj, gk), patches of its own grid


def overlap_shifts(token_grid: Triple, patch_size: Triple, overlap: float, shift_patches: bool = False) -> list[Triple]:
    """Chooses by how many voxels the tilings of a volume are moved against the plain one, which comes first.

    Args:
        token_grid: patches per axis of a window.
        patch_size: voxels per patch.
        overlap: share of a window that the next one covers too: 0, 1/2, 2/3, 3/4 and so on; shifts are whole patches.
        shift_patches: moves by half a patch more, along all axes, so that the patches' borders do not meet either.

    Raises:
        ValueError: for another overlap.

    Example:
        >>> overlap_shifts((16, 16, 16), (8, 8, 8), 0.5)
        [(0, 0, 0), (64, 0, 0), (0, 64, 0), (0, 0, 64)]
        >>> overlap_shifts((16, 16, 16), (8, 8, 8), 0.5, shift_patches=True)
        [(0, 0, 0), (68, 4, 4), (4, 68, 4), (4, 4, 68)]
    """
    steps = round(1.0 / (1.0 - overlap)) if 0.0 <= overlap < 1.0 else 0
    if steps < 1 or abs(overlap - (1.0 - 1.0 / steps)) > 0.01:
        raise BadSetting(f"overlap={overlap}: expected 0 (none), 0.5, 0.67, 0.75 or another 1 - 1/n with a whole number n.")
    shifts = [(0, 0, 0)]
    for step, axis in itertools.product(range(1, steps), range(3)):
        shift = [size // 2 if shift_patches else 0 for size in patch_size]
        shift[axis] += step * token_grid[axis] // steps * patch_size[axis]
        shifts.append((shift[0], shift[1], shift[2]))
    return shifts


def window_starts(volume_shape: Sequence[int], superpatch_size: Triple, shift: Triple) -> list[Triple]:
    """Places the windows of the plain tiling, moved by a shift.

    A window that would stick out of the volume by less than half of its size is moved back into it, others are left out.

    Args:
        volume_shape, superpatch_size: voxels of the volume and of a window, which tiles it.
        shift: voxels per axis, from 0 to below ``superpatch_size``.

    Example:
        >>> window_starts((64, 32, 32), (32, 32, 32), (16, 0, 0)), window_starts((64, 32, 32), (32, 32, 32), (4, 0, 0))
        ([(16, 0, 0)], [(4, 0, 0), (32, 0, 0)])
    """
    along = []
    for first, size, window in zip(shift, volume_shape, superpatch_size, strict=True):
        last = size - window
        along.append([min(start, last) for start in range(first, size, window) if 2 * (start - last) < window])
    return [(i, j, k) for i, j, k in itertools.product(*along)]


def place_windows(
    masks: torch.Tensor,
    shifts: Sequence[Triple],
    token_grid: Triple,
    patch_size: Triple,
    sees_all: bool = False,
    hidden_only: bool = True,
) -> list[Window]:
    """Places the windows of all shifts under every mask.

    Args:
        masks: bool, shape (M, Gi, Gj, Gk), the hidden patches of the volume's plain grid in each draw.
        shifts: see :func:`overlap_shifts`.
        token_grid: patches per axis of a window.
        patch_size: voxels per patch.
        sees_all: keeps windows in which nothing is visible, for networks that see the whole input.
        hidden_only: leaves out windows in which nothing is hidden.

    Returns:
        The windows, without repetitions. Those of the plain tiling are always among them, for a mask rule leaves something
        visible in each: every hidden voxel is predicted at least once.
    """
    size, shape = _times(token_grid, patch_size), _times(masks.shape[1:], patch_size)
    starts = dict.fromkeys(start for shift in shifts for start in window_starts(shape, size, shift))
    windows = []
    for draw, start in itertools.product(range(len(masks)), starts):
        hidden = patches_touched(masks[draw], start, token_grid, patch_size)
        if (sees_all or not hidden.all()) and (hidden.any() or not hidden_only):
            windows.append(Window(start, draw, hidden))
    return windows


def patches_touched(marked: torch.Tensor, start: Triple, token_grid: Triple, patch_size: Triple) -> torch.Tensor:
    """Marks the patches of a window that touch a marked patch of the plain grid.

    Args:
        marked: bool, shape (Gi, Gj, Gk), patches of the whole volume.
        start: the window's first voxel.
        token_grid: patches per axis of the window.
        patch_size: voxels per patch.

    Returns:
        bool, shape ``token_grid``.

    Example:
        >>> marked = torch.tensor([False, False, True, False]).view(4, 1, 1)
        >>> [patches_touched(marked, (x, 0, 0), (2, 1, 1), (8, 8, 8)).flatten().tolist() for x in (0, 4, 16)]
        [[False, False], [False, True], [True, False]]
    """
    touched = marked
    for axis in range(3):
        first, inside = divmod(start[axis], patch_size[axis])
        lower = touched.narrow(axis, first, token_grid[axis])
        touched = lower | touched.narrow(axis, first + 1, token_grid[axis]) if inside else lower
    return touched


def _times(counts: Sequence[int], size: Triple) -> Triple:
    return counts[0] * size[0], counts[1] * size[1], counts[2] * size[2]
