"""The abdomen of the phantom: liver, spleen, kidneys, pancreas, stomach, bowel with gas, bladder, and the deep muscles."""

from __future__ import annotations

import numpy as np

from maesil_monai.phantom.body import LABELS, Body, Waves, mottled
from maesil_monai.phantom.chest import Chest
from maesil_monai.phantom.painted_shapes import Points, Solid, Tissue, Tubes, chain, ellipsoid, joined, smooth_path
from maesil_monai.phantom.vessels import Phase, tree

GAS_HU = -960.0


def with_gas(hu: Tissue, level_mm: float) -> Tissue:
    """Gives a content that is gas above a level: the front is up in a patient on the table."""

    def content(points: Points) -> np.ndarray:
        fluid = hu(points) if callable(hu) else np.float32(hu)
        gas = np.clip((points.y - np.float32(level_mm)) / 3 + 0.5, 0, 1)
        return fluid + gas * (np.float32(GAS_HU) - fluid)

    return content


class Abdomen:
    """The abdomen of one body.

    Args:
        body: whose cavity the organs lie in.
        phase: HU of blood and organs.
        chest: whose diaphragm covers liver, spleen and stomach.
        spine_y: y of the spine's middle at z = -100 and -260 mm.
    """

    def __init__(self, rng: np.random.Generator, body: Body, phase: Phase, chest: Chest, spine_y: np.ndarray) -> None:
        self.rng = rng
        self.body = body
        self.phase = phase
        self.chest = chest
        self.loin, self.pelvis = (float(y) for y in spine_y)
        self.front = float(body.cavity.place(-130.0, np.pi / 2)[1])
        self.flank = float(body.cavity.half_x.at(-130.0))
        self.liver_size = float(np.clip(rng.normal(1.0, 0.13), 0.7, 1.35))
        self.liver_tip = float(rng.uniform(20, 85))

    def solids(self) -> list[Solid | Tubes]:
        """Gives the organs of the abdomen in painting order."""
        return [
            *self._deep_muscles(),
            *self._kidneys(),
            *self._small_bowel(),
            *self._pancreas_and_spleen(),
            *self._stomach(),
            *self._colon(),
            *self._liver(),
            *self._pelvic_organs(),
        ]

    def under_cover(self, points: Points, depth_mm: float = 4.0) -> np.ndarray:
        """Gives the distance to the room under the diaphragm and inside the belly wall."""
        above = self.chest.above_diaphragm(points)
        return joined(self.body.cavity.distance(points) + np.float32(depth_mm), above + np.float32(depth_mm), blend_mm=8.0)

    def _behind_the_wall(self, path: np.ndarray, radii: np.ndarray) -> np.ndarray:
        """Moves a gut's path, shape (P, 3), back where it would press through the front wall of the belly."""
        cavity = self.body.cavity
        across = np.clip(np.abs(path[:, 0]) / cavity.half_x.at(path[:, 2]), 0, 0.95)
        wall = cavity.middle_y.at(path[:, 2]) + cavity.half_y.at(path[:, 2]) * np.sqrt(1 - across**2)
        return np.stack([path[:, 0], np.minimum(path[:, 1], wall - radii - 2), path[:, 2]], 1)

    def _deep_muscles(self) -> list[Tubes]:
        hu, label, parts = self.body.muscle_hu, LABELS["muscle"], []
        girth = self.rng.normal(1.0, 0.12)
        for side in (1.0, -1.0):
            psoas = smooth_path(
                [(side * 26, self.loin - 2, -50), (side * 42, self.loin, -130), (side * 62, 0, -220), (side * 84, 24, -290)]
            )
            bulge = np.interp(psoas[:, 2], (-300, -200, -130, -50), (13, 20, 17, 6)) * girth
            parts.append(chain(psoas, bulge, hu, label))
            loin = smooth_path([(side * 60, self.loin - 14, -60), (side * 66, self.loin - 8, -150)])
            parts.append(chain(loin, 13.0 * girth, hu, label))
            for x, wide in ((38, (14, 23, 6)), (18, (10, 15, 4))):
                z = np.linspace(-235, -30, 18)
                thick = np.interp(z, (-235, -110, -30), wide) * girth
                # They fill the back from the wall inwards, however thin the person is.
                rear = self.body.muscle.place(z, -np.pi / 2)[:, 1] + self.body.cleft.at(z) + thick
                parts.append(chain(np.stack([np.full(18, side * x), rear, z], 1), thick, hu, label))
            inner = smooth_path([(side * 62, -62, -250), (side * 58, -20, -300), (side * 50, 20, -330)])
            parts.append(chain(inner, 12.0, hu, label))
        return parts

    def _liver(self) -> list[Solid | Tubes]:
        rng, size, phase = self.rng, self.liver_size, self.phase
        tilt, waves = rng.normal(0.62, 0.08), Waves(rng, 26.0)

        def distance(points: Points) -> np.ndarray:
            x, y, z = points.x, points.y, points.z
            # The lower surface rises from the right flank to the left lobe, and from back to front.
            under = (-48 * size - np.float32(tilt) * x * size + np.float32(0.22) * (y - 30) - z) * np.float32(0.8)
            left = (-x - np.float32(self.liver_tip) + np.float32(0.5) * (z + 10)) * np.float32(0.9)
            behind = (self.loin + 26 - y - np.clip(x - 22, 0, 60) * 1.1) * np.float32(0.8)
            return joined(self.under_cover(points), under, left, behind, blend_mm=22.0)

        low, high = (-110, -100, -210), (150, 110, 40)
        parts: list[Solid | Tubes] = [
            ellipsoid((54, self.loin + 78, -88), (15, 20, 32), 10.0 + rng.uniform(-6, 12), LABELS["gallbladder"]),
            Solid(low, high, distance, mottled(phase.liver, 4.0, waves), LABELS["liver"]),
        ]
        sprinkled = rng.uniform((-70, -70, -150), (125, 85, 25), (700, 3)).astype(np.float32)
        inner = sprinkled[distance(Points(*sprinkled.T)) < -8].astype(float)
        veins = LABELS["liver"]
        parts += tree(rng, (34, self.loin + 62, -48), inner[:70], 5.0, phase.portal, veins)
        parts += tree(rng, (24, 2, -4), inner[70:130], 5.0, 0.85 * phase.veins + 0.15 * phase.portal, veins)
        if rng.random() < 0.3:
            for center in inner[130 : 130 + int(rng.integers(1, 6))]:
                parts.append(
                    ellipsoid(center, rng.uniform(4, 16, 3), rng.choice([8.0, phase.liver - 35, phase.liver + 25]), veins)
                )
        return parts

    def _pancreas_and_spleen(self) -> list[Solid | Tubes]:
        rng, size = self.rng, np.clip(self.rng.normal(1.0, 0.15), 0.65, 1.5)
        bean = ellipsoid((-self.flank + 28, -34, -36 + rng.normal(0, 8)), np.array([32, 44, 52]) * size, 0.0, 0)
        spleen = Solid(
            bean.low,
            bean.high,
            lambda p: joined(bean.distance(p), self.under_cover(p), blend_mm=8.0),
            mottled(self.phase.spleen, 5.0, Waves(rng, 25.0)),
            LABELS["spleen"],
        )
        y = self.loin + 54
        path = smooth_path(
            [(30, y - 2, -112), (26, y, -88), (0, y + 8, -82), (-34, y - 2, -70), (-66, y - 22, -54 + rng.normal(0, 8))]
        )
        thick = np.interp(np.linspace(0, 1, len(path)), (0, 0.3, 0.6, 1), (13, 13, 9, 8)) * rng.normal(0.95, 0.12)
        thick *= 1 + 0.12 * np.sin(np.arange(len(path)) * 1.9)
        return [spleen, chain(path, thick, mottled(0.8 * self.phase.liver + 5, 14.0, Waves(rng, 11.0)), LABELS["pancreas"])]

    def _kidneys(self) -> list[Solid | Tubes]:
        rng, phase = self.rng, self.phase
        parts: list[Solid | Tubes] = []
        size = float(np.clip(rng.normal(1.0, 0.08), 0.8, 1.2))
        for name, side in (("kidney_right", 1.0), ("kidney_left", -1.0)):
            label, lean = LABELS[name], rng.normal(14, 4) * np.pi / 180
            # Upper poles lean to the spine.
            turn = np.array([[np.cos(lean), 0, -side * np.sin(lean)], [0, 1, 0], [side * np.sin(lean), 0, np.cos(lean)]])
            center = np.array([side * rng.normal(62, 4), self.loin - 4 + rng.normal(0, 3), -92 - 4 * side + rng.normal(0, 9)])
            medial = np.array([-side * 15.0, 6.0, 0.0])
            adrenal = center + turn @ np.array([-side * 14.0, 12, 58 * size])
            limb = smooth_path([np.add(adrenal, (side * 6, -14, -6)), adrenal, np.add(adrenal, (-side * 4, -14, -4))], 4.0)
            parts += [
                ellipsoid(center, np.array([29, 26, 56]) * size, mottled(phase.cortex, 4.0, Waves(rng, 30.0)), label, turn),
                ellipsoid(center + medial * 0.5, np.array([19, 17, 44]) * size, phase.medulla, label, turn),
                ellipsoid(center + medial, np.array([15, 11, 30]) * size, self.body.fat_hu + 25, label, turn),
                chain(limb, 3.2, 0.5 * phase.spleen + 10, LABELS["body"]),
            ]
            if rng.random() < 0.3:
                place = center + turn @ (rng.normal(0, 1, 3) * (16, 12, 28)) + (side * 12, 0, 0)
                parts.append(ellipsoid(place, np.full(3, rng.uniform(5, 20)), 6.0, label))
            ureter = smooth_path(
                [center + medial, (side * 36, self.loin + 16, -170), (side * 44, self.pelvis + 40, -250), (side * 18, 0, -302)]
            )
            parts.append(chain(ureter, 2.0, 25.0, LABELS["body"]))
        return parts

    def _stomach(self) -> list[Solid | Tubes]:
        rng, full = self.rng, self.rng.uniform(0.6, 1.25)
        top = self.chest.domes[-1.0]
        path = smooth_path(
            [
                (-58, -14, top - 44),
                (-70, 8, top - 62),
                (-66, 44, -70 + rng.normal(0, 8)),
                (-34, 62, -100 + rng.normal(0, 12)),
                (8, 54, -92),
                (30, 40, -86),
            ]
        )
        wide = np.interp(np.linspace(0, 1, len(path)), (0, 0.35, 0.7, 1), (34, 30, 21, 12)) * full
        inside: Tissue = mottled(float(rng.choice([12.0, 30.0, 220.0], p=(0.5, 0.35, 0.15))), 14.0, Waves(rng, 16.0))
        content = with_gas(inside, float(rng.uniform(20, 62)))
        label, path = LABELS["stomach"], self._behind_the_wall(path, wide)
        return [chain(path, wide, self.phase.gut, label), chain(path, wide - 4.5, content, label)]

    def _small_bowel(self) -> list[Solid | Tubes]:
        rng, hu = self.rng, self.phase.gut
        room = np.array([0.64 * self.flank, 0.55 * (self.front - self.loin - 25), 82])
        middle = np.array([0.0, (self.front + self.loin + 20) / 2, -200.0])
        knots = rng.uniform(-1, 1, (150, 3))
        knots = middle + knots[(knots**2).sum(1) < 1.1] * room
        tour = [0]
        # The nearest place not yet visited comes next: loops beside loops.
        while len(tour) < len(knots):
            away = np.linalg.norm((knots - knots[tour[-1]]) * (1, 1, 1.6), axis=1)
            away[tour] = np.inf
            tour.append(int(np.argmin(away)))
        path = smooth_path(knots[tour], 6.0)
        path += rng.normal(0, 1.2, path.shape)
        wide = rng.uniform(8.5, 12.5) * (1 + 0.18 * np.sin(np.arange(len(path)) * 0.7))
        oral = float(rng.choice([22.0, 240.0], p=(0.8, 0.2)))
        content = with_gas(mottled(oral, 16.0, Waves(rng, 18.0)), self.front - float(rng.uniform(6, 34)))
        path = self._behind_the_wall(path, wide)
        label, leaves = LABELS["small_bowel"], path[::4]
        root = (6, self.loin + 60, -120)
        return [
            chain(path, wide, hu, label),
            chain(path, wide - 3.2, content, label),
            *tree(
                rng,
                root,
                leaves + rng.normal(0, 6, leaves.shape),
                4.0,
                0.5 * (self.phase.veins + self.phase.arteries),
                LABELS["veins"],
            ),
        ]

    def _colon(self) -> list[Solid | Tubes]:
        rng, side, front, loin = self.rng, self.flank - 24, self.front - 31, self.loin
        sag = rng.uniform(-55, 0)
        knots = np.array(
            [
                (side * 0.72, front - 30, -245),
                (side - 2, loin + 52, -190),
                (side, loin + 46, -130),
                (side - 14, front - 26, -104),
                (side * 0.45, front - 2, -112 + sag * 0.7),
                (-side * 0.1, front + 4, -118 + sag),
                (-side * 0.6, front - 6, -96 + sag * 0.5),
                (-side + 4, loin + 66, -58),
                (-side - 4, loin + 36, -110),
                (-side - 2, loin + 40, -190),
                (-side * 0.82, 16, -240),
                (-side * 0.35, 30, -262),
                (-4, 6, -246),
                (0, self.pelvis + 24, -268),
                (0, self.pelvis + 26, -310),
                (0, self.pelvis + 24, -345),
            ]
        )
        path = smooth_path(knots + rng.normal(0, 6, knots.shape), 5.0)
        along = np.linspace(0, 1, len(path))
        girth = np.interp(along, (0, 0.3, 0.6, 0.8, 1), (25, 21, 16, 14, 17)) * rng.uniform(0.85, 1.2)
        wide = girth * (1 + 0.17 * np.sin(np.arange(len(path)) * 5 * 2 * np.pi / 30))
        bubbles, lumps = Waves(rng, 15.0, 7), Waves(rng, 24.0)

        def stool(points: Points) -> np.ndarray:
            return 20 + 25 * lumps.at(points) - 380 * np.clip(bubbles.at(points) - 1.0, 0, 1)

        label, path = LABELS["colon"], self._behind_the_wall(path, wide)
        content = with_gas(stool, self.front - float(rng.uniform(18, 50)))
        return [chain(path, wide, self.phase.gut * 0.8, label), chain(path, wide - 3.0, content, label)]

    def _pelvic_organs(self) -> list[Solid | Tubes]:
        rng, fill = self.rng, self.rng.uniform(0.6, 1.25)
        body = LABELS["body"]
        parts: list[Solid | Tubes] = [
            ellipsoid((rng.normal(0, 3), 24, -302), np.array([44, 32, 32]) * fill, 40.0, LABELS["bladder"]),
            ellipsoid((rng.normal(0, 3), 24, -302), np.array([44, 32, 32]) * fill - 3.0, 6.0, LABELS["bladder"]),
        ]
        if self.body.female:
            womb = mottled(0.5 * self.phase.spleen + 30, 12.0, Waves(rng, 20.0))
            parts.append(ellipsoid((rng.normal(0, 6), -8, -272), np.array([30, 30, 38]) * rng.uniform(0.7, 1.1), womb, body))
        else:
            parts.append(ellipsoid((0, 10, -340), np.array([24, 18, 22]) * rng.uniform(0.8, 1.3), 48.0, body))
        return parts
