"""Made-up scans in the layouts of the three collections: what lies where, and that real readers read it."""

import csv
import xml.etree.ElementTree as ElementTree

import nibabel as nib
import numpy as np
import pydicom
import pytest

from maesil_monai.data.dicom import choose_series, find_series, read_series
from maesil_monai.data.volumes.nifti import read_nifti
from maesil_monai.phantom import layouts
from maesil_monai.phantom.dicom_files import PLANTED_TAGS, planted_patient_id
from maesil_monai.phantom.layouts import BTCV_IDS, STRUCTURES, write_layouts
from maesil_monai.phantom.made_up_scan import phantom_scan


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return write_layouts(tmp_path_factory.mktemp("layouts") / "new", num_scans=2, seed=3)


def _bytes(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_btcv_has_training_scans_with_labels_and_a_testing_scan_without(places):
    root = places["btcv"] / "RawData"
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.nii.gz"))
    assert names == [
        "Testing/img/img0061.nii.gz",
        "Training/img/img0001.nii.gz",
        "Training/img/img0002.nii.gz",
        "Training/label/label0001.nii.gz",
        "Training/label/label0002.nii.gz",
    ]
    scan, label = (nib.load(root / "Training" / name) for name in ("img/img0001.nii.gz", "label/label0001.nii.gz"))
    assert np.array_equal(scan.affine, label.affine)
    ids, hu = np.asarray(label.dataobj), np.asarray(scan.dataobj)
    assert set(np.unique(ids)) <= {0, *BTCV_IDS.values()}
    # Liver lies between fat and bone.
    assert 0 < np.median(hu[ids == BTCV_IDS["liver"]]) < 250


def test_totalsegmentator_has_all_structures_of_a_scan_and_a_table_with_the_split(places):
    root = places["totalsegmentator"]
    for case in ("s0001", "s0002"):
        shape = read_nifti(root / case / "ct.nii.gz").shape
        files = sorted((root / case / "segmentations").iterdir())
        assert [path.name.removesuffix(".nii.gz") for path in files] == sorted(STRUCTURES)
        assert all(read_nifti(path, hounsfield=False).shape == shape for path in files)
    with (root / "meta.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert [(row["image_id"], row["split"]) for row in rows] == [("s0001", "train"), ("s0002", "val")]


def test_lidc_has_localizer_film_and_annotations_beside_the_ct(places):
    found = find_series(places["lidc"])
    kinds = sorted((series.patient_id, series.why_not) for series in found)
    first, second = planted_patient_id(1), planted_patient_id(2)
    assert kinds == [
        *((first, why) for why in ("", "", "a localizer", "modality CR")),
        *((second, why) for why in ("", "a localizer", "modality CR")),
    ]
    thin = [series for series in choose_series(found) if series.patient_id == first]
    assert len(thin) == 1
    annotations = ElementTree.parse(next(thin[0].files[0].parent.glob("*.xml")))
    assert annotations.findtext(".//{*}SeriesInstanceUid") == thin[0].series_uid
    instances = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in thin[0].files}
    assert annotations.findtext(".//{*}imageSOP_UID") in instances


def test_the_dicom_series_is_the_scan_that_was_drawn(places):
    drawn = phantom_scan([3, 1, 2], size="tiny", coverage="chest", orientation="LPS")
    source = read_series(places["lidc"] / "LIDC-IDRI-0002")
    ras = nib.as_closest_canonical(nib.Nifti1Image(drawn.hu, drawn.affine))
    assert np.array_equal(source.array, np.asarray(ras.dataobj))
    np.testing.assert_allclose(source.affine, ras.affine, atol=1e-4)


def test_every_dicom_file_holds_the_twenty_planted_tags(places):
    assert len({value for _, value in PLANTED_TAGS}) == len({keyword for keyword, _ in PLANTED_TAGS}) == 20
    for path in places["lidc"].rglob("*.dcm"):
        content = path.read_bytes()
        assert not [value for _, value in PLANTED_TAGS if value.encode() not in content]


def test_the_same_seed_gives_the_same_bytes_and_more_scans_change_none_of_them(places, tmp_path):
    first = _bytes(places["lidc"].parent)
    again = tmp_path / "again"
    write_layouts(again, num_scans=1, seed=3)
    write_layouts(again, num_scans=2, seed=3)
    assert _bytes(again) == first


def test_a_case_that_was_cut_short_is_written_again_and_never_seen(tmp_path, monkeypatch):
    def killed(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(layouts, "write_chest_film", killed)
        with pytest.raises(KeyboardInterrupt):
            write_layouts(tmp_path / "new", num_scans=1)
    assert not list((tmp_path / "new" / "lidc").glob("LIDC*"))
    places = write_layouts(tmp_path / "new", num_scans=1)
    assert len(find_series(places["lidc"])) == 4
    assert not list(tmp_path.rglob("*.partial"))


def test_a_folder_of_something_else_or_another_seed_is_refused(places, tmp_path):
    with pytest.raises(ValueError, match="Choose another folder"):
        write_layouts(places["btcv"].parent, num_scans=2, seed=4)
    (tmp_path / "scan.nii").touch()
    with pytest.raises(ValueError, match="is not empty"):
        write_layouts(tmp_path)


@pytest.mark.parametrize("wrong", [{"num_scans": 0}, {"num_scans": 61}, {"seed": -1}, {"size": "full"}])
def test_numbers_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="expected 1 to 60 scans"):
        write_layouts(tmp_path / "new", **wrong)
