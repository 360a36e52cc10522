"""Blood: the HU of a contrast phase, branching vessel trees, and the great vessels of the trunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from maesil_monai.errors import BadSetting
from maesil_monai.phantom.body import LABELS
from maesil_monai.phantom.painted_shapes import Tissue, Tubes, chain, smooth_path

PhaseName = Literal["none", "arterial", "pulmonary", "portal"]


@dataclass(frozen=True)
class Phase:
    """HU of blood and of the organs that take up contrast agent, at one time after its injection."""

    arteries: float
    veins: float
    lung_vessels: float
    portal: float
    myocardium: float
    liver: float
    spleen: float
    cortex: float
    medulla: float
    gut: float


PHASES: dict[PhaseName, Phase] = {
    "none": Phase(44, 42, 43, 42, 46, 58, 48, 33, 30, 38),
    "arterial": Phase(330, 95, 210, 100, 100, 70, 125, 190, 80, 80),
    "pulmonary": Phase(190, 150, 350, 55, 85, 60, 75, 100, 50, 55),
    "portal": Phase(155, 160, 150, 175, 115, 112, 122, 185, 160, 95),
}


def draw_phase(rng: np.random.Generator, name: str | None = None) -> Phase:
    """Draws a contrast phase and how strongly this person takes it up.

    Args:
        name: one of ``none``, ``arterial``, ``pulmonary``, ``portal``; drawn when None.

    Raises:
        ValueError: if ``name`` is unknown.
    """
    drawn = rng.choice(get_args(PhaseName), p=(0.35, 0.2, 0.1, 0.35))
    strength, fatty = rng.uniform(0.85, 1.15), rng.uniform(0, 1) ** 4 * 60
    if name is not None and name not in PHASES:
        raise BadSetting(f"phase {name!r} is unknown: expected one of {', '.join(PHASES)}.")
    plain, chosen = PHASES["none"], PHASES[name if name is not None else drawn]
    values = {key: getattr(plain, key) + strength * (getattr(chosen, key) - getattr(plain, key)) for key in vars(plain)}
    return replace(Phase(**values), liver=values["liver"] - fatty)


def grow_tree(
    rng: np.random.Generator, root: ArrayLike, leaves: np.ndarray, radius_mm: float, leaf_mm: float, generations: int = 99
) -> tuple[np.ndarray, np.ndarray]:
    """Grows a tree of tubes from a root that reaches every leaf.

    The leaves behind a branch are split in two along their longest extent, again and again; a branch ends part of the way to
    the middle of its leaves, and thins by Murray's law (r ~ n^(1/2.7), n leaves fed).

    Args:
        root: where the tree starts, mm.
        leaves: places to reach, shape (N, 3), mm.
        radius_mm: radius at the root.
        leaf_mm: smallest radius.
        generations: branchings after which the tree is cut off.

    Returns:
        ``(ends, radii)`` as :class:`~maesil_monai.phantom.painted_shapes.Tubes` takes them, two tubes a branch.
    """
    ends, radii = [], []
    todo = [(np.asarray(root, float), np.asarray(leaves, float), radius_mm, 0)]
    while todo:
        start, group, radius, generation = todo.pop()
        middle = group.mean(0)
        stop = middle if len(group) == 1 else start + rng.uniform(0.3, 0.5) * (middle - start)
        bend = (start + stop) / 2 + rng.normal(0, 0.07, 3) * np.linalg.norm(stop - start)
        thin = max(radius * (0.55 if len(group) == 1 else 0.9), leaf_mm)
        ends += [(start, bend), (bend, stop)]
        radii += [(radius, (radius + thin) / 2), ((radius + thin) / 2, thin)]
        if len(group) == 1 or generation >= generations:
            continue
        order = np.argsort(group[:, int(np.argmax(np.ptp(group, axis=0)))], kind="stable")
        cut = int(np.clip(round(len(group) * rng.uniform(0.3, 0.7)), 1, len(group) - 1))
        for part in (order[:cut], order[cut:]):
            share = (len(part) / len(group)) ** (1 / 2.7)
            todo.append((stop, group[part], max(radius * share, leaf_mm), generation + 1))
    return np.array(ends).reshape(-1, 2, 3), np.array(radii).reshape(-1, 2)


def tree(
    rng: np.random.Generator, root: ArrayLike, leaves: np.ndarray, radius_mm: float, hu: Tissue, label: int | None
) -> list[Tubes]:
    """Gives the tubes of a grown tree; none without leaves."""
    if len(leaves) == 0:
        return []
    return [Tubes(*grow_tree(rng, root, leaves, radius_mm, 0.9), hu, label)]


def great_vessels(rng: np.random.Generator, phase: Phase, spine_y: np.ndarray) -> list[Tubes]:
    """Gives aorta, its branches, the caval, iliac, renal and portal veins.

    Args:
        phase: HU of blood.
        spine_y: y of the spine's middle at z = 110, 0, -100 and -185 mm, which the descending aorta follows.
    """
    size, sag = rng.normal(1.0, 0.1), rng.normal(0, 4, 4)
    high, mid, low, fork = (float(y) for y in spine_y)
    arteries = LABELS["arteries"]

    def artery(knots: Sequence[ArrayLike], radius_mm: float) -> Tubes:
        return chain(smooth_path(knots), radius_mm, phase.arteries, arteries)

    def vein(knots: Sequence[ArrayLike], radius_mm: float) -> Tubes:
        return chain(smooth_path(knots), radius_mm, phase.veins, LABELS["veins"])

    aorta = [
        (-2, 24, 62),
        (14 + sag[0], 30, 92),
        (10, 24, 122),
        (-6, 4, 140 + sag[1]),
        (-20, high + 30, 128),
        (-24, high + 22, 98),
    ]
    aorta += [(-22 + sag[2], mid + 26, 0), (-9, low + 29, -100), (-3 + sag[3], fork + 29, -188)]
    down = smooth_path(aorta, 6.0)
    wide = np.interp(down[:, 2], (-190, -60, 60), (8.0, 10.5, 12.5)) * size
    rising = np.arange(len(down)) < len(down) * 0.28
    wide = np.where(rising, 15.5 * size, wide)
    tubes = [chain(down, wide + 1.2, 50.0, arteries), chain(down, wide, phase.arteries, arteries)]
    top = np.array([(6, 10, 138), (-6, 2, 142), (-15, -6, 140)])
    tips = np.array([(30, 4, 250), (-16, 0, 255), (-40, -4, 250)])
    for start, stop in zip(top, tips, strict=True):
        tubes.append(artery([start, (start + stop) / 2 + rng.normal(0, 4, 3), stop], 4.5 * size))
    cava = [(22, 8, 26), (24, 0, -10), (22, low + 34, -70), (20, low + 30, -120), (14, fork + 26, -192)]
    upper = [(26, 14, 52), (28, 14, 100), (26, 12, 140), (14, 20, 168), (-48, 6, 195)]
    tubes += [vein(cava, 11.5 * size), vein(upper, 9.0 * size), vein([(26, 12, 140), (34, 8, 175), (54, 2, 215)], 7.5 * size)]
    for side in (1.0, -1.0):
        groin = np.array([side * 70, 42.0, -318.0])
        down_leg = [(side * 34, fork + 12, -232), (side * 62, 2, -275), groin, np.add(groin, (side * 6, 2, -60))]
        up_leg = [(side * 30, fork, -235), (side * 58, -10, -278), *np.add(groin, [(-side * 12, -6, 0), (-side * 8, -6, -60)])]
        tubes += [vein([smooth_path(cava)[-1], *up_leg], 6.5 * size), artery([down[-1], *down_leg], 5.2 * size)]
        hilum = (side * 42, low + 2, -92.0)
        tubes.append(vein([(18, low + 28, -84), (side * 24 + 4, low + 18, -88), hilum], 4.5))
        tubes.append(artery([(-8, low + 28, -88), (side * 22 - 3, low + 14, -90), hilum], 3.0))
    return [*tubes, *_visceral(rng, phase, low, size)]


def _visceral(rng: np.random.Generator, phase: Phase, low: float, size: float) -> list[Tubes]:
    """Gives the coeliac and mesenteric arteries, and the portal and splenic vein."""
    arteries, veins = LABELS["arteries"], LABELS["veins"]
    wave = rng.normal(0, 4, 2)
    coeliac = smooth_path([(-10, low + 34, -62), (-6, low + 52, -60), (-40, low + 40 + wave[0], -52), (-80, low + 18, -38)])
    mesenteric = smooth_path([(-9, low + 36, -78), (-6, low + 56, -92), (4 + wave[1], low + 72, -140), (18, low + 78, -190)])
    portal = smooth_path([(12, low + 66, -180), (12, low + 58, -105), (20, low + 56, -72), (34, low + 62, -48)])
    splenic = smooth_path([(14, low + 56, -88), (-30, low + 46, -68), (-82, low + 14, -44)])
    return [
        chain(coeliac, 3.2 * size, phase.arteries, arteries),
        chain(mesenteric, 3.4 * size, phase.arteries, arteries),
        chain(portal, 6.5 * size, phase.portal, veins),
        chain(splenic, 4.2 * size, phase.portal, veins),
    ]
