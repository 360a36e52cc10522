"""The body mask: on drawn bodies, where the truth is known, and on real scans."""

import itertools
import os
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from maesil_monai.data.volumes.body import body_of
from maesil_monai.data.volumes.volume_source import ArraySource
from maesil_monai.transforms import BodyMask, BodyMaskd, ResampleToCube, SuperpatchCrop

CT_DIR = os.environ.get("MAESIL_CT_DIR", "")
needs_real_ct = pytest.mark.skipif(not CT_DIR, reason="MAESIL_CT_DIR is not set")
SPACING_MM = (1.0, 1.0, 3.0)
AFFINE = np.diag([*SPACING_MM, 1.0])


def drawn_scan(shape=(96, 80, 12)):
    """A trunk with two lungs, a gas bubble and a spine on a table; returns the HU and the body's truth."""
    x, y = np.mgrid[: shape[0], : shape[1]]
    x, y = (x - shape[0] / 2 + 0.5), (y - shape[1] / 2 + 0.5)
    trunk = (x / 36) ** 2 + (y / 26) ** 2 < 1
    plane = np.where(trunk, 40, -1000)
    for side in (-16, 16):
        plane[((x - side) / 10) ** 2 + (y / 15) ** 2 < 1] = -850
    plane[x**2 + (y - 12) ** 2 < 9] = -1000
    plane[(abs(x) < 3) & (abs(y + 18) < 3)] = 700
    # The table: a shell of 2 mm that touches the back, and a second one below.
    plane[:, 13:15][~trunk[:, 13:15]] = 0
    plane[8:-8, 4:6] = 200
    # Outside the field of view scanners write other values than air.
    plane[x**2 + y**2 > 47**2] = -3024
    return np.repeat(plane[..., None], shape[2], 2).astype(np.int16), np.repeat(trunk[..., None], shape[2], 2)


def overlap(a, b):
    """Dice coefficient."""
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_lungs_and_gas_are_inside_table_and_padding_outside():
    hu, trunk = drawn_scan()
    body = body_of(hu, SPACING_MM)
    assert body.dtype == np.bool_
    assert overlap(body, trunk) > 0.99
    assert body[(hu == -850) | (hu == 700)].all()
    assert not body[:, :13].any()
    assert not body[hu == -3024].any()


def test_without_the_opening_the_table_that_touches_the_back_is_kept():
    hu, _ = drawn_scan()
    assert body_of(hu, SPACING_MM, opening_mm=0.0)[:10, 13:15].any()
    assert not body_of(hu, SPACING_MM, opening_mm=5.0)[:10, 13:15].any()


def test_the_opening_is_measured_in_mm():
    hu, _ = drawn_scan()
    # A table of 2 voxels is 2 mm thick here, and 8 mm at four times the spacing.
    assert not body_of(hu, (1, 1, 3), opening_mm=5.0)[:10, 13:15].any()
    assert body_of(hu, (4, 4, 12), opening_mm=5.0)[:10, 13:15].any()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_planes_are_axial_whatever_the_axes(order):
    hu, _ = drawn_scan()
    expected = body_of(hu, SPACING_MM)
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    for new_axis, old_axis in enumerate(order):
        affine[old_axis, new_axis] = -SPACING_MM[old_axis]
    image = MetaTensor(torch.from_numpy(np.ascontiguousarray(hu.transpose(order)))[None], affine=torch.from_numpy(affine))
    body = BodyMask()(image)
    assert np.array_equal(body[0].numpy(), expected.transpose(order))


def test_a_scan_of_air_has_an_empty_body():
    assert not body_of(np.full((8, 9, 10), -1000, np.int16), SPACING_MM).any()


def test_a_scan_of_tissue_alone_is_all_body():
    assert body_of(np.full((8, 9, 10), 40, np.int16), SPACING_MM).all()


def test_the_largest_of_two_parts_is_kept():
    hu = np.full((40, 40, 4), -1000, np.int16)
    hu[2:12, 2:12] = 40
    hu[20:38, 20:38] = 40
    assert np.array_equal(np.argwhere(body_of(hu, SPACING_MM)).min(0), [20, 20, 0])
    assert np.count_nonzero(body_of(hu, SPACING_MM)) == 18 * 18 * 4


def test_the_largest_part_is_found_among_more_than_65535():
    hu = np.full((84, 84, 84), -1000, dtype=np.int16)
    hu[::2, ::2, ::2] = 0  # 74,088 single voxels
    hu[10:13, 10:13, 10:13] = 0
    body = BodyMask(opening_mm=0.0)(ArraySource(hu, AFFINE)).array
    assert body[10:13, 10:13, 10:13].all()
    assert body.sum() == 27


