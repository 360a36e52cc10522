"""The trunk of a made-up person: size, habitus, and the surfaces that bound cavity, muscle and skin at every height.

Height 0 mm is near the dome of the diaphragm (T10); the lung tops are near +225 mm and the hips near -300 mm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from maesil_monai.phantom.painted_shapes import Points, Profile, Solid, Tissue, ellipsoid

LABELS = {
    "background": 0,
    "body": 1,
    "muscle": 2,
    "vertebrae": 3,
    "ribs_and_sternum": 4,
    "girdle_bones": 5,
    "lung_right": 6,
    "lung_left": 7,
    "airways": 8,
    "lung_vessels": 9,
    "lung_nodule": 10,
    "heart": 11,
    "arteries": 12,
    "veins": 13,
    "liver": 14,
    "gallbladder": 15,
    "spleen": 16,
    "pancreas": 17,
    "kidney_right": 18,
    "kidney_left": 19,
    "stomach": 20,
    "small_bowel": 21,
    "colon": 22,
    "bladder": 23,
    "spinal_canal": 24,
}

FAR = 1000.0
HEIGHTS = (-420, -340, -270, -210, -160, -110, -60, 0, 50, 100, 150, 190, 215, 240, 300)
CAVITY_X = (45, 60, 86, 112, 118, 122, 130, 133, 130, 119, 100, 76, 55, 28, 15)
CAVITY_Y = (35, 48, 68, 80, 84, 88, 93, 94, 88, 79, 67, 54, 44, 25, 15)
MUSCLE_X = (165, 172, 168, 148, 136, 138, 146, 150, 149, 152, 164, 172, 168, 150, 90)
MUSCLE_Y = (88, 96, 98, 98, 97, 101, 107, 110, 107, 102, 94, 84, 76, 70, 60)


class Waves:
    """A smooth random field of mean 0 and variance 1: a sum of plane waves.

    Args:
        wave_mm: typical wave length.
        num_waves: how many waves are summed.
    """

    def __init__(self, rng: np.random.Generator, wave_mm: float, num_waves: int = 4) -> None:
        directions = rng.standard_normal((num_waves, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = wave_mm * rng.uniform(0.7, 1.4, (num_waves, 1))
        self.waves = (2 * np.pi * directions / lengths).astype(np.float32)
        self.phases = rng.uniform(0, 2 * np.pi, num_waves).astype(np.float32)

    def at(self, points: Points) -> np.ndarray:
        """Gives the field at places, float32, same shape."""
        total = np.zeros_like(points.x)
        for (kx, ky, kz), phase in zip(self.waves, self.phases, strict=True):
            total += np.sin(points.x * kx + points.y * ky + points.z * kz + phase)
        return total * np.float32(np.sqrt(2 / len(self.phases)))


def mottled(hu: float, amount_hu: float, field: Waves) -> Tissue:
    """Gives a tissue whose HU wander smoothly round a mean, ``amount_hu`` being their standard deviation."""
    return lambda points: np.float32(hu) + np.float32(amount_hu) * field.at(points)


@dataclass
class Surface:
    """A closed trunk contour at every height: half widths, middle, and how square it is (0 an ellipse)."""

    half_x: Profile
    half_y: Profile
    middle_y: Profile
    square: float

    def distance(self, points: Points) -> np.ndarray:
        """Gives the signed distance within the axial plane, mm, negative inside."""
        x, y = points.x, points.y - self.middle_y.at(points.z)
        u, v = (x / self.half_x.at(points.z)) ** 2, (y / self.half_y.at(points.z)) ** 2
        share = u + v + np.float32(1e-6)
        ratio = np.sqrt(share)
        # cos(4t) = 1 - 8 cos(t)^2 sin(t)^2, with t the angle on the ellipse.
        edge = 1 - np.float32(self.square) * (1 - 8 * u * v / (share * share))
        return (ratio - edge) * np.sqrt(x * x + y * y) / ratio

    def place(self, z: float | np.ndarray, angle: float | np.ndarray, outward_mm: float = 0.0) -> np.ndarray:
        """Gives points on the contour, shape (..., 3); angle 0 is the patient's right, pi / 2 the front."""
        edge = 1 - self.square * np.cos(4 * np.asarray(angle))
        x = (self.half_x.at(z) + outward_mm) * edge * np.cos(angle)
        y = (self.half_y.at(z) + outward_mm) * edge * np.sin(angle) + self.middle_y.at(z)
        return np.stack(np.broadcast_arrays(x, y, z), -1)


