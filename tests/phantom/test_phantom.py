"""Made-up scans: what a seed fixes, where a voxel lies, which HU a tissue has, and what a folder of them promises."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import label as components

from maesil_monai.phantom.made_up_scan import LABELS, SIZES, Phantom, phantom_scan
from maesil_monai.phantom.painted_shapes import Canvas, Points, Profile, chain, ellipsoid
from maesil_monai.phantom.vessels import grow_tree


def in_ras(scan: Phantom) -> tuple[np.ndarray, np.ndarray]:
    arrays = [nib.as_closest_canonical(nib.Nifti1Image(array, scan.affine)).dataobj for array in (scan.hu, scan.label)]
    return np.asarray(arrays[0]), np.asarray(arrays[1])


@pytest.fixture(scope="module")
def trunk() -> Phantom:
    return phantom_scan(5, (96, 96, 80), coverage="trunk", phase="none", noise_hu=0)


def empty_canvas(size: int = 40) -> Canvas:
    """One voxel is 1 mm, voxel (0, 0, 0) lies at the origin."""
    x, y, z = np.meshgrid(*[np.arange(size, dtype=np.float32)] * 3, indexing="ij")
    return Canvas(Points(x, y, z), np.eye(4)[:3], bend_mm=0.0, edge_mm=1.0)


def test_the_same_seed_gives_the_same_voxels() -> None:
    first, second = phantom_scan(7, size="tiny"), phantom_scan(7, size="tiny")
    assert first.hu.tobytes() == second.hu.tobytes()
    assert first.label.tobytes() == second.label.tobytes()
    assert first.affine.tolist() == second.affine.tolist()


def test_the_global_random_state_is_neither_read_nor_moved() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first = phantom_scan([1, 2], size="tiny")
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    np.random.seed(9)  # noqa: NPY002
    assert phantom_scan([1, 2], size="tiny").hu.tobytes() == first.hu.tobytes()


def test_another_seed_is_another_person() -> None:
    asked = {"coverage": "trunk", "orientation": "RAS", "noise_hu": 0.0}
    one, two = (phantom_scan(seed, (48, 48, 40), **asked) for seed in (1, 2))
    body = (one.label > 0) | (two.label > 0)
    # Bones, organs and contours lie elsewhere: a third of the body or more is another tissue.
    assert (one.label != two.label)[body].mean() > 0.33


def test_the_orientation_changes_how_voxels_are_stored_and_not_where_they_lie() -> None:
    asked = {"shape": (40, 36, 32), "coverage": "chest"}
    ras, pli = (phantom_scan(4, orientation=axes, **asked) for axes in ("RAS", "PLI"))
    assert pli.hu.shape == (36, 40, 32)
    assert nib.aff2axcodes(pli.affine) == ("P", "L", "I")
    voxel = np.array([11, 7, 30, 1])
    there = np.rint(np.linalg.inv(ras.affine) @ pli.affine @ voxel).astype(int)
    assert pli.hu[tuple(voxel[:3])] == ras.hu[tuple(there[:3])]
    assert in_ras(pli)[0].tolist() == ras.hu.tolist()


def test_shape_and_spacing_asked_for_are_those_of_the_scan() -> None:
    scan = phantom_scan(0, (30, 40, 20), (9.0, 8.0, 12.5), orientation="RAS")
    assert scan.hu.shape == scan.label.shape == (30, 40, 20)
    assert np.linalg.norm(scan.affine[:3, :3], axis=0).tolist() == [9.0, 8.0, 12.5]


def test_a_spacing_alone_gives_a_field_that_holds_the_body() -> None:
    scan = phantom_scan(0, spacing_mm=(9.0, 9.0, 12.0), coverage="trunk", orientation="RAS")
    sides = np.concatenate([scan.label[0].ravel(), scan.label[-1].ravel(), scan.label[:, -1].ravel()])
    assert (sides > 0).mean() < 0.02
    # The trunk is about 540 to 600 mm long, times a size of 0.84 to 1.18.
    assert 430 < scan.hu.shape[2] * 12 < 700


def test_scans_differ_in_coverage_slices_and_orientation() -> None:
    scans = [phantom_scan([0, index], size="tiny") for index in range(10)]
    assert len({scan.hu.shape[2] for scan in scans}) >= 5
    assert len({nib.aff2axcodes(scan.affine) for scan in scans}) >= 3
    tops = {bool((scan.label == LABELS["lung_right"]).mean() > 0.02) for scan in scans}
    hips = {bool((scan.label == LABELS["bladder"]).any()) for scan in scans}
    assert tops == hips == {True, False}


def test_every_organ_is_there_in_a_trunk(trunk: Phantom) -> None:
    found = set(np.unique(trunk.label).tolist())
    expected = {number for name, number in LABELS.items() if name != "lung_nodule"}
    assert expected <= found <= set(LABELS.values())


@pytest.mark.parametrize(
    ("tissue", "low", "high"),
    [
        ("background", -1000, -990),
        ("lung_right", -910, -760),
        ("lung_left", -910, -760),
        ("airways", -990, -700),
        ("muscle", 30, 65),
        ("heart", 20, 60),
        ("arteries", 30, 60),
        ("liver", 0, 75),
        ("spleen", 35, 60),
        ("bladder", 0, 30),
        ("vertebrae", 150, 700),
    ],
)
def test_a_tissue_has_its_hu_without_contrast(trunk: Phantom, tissue: str, low: float, high: float) -> None:
    assert low <= np.median(trunk.hu[trunk.label == LABELS[tissue]]) <= high


def test_contrast_brightens_arteries_first_and_then_the_veins() -> None:
    def blood(phase: str, name: str) -> float:
        scan = phantom_scan(5, (64, 64, 50), coverage="abdomen", phase=phase, noise_hu=0)
        return float(np.percentile(scan.hu[scan.label == LABELS[name]], 70))

    assert blood("none", "arteries") < 60
    assert blood("arterial", "arteries") > 200 > blood("arterial", "veins") + 50
    assert blood("portal", "veins") > blood("arterial", "veins") + 30


def test_right_is_right_and_front_is_front(trunk: Phantom) -> None:
    _, label = in_ras(trunk)
    middle = {
        name: np.argwhere(label == LABELS[name]).mean(0)
        for name in ("liver", "spleen", "vertebrae", "heart", "bladder", "lung_right")
    }
    assert middle["liver"][0] > middle["vertebrae"][0] > middle["spleen"][0]
    assert middle["heart"][1] > middle["vertebrae"][1]
    assert middle["lung_right"][2] > middle["liver"][2] > middle["bladder"][2]


def test_the_trunk_is_one_piece_with_air_and_a_table_outside(trunk: Phantom) -> None:
    hu, label = in_ras(trunk)
    pieces, _ = components(label > 0)
    assert np.bincount(pieces.ravel())[1:].max() > 0.995 * (label > 0).sum()
    table = (label == 0) & (hu > -970) & (hu < -100)
    below = np.argwhere(table)[:, 1].mean()
    assert table.any()
    assert below < np.argwhere(label == LABELS["vertebrae"])[:, 1].mean()


def test_the_aorta_runs_on_from_slice_to_slice(trunk: Phantom) -> None:
    _, label = in_ras(trunk)
    slices = (label == LABELS["arteries"]).any((0, 1))
    # From the arch to the groins no slice is without an artery.
    assert slices[5:65].all()


def test_noise_has_the_level_asked_for_and_leaves_the_anatomy() -> None:
    asked = {"shape": (64, 64, 40), "coverage": "abdomen", "orientation": "RAS"}
    still, noisy = (phantom_scan(5, noise_hu=level, **asked) for level in (0.0, 20.0))
    assert (still.label == noisy.label).all()
    difference = (noisy.hu.astype(float) - still.hu)[still.label == LABELS["liver"]]
    assert abs(difference.mean()) < 3
    # 20 HU in the middle of an average trunk; more or less in a wide or thin one.
    assert 8 < difference.std() < 45
    outside = (still.label == 0) & (still.hu == -1000)
    assert (noisy.hu.astype(float) - still.hu)[outside].std() < difference.std()


def test_an_ellipsoid_fills_its_volume() -> None:
    canvas = empty_canvas()
    canvas.paint(ellipsoid((20, 20, 20), (6, 8, 10), 1000.0, 3))
    # 4 / 3 pi 6 8 10 = 2011 voxels; each painted one went from -1000 to 1000 HU.
    assert ((canvas.hu + 1000) / 2000).sum() == pytest.approx(2011, rel=0.02)
    assert canvas.label[20, 20, 29] == 3
    assert canvas.label[27, 20, 20] == 0


def test_a_tube_thinner_than_a_voxel_is_faint_and_unbroken() -> None:
    canvas = empty_canvas()
    canvas.paint(chain(np.array([[20.0, 20, 5], [20, 20, 35]]), 0.25, 0.0, 4))
    line = canvas.hu[20, 20, 6:35]
    assert line.std() < 1
    # A quarter of the edge wide on either side: half of the voxel's way from -1000 to 0 HU.
    assert line.mean() == pytest.approx(-500, abs=1)


def test_a_grown_tree_is_connected_and_reaches_every_leaf() -> None:
    leaves = np.random.default_rng(1).uniform(-40, 40, (60, 3))
    ends, radii = grow_tree(np.random.default_rng(0), (0, 0, 60), leaves, 5.0, 0.5)
    stops = {tuple(stop) for stop in ends[:, 1]}
    assert all(tuple(start) in stops or tuple(start) == (0.0, 0.0, 60.0) for start in ends[:, 0])
    assert {tuple(leaf) for leaf in leaves} <= stops
    assert radii.max() == 5.0
    assert (radii[:, 0] >= radii[:, 1]).all()


def test_a_profile_goes_through_its_knots() -> None:
    profile = Profile((-100, 0, 50), (1.0, 5.0, 2.0))
    assert profile.at(np.array([-300.0, -100.0, 0.0, 50.0, 400.0])).tolist() == [1.0, 1.0, 5.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"size": "huge"}, "size 'huge' is unknown"),
        ({"coverage": "head"}, "coverage 'head' is unknown"),
        ({"phase": "late"}, "phase 'late' is unknown"),
        ({"orientation": "XYZ", "size": "tiny"}, "expected three letters"),
        ({"shape": (8, 8, 0)}, "shape"),
        ({"spacing_mm": (1.0, -1.0, 1.0)}, "three lengths above 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(asked: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        phantom_scan(0, **asked)


def test_the_sizes_grow_by_name() -> None:
    assert [across for across, _ in SIZES.values()] == [48, 128, 256, 512]
