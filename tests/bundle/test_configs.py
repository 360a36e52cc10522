"""The conventions of the bundle's configuration files: choices in JSON, logic in named functions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bundle_runs import BUNDLE, CONFIGS
from monai.bundle.config_item import ComponentLocator

FILES = sorted(CONFIGS.glob("**/*.json"))
OVERLAYS = [path for path in FILES if path.stem not in ("train", "evaluate", "inference", "metadata")]
PACKAGES = ("maesil_monai.", "monai.", "torch.", "ignite.")
# Paths below another key, a network on its device, the start of an engine.
EXPRESSIONS = (r"\$@\w+ \+ '(/[\w.]+)+'", r"\$@\w+\.to\(@device\)", r"\$@[\w#]+\.run\(\)", r"\$@dataset#data\.root")
DOCUMENTATION = BUNDLE.parent / "docs" / "configuration.md"


def _values(tree: Any) -> Iterator[tuple[str, Any]]:
    """Gives every key and value that is no container, at any depth."""
    children = tree.items() if isinstance(tree, dict) else [("", child) for child in tree]
    for key, child in children:
        if isinstance(child, (dict, list)):
            yield from _values(child)
        else:
            yield key, child


def _user_keys(name: str) -> list[str]:
    """Gives the keys on top of a configuration, before the device."""
    keys = list(json.loads((CONFIGS / f"{name}.json").read_text()))
    return keys[: keys.index("device")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_ascii_json_indented_by_four_blanks_with_no_key_twice(path: Path) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys))
        return dict(pairs)

    text = path.read_text(encoding="ascii")
    assert isinstance(json.loads(text, object_pairs_hook=unique), dict)
    assert text.endswith("}\n")
    assert all((len(line) - len(line.lstrip(" "))) % 4 == 0 and "\t" not in line for line in text.splitlines())
    assert re.search(r"^ {4}\"", text, re.MULTILINE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_components_come_from_this_package_monai_torch_or_ignite(path: Path) -> None:
    short_names = ComponentLocator()
    for key, value in _values(json.loads(path.read_text())):
        if key == "_target_":
            assert value.startswith(PACKAGES) or short_names.get_component_module_name(value), value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_expressions_join_paths_move_a_network_or_start_an_engine_and_nothing_else(path: Path) -> None:
    for key, value in _values(json.loads(path.read_text())):
        if isinstance(value, str) and value.startswith("$"):
            assert any(re.fullmatch(form, value) for form in EXPRESSIONS), f"{key}: {value}"


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.name)
def test_an_overlay_has_fewer_than_50_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 50


@pytest.mark.parametrize("name", ["evaluate", "inference"])
def test_a_key_means_the_same_and_has_the_same_default_as_in_training(name: str) -> None:
    training = json.loads((CONFIGS / "train.json").read_text())
    other = json.loads((CONFIGS / f"{name}.json").read_text())
    # These belong to the run and not to the network: where from, where to, how much at once.
    own = {"output_dir", "ckpt", "val_superpatches", "batch_size", "num_workers"}
    shared = {key for key in _user_keys(name) if key in training} - own
    assert {key: other[key] for key in shared} == {key: training[key] for key in shared}
    # What a run writes down for the others is what they have; inference judges nothing.
    judging = {"min_body", "val_scans", "val_masks"} if name == "inference" else set()
    assert training["shared_settings"].keys() - judging <= set(_user_keys(name))


def test_overlays_change_keys_that_the_configuration_below_them_has() -> None:
    for path in OVERLAYS:
        below = json.loads((CONFIGS / ("evaluate.json" if path.stem == "full_metrics" else "train.json")).read_text())
        # monai.bundle runs finalize where there is one.
        assert {key.split("#")[0] for key in json.loads(path.read_text())} - {"finalize"} <= below.keys(), path.name


def test_names_and_versions_of_the_metadata_are_plain() -> None:
    metadata = json.loads((CONFIGS / "metadata.json").read_text())
    versions = [metadata[key] for key in ("version", "monai_version", "pytorch_version", "numpy_version")]
    assert all(re.fullmatch(r"\d+(\.\d+)+", version) for version in [*versions, *metadata["required_packages_version"].values()])
    assert metadata["version"] in metadata["changelog"]


@pytest.mark.skipif(not DOCUMENTATION.is_file(), reason="docs/configuration.md is not written yet")
def test_every_key_that_users_change_is_documented() -> None:
    text = DOCUMENTATION.read_text()
    assert [key for key in _user_keys("train") if f"`{key}`" not in text] == []
