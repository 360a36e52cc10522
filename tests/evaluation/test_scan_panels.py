"""Panels of a whole reconstructed scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from PIL import Image

from maesil_monai.evaluation import SaveScanPanelsd, scan_panels
from maesil_monai.inferers import SuperpatchInferer

INFERER = SuperpatchInferer(8, 4, "random", seed=3, num_passes=2)


def _reconstructed(**more: Any) -> dict[str, Any]:
    """One decollated item of 16 x 8 x 8 voxels of 2 x 3 x 4 mm."""
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64))
    image = MetaTensor(torch.rand(1, 16, 8, 8), affine=affine, meta={"filename_or_obj": "/data/pt_7.nii.gz"})
    return {"image": image, "pred": MetaTensor(image.as_tensor() * 0.5, affine=affine), **more}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is handed on to be drawn, and the first file that is written."""
    noted: dict[str, Any] = {}

    def note(*volumes: Any, **options: Any) -> Image.Image:
        noted.update(volumes=volumes[:3], spacing_mm=volumes[3], **options)
        return Image.new("L", (1, 1))

    def write(file: Path, content: bytes) -> Path:
        noted.setdefault("file", file)
        return file

    monkeypatch.setattr(scan_panels, "reconstruction_panel", note)
    monkeypatch.setattr(scan_panels, "write_whole", write)
    return noted


def test_files_are_written_for_every_window_and_the_item_goes_on_unchanged(tmp_path: Path) -> None:
    item = _reconstructed(case_id="pt_7")
    before = {key: item[key].clone() for key in ("image", "pred")}
    assert SaveScanPanelsd(tmp_path, INFERER)(item) is item
    files = sorted((tmp_path / "pt_7").iterdir())
    assert [path.name for path in files] == ["pt_7_lung.png", "pt_7_soft_tissue.png"]
    for file in files:
        with Image.open(file) as picture:
            picture.verify()
    assert all(torch.equal(item[key], before[key]) for key in before)


def test_the_hidden_patches_of_the_first_pass_are_shown(drawn: dict[str, Any]) -> None:
    item = _reconstructed()
    SaveScanPanelsd("output", INFERER, window_hu=(-160, 240))(item)
    original, hidden, reconstruction = drawn["volumes"]
    for index in range(2):
        first = INFERER.draw_hidden(index)[0].numpy().repeat(4, 0).repeat(4, 1).repeat(4, 2)
        assert np.array_equal(hidden[8 * index : 8 * index + 8], first)
    assert np.array_equal(original, item["image"][0].numpy())
    assert np.array_equal(reconstruction, original * 0.5)
    assert drawn["window_hu"] == (-160.0, 240.0)


def test_proportions_are_those_of_the_scan(drawn: dict[str, Any]) -> None:
    SaveScanPanelsd("output", INFERER)(_reconstructed())
    assert drawn["spacing_mm"] == pytest.approx([2.0, 3.0, 4.0])


@pytest.mark.parametrize(("more", "case", "name"), [({}, "pt_7", "pt_7"), ({"case_id": "lidc/pt_7.1"}, "lidc/pt_7.1", "pt_7.1")])
def test_a_case_is_named_by_its_id_or_else_by_its_file(drawn: dict[str, Any], more: dict[str, Any], case: str, name: str) -> None:
    SaveScanPanelsd("output", INFERER)(_reconstructed(**more))
    assert drawn["file"] == Path("output") / case / f"{name}_lung.png"


def test_the_planes_go_through_the_body(drawn: dict[str, Any]) -> None:
    item = _reconstructed()
    item["image"][:] = 0.0
    item["image"][0, 12, 4, 4] = 1.0
    SaveScanPanelsd("output", INFERER)(item)
    assert drawn["center"] == (12, 4, 4)


def test_a_missing_reconstruction_is_a_missing_key() -> None:
    with pytest.raises(KeyError, match="pred"):
        SaveScanPanelsd("output", INFERER)({"image": _reconstructed()["image"]})
