"""The chest of the phantom: lungs on their diaphragm, airways and lung vessels, heart, and what lies between the lungs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from maesil_monai.phantom.body import LABELS, Body, Waves, mottled
from maesil_monai.phantom.painted_shapes import Distance, Points, Solid, Tissue, Tubes, chain, ellipsoid, joined, smooth_path
from maesil_monai.phantom.vessels import Phase, grow_tree, tree

SIDES = (("lung_right", 1.0), ("lung_left", -1.0))


class Chest:
    """The chest of one body.

    Args:
        body: whose cavity the lungs fill.
        phase: HU of blood.
    """

    def __init__(self, rng: np.random.Generator, body: Body, phase: Phase) -> None:
        self.body = body
        self.phase = phase
        breath = rng.uniform(-18, 24)
        self.domes = {1.0: breath + 8 + rng.normal(0, 4), -1.0: breath - 6 + rng.normal(0, 5)}
        self.central = breath - 16
        self.heart_size = float(np.clip(rng.normal(1.0, 0.1), 0.8, 1.25))
        self.aeration_hu = float(rng.uniform(-880, -790) - breath)
        self.rng = rng

    def above_diaphragm(self, points: Points) -> np.ndarray:
        """Gives the height over the diaphragm, mm, negative below it."""
        x, y = points.x, points.y
        middle = self.central - ((x / 60) ** 2 + ((y - 28) / 62) ** 2) * 42
        domes = [top - (((x - side * 70) / 74) ** 2 + ((y - 10) / 82) ** 2) * 62 for side, top in self.domes.items()]
        return points.z - np.maximum(middle, np.maximum(domes[0], domes[1]))

    def lung(self, side: float) -> Distance:
        """Gives the distance to the lung of one side (1 right, -1 left)."""

        def distance(points: Points) -> np.ndarray:
            # The lungs meet in front of and behind the mediastinum and leave it wide at the hilum.
            hilum = 16 * np.exp(-(((points.z - 85) / 70) ** 2) - ((points.y - 2) / 34) ** 2)
            apart = 9 + hilum - side * points.x
            return joined(self.body.cavity.distance(points) + 4, -self.above_diaphragm(points) + 3, apart, blend_mm=9.0)

        return distance

    def solids(self) -> list[Solid | Tubes]:
        """Gives the organs of the chest in painting order."""
        windpipe, branches = self._airways()
        return [*self._lungs(), *branches, *self._mediastinum(), *self._heart(), *windpipe]

    def _leaves(self, side: float, count: int, depth_mm: float) -> np.ndarray:
        """Draws places inside a lung at least ``depth_mm`` under its surface, shape (about count, 3)."""
        sprinkled = self.rng.uniform((0, -95, -70), (140, 100, 235), (count * 6, 3)).astype(np.float32)
        sprinkled[:, 0] *= side
        inside = self.lung(side)(Points(*sprinkled.T)) < -depth_mm
        return sprinkled[inside][:count].astype(float)

    def _lungs(self) -> list[Solid | Tubes]:
        rng = self.rng
        parts: list[Solid | Tubes] = []
        coarse, fine = Waves(rng, 70.0), Waves(rng, 14.0)
        emphysema = rng.uniform(0, 1) ** 3 * 60

        def air(points: Points) -> np.ndarray:
            # The back of a lung hangs low in a patient on the table: denser.
            patches = coarse.at(points)
            hanging = np.float32(-0.45) * points.y + 12 * patches + 10 * fine.at(points)
            return np.float32(self.aeration_hu) + hanging - np.float32(emphysema) * np.clip(patches, 0, 2)

        for name, side in SIDES:
            low, high = ((0, -110, -95), (150, 115, 245)) if side > 0 else ((-150, -110, -95), (0, 115, 245))
            parts.append(Solid(low, high, self.lung(side), air, LABELS[name]))
            if side > 0 and rng.random() < 0.12:
                parts.append(self._effusion(low, high, float(rng.uniform(-70, -35))))
            parts += self._lung_vessels(side)
            if rng.random() < 0.25:
                for center in self._leaves(side, int(rng.integers(1, 4)), 12.0):
                    parts.append(ellipsoid(center, rng.uniform(3.5, 11, 3), mottled(35.0, 15.0, fine), LABELS["lung_nodule"]))
        return parts

    def _effusion(self, low: Sequence[float], high: Sequence[float], level_mm: float) -> Solid:
        """Gives water in the right pleura: it gathers at the back, below a level."""
        lung = self.lung(1.0)
        return Solid(low, high, lambda points: joined(lung(points), points.y - level_mm, blend_mm=4.0), 12.0, LABELS["body"])

    def _lung_vessels(self, side: float) -> list[Tubes]:
        hu, label = self.phase.lung_vessels, LABELS["lung_vessels"]
        arterial = tree(self.rng, (side * 30, 2, 88), self._leaves(side, 230, 3.0), 8.5, hu, label)
        venous = tree(self.rng, (side * 28, -6, 66), self._leaves(side, 160, 3.0), 7.5, hu - 0.15 * (hu - 40), label)
        return arterial + venous

    def _airways(self) -> tuple[list[Tubes], list[Tubes]]:
        """Gives windpipe with main bronchi, and the branches inside the lungs."""
        rng = self.rng
        fork = np.array([2.0, -8.0, 112 + rng.normal(0, 5)])
        windpipe = smooth_path([(0, 6, 320), (0, 4, 230), (2, -2, 165), fork])
        stems, branches = [chain(windpipe, float(rng.uniform(8, 10.5)), 0.0, None)], []
        for _, side in SIDES:
            stem = np.array([side * 34, -6, 86 if side < 0 else 92])
            stems.append(chain(smooth_path([fork, (fork + stem) / 2 + (0, 1, 2), stem]), 6.2, 0.0, None))
            leaves = self._leaves(side, 26, 14.0)
            if len(leaves):
                branches.append(Tubes(*grow_tree(rng, stem, leaves, 5.0, 0.9, generations=5), 0.0, None))
        return _hollow(stems), _hollow(branches)

    def _mediastinum(self) -> list[Solid | Tubes]:
        body, rng = LABELS["body"], self.rng
        fat: Tissue = mottled(self.body.fat_hu + 12, 14.0, Waves(rng, 22.0))
        parts: list[Solid | Tubes] = [
            ellipsoid((0, -2, 105), (31, 40, 78), fat, body),
            ellipsoid((0, -14, 20), (22, 40, 80), fat, body),
            chain(smooth_path([(0, -6, 240), (-6, -22, 120), (-6, -30, 40), (-18, -8, -10), (-30, 0, -18)]), 7.0, 42.0, body),
        ]
        for _ in range(int(rng.integers(5, 11))):
            spot = rng.uniform((-26, -24, 70), (26, 26, 150))
            parts.append(ellipsoid(spot, rng.uniform(2.5, 6.0, 3), 45.0, body))
        thyroid = 110.0 if self.phase.arteries < 60 else 165.0
        parts += [ellipsoid((side * 17, 6, 236), (9, 10, 22), thyroid, body) for side in (1, -1)]

        def sheet(points: Points) -> np.ndarray:
            return joined(np.abs(self.above_diaphragm(points) + 1) - 2.2, self.body.cavity.distance(points))

        return [*parts, Solid((-145, -110, -110), (145, 115, 45), sheet, 52.0, LABELS["muscle"])]

    def _heart(self) -> list[Solid | Tubes]:
        rng, phase, size, label = self.rng, self.phase, self.heart_size, LABELS["heart"]
        seat = np.array([-20.0, 26.0, self.central + 37 * size])
        turn = Rotation.from_euler("zyx", (rng.normal(32, 6), rng.normal(-22, 5), rng.normal(8, 5)), degrees=True).as_matrix()
        fat: Tissue = self.body.fat_hu + 15
        blood = phase.veins * 0.4 + phase.lung_vessels * 0.6

        def place(x: float, y: float, z: float) -> np.ndarray:
            return seat + turn @ (np.array([x, y, z]) * size)

        # Own axes: x from the tip (negative) to the base, y to the right chambers in front.
        chambers = [
            (place(0, 0, 0), (70, 46, 50), fat),
            (place(-8, -8, 0), (56, 33, 38), phase.myocardium),
            (place(-6, 20, 0), (52, 22, 36), phase.myocardium),
            (place(-4, 23, 1), (47, 17, 31), blood),
            (place(-8, -10, 0), (44, 22, 27), phase.arteries),
            (place(44, 22, 4), (26, 24, 30), blood),
            (place(44, -22, 14), (24, 20, 28), 0.2 * blood + 0.8 * phase.arteries),
        ]
        parts: list[Solid | Tubes] = [ellipsoid(c, np.array(r) * size, hu, label, turn) for c, r, hu in chambers]
        trunk = [place(0, 36, 34), (-22, 34, 84), (-18, 18, 102)]
        for side in (1.0, -1.0):
            path = smooth_path([*trunk, (side * 8 - 6, 4, 104), (side * 30, 2, 88)])
            parts.append(chain(path, np.linspace(13, 8.5, len(path)), phase.lung_vessels, LABELS["lung_vessels"]))
        return parts


def _hollow(pieces: list[Tubes]) -> list[Tubes]:
    """Gives airways: first all walls, then the air in all of them, so that no wall closes a fork."""
    walls = [Tubes(p.ends, p.radii + np.maximum(0.22 * p.radii, 0.7), 30.0, LABELS["body"]) for p in pieces]
    return [*walls, *(Tubes(p.ends, p.radii, -985.0, LABELS["airways"]) for p in pieces)]
