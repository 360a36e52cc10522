"""What of a batch reaches the network, in which precision, and what a run writes down about itself."""

from __future__ import annotations

import json
import logging
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from tiny_run import LISTED, Run, StopAfter, TinyNetwork

from maesil_monai.data.samples.catalog import data_hash
from maesil_monai.errors import BadCheckpoint
from maesil_monai.inferers import AutocastInferer
from maesil_monai.training.best_model import BestModel
from maesil_monai.training.prepare_batch import PrepareReconstruction
from maesil_monai.training.progress import ProgressLine, loss_of
from maesil_monai.training.run_record import BEST_NAME, RECORD_NAME
from maesil_monai.weights_file import save_weights
from maesil_monai.weights_file.checkpoint_files import LAST_NAME
from maesil_monai.weights_file.load import init_weights


def test_the_batch_is_stripped_of_metadata_and_keeps_what_evaluation_needs() -> None:
    hidden = torch.tensor([[[[True, False]]]])
    batch = {
        "image": MetaTensor(torch.full((1, 1, 2, 2, 4), 0.5)),
        "hidden": hidden,
        "target": ~hidden,
        "body": MetaTensor(torch.ones(1, 1, 2, 2, 4, dtype=torch.bool)),
        "scan": torch.tensor([3]),
        "start": torch.tensor([[0, 8, 16]]),
        "valid": torch.ones(1),
    }
    image, label, arguments, keywords = PrepareReconstruction()(batch, "cpu", dtype=torch.float64)
    assert (type(image), image.dtype, arguments) == (torch.Tensor, torch.float64, ())
    assert label["image"] is image
    assert list(label) == ["image", "hidden", "target", "body", "scan", "start"]
    assert type(label["body"]) is torch.Tensor
    assert label["body"].dtype == torch.bool
    assert (label["scan"].item(), label["start"].tolist()) == (3, [[0, 8, 16]])
    assert torch.equal(keywords["hidden"], hidden)
    assert torch.equal(keywords["target"], ~hidden)


def test_a_batch_without_masks_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match="batch without hidden, target"):
        PrepareReconstruction()({"image": torch.zeros(1)})


@pytest.mark.parametrize(
    ("amp", "inside"),
    [(True, torch.bfloat16), ("bfloat16", torch.bfloat16), ("float16", torch.float16), (False, torch.float32)],
)
def test_the_network_runs_in_the_wanted_precision_and_gives_float32(amp: bool | str, inside: torch.dtype) -> None:
    seen: list[Any] = []
    layer = torch.nn.Linear(2, 2)

    def network(image: torch.Tensor, hidden: str, target: str) -> torch.Tensor:
        seen.extend([layer(image).dtype, hidden, target])
        return layer(image)

    assert AutocastInferer(amp)(torch.ones(1, 2), network, "h", target="t").dtype == torch.float32
    assert seen == [inside, "h", "t"]


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="expected true, false or one of bfloat16, float16"):
        AutocastInferer("int8")


def evaluator_with(value: float) -> Any:
    class State:
        key_metric_name = "psnr"
        metrics = {"psnr": value}  # noqa: RUF012
        epoch = 1

    class Evaluator:
        state = State
        network = torch.nn.Linear(1, 1)

    return Evaluator


def test_the_best_model_is_the_best_and_nan_never_is(tmp_path: Path) -> None:
    best = BestModel(tmp_path)
    saved = []
    for value in (math.nan, 20.0, math.nan, 19.0, math.inf, 21.0):
        evaluator = evaluator_with(value)
        best(evaluator)
        if (tmp_path / BEST_NAME).is_file():
            weights = torch.load(tmp_path / BEST_NAME, weights_only=True)
            saved.append(torch.equal(weights["weight"], evaluator.network.weight))
    # Nothing for the first NaN; then kept for 20, not for NaN, 19 and infinity, and replaced for 21.
    assert best.value == 21.0
    assert saved[0]
    assert saved[-1]


def test_an_error_is_better_when_it_is_lower(tmp_path: Path) -> None:
    best = BestModel(tmp_path, higher_is_better=False)
    best.path.touch()
    best.load_state_dict({"value": 2.0, "epoch": 1})
    assert (best.is_better(1.0), best.is_better(3.0), best.is_better(-math.inf)) == (True, False, False)


def test_in_a_folder_without_the_best_model_the_next_one_is_the_best(tmp_path: Path) -> None:
    best = BestModel(tmp_path)
    best.load_state_dict({"value": 20.0, "epoch": 3})
    assert best.is_better(19.9)


