"""The check of scans before a run: a line for each, a total, a report, an exit code."""

import gzip
import json
import os
import statistics
import time
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from corpus_nifti import GZ, hu, save, sheared, values, voxel

from maesil_monai.data.volumes.admission_checks import AdmissionRules
from maesil_monai.data.volumes.check_scans import check
from maesil_monai.data.volumes.nifti import read_nifti

CT_DIR = Path(os.environ.get("MAESIL_CT_DIR", ""))
needs_ct = pytest.mark.skipif("MAESIL_CT_DIR" not in os.environ, reason="MAESIL_CT_DIR is not set")


@pytest.fixture
def scans(tmp_path):
    """A good, an odd and two bad scans, and a label, which is none."""
    root = tmp_path / "scans"
    for name in ("a", "b", "c", "d"):
        (root / name).mkdir(parents=True)
    (root / "a" / "ct.nii.gz").write_bytes(GZ)
    save(root / "b" / "ct.nii", hu(), sheared(20))
    (root / "c" / "ct.nii.gz").write_bytes(GZ[:-3])
    values(voxel(np.nan))(root / "d" / "ct.nii")
    save(root / "a" / "label.nii", hu() * 0)
    return root


def test_each_scan_has_a_line_and_any_refusal_makes_the_exit_code_1(scans, capsys):
    assert check(scans) == 1
    accepted, noted, truncated, nan, total = capsys.readouterr().out.splitlines()
    assert accepted == f"accepted  {scans}/a/ct.nii.gz: 6 x 7 x 8 voxels of 0.8 x 0.8 x 2.5 mm"
    assert noted.startswith(f"noted     {scans}/b/ct.nii: 6 x 7 x 8 voxels")
    assert noted.endswith("[SHEARED]")
    assert truncated.startswith(f"refused   {scans}/c/ct.nii.gz: ")
    assert truncated.endswith("Copy the file again from its origin. [TRUNCATED]")
    assert nan.startswith(f"refused   {scans}/d/ct.nii: 1 of 336 voxels are NaN or infinite; expected finite values.")
    assert total == "4 scans: 2 accepted, of which 1 noted; 2 refused"


def test_good_scans_make_the_exit_code_0_and_rules_are_the_users_choice(scans, capsys):
    assert check([scans / "a", scans / "b" / "ct.nii"]) == 0
    assert check(str(scans / "d"), rules=AdmissionRules(nan_fill=-1024.0)) == 0
    assert "1 accepted, of which 1 noted; 0 refused" in capsys.readouterr().out


