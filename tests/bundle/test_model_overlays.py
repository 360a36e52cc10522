"""The compared models as overlays: each builds the same network for training, evaluation and inference, and trains."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_runs import BUNDLE, CONFIGS, SIZES, TRAINING, config_files, run, workflow
from monai.bundle import ConfigWorkflow, ckpt_export

from maesil_monai.comparison.bundle_files import FORMS, BundleFiles
from maesil_monai.comparison.model_entry import Entry

FILES = BundleFiles.find(BUNDLE)
# One of each kind of network; the others differ from these in sizes and mask rules only.
TRAINED = ("ae", "vae_512", "vqvae_masked")


@dataclass(frozen=True)
class Model:
    """A trained model: its name, the folder of its run, and the workflow as it was left."""

    name: str
    folder: Path
    workflow: ConfigWorkflow


def _overlay(model: str) -> Path:
    return Path(FILES.files_of(model)[-1])


def _network(name: str, model: str, **settings: Any) -> torch.nn.Module:
    """Builds the network that a configuration has for a model."""
    settings = {**SIZES, **FILES.changes_of(Entry(model)), **settings}
    return workflow(name, _overlay(model), **settings).parser.get_parsed_content("network_def")


def test_each_autoencoder_has_one_overlay_and_a_form_for_each_bottleneck() -> None:
    overlays = {file.stem for file in (CONFIGS / "models").glob("*.json")}
    kinds = ("ae", "vae", "vqvae")
    assert {name for name in FILES.models if name not in overlays} == {f"{kind}{form}" for kind in kinds for form in FORMS}
    # 8 channels at each latent position of 32^3 voxels: stride 4 for 8 voxels a latent value, stride 16 for 512.
    shapes = {form: _network("train", f"vae{form}", superpatch_size=32).latent_shape for form in ("_8", "", "_512")}
    assert shapes == {"_8": (8, 8, 8, 8), "": (8, 4, 4, 4), "_512": (8, 2, 2, 2)}
    assert [_network("train", f"ae{form}").fill is not None for form in ("", "_8", "_masked")] == [False, False, True]


@pytest.mark.parametrize("model", FILES.models)
def test_training_evaluation_and_inference_build_the_same_network(model: str) -> None:
    trained, *others = [_network(name, model).eval() for name in ("train", "evaluate", "inference")]
    shapes = {name: value.shape for name, value in trained.state_dict().items()}
    for network in others:
        assert {name: value.shape for name, value in network.state_dict().items()} == shapes
    assert (trained.img_size, trained.grid) == ((16, 16, 16), (4, 4, 4))
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 1, 16, 16, 16, generator=generator)
    hidden = workflow("train", _overlay(model), **SIZES).parser.get_parsed_content("mask").draw((4, 4, 4), 2, generator)
    with torch.no_grad():
        volume = trained(image, hidden, hidden)
    assert volume.shape == image.shape
    assert torch.isfinite(volume).all()
    where = hidden.repeat_interleave(4, 1).repeat_interleave(4, 2).repeat_interleave(4, 3)[:, None]
    assert (volume[~where] == 0).all()


@pytest.mark.parametrize("model", FILES.models)
def test_sizes_that_users_set_reach_the_network(model: str) -> None:
    small, changed = _network("train", model), _network("train", model, superpatch_size=32, patch_size=8, preset="small")
    assert (changed.img_size, changed.patch_size) == ((32, 32, 32), (8, 8, 8))
    if model != "hi_end_mae_paper":  # has a size of its own
        assert sum(p.numel() for p in changed.parameters()) > sum(p.numel() for p in small.parameters())


@pytest.fixture(scope="module", params=TRAINED)
def model(request: pytest.FixtureRequest, scan_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Trains a model for two steps and validates it before and after."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    short = {**TRAINING, "superpatches_per_epoch": 4, "max_epochs": 1, "val_interval": 1, "val_superpatches": 2}
    settings = {**short, **FILES.changes_of(Entry(name)), "dataset_dir": str(scan_folder), "output_dir": str(folder)}
    return Model(name, folder, run("train", _overlay(name), **settings))


def test_every_weight_of_a_model_is_trained_by_its_own_losses(model: Model) -> None:
    network, start = model.workflow.trainer.network, _network("train", model.name)
    assert all(not torch.equal(p, q) for p, q in zip(network.parameters(), start.parameters(), strict=True))
    auxiliary = model.workflow.parser.get_parsed_content("train#loss").auxiliary
    assert getattr(auxiliary, "__self__", None) is (network if hasattr(network, "auxiliary_loss") else None)


def test_evaluation_of_a_model_with_its_overlay_finds_what_training_validated(
    model: Model, scan_folder: Path, tmp_path: Path
) -> None:
    judged = {"dataset_dir": str(scan_folder), "val_superpatches": 2, "num_panels": 0, "num_workers": 0, "batch_size": 2}
    settings = {**judged, "output_dir": str(tmp_path), "ckpt": str(model.folder / "model.pt")}
    run("evaluate", _overlay(model.name), model.folder / "settings.json", run_id="evaluating", **settings)
    scores = json.loads((tmp_path / "scores.json").read_text())["network"]
    validated = json.loads((model.folder / "learning_curve.json").read_text())["network"]
    assert [row["epoch"] for row in validated] == [0, 1]
    best = max(row["psnr_hidden_body"] for row in validated)
    assert math.isfinite(best)
    assert scores["psnr_hidden_body"] == pytest.approx(best, abs=1e-3)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
def test_an_exported_model_gives_the_same_volume(model: Model, tmp_path: Path) -> None:
    weights, exported = str(model.folder / "model.pt"), tmp_path / "model.ts"
    files = config_files("inference", _overlay(model.name), model.folder / "settings.json")
    ckpt_export("network_def", str(exported), weights, str(CONFIGS / "metadata.json"), files)
    network = _network("inference", model.name).eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 1, 16, 16, 16, generator=generator)
    hidden = model.workflow.parser.get_parsed_content("mask").draw((4, 4, 4), 2, generator)
    scripted = torch.jit.load(exported)
    with torch.no_grad():
        torch.testing.assert_close(scripted(image, hidden, hidden), network(image, hidden, hidden))
        torch.testing.assert_close(scripted(image), network(image))


def test_a_network_without_an_auxiliary_loss_trains_on_its_reconstruction_alone() -> None:
    made = workflow("train", **SIZES)
    assert made.parser.get_parsed_content("train#loss").auxiliary is None