def test_the_saved_best_model_holds_the_averaged_weights_that_were_validated(tmp_path: Path) -> None:
    run = Run(tmp_path, max_epochs=1).run()
    weights = torch.load(tmp_path / BEST_NAME, weights_only=True)
    assert all(torch.equal(weights[name], value) for name, value in run.average.module.state_dict().items())
    assert not torch.equal(weights["inner.weight"], run.network.inner.weight)


def test_weights_load_from_a_model_and_from_a_training_checkpoint(tmp_path: Path) -> None:
    run = Run(tmp_path, max_epochs=1).run()
    for name in (BEST_NAME, LAST_NAME):
        network = TinyNetwork()
        coverage = init_weights(network, tmp_path / name)
        assert (len(coverage.loaded), coverage.missing, coverage.unexpected, coverage.wrong_shape) == (5, (), (), ())
        assert torch.equal(network.inner.weight, run.average.module.inner.weight)


def test_partly_fitting_weights_are_accounted_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    weights = TinyNetwork(width=5).state_dict()
    weights["head.weight"] = weights.pop("outer.bias")
    save_weights(tmp_path / "model.pt", weights)
    network = TinyNetwork(width=3)
    before = network.inner.weight.clone()
    coverage = init_weights(network, tmp_path / "model.pt")
    assert coverage.loaded == ("mask_token",)
    assert coverage.missing == ("outer.bias",)
    assert coverage.unexpected == ("head.weight",)
    assert coverage.wrong_shape == ("inner.weight", "inner.bias", "outer.weight")
    assert torch.equal(network.inner.weight, before)
    assert "1 tensors loaded; 1 missing (outer.bias); 1 unexpected (head.weight); 3 of wrong shape" in caplog.text


@pytest.mark.parametrize("content", [{"other": torch.zeros(1)}, {"inner.weight": torch.zeros(1)}, [1, 2], b"text", None])
def test_files_without_fitting_weights_are_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "model.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(BadCheckpoint, match=re.escape(str(path))):
        init_weights(TinyNetwork(), path)


def record_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / RECORD_NAME).read_text())


def test_the_record_tells_how_a_run_ended_and_what_it_saw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    run = Run(tmp_path, handlers=(StopAfter(10),)).run()
    first = record_of(tmp_path)
    assert (first["ended"], first["iteration"], first["superpatches_seen"], first["optimizer_steps"]) == (
        "stopped early",
        10,
        20,
        3,
    )
    Run(tmp_path, resume="last").run()
    record = record_of(tmp_path)
    # 18 iterations of 2 superpatches; 6 optimiser steps.
    assert (record["ended"], record["superpatches_seen"], record["optimizer_steps"]) == ("completed", 36, 6)
    assert record["configuration"] == {"width": 3, "folder": "~"}
    assert record["data"] == {"num_scans": 5, "sha256": data_hash(LISTED)}
    assert record["best_metric"]["value"] <= run.best.value
    assert [part["ended"] for part in record["earlier_parts"]] == ["stopped early"]
    assert record["first_iteration"] == 10
    assert {"python", "maesil-monai", "monai", "torch"} <= record["versions"].keys()
    assert str(tmp_path) not in (tmp_path / RECORD_NAME).read_text()


def test_the_record_names_the_error_of_a_failed_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(prediction: torch.Tensor, label: dict[str, torch.Tensor]) -> torch.Tensor:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        Run(tmp_path, loss=fail).run()
    assert record_of(tmp_path)["ended"] == "failed: ValueError: boom"
    assert "samples in flight: " in caplog.text
    # The folder is free again, and nothing was saved.
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECORD_NAME]


def test_lack_of_memory_is_answered_with_the_batch_and_a_smaller_setting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(prediction: torch.Tensor, label: dict[str, torch.Tensor]) -> torch.Tensor:
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        Run(tmp_path, loss=fail).run()
    assert "batch of shape [2, 1, 4, 4, 4]" in caplog.text
    assert "Halve the batch size" in caplog.text


def test_progress_lines_hold_loss_rate_and_speed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="maesil_monai"):
        run = Run(tmp_path, max_epochs=1).run()
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("progress")]
    # One every two of six batches.
    assert [line.split(":")[0] for line in lines] == [f"epoch 1/1, batch {batch}/6" for batch in (2, 4, 6)]
    assert all(re.search(r"loss \d.*gradient norm \d.*learning rate \d.* superpatches/s", line) for line in lines)
    assert run.trainer.state.superpatches_per_second > 0.0


def test_the_loss_is_picked_from_plain_and_decollated_outputs() -> None:
    loss = torch.tensor(2.0, requires_grad=True)
    assert loss_of({"loss": loss}) == loss_of([{"loss": loss}, {"loss": loss}]) == 2.0


def test_an_interval_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="interval=0"):
        ProgressLine(0)
