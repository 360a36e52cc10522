"""One made-up person: everything a scanner would see, in painting order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maesil_monai.phantom.abdomen import Abdomen
from maesil_monai.phantom.body import Body
from maesil_monai.phantom.chest import Chest
from maesil_monai.phantom.painted_shapes import Solid, Tubes
from maesil_monai.phantom.skeleton import Skeleton
from maesil_monai.phantom.vessels import draw_phase, great_vessels


@dataclass
class Anatomy:
    """A body and its parts; later parts lie on top of earlier ones."""

    body: Body
    parts: list[Solid | Tubes]


def draw_anatomy(rng: np.random.Generator, phase: str | None = None) -> Anatomy:
    """Draws a person.

    Args:
        rng: source of randomness; the person is a function of its state.
        phase: contrast phase ``none``, ``arterial``, ``pulmonary`` or ``portal``; drawn when None.

    Raises:
        ValueError: if ``phase`` is unknown.
    """
    blood = draw_phase(rng, phase)
    body = Body(rng)
    skeleton = Skeleton(rng, body)
    chest = Chest(rng, body, blood)
    abdomen = Abdomen(rng, body, blood, chest, skeleton.spine_y.at(np.array([-100.0, -260.0])))
    vessels = great_vessels(rng, blood, skeleton.spine_y.at(np.array([110.0, 0.0, -100.0, -185.0])))
    parts = [*body.layers(), *chest.solids(), *abdomen.solids(), *vessels, *skeleton.solids()]
    return Anatomy(body, parts)
