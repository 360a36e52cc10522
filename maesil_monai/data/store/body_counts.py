"""How much body lies in a box, in constant time: counts of 8 x 8 x 8 blocks, summed up once."""

from __future__ import annotations

import numpy as np

from maesil_monai.geometry import Box, Triple

BLOCK = 8


def count_blocks(mask: np.ndarray) -> np.ndarray:
    """Counts the True voxels of each block.

    Args:
        mask: bool, shape (D, H, W).

    Returns:
        uint16, shape (ceil(D/8), ceil(H/8), ceil(W/8)), 0 to 512; blocks at the end of an axis may be smaller.

    Example:
        >>> count_blocks(np.ones((8, 8, 9), dtype=bool)).tolist()
        [[[512, 64]]]
    """
    counts = mask.view(np.uint8)
    # S-I last: the first sum is the largest, and uint16 holds all three.
    for axis in (2, 1, 0):
        counts = np.add.reduceat(counts, np.arange(0, mask.shape[axis], BLOCK), axis=axis, dtype=np.uint16)
    return counts


class BodyCounts:
    """Sums of block counts over boxes.

    A box whose edges are multiples of 8, or the volume's ends, is counted exactly. Of a block that a box cuts, the box gets the
    count in proportion to the voxels: a block of n voxels, c of them True, of which v lie in the box, is then wrong by at most
    ``min(c, n - c, v, n - v)`` and never by more than n / 4. So only blocks at the surface of body and box count: where the
    body's surface does not meet the box's, the count is exact.

    Args:
        counts: of :func:`count_blocks`.
        shape: voxels per axis of the mask.

    Example:
        >>> counts = BodyCounts(count_blocks(np.ones((16, 16, 20), dtype=bool)), (16, 16, 20))
        >>> counts.count(((0, 0, 3), (8, 8, 20)))
        1088.0
    """

    def __init__(self, counts: np.ndarray, shape: Triple) -> None:
        self.shape = shape
        self._sums = np.zeros([n + 1 for n in counts.shape], dtype=np.uint32)
        sums = counts.cumsum(0, dtype=np.uint32).cumsum(1, dtype=np.uint32)
        np.cumsum(sums, axis=2, dtype=np.uint32, out=self._sums[1:, 1:, 1:])

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self._sums.nbytes

    def count(self, box: Box) -> float:
        """Gives the number of True voxels in a box that lies inside the volume; see the class for how exact it is."""
        # An edge inside a block lies between two planes of the sums: four planes per axis, signed and weighted.
        planes, weights = [], []
        for start, stop, size in zip(*box, self.shape, strict=True):
            (a, b), (c, d) = (self._edge(place, size) for place in (start, stop))
            planes.append([a, a + (b > 0), c, c + (d > 0)])
            weights.append([b - 1.0, -b, 1.0 - d, d])
        corner = self._sums[np.ix_(*planes)].astype(np.float64)
        for weight in reversed(weights):
            corner = corner @ np.array(weight)
        return float(corner)

    @staticmethod
    def _edge(place: int, size: int) -> tuple[int, float]:
        """Gives the block an edge lies in and how far in, as a share of the block."""
        block = place // BLOCK
        rest = place - block * BLOCK
        return block, rest / min(BLOCK, size - block * BLOCK) if rest else 0.0
