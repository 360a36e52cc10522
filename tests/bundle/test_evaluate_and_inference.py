"""Evaluation and inference with a network that the bundle trained, used by the settings its run left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from bundle_runs import Trained, run
from PIL import Image

WINDOW_HU = (-1000, 1000)


@pytest.fixture(scope="module")
def scores(trained: Trained, scan_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What ``evaluate.json`` finds of the trained network on the superpatches its training validated."""
    folder = tmp_path_factory.mktemp("evaluated")
    judged = {"dataset_dir": str(scan_folder), "val_superpatches": 6, "num_panels": 1, "num_workers": 0, "batch_size": 3}
    run("evaluate", trained.settings, run_id="evaluating", output_dir=str(folder), **judged)
    return {**json.loads((folder / "scores.json").read_text()), "folder": folder}


def test_evaluation_finds_what_the_training_validated(trained: Trained, scores: Mapping[str, Any]) -> None:
    curve = json.loads((trained.folder / "learning_curve.json").read_text())
    best = max(curve["network"], key=lambda row: row["psnr_hidden_body"])
    for metric in ("psnr_hidden_body", "psnr_hidden", "mae_hu_hidden_body"):
        assert scores["network"][metric] == pytest.approx(best[metric], abs=1e-3 if metric.startswith("psnr") else 0.1)
    for name, values in curve["baselines"].items():
        assert scores["baselines"][name] == pytest.approx(values, rel=1e-5)


def test_scores_have_every_scan_and_their_mean_is_the_score(scores: Mapping[str, Any]) -> None:
    assert [row["case_id"] for row in scores["scans"]] == ["phantom_0004/ct", "phantom_0005/ct"]
    mean = np.mean([row["psnr_hidden_body"] for row in scores["scans"]])
    assert scores["network"]["psnr_hidden_body"] == pytest.approx(mean, abs=1e-4)


def test_evaluation_draws_panels(scores: Mapping[str, Any]) -> None:
    assert {path.name for path in (scores["folder"] / "panels").iterdir()} == {"scan000_lung.png", "scan000_soft_tissue.png"}


@pytest.fixture(scope="module")
def own_scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two scans as they come: stored along other axes than RAS, voxels of differing size, of table, air and bright bone.

    ``cube`` has the network's 32^3 voxels, so that resampling leaves its values alone; ``slab`` has 40 x 28 x 20.
    """
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    found = {}
    for name, shape, axes, spacing_mm in (
        ("cube", (32, 32, 32), "PIR", (3.0, 7.5, 2.0)),
        ("slab", (40, 28, 20), "LPI", (8.0, 11.0, 5.0)),
    ):
        hu = np.full(shape, -1000.0)
        inner = tuple(slice(size // 6, -size // 6) for size in shape)
        hu[inner] = 40.0
        hu += rng.normal(0, 300, shape)
        hu[shape[0] // 2, shape[1] // 2] = 2500.0
        change = nib.orientations.axcodes2ornt(axes)
        affine = np.diag([*(spacing_mm[int(np.argwhere(change[:, 0] == axis)[0, 0])] for axis in range(3)), 1.0])
        affine[:3, 3] = (-90.0, 15.0, 600.0)
        turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), change)
        ras_shape = tuple(shape[int(np.argwhere(change[:, 0] == axis)[0, 0])] for axis in range(3))
        stored = affine @ nib.orientations.inv_ornt_aff(turn, ras_shape)
        found[name] = folder / name / "ct.nii.gz"
        found[name].parent.mkdir()
        nib.save(nib.Nifti1Image(np.clip(hu, -1024, 3071).astype(np.int16), stored), found[name])
    return found


@pytest.fixture(scope="module")
def inferred(trained: Trained, own_scans: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The output folder of ``inference.json`` on these scans, and the inferer."""
    folder = tmp_path_factory.mktemp("inferred")
    data = own_scans["cube"].parents[1]
    settings = {"dataset_dir": str(data), "output_dir": str(folder), "batch_size": 4}
    return folder, run("inference", trained.settings, run_id="inference", **settings).inferer


