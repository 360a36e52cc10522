"""From a file of weights alone to the network it is of."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from test_described import MEANING, SMALL

from maesil_monai.errors import BadCheckpoint, BadSetting
from maesil_monai.networks import build_autoencoder, build_network, build_slice_network
from maesil_monai.networks.described_network import DESCRIPTION_KEY, OtherNetwork
from maesil_monai.weights_file import describe, load_network, network_of, read_weights, save, save_weights
from maesil_monai.weights_file.checkpoint_files import save_archive, save_checkpoint
from maesil_monai.weights_file.load import init_weights

BUILDERS = {
    "mae": lambda: build_network(**SMALL, decoder="cross_attention", head="conv", position="learned"),
    "slice_mae": lambda: build_slice_network(**SMALL, position="sincos_mae"),
    "ae": lambda: build_autoencoder("ae", "tiny", (16, 16, 24), 8, voxels_per_latent=8),
    "vae": lambda: build_autoencoder("vae", "tiny", (16, 16, 24), 8, masked=True, kl_weight=0.1),
    "vqvae": lambda: build_autoencoder("vqvae", "tiny", (16, 16, 24), 8, num_codes=32),
}


def _image() -> torch.Tensor:
    return torch.rand(1, 1, 16, 16, 24, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("file", ["model.pt", "model.safetensors", "checkpoint_last.pt"])
def test_the_network_comes_back_from_its_file_alone(name: str, file: str, tmp_path: Path) -> None:
    network = BUILDERS[name]().eval()
    network.is_trained_with({"window_hu": [-1000, 1000]})
    save_weights(tmp_path / "model.pt", network.state_dict(), {"steps": 3})
    save_checkpoint(tmp_path / "checkpoint_last.pt", {"network": dict(network.state_dict()), "provenance": {"steps": 3}})
    found = load_network(tmp_path / file)
    assert type(found) is type(network)
    assert found.description == network.description
    assert not found.training
    assert read_weights(tmp_path / file).record == {"steps": 3}
    with torch.no_grad():
        assert torch.equal(found(_image()), network(_image()))


def test_the_network_comes_back_in_a_fresh_process(tmp_path: Path) -> None:
    network = build_network(**SMALL, position="sincos_mae").eval()
    save_weights(tmp_path / "model.pt", network.state_dict())
    with torch.no_grad():
        torch.save((_image(), network(_image())), tmp_path / "expected.pt")
    program = (
        "import torch; from maesil_monai.weights_file import load_network\n"
        "image, expected = torch.load('expected.pt', weights_only=True)\n"
        "with torch.no_grad(): assert torch.equal(load_network('model.pt')(image), expected)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_another_grid_decoder_or_head_is_built_and_the_log_says_what_it_took(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = build_network(**SMALL)
    save_weights(tmp_path / "model.pt", network.state_dict())
    with caplog.at_level(logging.INFO):
        wide = load_network(tmp_path / "model.pt", img_size=(32, 16, 24))
    count = len(network.state_dict()) - 1  # the description is no tensor of the network
    assert f"{count} tensors loaded; 0 missing; 0 unexpected; 0 of wrong shape" in caplog.text
    assert wide.grid == (4, 2, 3)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        other = load_network(tmp_path / "model.pt", decoder="cross_attention", head="conv")
    assert "missing" in caplog.text
    assert torch.equal(other.patch_embedding.weight, network.patch_embedding.weight)
    learned = build_network(**SMALL, position="learned")
    save_weights(tmp_path / "learned.pt", learned.state_dict())
    with caplog.at_level(logging.INFO):
        load_network(tmp_path / "learned.pt", img_size=(32, 16, 24))
    assert "2 of wrong shape (positions.position, decoder.positions.position)" in caplog.text


@pytest.mark.parametrize(("changed", "message"), MEANING)
def test_what_changes_the_meaning_of_tensors_is_refused_by_name(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_weights(tmp_path / "model.pt", build_network(**SMALL).state_dict())
    for attempt in (
        lambda: init_weights(build_network(**{**SMALL, **changed}), tmp_path / "model.pt"),
        lambda: load_network(tmp_path / "model.pt", **changed),
    ):
        with pytest.raises(BadCheckpoint, match=message):
            attempt()


def test_a_configuration_builds_the_network_of_a_file_or_without_one_what_it_names(tmp_path: Path) -> None:
    nulls = {"preset": None, "img_size": None, "decoder": None}
    assert network_of(tmp_path / "none.pt", **{**nulls, "preset": "tiny", "img_size": 32}).img_size == (32, 32, 32)
    save_weights(tmp_path / "model.pt", build_network(**SMALL, position="sincos_mae").state_dict())
    of_file = network_of(tmp_path / "model.pt", **nulls)
    assert of_file.description["network"]["arguments"]["position"] == "sincos_mae"
    assert of_file.img_size == (16, 16, 24)
    asked = network_of(tmp_path / "model.pt", **{**nulls, "preset": "small"})
    assert asked.description["network"]["arguments"]["num_layers"] == 8
    with pytest.raises(OtherNetwork, match="hidden_size 192 in the weights, 384 in the network"):
        asked.load_state_dict(of_file.state_dict())


def test_weights_without_a_description_and_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    network = build_network(**SMALL)
    save_archive(tmp_path / "old.pt", {name: value for name, value in network.state_dict().items() if name != DESCRIPTION_KEY})
    (tmp_path / "model.safetensors").write_bytes(b"{}")
    (tmp_path / "text.pt").write_text("no weights")
    for name, message in (
        ("none.pt", "no such file"),
        ("old.pt", "`maesil convert FILE NEW_FILE` adds it"),
        ("model.safetensors", "not readable"),
        ("text.pt", "10 bytes that are no torch archive"),
    ):
        with pytest.raises(BadCheckpoint, match=message) as raised:
            load_network(tmp_path / name)
        assert str(raised.value).startswith(str(tmp_path / name))
        assert "\n" not in str(raised.value)


def test_a_description_names_network_preprocessing_masks_recipe_patients_and_cost(tmp_path: Path) -> None:
    network = build_network(**SMALL)
    network.is_trained_with({"preset": "tiny", "window_hu": [-1000, 1000], "mask_rule": "total", "mask_ratio": 0.75})
    record = {
        "settings": {"window_hu": [-1000, 1000], "learning_rate": 0.001, "batch_size": 8},
        "patients": ["3759a9010d3d", "01081d7e74e7"],
        "steps": 960,
        "device_hours": 0.25,
        "processes": 1,
        "hardware": {"cores": 2, "gpus": []},
        "versions": {"torch": "2.14"},
        "validations": [{"epoch": 0, "psnr": 1.0}, {"epoch": 16, "psnr": 15.512345}],
    }
    save_weights(tmp_path / "model.pt", network.state_dict(), json.loads(json.dumps(record)))
    shown = {line[:28].strip(): line[28:] for line in describe(read_weights(tmp_path / "model.pt")).splitlines()}
    assert shown["img_size"] == "16, 16, 24"
    assert shown["position"] == "sincos"
    assert shown["window_hu"] == "-1000, 1000"
    assert shown["mask_rule"] == "total"
    assert (shown["learning_rate"], shown["batch_size"]) == ("0.001", "8")
    assert shown["trained on"].startswith("2 hashes of patients and scans")
    assert shown["cost"].startswith("0.25 hours")
    assert shown["last validation"] == "epoch 16, psnr 15.5123"


def test_a_changed_network_still_tells_how_it_is_fed(tmp_path: Path) -> None:
    network = build_network(**SMALL)
    network.is_trained_with({"superpatch_size": [16, 16, 24], "window_hu": [-1000, 1000]})
    save_weights(tmp_path / "model.pt", network.state_dict())
    wide = load_network(tmp_path / "model.pt", img_size=(32, 16, 24))
    assert wide.description["settings"] == {"superpatch_size": [32, 16, 24], "window_hu": [-1000, 1000]}


def test_what_a_run_was_set_to_is_no_change_of_a_network_that_has_no_such_argument(tmp_path: Path) -> None:
    network = build_slice_network(**SMALL)
    given = {"preset": "tiny", "decoder": "self_attention", "head": "linear", "patch_size": 8}
    network.is_trained_with({**given, "superpatch_size": [16, 16, 24]})
    save_weights(tmp_path / "model.pt", network.state_dict())
    same = network_of(tmp_path / "model.pt", img_size=(16, 16, 24), **given)
    assert same.description["network"] == network.description["network"]
    for wrong in ({"decoder": "cross_attention"}, {"preset": "huge"}, {"foo": 3}):
        with pytest.raises(BadSetting, match="for its SliceMaskedAutoEncoder; expected changes of in_channels, img_size"):
            network_of(tmp_path / "model.pt", **wrong)


def test_damaged_weights_and_safetensors_of_others_are_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "model.pt", build_network(**SMALL).state_dict())
    content = bytearray((tmp_path / "model.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(BadCheckpoint, match="damaged bytes"):
        read_weights(tmp_path / "model.pt")
    save_file({"a": torch.zeros(1)}, tmp_path / "theirs.safetensors", {"description": "A fine model"})
    with pytest.raises(BadCheckpoint, match="metadata that are not ours"):
        read_weights(tmp_path / "theirs.safetensors")


def test_a_failure_between_the_two_files_leaves_no_pair_of_different_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_weights(tmp_path / "model.pt", {"a": torch.zeros(1)}, {"steps": 1})
    monkeypatch.setattr(save, "write_whole", _no_room)
    with pytest.raises(OSError, match=r"No room: checkpoint not saved.* \d+ bytes needed, \d+ free.*model\.safetensors"):
        save_weights(tmp_path / "model.pt", {"a": torch.ones(1)}, {"steps": 2})
    assert read_weights(tmp_path / "model.pt").record == {"steps": 2}
    assert not (tmp_path / "model.safetensors").exists()


def _no_room(*_: Any) -> None:
    raise OSError(28, "No room")
