"""The bones of the phantom: spine with discs and canal, ribs, sternum, shoulder girdle, pelvis and hips.

Bones are a dense shell (cortical, 700 to 1200 HU) around marrow (cancellous, 120 to 350 HU, less with age).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maesil_monai.phantom.body import LABELS, Body, Waves, mottled
from maesil_monai.phantom.painted_shapes import (
    CEILING_MM,
    FLOOR_MM,
    STEPS_PER_MM,
    Distance,
    Points,
    Profile,
    Solid,
    Tissue,
    Tubes,
    chain,
    ellipsoid,
    joined,
    levels_of,
    smooth_path,
)

NUM_THORACIC, NUM_LUMBAR = 12, 5


class Skeleton:
    """The bones of one body.

    Args:
        body: whose contours the ribs and hips follow.
    """

    def __init__(self, rng: np.random.Generator, body: Body) -> None:
        self.body = body
        self.marrow_hu = float(rng.uniform(120, 330))
        self.cortex_hu = float(rng.uniform(750, 1150))
        self.marrow: Tissue = mottled(self.marrow_hu, 25.0, Waves(rng, 18.0))
        heights = np.concatenate([np.linspace(24.5, 27.0, NUM_THORACIC), np.linspace(32.0, 35.0, NUM_LUMBAR)])
        heights *= rng.normal(1.0, 0.02)
        self.bottoms = 258.0 - np.cumsum(heights)
        self.tops = self.bottoms + heights
        bend = rng.normal(0, 1.0, 4) * (3.0, 3.0, 4.0, 3.0)
        lordosis, kyphosis = rng.uniform(2, 18), rng.uniform(0, 12)
        self.spine_y = Profile(
            (-340, -290, -250, -205, -130, -40, 40, 110, 190, 260),
            np.array([-54, -68, -68, -52, -48, -50, -53, -54, -46, -32])
            + np.array([0, 0, -0.4, 0.3, 1, 0.2, 0, 0, 0, 0]) * lordosis
            - np.array([0, 0, 0, 0, 0, 0, 0.6, 1, 0.3, 0]) * kyphosis,
        )
        self.spine_x = Profile((-300, -120, 40, 140, 260), np.array([0, *bend]))
        self.vertebra_x = Profile((-220, -120, -40, 60, 200, 260), (27, 25, 21, 17, 14.5, 14))
        self.vertebra_y = Profile((-220, -120, -40, 60, 200, 260), (18.5, 18, 16.5, 14.5, 10.5, 9.5))
        self._fill_levels()

    def _fill_levels(self) -> None:
        """Tabulates along z the distance to the bony part of the nearest vertebra, for the body and for its processes."""
        z = np.arange(int((CEILING_MM - FLOOR_MM) * STEPS_PER_MM) + 1) / STEPS_PER_MM + FLOOR_MM
        height = self.tops - self.bottoms
        disc = np.interp(height, (24, 36), (3.5, 9.0))
        middle = (self.tops + self.bottoms) / 2
        away = np.abs(z[:, None] - middle)
        self.to_bone = (away - (height - disc) / 2).min(1).astype(np.float32)
        self.to_process = (np.abs(z[:, None] - (middle - 0.1 * height)) - 0.33 * height).min(1).astype(np.float32)

    def solids(self) -> list[Solid | Tubes]:
        """Gives all bones in painting order."""
        return [*self._ribs(), *self._shoulders(), *self._pelvis(), *self._spine()]

    def _shelled(
        self, low: Sequence[float], high: Sequence[float], distance: Distance, label: int, shell_mm: float
    ) -> list[Solid]:
        """Gives a bone as a dense shell round marrow, inside the skin whatever the build."""

        def covered(points: Points) -> np.ndarray:
            return joined(distance(points), self.body.skin.distance(points) + self.body.furrow(points) + 7)

        return [Solid(low, high, covered, self.cortex_hu, label, [(shell_mm, self.marrow)])]

    def _spine(self) -> list[Solid]:
        low, high = (-60.0, -175.0, -212.0), (60.0, 5.0, 256.0)
        label = LABELS["vertebrae"]

        def local(points: Points) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            depth = self.vertebra_y.at(points.z)
            return points.x - self.spine_x.at(points.z), points.y - self.spine_y.at(points.z), depth

        def column(points: Points) -> np.ndarray:
            x, y, depth = local(points)
            return (np.sqrt((x / self.vertebra_x.at(points.z)) ** 2 + (y / depth) ** 2) - 1) * depth

        def vertebra(points: Points) -> np.ndarray:
            to_bone = self.to_bone[levels_of(points.z)]
            waist = np.clip(-to_bone * np.float32(0.18), 0, 2)
            return joined(column(points) + waist, to_bone, blend_mm=2.0)

        def ring(points: Points) -> np.ndarray:
            x, y, depth = local(points)
            radius = np.sqrt(x * x + ((y + depth + 8) * 1.1) ** 2)
            arch = joined(radius - 15, 9 - radius)
            return joined(arch, self.to_process[levels_of(points.z)], blend_mm=3.0)

        def spine_process(points: Points) -> np.ndarray:
            x, y, depth = local(points)
            behind = -(y + depth + 14)
            level = self.to_process[levels_of(points.z + np.float32(0.55) * np.clip(behind, 0, 40))]
            return joined(np.abs(x) - 4, -behind, behind - 24 - np.float32(0.3) * depth, level + 2, blend_mm=3.0)

        def side_process(points: Points) -> np.ndarray:
            x, y, depth = local(points)
            level = self.to_process[levels_of(points.z)]
            lean = np.abs(y + depth + 3 + np.float32(0.25) * np.abs(x)) - 4.5
            return joined(np.abs(x) - 36, 11 - np.abs(x), lean, level + 3, blend_mm=3.0)

        def canal(points: Points) -> np.ndarray:
            x, y, depth = local(points)
            return np.sqrt(x * x + ((y + depth + 8) * 1.15) ** 2) - 9

        parts = [Solid(low, high, lambda p: joined(column(p) + 1.5, p.z - 250), 85.0, label)]
        for process in (side_process, spine_process, ring):
            parts += self._shelled(low, high, process, label, 2.5)
        parts += self._shelled(low, high, vertebra, label, 1.8)
        return [*parts, Solid(low, high, canal, 28.0, LABELS["spinal_canal"])]

    def _ribs(self) -> list[Solid | Tubes]:
        label = LABELS["ribs_and_sternum"]
        bones, gristle = [], []
        for number in range(1, NUM_THORACIC + 1):
            head = float(self.tops[number - 1]) - 4
            reach = np.interp(number, (1, 7, 8, 10, 11, 12), (2.35, 2.35, 2.1, 1.85, 1.35, 0.95))
            drop = np.interp(number, (1, 3, 7, 10, 12), (32, 52, 88, 92, 60))
            turn = np.linspace(0.22, reach, 22)
            z = head + 4 - drop * (1 - np.cos(turn)) / (1 - np.cos(2.35))
            for side in (1, -1):
                arc = self.body.cavity.place(z, -np.pi / 2 + side * turn, 6.5)
                start = (side * 16.0 + self.spine_x.at(head), self.spine_y.at(head) - 14, head)
                bones.append(smooth_path([start, *arc], 9.0))
                if number <= 8:
                    tip = arc[-1]
                    level = max(float(tip[2]) + 6 + 3 * number, 56.0)
                    gristle.append(
                        smooth_path(
                            [tip, (tip[0] * 0.6, tip[1] + 4, (tip[2] + level) / 2), (side * 14.0, *self._front(level))], 9.0
                        )
                    )
        shells = [chain(path, 4.6, self.cortex_hu * 0.85, label, 1.6) for path in bones]
        marrow = [chain(path, 2.6, self.marrow_hu, label, 1.6) for path in bones]
        soft = [chain(path, 4.5, 105.0, label, 1.4) for path in gristle]
        return [*soft, *shells, *marrow, *self._sternum(label)]

    def _front(self, z: float) -> tuple[float, float]:
        """Gives (y, z) of the sternum's middle at a height."""
        return float(self.body.cavity.place(z, np.pi / 2, 8.0)[1]), z

    def _sternum(self, label: int) -> list[Solid]:
        def distance(points: Points) -> np.ndarray:
            middle = (
                self.body.cavity.middle_y.at(points.z) + self.body.cavity.half_y.at(points.z) * (1 - self.body.cavity.square) + 8
            )
            half = np.interp(points.z, (50, 140, 172), (15.0, 13.0, 26.0)).astype(np.float32)
            return joined(np.abs(points.x) - half, np.abs(points.y - middle) - 6, 52 - points.z, points.z - 172, blend_mm=4.0)

        return self._shelled((-40, 0, 48), (40, 140, 176), distance, label, 1.6)

    def _shoulders(self) -> list[Solid | Tubes]:
        label = LABELS["girdle_bones"]
        parts: list[Solid | Tubes] = []
        for side in (1.0, -1.0):

            def blade(points: Points, side: float = side) -> np.ndarray:
                sheet = np.abs(self.body.cavity.distance(points) - 21) - 2.6
                height = (points.z - 70) / 125
                outer = side * points.x - (105 + 50 * height)
                return joined(sheet, 70 - points.z, points.z - 195, 62 - side * points.x, outer, points.y + 18, blend_mm=4.0)

            low, high = sorted((side * 55.0, side * 185.0))
            parts.append(Solid((low, -150, 66), (high, 0, 200), blade, self.cortex_hu * 0.75, label))
            front = self.body.cavity.place(168.0, np.pi / 2, 10.0)
            collar = smooth_path([(side * 24, front[1], 170), (side * 70, front[1] - 14, 188), (side * 140, -8, 214)], 7.0)
            arm = np.array([(side * 158, -14, 212), (side * 172, 2, 330)])
            for shrink, hu in ((0.0, self.cortex_hu), (2.2, self.marrow_hu)):
                parts.append(chain(collar, 6.0 - shrink, hu, label))
                parts.append(chain(arm, np.array([21.0, 12.0]) - shrink, hu, label))
        return parts

    def _pelvis(self) -> list[Solid | Tubes]:
        label = LABELS["girdle_bones"]
        wide = float(self.body.cavity.half_x.at(-210.0)) / 112

        def wing(points: Points) -> np.ndarray:
            x, y, z = np.abs(points.x) / np.float32(wide), points.y, points.z
            # The wings are part of a bowl, cut by the crest above, open in front and behind.
            bowl = np.sqrt((x / 128) ** 2 + ((y + 5) / 112) ** 2 + ((z + 178) / 150) ** 2)
            sheet = np.abs(bowl - 1) * 118 - (4.0 + 3.0 * np.clip((-y - 20) / 50, 0, 1))
            crest = z + 158 + ((y + 8) / 62) ** 2 * 40
            front = y - 52 + np.clip(-(z + 215), 0, 200) * np.float32(0.55)
            # Only behind, at the sacrum, do the wings come near the midline.
            middle = 82 - x - np.clip(z + 262, 0, 50) * np.clip((-y - 5) / 30, 0, 1)
            return joined(sheet, crest, front, middle, -80 - y, -318 - z, blend_mm=3.0)

        def sacrum(points: Points) -> np.ndarray:
            half = np.interp(points.z, (-322, -300, -240, -205), (5.0, 14.0, 42.0, 56.0)).astype(np.float32)
            deep = np.interp(points.z, (-322, -280, -205), (5.0, 9.0, 21.0)).astype(np.float32)
            y = points.y - self.spine_y.at(points.z) + 6
            around = np.sqrt((points.x / half) ** 2 + (y / deep) ** 2)
            foramen = 5 - np.sqrt((np.abs(points.x) - half * 0.45) ** 2 + (np.mod(points.z, 22) - 11) ** 2)
            return joined((around - 1) * deep, points.z + 206, -320 - points.z, foramen, blend_mm=2.0)

        parts: list[Solid | Tubes] = [*self._shelled((-150, -100, -315), (150, 70, -140), wing, label, 2.2)]
        parts += self._shelled((-62, -130, -324), (62, -20, -200), sacrum, label, 2.0)
        hip = 91.0 * wide
        for shrink, hu in ((0.0, self.cortex_hu), (2.4, self.marrow)):
            for side in (1.0, -1.0):
                socket = (side * hip, 4.0, -296.0)
                paths: list[tuple[list[tuple[float, float, float]], float]] = [
                    ([socket, (side * 58, 38, -305), (side * 14, 52, -322), (side * 10, 50, -332)], 9.0),
                    ([(side * 92, -8, -310), (side * 64, -34, -352), (side * 30, 20, -352), (side * 10, 44, -336)], 9.5),
                ]
                for knots, radius in paths:
                    parts.append(chain(smooth_path(knots, 7.0), radius - shrink, hu, label))
                parts.append(ellipsoid(socket, np.full(3, 33.0 - shrink), hu, label))
        for side in (1.0, -1.0):
            head = np.array([side * (hip + 4), 4.0, -300.0])
            # The gap of the joint is grey, so that the head stands apart from its socket.
            parts.append(ellipsoid(head, np.full(3, 27.0), 70.0, label))
            neck = np.array([head, np.add(head, (side * 38, -8, -32)), np.add(head, (side * 42, -4, -120))])
            for shrink, hu in ((0.0, self.cortex_hu), (2.6, self.marrow)):
                parts.append(chain(neck, np.array([15.0, 19.0, 15.0]) - shrink, hu, label))
                parts.append(ellipsoid(head, np.full(3, 24.5 - shrink), hu, label))
        return parts