def test_the_report_says_what_the_lines_say(scans, tmp_path, capsys):
    check(scans, report=tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["counts"] == {"accepted": 1, "noted": 1, "refused": 2, "not CT": 0}
    good, odd, cut, nan = report["scans"]
    assert (good["verdict"], good["shape"], good["notes"]) == ("accepted", [6, 7, 8], [])
    assert [note["code"] for note in odd["notes"]] == ["SHEARED"]
    assert (cut["verdict"], cut["code"], nan["code"]) == ("refused", "TRUNCATED", "NON_FINITE")
    assert cut["path"] == str(scans / "c" / "ct.nii.gz")


def test_a_report_that_cannot_be_written_is_told_before_scans_are_read(scans, tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="report"):
        check(scans, report=tmp_path / "nowhere" / "report.json")
    assert capsys.readouterr().out == ""


def test_paths_without_a_scan_are_refused(tmp_path, capsys):
    assert check(tmp_path) == 1
    assert "[NO_VOLUMES]" in capsys.readouterr().out
    assert check([tmp_path / "nowhere", tmp_path / "nowhere.nii", "a\0b"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(line.endswith("[MISSING]") for line in lines[:2])


def test_a_link_out_of_the_folder_is_refused_unless_allowed(scans, capsys):
    (scans / "a" / "other.nii").symlink_to(scans / "b" / "ct.nii")
    assert check(scans / "a") == 1
    assert "[LINK_OUT]" in capsys.readouterr().out
    assert check(scans / "a", rules=AdmissionRules(links_out=True)) == 0


def test_any_name_of_a_file_fits_into_one_line(tmp_path, capsys):
    for name in (b"a\nb.nii.gz", b"a\xff.nii.gz", "\u00fc \u65e5.nii.gz".encode()):
        (tmp_path / os.fsdecode(name)).write_bytes(GZ)
    assert check(tmp_path, report=tmp_path / "report.json") == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 4
    assert "a\\nb.nii.gz" in out
    assert "\u00fc \u65e5.nii.gz" in out


def test_a_failing_disk_does_not_end_the_list(scans, capsys, monkeypatch):
    def fail(path, **kwargs):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("maesil_monai.data.volumes.check_scans.read_volume", fail)
    assert check(scans) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert all("Input/output error" in line and line.endswith("[READ_ERROR]") for line in lines[:4])


@needs_ct
def test_real_series_and_oddities_are_judged_rightly(tmp_path, capsys):
    for name in ("oddities", "lidc_dicom"):
        (tmp_path / name).symlink_to(CT_DIR / name)
    rules = AdmissionRules(links_out=True)
    assert check(tmp_path, tmp_path / "report.json", rules) == 1
    scans = json.loads((tmp_path / "report.json").read_text())["scans"]
    judged = {Path(scan["path"].split(" (")[0]).name: (scan["verdict"], scan["code"]) for scan in scans}
    assert judged == {
        "rgb_perfusion.nii.gz": ("refused", "COLOUR"),
        "sheared_scaled_uint8.nii.gz": ("noted", ""),
        "missing_slice": ("refused", "SLICE_INCREMENT"),
        "LIDC-IDRI-0314": ("accepted", ""),
    }
    lidc = next(scan for scan in scans if "LIDC" in scan["path"])
    assert lidc["shape"] == [512, 512, 30]
    assert lidc["spacing_mm"] == pytest.approx([0.78125, 0.78125, 1.0])


def _noisy_scan(path, shape):
    """A body of 0 HU in air with noise of 25 HU: gzip shrinks it as it shrinks a real scan, about twice."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape[:2]), indexing="ij")
    body = np.where(x**2 + y**2 < 0.6, 0.0, -1000.0)
    array = np.empty(shape, dtype=np.int16, order="F")
    for k in range(shape[2]):
        array[:, :, k] = np.maximum(body + rng.normal(0, 25, shape[:2]), -1024)
    path.write_bytes(gzip.compress(nib.Nifti1Image(array, np.diag([0.8, 0.8, 1.5, 1.0])).to_bytes(), 6))
    return array


def test_reading_holds_the_int16_volume_and_little_more(tmp_path):
    path = tmp_path / "scan.nii.gz"
    array = _noisy_scan(path, (256, 256, 60))
    tracemalloc.start()
    source = read_nifti(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(source.array, array)
    # Pieces of compressed bytes, of plain bytes and their leftovers: some MiB whatever the size of the scan.
    assert peak < array.nbytes + 2**23


@pytest.mark.long
def test_check_takes_at_most_half_the_time_of_nibabel(tmp_path, capsys):
    path = tmp_path / "scan.nii.gz"
    _noisy_scan(path, (512, 512, 200))
    seconds = {"check": [], "nibabel": []}
    for _ in range(5):
        start = time.process_time()
        assert check(path) == 0
        seconds["check"].append(time.process_time() - start)
        start = time.process_time()
        nib.load(path).get_fdata()
        seconds["nibabel"].append(time.process_time() - start)
    ratio = statistics.median(seconds["nibabel"]) / statistics.median(seconds["check"])
    with capsys.disabled():
        print(f"\ncheck {statistics.median(seconds['check']):.2f} s, {ratio:.1f} times faster than nibabel")
    assert ratio >= 2
