"""A DICOM series as a volume: voxels keep value and place, and what is no volume is refused by its own name."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from corpus_dicom import AXIAL, DAMAGES, SHAPE, edit, scan_of, write_series
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from maesil_monai.data.dicom import find_series, read_series
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.phantom.dicom_files import PLANTED_TAGS

real = pytest.mark.skipif("MAESIL_CT_DIR" not in os.environ, reason="MAESIL_CT_DIR is not set")


def _codes(source):
    return [note.code for note in source.notes]


def _turn(degrees, axis):
    angle, (a, b) = np.radians(degrees), [(1, 2), (0, 2), (0, 1)][axis]
    turn = np.eye(4)
    turn[[a, a, b, b], [a, b, a, b]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    return turn


SHEARED = AXIAL.copy()
SHEARED[1, 2] = 2.5 * np.tan(np.radians(20))
AFFINES = {
    "axial": (AXIAL, []),
    "feet first": (AXIAL @ np.diag([1.0, 1, -1, 1]), []),
    "coronal": (_turn(90, 0) @ AXIAL, []),
    "sagittal": (_turn(90, 1) @ _turn(90, 2) @ AXIAL, []),
    "oblique": (_turn(12, 0) @ _turn(7, 2) @ AXIAL, ["OBLIQUE"]),
    "tilted": (SHEARED, ["GANTRY_TILT"]),
}


@pytest.mark.parametrize("name", AFFINES)
def test_every_voxel_keeps_its_value_and_its_place(tmp_path, name):
    affine, notes = AFFINES[name]
    scan = scan_of(affine)
    write_series(tmp_path, scan)
    source = read_series(tmp_path)
    assert source.array.dtype == np.int16
    assert nib.aff2axcodes(source.affine) == ("R", "A", "S")
    assert _codes(source) == notes
    voxels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1).reshape(-1, 3)
    world = nib.affines.apply_affine(scan.affine, voxels)
    there = nib.affines.apply_affine(np.linalg.inv(source.affine), world)
    np.testing.assert_allclose(there, np.rint(there), atol=1e-4)
    assert source.array[tuple(np.rint(there).astype(int).T)].tolist() == scan.hu.ravel().tolist()


def test_the_slice_distance_comes_from_positions_whatever_thickness_and_numbers_say(tmp_path):
    for path in write_series(tmp_path):
        edit(path, SliceThickness="7", SpacingBetweenSlices="9", SliceLocation="1", InstanceNumber="1", GantryDetectorTilt="30")
    np.testing.assert_allclose(read_series(tmp_path).spacing_mm, (0.8, 0.8, 2.5))


def test_the_order_and_the_names_of_files_do_not_matter(tmp_path):
    wanted = read_series(write_series(tmp_path / "one")).array
    files = write_series(tmp_path / "two")
    moved = [
        path.rename(path.with_name(name)) for path, name in zip(files, ("z", "q 1", "IM.5", "a", "\u00fc", "0"), strict=True)
    ]
    (tmp_path / "two" / "notes.xml").write_text("<xml/>")
    (tmp_path / "two" / "readme.txt").write_text("text")
    (tmp_path / "two" / "DICOMDIR").touch()
    assert np.array_equal(read_series(tmp_path / "two").array, wanted)
    assert np.array_equal(read_series(moved[::-1]).array, wanted)
    assert np.array_equal(read_series(find_series(tmp_path / "two")[0]).array, wanted)


def test_each_slice_has_its_own_rescale(tmp_path):
    files = write_series(tmp_path)
    wanted = read_series(tmp_path).array
    # Stored values of slice 2 lose 500, which its intercept gives back; those of slice 3 are halved, rounded down.
    dataset = pydicom.dcmread(files[2])
    stored = dataset.pixel_array.astype(np.int32)
    edit(files[2], PixelData=(stored - 500).astype("<i2").tobytes(), PixelRepresentation=1, RescaleIntercept="-524")
    stored = pydicom.dcmread(files[3]).pixel_array
    edit(files[3], PixelData=(stored // 2).astype("<u2").tobytes(), RescaleSlope="2")
    source = read_series(tmp_path)
    assert "RESCALE_VARIES" in _codes(source)
    assert (wanted - source.array)[:, :, 3].min() >= 0
    assert (wanted - source.array)[:, :, 3].max() <= 1
    assert np.array_equal(np.delete(source.array, 3, 2), np.delete(wanted, 3, 2))


def test_values_between_whole_hu_are_rounded_and_noted(tmp_path):
    wanted = read_series(write_series(tmp_path)).array
    for path in sorted(tmp_path.glob("*.dcm")):
        edit(path, RescaleIntercept="-1024.25")
    source = read_series(tmp_path)
    assert np.array_equal(source.array, wanted)
    assert _codes(source) == ["ROUNDED"]


def test_padding_below_air_becomes_air_and_padding_among_tissue_stays(tmp_path):
    files = write_series(tmp_path)
    for path in files:
        signed = pydicom.dcmread(path).pixel_array.astype(np.int32) - 1024
        signed[0, :3] = -2000
        edit(path, PixelData=signed.astype("<i2").tobytes(), PixelRepresentation=1, RescaleIntercept="0")
        dataset = pydicom.dcmread(path)
        dataset.add_new(0x00280120, "SS", -2000)
        dataset.save_as(path)
    source = read_series(tmp_path)
    # First row, first three columns of 6 slices: left and front ends turn to the other side in RAS.
    assert np.all(source.array[-3:, -1, :] == -1024)
    assert [str(note) for note in source.notes] == ["18 voxels marked by PixelPaddingValue: set to -1024 HU [PADDING_FILLED]"]
    for path in files:
        dataset = pydicom.dcmread(path)
        dataset.add_new(0x00280120, "SS", 40)
        dataset.save_as(path)
    assert read_series(tmp_path).array.min() == -2000


def test_a_series_without_any_rescale_is_taken_as_hu_and_noted(tmp_path):
    files = write_series(tmp_path)
    wanted = read_series(tmp_path).array
    for path in files:
        hu = pydicom.dcmread(path).pixel_array.astype(np.int32) - 1024
        edit(path, PixelData=hu.astype("<i2").tobytes(), PixelRepresentation=1, RescaleSlope=None, RescaleIntercept=None)
    source = read_series(tmp_path)
    assert np.array_equal(source.array, wanted)
    assert _codes(source) == ["NO_RESCALE"]


def test_bits_above_those_in_use_are_no_part_of_the_value(tmp_path):
    files = write_series(tmp_path)
    wanted = read_series(tmp_path).array
    for path in files:
        stored = pydicom.dcmread(path).pixel_array
        assert stored.max() < 4096
        edit(path, PixelData=(stored | 0xA000).tobytes(), BitsStored=12, HighBit=11)
    assert np.array_equal(read_series(tmp_path).array, wanted)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless], ids=lambda uid: uid.keyword)
def test_the_transfer_syntax_does_not_change_a_voxel(tmp_path, syntax):
    # GDCM does not decode run lengths of images much smaller than this.
    files = write_series(tmp_path, scan_of(shape=(64, 60, 5)))
    wanted = read_series(tmp_path).array
    for path in files:
        dataset = pydicom.dcmread(path)
        if syntax == RLELossless:
            dataset.compress(syntax, generate_instance_uid=False)
        else:
            pixels = dataset.pixel_array
            dataset = pydicom.Dataset({element.tag: element for element in dataset})
            dataset.file_meta = pydicom.dcmread(path).file_meta
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.PixelData = (pixels.byteswap() if syntax == ExplicitVRBigEndian else pixels).tobytes()
        dataset.save_as(path, enforce_file_format=True)
    assert np.array_equal(read_series(tmp_path).array, wanted)


def test_slices_given_twice_are_read_once_and_noted(tmp_path):
    files = write_series(tmp_path)
    wanted = read_series(tmp_path).array
    edit(files[1], to=tmp_path / "again.dcm", SOPInstanceUID="1.2.3", InstanceNumber="99")
    source = read_series(tmp_path)
    assert np.array_equal(source.array, wanted)
    assert _codes(source) == ["DUPLICATE_SLICES"]


def test_files_without_a_preamble_are_read(tmp_path):
    files = write_series(tmp_path)
    wanted = read_series(tmp_path).array
    for path in files:
        bare = path.with_suffix("")
        bare.write_bytes(path.read_bytes()[132:])
        path.unlink()
    assert np.array_equal(read_series(tmp_path).array, wanted)


@pytest.mark.parametrize(("code", "damage"), DAMAGES, ids=[f"{i}-{row[0]}" for i, row in enumerate(DAMAGES)])
def test_a_bad_series_is_refused_with_its_code_and_no_word_about_the_patient(tmp_path, code, damage):
    damage(tmp_path, write_series(tmp_path))
    with pytest.raises(BadVolume) as caught:
        read_series(tmp_path)
    assert caught.value.code == code
    assert str(tmp_path) in str(caught.value)
    assert not [value for _, value in PLANTED_TAGS if value in str(caught.value)]


def test_a_gap_is_named_with_the_slices_beside_it_and_the_series(tmp_path):
    files = write_series(tmp_path)
    uid = pydicom.dcmread(files[0]).SeriesInstanceUID
    files[2].unlink()
    with pytest.raises(
        BadVolume, match=r"5 mm where the usual one is 2.5 mm \(1 missing\), between 1-002.dcm and 1-004.dcm"
    ) as caught:
        read_series(tmp_path)
    assert uid in str(caught.value)


def test_several_series_are_listed_by_their_uids(tmp_path):
    uids = [pydicom.dcmread(write_series(tmp_path / str(seed), seed=seed)[0]).SeriesInstanceUID for seed in (1, 2)]
    with pytest.raises(BadVolume) as caught:
        read_series(tmp_path)
    assert all(uid in str(caught.value) for uid in uids)


def test_positions_rounded_to_a_hundredth_are_even(tmp_path):
    for index, path in enumerate(write_series(tmp_path)):
        place = [*pydicom.dcmread(path).ImagePositionPatient[:2], round(-300 + index * 0.625, 2)]
        edit(path, ImagePositionPatient=place)
    assert read_series(tmp_path).spacing_mm[2] == pytest.approx(0.625, abs=0.003)


@real
@pytest.mark.parametrize(
    ("folder", "spacing_mm", "shape", "low"),
    [
        ("lidc_dicom", (0.78125, 0.78125, 1.0), (512, 512, 30), -1000),
        ("abdomen_dicom", (0.9765625, 0.9765625, 2.0), (512, 512, 20), -1024),
    ],
)
def test_a_real_series_has_the_spacing_of_its_positions_and_its_own_intercept(folder, spacing_mm, shape, low):
    source = read_series(Path(os.environ["MAESIL_CT_DIR"]) / folder)
    np.testing.assert_allclose(source.spacing_mm, spacing_mm)
    assert source.shape == shape
    assert source.array.min() == low
    assert source.notes == ()


@real
def test_a_real_series_lies_where_its_label_lies():
    root = Path(os.environ["MAESIL_CT_DIR"])
    label = nib.as_closest_canonical(nib.load(root / "abdomen_dicom_label.nii.gz"))
    np.testing.assert_allclose(read_series(root / "abdomen_dicom").affine, label.affine, atol=0.01)


@real
def test_a_real_series_with_a_missing_slice_is_refused():
    with pytest.raises(BadVolume, match=r"10 mm .* between IM-0001-0009-0001.dcm and IM-0001-0010-0001.dcm") as caught:
        read_series(Path(os.environ["MAESIL_CT_DIR"]) / "oddities" / "missing_slice")
    assert caught.value.code == "SLICE_INCREMENT"