@pytest.mark.parametrize("name", ["cube", "slab"])
def test_a_reconstruction_lies_on_the_scans_own_grid(name: str, own_scans: dict[str, Path], inferred: tuple[Path, Any]) -> None:
    scan = nib.load(own_scans[name])
    result = nib.load(inferred[0] / name / "ct" / "ct_reconstruction.nii.gz")
    assert result.shape == scan.shape
    np.testing.assert_allclose(result.affine, scan.affine, atol=1e-4)
    assert result.get_data_dtype() == np.int16
    values = np.asarray(result.dataobj)
    assert values.min() >= WINDOW_HU[0] - 500
    assert values.max() <= WINDOW_HU[1] + 500


def test_visible_voxels_come_back_as_they_were_and_hidden_ones_do_not(
    own_scans: dict[str, Path], inferred: tuple[Path, Any]
) -> None:
    scan = nib.as_closest_canonical(nib.load(own_scans["cube"]))
    result = nib.as_closest_canonical(nib.load(inferred[0] / "cube" / "ct" / "ct_reconstruction.nii.gz"))
    windowed = np.clip(np.asarray(scan.dataobj, dtype=np.float64), *WINDOW_HU)
    error_hu = np.abs(np.asarray(result.dataobj) - windowed)
    hidden = inferred[1].hidden_voxels(scan.shape)[0].numpy()
    # 3/4 of the voxels are hidden; noise of 300 HU cannot be guessed.
    assert hidden.mean() == 0.75
    # The window's round trip in float32 and the whole numbers of the file.
    assert error_hu[~hidden].max() <= 1.0
    assert error_hu[hidden].mean() > 50.0


@pytest.mark.parametrize("name", ["cube", "slab"])
def test_every_scan_has_panels_in_both_windows_beside_its_reconstruction(name: str, inferred: tuple[Path, Any]) -> None:
    found = sorted((inferred[0] / name / "ct").iterdir())
    assert [path.name for path in found] == ["ct_lung.png", "ct_reconstruction.nii.gz", "ct_soft_tissue.png"]
    for path in (found[0], found[2]):
        with Image.open(path) as picture:
            assert min(picture.size) >= 300


def test_a_reconstruction_of_blended_superpatches_lies_on_the_scans_own_grid(
    trained: Trained, own_scans: dict[str, Path], inferred: tuple[Path, Any], tmp_path: Path
) -> None:
    data = own_scans["slab"].parents[1]
    run("inference", trained.settings, run_id="inference", dataset_dir=str(data), output_dir=str(tmp_path), overlap=0.5)
    for name in ("cube", "slab"):
        scan, plain, blended = (
            nib.load(path)
            for path in (
                own_scans[name],
                inferred[0] / name / "ct" / "ct_reconstruction.nii.gz",
                tmp_path / name / "ct" / "ct_reconstruction.nii.gz",
            )
        )
        assert blended.shape == scan.shape
        np.testing.assert_allclose(blended.affine, scan.affine, atol=1e-4)
        if name == "cube":  # its visible voxels, a quarter, are the scan's own in both
            assert 0.25 <= np.mean(np.asarray(blended.dataobj) == np.asarray(plain.dataobj)) < 0.9


def test_one_file_is_reconstructed_as_in_its_folder(
    trained: Trained, own_scans: dict[str, Path], inferred: tuple[Path, Any], tmp_path: Path
) -> None:
    run("inference", trained.settings, run_id="inference", dataset_dir=str(own_scans["slab"]), output_dir=str(tmp_path / "out"))
    (found,) = tmp_path.rglob("*.nii.gz")
    assert found == tmp_path / "out" / "slab" / "ct" / "ct_reconstruction.nii.gz"
    of_folder = nib.load(inferred[0] / "slab" / "ct" / "ct_reconstruction.nii.gz")
    np.testing.assert_array_equal(np.asarray(nib.load(found).dataobj), np.asarray(of_folder.dataobj))
    assert len(list(found.parent.iterdir())) == 3


def test_scans_of_the_training_are_not_judged_without_a_warning(
    trained: Trained, scan_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for section, is_warned in (("training", True), ("validation", False)):
        caplog.clear()
        keys = {"section": section, "output_dir": str(tmp_path / section), "num_panels": 0, "num_workers": 0}
        run("evaluate", trained.settings, run_id="evaluating", dataset_dir=str(scan_folder), val_superpatches=1, **keys)
        assert ("this network was trained on" in caplog.text) is is_warned
