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

from maesil_monai.training.settings import RunSettings

FILES = sorted(CONFIGS.glob("**/*.json"))
OVERLAYS = [path for path in FILES if path.stem not in ("train", "evaluate", "inference", "metadata")]
PACKAGES = ("maesil_monai.", "monai.", "torch.", "ignite.")
# Paths below another key, a network on its device, the start of an engine, what the settings say.
EXPRESSIONS = (
    r"\$@\w+ \+ '(/[\w.]+)+'",
    r"\$@\w+\.to\(@device\)",
    r"\$@[\w#]+\.run\(\)",
    r"\$@dataset#data\.root",
    r"\$@settings\.(record|shared|fixed)\(\)",
    r"\$@settings\.\w+",
)
DOCUMENTATION = BUNDLE.parent / "docs" / "configuration.md"


def _objects(tree: Any) -> Iterator[dict[str, Any]]:
    """Gives every object of a configuration, at any depth."""
    if isinstance(tree, dict):
        yield tree
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _objects(child)


def _values(tree: Any) -> Iterator[tuple[str, Any]]:
    """Gives every key and value that is no container, at any depth."""
    children = tree.items() if isinstance(tree, dict) else [("", child) for child in tree]
    for key, child in children:
        if isinstance(child, (dict, list)):
            yield from _values(child)
        else:
            yield key, child


def _content(name: str) -> dict[str, Any]:
    return json.loads((CONFIGS / f"{name}.json").read_text())


def _user_keys(name: str) -> list[str]:
    """Gives the keys on top of a configuration, before the device."""
    keys = list(_content(name))
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
def test_a_key_means_the_same_as_in_training_and_what_the_weights_know_is_left_to_them(name: str) -> None:
    training = _content("train")
    other = _content(name)
    # These belong to the run and not to the network: where from, where to, how much at once.
    own = {"output_dir", "ckpt", "val_superpatches", "batch_size", "num_workers"}
    shared = {*RunSettings.names("shared")}
    same = {key for key in _user_keys(name) if key in training} - own - shared
    assert {key: other[key] for key in same} == {key: training[key] for key in same}
    # Inference judges nothing, and of an autoencoder the weights tell.
    elsewhere = {"voxels_per_latent", "masked_input"} | ({"min_body", "val_scans", "val_masks"} if name == "inference" else set())
    assert {key: other[key] for key in shared - elsewhere} == dict.fromkeys(shared - elsewhere)
    # Each is listed twice: as a key, and where it is held against the weights.
    checked = {key: value for key, value in other["settings"].items() if key != "_target_"}
    assert shared - elsewhere <= checked.keys() <= {*RunSettings.names()}
    assert checked == {key: f"@{key}" for key in checked}


def test_a_setting_is_listed_twice_where_its_default_stands_and_where_it_is_checked() -> None:
    content = _content("train")
    assert [key for key in _user_keys("train") if key not in ("bundle_root", "output_dir")] == list(RunSettings.names())
    checked = dict(content["settings"])
    assert checked.pop("_target_") == "maesil_monai.training.settings.RunSettings"
    assert checked == {name: f"@{name}" for name in RunSettings.names()}
    assert list(checked) == list(RunSettings.names())
    # Elsewhere it is used by what is built, never listed for its own sake and never given another value.
    for block in _objects({key: value for key, value in content.items() if isinstance(value, dict) and key != "settings"}):
        named = {key: value for key, value in block.items() if key in checked and not isinstance(value, dict)}
        assert not named or "_target_" in block
        assert all(value.startswith("@") for value in named.values()), named


def test_the_settings_are_checked_before_anything_is_built() -> None:
    for name in ("train", "multi_gpu_train"):
        steps = [step if isinstance(step, str) else step["_target_"].split(".")[-1] for step in _content(name)["initialize"]]
        assert steps[:3] == ["show_plain_errors", "check_option_names", "@settings"]


def test_the_training_holds_at_most_380_values() -> None:
    assert len(list(_values(_content("train")))) <= 380


@pytest.mark.parametrize("name", ["train", "evaluate", "inference"])
def test_the_mask_rule_and_the_way_from_a_file_to_the_grid_stand_in_one_place(name: str) -> None:
    targets = [block.get("_target_") for block in _objects(_content(name))]
    for once in ("masking.MaskRule", "transforms.LoadVolumed", "transforms.ResampleToCubed"):
        assert targets.count(f"maesil_monai.{once}") == 1


def test_overlays_change_keys_that_the_configuration_below_them_has() -> None:
    for path in OVERLAYS:
        below = _content("evaluate" if path.stem == "full_metrics" else "train")
        # monai.bundle runs finalize where there is one.
        assert {key.split("#")[0] for key in json.loads(path.read_text())} - {"finalize"} <= below.keys(), path.name


def test_names_and_versions_of_the_metadata_are_plain() -> None:
    metadata = _content("metadata")
    versions = [metadata[key] for key in ("version", "monai_version", "pytorch_version", "numpy_version")]
    assert all(re.fullmatch(r"\d+(\.\d+)+", version) for version in [*versions, *metadata["required_packages_version"].values()])
    assert metadata["version"] in metadata["changelog"]


def test_every_setting_has_a_row_in_the_documentation_with_its_default_and_its_mark() -> None:
    content, marked = _content("train"), RunSettings.names("fixed")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in DOCUMENTATION.read_text().splitlines()]
    rows = {cell[0].strip("`"): cell for cell in cells if len(cell) == 5}
    for name in RunSettings.names():
        default, mark = rows[name][1].strip("`"), rows[name][4]
        assert default == (content[name] or '""' if isinstance(content[name], str) else json.dumps(content[name])), name
        assert mark == ("x" if name in marked else ""), name