def test_source_image_and_float_values_give_one_mask():
    hu, _ = drawn_scan()
    from_source = BodyMask()(ArraySource(hu, AFFINE))
    from_image = BodyMask()(MetaTensor(torch.from_numpy(hu).float()[None], affine=torch.from_numpy(AFFINE)))
    assert from_source.array.dtype == np.bool_
    assert from_image.dtype == torch.bool
    assert np.array_equal(from_source.array, from_image[0].numpy())
    assert np.array_equal(from_source.affine, from_image.affine.numpy())


def test_the_scan_is_not_changed():
    hu, _ = drawn_scan()
    before = hu.copy()
    hu.flags.writeable = False
    BodyMask()(ArraySource(hu, AFFINE))
    np.testing.assert_array_equal(hu, before)


def test_the_mask_of_a_source_is_made_once_for_each_choice_of_arguments():
    source = ArraySource(drawn_scan()[0], AFFINE)
    first = BodyMask()(source)
    assert BodyMask()(source) is first
    assert BodyMask(opening_mm=0.0)(source) is not first
    assert BodyMask(threshold_hu=-300)(source) is not first
    assert set(source.derived.values()) >= {first}


def test_the_mask_of_an_image_carries_no_trace_of_its_transforms():
    image = ResampleToCube(size=(48, 40, 24))(MetaTensor(torch.from_numpy(drawn_scan()[0]).float()[None]))
    body = BodyMask()(image)
    assert body.applied_operations == []
    assert torch.equal(body.affine, image.affine)
    assert len(image.applied_operations) == 1


def test_the_dictionary_form_adds_the_mask():
    out = BodyMaskd(keys="image")({"image": ArraySource(drawn_scan()[0], AFFINE), "case_id": "a"})
    assert sorted(out) == ["body", "case_id", "image"]
    assert out["body"] is BodyMask()(out["image"])


def test_memory_stays_below_four_times_the_scan():
    hu, _ = drawn_scan((256, 256, 60))
    tracemalloc.start()
    body_of(hu, SPACING_MM)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * hu.nbytes


@pytest.mark.parametrize("arguments", [{"opening_mm": -1.0}, {"opening_mm": float("inf")}, {"threshold_hu": float("nan")}])
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="expected finite HU and 0 mm or more"):
        BodyMask(**arguments)


def test_an_image_of_two_channels_is_refused():
    with pytest.raises(ValueError, match="expected one channel of HU"):
        BodyMask()(torch.zeros(2, 4, 4, 4))


def test_two_images_and_a_missing_one_are_refused():
    with pytest.raises(ValueError, match="expected one image"):
        BodyMaskd(keys=("image", "other"))
    with pytest.raises(KeyError, match="image"):
        BodyMaskd(keys="image")({"case_id": "a"})


def real_scan(name):
    image = nib.as_closest_canonical(nib.load(Path(CT_DIR) / name / "ct.nii.gz"))
    return ArraySource(np.asarray(image.dataobj).astype(np.float32), image.affine, name=name)


@needs_real_ct
def test_real_lungs_lie_inside_the_body():
    source = real_scan("openkbp/pt_30")
    body = BodyMask()(source).array
    lung = (source.array > -950) & (source.array < -700) & (np.arange(128) < 40)
    assert np.count_nonzero(lung) > 10_000
    assert np.count_nonzero(body & lung) > 0.98 * np.count_nonzero(lung)


@needs_real_ct
@pytest.mark.parametrize("name", ["STS_010", "STS_018", "STS_025"])
def test_a_real_table_lies_outside_the_body(name):
    source = real_scan(f"sts/{name}")
    body = BodyMask()(source).array
    # In these three scans the table takes up the first 25 rows, and the leg lies higher up.
    assert np.count_nonzero(source.array[:, :25] > -500) > 5_000
    assert not body[:, :25].any()


@needs_real_ct
def test_41_of_64_superpatches_of_the_held_out_scans_show_enough_body():
    crop = SuperpatchCrop(64, 8)
    folder = Path(CT_DIR) / "openkbp"
    count = 0
    for name in sorted(path.name for path in folder.iterdir())[-8:]:
        body = ResampleToCube(size=128, mode="mask")(BodyMask()(real_scan(f"openkbp/{name}")))
        count += sum(body.share(crop.box(body, index)) >= 0.05 for index in range(8))
    assert count == 41
