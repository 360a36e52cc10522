"""The bundle under the tools of monai.bundle: what the Model Zoo checks and what users of a bundle call."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_runs import BUNDLE, CONFIGS, SIZES, TRAINING, Trained, config_files, unchanged_process, workflow
from monai.bundle import ckpt_export, load, verify_metadata, verify_net_in_out
from monai.data import load_net_with_metadata

from maesil_monai.networks import build_network
from maesil_monai.weights_file import read_weights

TEXTS = ("schema", "version", "monai_version", "pytorch_version", "numpy_version", "task", "description", "authors", "copyright")
TENSOR: dict[str, Any] = {
    "type": "object",
    "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
    "properties": {
        "type": {"type": "string"},
        "format": {"type": "string"},
        "num_channels": {"type": "integer"},
        "spatial_shape": {"type": "array", "items": {"type": ["integer", "string"]}},
        "dtype": {"type": "string"},
        "value_range": {"type": "array", "items": {"type": "number"}},
    },
}
TENSORS = {"type": "object", "minProperties": 1, "additionalProperties": TENSOR}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": [*TEXTS, "changelog", "required_packages_version", "network_data_format"],
    "properties": {
        **{name: {"type": "string", "minLength": 1} for name in TEXTS},
        "changelog": {"type": "object", "additionalProperties": {"type": "string"}},
        "required_packages_version": {"type": "object", "additionalProperties": {"type": "string"}},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {"inputs": TENSORS, "outputs": TENSORS},
        },
    },
}
METADATA = str(CONFIGS / "metadata.json")


def test_training_has_every_property_that_monai_looks_for(scan_folder: Path, tmp_path: Path) -> None:
    made = workflow("train", dataset_dir=str(scan_folder), output_dir=str(tmp_path), **TRAINING)
    assert made.check_properties() == []
    assert (made.bundle_root, made.max_epochs, made.val_interval) == (str(BUNDLE), 2, 2)
    assert [row["case_id"] for row in made.train_dataset_data] == [f"phantom_{number:04d}/ct" for number in range(4)]
    assert list(made.val_key_metric) == ["psnr_hidden_body"]


@pytest.mark.parametrize("name", ["evaluate", "inference"])
def test_evaluation_and_inference_have_every_property_that_monai_looks_for(
    name: str, scan_folder: Path, trained: Trained, tmp_path: Path
) -> None:
    made = workflow(name, trained.settings, dataset_dir=str(scan_folder), output_dir=str(tmp_path), num_workers=0)
    assert made.check_properties() == []
    assert type(made.network_def).__name__ == "MaskedAutoEncoder3D"
    assert made.evaluator.network is made.parser.get_parsed_content("network")


def test_the_metadata_fits_a_schema_of_the_required_keys_without_a_network(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    # A file that is there already, with the right hash, is not downloaded.
    found: dict[str, Any] = {"filepath": str(schema), "hash_val": hashlib.md5(schema.read_bytes()).hexdigest()}
    verify_metadata(meta_file=METADATA, **found)
    broken = json.loads((CONFIGS / "metadata.json").read_text())
    del broken["network_data_format"]["inputs"]["image"]["dtype"]
    (tmp_path / "metadata.json").write_text(json.dumps(broken))
    with pytest.raises(ValueError, match="'dtype' is a required property"):
        verify_metadata(meta_file=str(tmp_path / "metadata.json"), **found)


def test_the_network_takes_and_gives_what_the_metadata_says() -> None:
    small = {"preset": "tiny", "superpatch_size": 32, "_meta_#network_data_format#inputs#image#spatial_shape": [32, 32, 32]}
    verify_net_in_out("network_def", METADATA, config_files("inference"), device="cpu", **small)
    formats = json.loads((CONFIGS / "metadata.json").read_text())["network_data_format"]
    superpatch_size = json.loads((CONFIGS / "train.json").read_text())["superpatch_size"]
    assert formats["inputs"]["image"]["spatial_shape"] == [superpatch_size] * 3
    assert formats["outputs"]["pred"]["spatial_shape"] == [superpatch_size] * 3


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
def test_an_exported_network_reloads_and_gives_the_same_output(trained: Trained, tmp_path: Path) -> None:
    exported = tmp_path / "model.ts"
    weights = trained.folder / "model.pt"
    ckpt_export("network_def", str(exported), str(weights), METADATA, config_files("inference")[0], **SIZES)
    scripted, metadata, _ = load_net_with_metadata(str(exported))
    assert metadata["name"] == json.loads((CONFIGS / "metadata.json").read_text())["name"]
    network = build_network("tiny", 16, 4).eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 1, 16, 16, 16, generator=generator)
    hidden = torch.zeros(2, 64, dtype=torch.bool)
    hidden[0, :48] = hidden[1, 16:] = True
    hidden = hidden.reshape(2, 4, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(scripted(image, hidden, hidden), network(image, hidden, hidden))
        torch.testing.assert_close(scripted(image), network(image))


@pytest.mark.filterwarnings("ignore:parsing config_file")
@pytest.mark.parametrize("kind", ["train", "inference"])
def test_a_copied_bundle_loads_from_anywhere_with_the_weights_of_its_file(
    kind: str, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "bundles" / "maesil_ct_pretraining"
    shutil.copytree(BUNDLE, copied, ignore=shutil.ignore_patterns("models"))
    (copied / "models").mkdir()
    shutil.copy(trained.folder / "model.pt", copied / "models" / "model.pt")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    small = {"preset": "tiny", "img_size": 16, "patch_size": 4}
    with unchanged_process():
        network = load(copied.name, bundle_dir=copied.parent, workflow_type=kind, device="cpu", net_override=small)
    weights = read_weights(trained.folder / "model.pt").tensors
    assert network.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    assert list(elsewhere.iterdir()) == []
