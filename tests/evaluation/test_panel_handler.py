import logging
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import pytest
import torch
from ignite.engine import Engine

from maesil_monai.evaluation import PanelHandler, panel_handler

SHAPE, GRID = (8, 8, 8), (2, 2, 2)


class _Writer:
    def __init__(self) -> None:
        self.pictures: dict[tuple[str, int], tuple[int, ...]] = {}

    def add_image(self, tag: str, picture: np.ndarray, step: int, dataformats: str) -> None:
        assert dataformats == "HWC"
        assert picture.dtype == np.uint8
        self.pictures[tag, step] = picture.shape


def _batch(scans: list[int], body_slices: list[int], **more: torch.Tensor) -> dict[str, torch.Tensor]:
    hidden = torch.zeros(len(scans), *GRID, dtype=torch.bool)
    hidden[:, 0] = True
    body = torch.zeros(len(scans), 1, *SHAPE, dtype=torch.bool)
    for sample, count in enumerate(body_slices):
        body[sample, 0, :count] = True
    start = torch.tensor([[scan, count, 0] for scan, count in zip(scans, body_slices, strict=True)])
    image = torch.full((len(scans), 1, *SHAPE), 0.5)
    return {"image": image, "hidden": hidden, "target": hidden, "body": body, "scan": torch.tensor(scans), "start": start, **more}


def _evaluate(engine: Engine, batch: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {"image": batch["image"], "pred": batch["image"] + 0.1, "label": batch}


BATCHES = [_batch([0, 0], [1, 5]), _batch([0, 1], [3, 4]), _batch([2], [8])]


def test_the_superpatch_with_the_most_body_of_each_of_the_first_scans_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = []
    draw = panel_handler.reconstruction_panel

    def noted(*volumes: Any, **panel: Any) -> Any:
        titles.append((panel["title"], round(panel["psnr_db"], 2)))
        return draw(*volumes, **panel)

    monkeypatch.setattr(panel_handler, "reconstruction_panel", noted)
    writer = _Writer()
    evaluator = Engine(_evaluate)
    handler = PanelHandler(tmp_path, windows={"lung": (1500, -600)}, scans=[{"case_id": "pt_1"}], summary_writer=writer)
    handler.attach(evaluator)
    evaluator.run(BATCHES)
    assert titles == [
        ("pt_1, superpatch at (0, 5, 0), epoch 1 (voxel size unknown)", 20.0),
        ("scan 1, superpatch at (1, 4, 0), epoch 1 (voxel size unknown)", 20.0),
    ]
    assert sorted(path.name for path in (tmp_path / "panels").iterdir()) == ["scan000_lung.png", "scan001_lung.png"]
    assert set(writer.pictures) == {("panels/scan000_lung", 1), ("panels/scan001_lung", 1)}


def test_visible_voxels_are_pasted_and_window_and_spacing_reach_the_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []
    draw = panel_handler.reconstruction_panel

    def noted(*volumes: Any, **panel: Any) -> Any:
        seen.append((*volumes, panel["title"], panel["window_hu"]))
        return draw(*volumes, **panel)

    monkeypatch.setattr(panel_handler, "reconstruction_panel", noted)
    evaluator = Engine(_evaluate)
    PanelHandler(tmp_path, 1, window_hu=(-1000, 500), windows={"lung": (1500, -600)}, keep_all=True).attach(evaluator)
    evaluator.run([_batch([0], [6], spacing_mm=torch.tensor([[1.0, 2.0, 3.0]]))])
    original, hidden, shown, spacing_mm, title, window_hu = seen[0]
    assert window_hu == (-1000.0, 500.0)
    assert hidden[:4].all()
    assert not hidden[4:].any()
    np.testing.assert_allclose(original, 0.5)
    np.testing.assert_allclose(shown[4:], 0.5)
    np.testing.assert_allclose(shown[:4], 0.6)
    assert spacing_mm == (1.0, 2.0, 3.0)
    assert "unknown" not in title
    assert [path.name for path in (tmp_path / "panels").iterdir()] == ["scan000_epoch0001_lung.png"]


@pytest.mark.parametrize("num_hidden", [8, 0])
def test_no_hidden_voxel_is_pasted_and_a_network_that_hides_nothing_is_shown_as_it_is(
    num_hidden: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    draw = panel_handler.reconstruction_panel

    def noted(*volumes: Any, **panel: Any) -> Any:
        seen.append(volumes[2])
        return draw(*volumes, **panel)

    monkeypatch.setattr(panel_handler, "reconstruction_panel", noted)
    batch = _batch([0], [6])
    batch["hidden"] = (torch.arange(8) < num_hidden).reshape(1, *GRID)
    batch["target"] = torch.zeros(1, *GRID, dtype=torch.bool)  # nothing was decoded
    evaluator = Engine(_evaluate)
    PanelHandler(tmp_path, 1, window_hu=(-1000, 500), windows={"lung": (1500, -600)}).attach(evaluator)
    evaluator.run([batch])
    np.testing.assert_allclose(seen[0], 0.6)  # the prediction, 0.1 above the image


def test_a_full_disk_is_a_warning_and_the_evaluation_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(panel_handler, "write_whole", full)
    evaluator = Engine(_evaluate)
    PanelHandler(tmp_path, 1, windows={"lung": (1500, -600)}).attach(evaluator)
    with caplog.at_level(logging.WARNING):
        assert evaluator.run(BATCHES).epoch == 1
    assert "No space left on device" in caplog.text


def test_only_the_first_process_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idist, "get_rank", lambda: 1)
    evaluator = Engine(_evaluate)
    PanelHandler(tmp_path, 1).attach(evaluator)
    evaluator.run(BATCHES)
    assert not (tmp_path / "panels").exists()


def test_a_negative_number_of_panels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="num_panels=-1"):
        PanelHandler(tmp_path, -1)