class Body:
    """One person's build, drawn at random: three contours and the tissues between them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.female = bool(rng.random() < 0.5)
        stature = rng.normal(0.97 if self.female else 1.03, 0.05)
        self.scale = np.clip(stature * rng.normal(1.0, 0.035, 3), 0.84, 1.18)
        self.fatness = float(rng.beta(1.3, 1.9))
        barrel, hips = rng.normal(1.0, 0.05), rng.normal(1.05 if self.female else 0.98, 0.04)
        upper = np.clip((np.array(HEIGHTS) + 200) / 200, 0, 1)
        sway = np.interp(HEIGHTS, (-400, -250, -120, 60, 200, 300), rng.normal((4, 4, 10, 6, -4, -6), 3.0))
        shape_x = hips * (1 - upper) + upper
        belly = np.exp(-(((np.array(HEIGHTS) + 110) / 90.0) ** 2))
        deep_y = (np.array(CAVITY_Y) - 3) * (barrel * upper + 1 - upper) + 18 * self.fatness * belly
        self.cavity = Surface(
            Profile(HEIGHTS, np.array(CAVITY_X) * shape_x),
            Profile(HEIGHTS, deep_y),
            Profile(HEIGHTS, sway),
            rng.uniform(0.0, 0.05),
        )
        wall = rng.normal(0 if self.female else 4, 3.0)
        muscle_y = np.maximum(np.array(MUSCLE_Y) * (barrel * upper + 1 - upper) + wall, deep_y + 9)
        muscle_x = np.maximum(np.array(MUSCLE_X) * shape_x + wall, np.array(CAVITY_X) * shape_x + 9)
        back = sway - 10
        self.muscle = Surface(
            Profile(HEIGHTS, muscle_x), Profile(HEIGHTS, muscle_y), Profile(HEIGHTS, back + 3), rng.uniform(0.02, 0.07)
        )
        thick = 4 + 44 * self.fatness
        knots = (-400, -260, -130, 0, 150, 300)
        side = np.interp(HEIGHTS, knots, (1.2, 1.1, 1.0, 0.6, 0.5, 0.4)) * thick
        front = np.interp(HEIGHTS, knots, (0.9, 1.1, 1.1, 0.5, 0.4, 0.3)) * thick * rng.uniform(0.7, 1.3)
        rear = np.interp(HEIGHTS, knots, (1.1, 1.2, 0.7, 0.45, 0.5, 0.4)) * thick * rng.uniform(0.7, 1.2)
        self.skin = Surface(
            Profile(HEIGHTS, muscle_x + side + 3),
            Profile(HEIGHTS, muscle_y + (front + rear) / 2 + 3),
            Profile(HEIGHTS, back + 3 + (front - rear) / 2),
            rng.uniform(0.02, 0.08),
        )
        self.cleft = Profile((-420, -330, -260, -200, 300), (34, 30, 12, 3, 4))
        self.lumps = Waves(rng, 170.0)
        self.breast = float(rng.uniform(0.6, 1.2) * (0.7 + 0.8 * self.fatness)) if self.female else 0.0
        self.fat_hu = float(rng.uniform(-112, -96))
        self.muscle_hu = float(rng.uniform(45, 62))
        self.marbling = float(rng.uniform(0.05, 0.09) + 0.07 * self.fatness)
        self._fields = Waves(rng, 62.0), Waves(rng, 60.0), Waves(rng, 25.0)

    def skin_distance(self, points: Points) -> np.ndarray:
        """Gives the signed distance to the skin, mm: the contour, its unevenness, and the furrow of back and buttocks."""
        return self.skin.distance(points) + self.furrow(points) + np.float32(2.0) * self.lumps.at(points)

    def furrow(self, points: Points) -> np.ndarray:
        """Gives how deep the furrow of back and buttocks is at places, mm."""
        return self.cleft.at(points.z) * np.exp(-((points.x / 11) ** 2)) * (points.y < 0)

    def layers(self) -> list[Solid]:
        """Gives skin, fat under it, muscle and the fat of the cavity, from the outside in."""
        planes, fibres, fat = self._fields
        # Room for the unevenness of the skin.
        reach = [float(self.skin.half_x.table.max()) * 1.09 + 8, float((self.skin.half_y.table).max()) * 1.09 + 40, FAR]
        low, high = -np.array(reach), np.array(reach)

        def meat(points: Points) -> np.ndarray:
            # The zero level of a smooth field is a thin curved sheet: the fat between muscles.
            sheet = np.clip(1.6 - np.abs(planes.at(points)) / np.float32(self.marbling), 0, 1)
            lean = np.float32(self.muscle_hu) + 5 * fibres.at(points)
            return lean - sheet * (lean - np.float32(self.fat_hu + 15))

        body, muscle = LABELS["body"], LABELS["muscle"]
        parts = [Solid(low, high, self.skin_distance, 15.0, body, [(2.0, mottled(self.fat_hu, 5.0, fat))])]
        if self.female:
            parts += self._breasts(fat)
        return [
            *parts,
            Solid(low, high, lambda points: self.muscle.distance(points) + 0.9 * self.furrow(points), meat, muscle),
            Solid(low, high, self.cavity.distance, mottled(self.fat_hu + 4, 6.0, fat), body),
        ]

    def _breasts(self, field: Waves) -> list[Solid]:
        parts = []
        for side in (1, -1):
            front = float(self.skin.place(60.0, np.pi / 2 - side * 0.75)[1])
            center = np.array([side * 78.0, front - 8, 62.0])
            radii = np.array([56.0, 42.0, 58.0]) * self.breast
            breast = ellipsoid(center, radii, 15.0, LABELS["body"])
            parts.append(replace(breast, core=[(2.5, mottled(self.fat_hu, 5.0, field))]))
            gland = mottled(-25.0, 45.0, field)
            parts.append(ellipsoid(center + np.array((0, 6, 0)), radii * 0.55, gland, LABELS["body"]))
        return parts
