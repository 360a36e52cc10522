"""Weights are refused by name where names and shapes would let another network pass."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from monai.networks import copy_model_state
from torch import nn

from maesil_monai.networks import build_autoencoder, build_network, build_slice_network
from maesil_monai.networks.described_network import DESCRIPTION_KEY, NUM_BYTES, RECORD_KEY, OtherNetwork, pack, unpack

SMALL: dict[str, Any] = {"preset": "tiny", "img_size": (16, 16, 24), "patch_size": 8}
OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"position": "sincos_mae"}, "position 'sincos' in the weights, 'sincos_mae' in the network"),
    ({"num_heads": 12}, "num_heads 6 in the weights, 12 in the network"),
    ({"decoder_num_heads": 3}, "decoder_num_heads 6 in the weights, 3 in the network"),
    ({"preset": "small"}, "hidden_size 192 in the weights, 384 in the network"),
    ({"patch_size": 4}, r"patch_size \[8, 8, 8\] in the weights, \[4, 4, 4\] in the network"),
    ({"img_size": (16, 16, 16)}, r"img_size \[16, 16, 24\] in the weights, \[16, 16, 16\] in the network"),
    ({"decoder": "cross_attention"}, "decoder 'self_attention' in the weights, 'cross_attention' in the network"),
    ({"head": "conv"}, "head 'linear' in the weights, 'conv' in the network"),
]
# What makes a tensor that is taken over mean something else.
MEANING = [(changed, message) for changed, message in OTHERS if set(changed) & {"position", "num_heads", "patch_size"}]


@pytest.mark.parametrize(("changed", "message"), OTHERS)
@pytest.mark.parametrize("load", [nn.Module.load_state_dict, copy_model_state])
def test_another_network_refuses_the_weights_by_name_and_stays_as_it_is(changed: Any, message: str, load: Any) -> None:
    weights, network = build_network(**SMALL).state_dict(), build_network(**{**SMALL, **changed})
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(OtherNetwork, match=message):
        (network.load_state_dict if load is nn.Module.load_state_dict else lambda state: load(network, state))(weights)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(("changed", "message"), MEANING)
def test_partial_loading_and_a_network_inside_another_refuse_what_means_something_else(changed: Any, message: str) -> None:
    weights, network = build_network(**SMALL).state_dict(), build_network(**{**SMALL, **changed})
    with pytest.raises(OtherNetwork, match=message):
        network.load_state_dict(weights, strict=False)
    with pytest.raises(OtherNetwork, match=message):
        nn.Sequential(network).load_state_dict({f"0.{name}": value for name, value in weights.items()})


def test_partial_loading_into_another_grid_leaves_the_description_as_it_is() -> None:
    trained, other = build_network(**SMALL), build_network(**{**SMALL, "img_size": (16, 16, 16)})
    trained.is_trained_with({"superpatch_size": [16, 16, 24], "normalise_patches": True})
    before = copy.deepcopy(other.description)
    other.load_state_dict(trained.state_dict(), strict=False)
    assert other.description == before


def test_a_network_fed_with_other_voxels_refuses_the_weights() -> None:
    trained, other = build_network(**SMALL), build_network(**SMALL)
    settings = {"window_hu": [-1000, 1000], "resample_policy": "stretch", "cube_size": 512, "mask_rule": "total"}
    trained.is_trained_with(settings)
    other.is_trained_with({**settings, "window_hu": [-175, 250], "mask_rule": "plane"})
    with pytest.raises(OtherNetwork, match=r"^window_hu \[-1000, 1000\] in the weights, \[-175, 250\] in the network$"):
        other.load_state_dict(trained.state_dict())
    other.is_trained_with({**settings, "cube_size": [512, 512, 512], "mask_rule": "plane"})  # a size may be written either way
    other.load_state_dict(trained.state_dict())
    assert other.description == trained.description


@pytest.mark.parametrize(
    "build",
    [
        lambda: build_network(**SMALL, decoder="hierarchical"),
        lambda: build_slice_network(**SMALL),
        lambda: build_autoencoder("vqvae", "tiny", (16, 16, 24), 8, commitment_weight=0.5),
    ],
)
def test_the_same_network_takes_its_weights_and_passes_over_the_record_of_a_training(build: Any) -> None:
    first, second = build(), build()
    weights = {**first.state_dict(), RECORD_KEY: torch.zeros(3, dtype=torch.uint8)}
    second.load_state_dict(weights)
    assert all(torch.equal(value, weights[name]) for name, value in second.state_dict().items())
    assert RECORD_KEY in weights


def test_autoencoders_of_another_kind_are_refused() -> None:
    masked = build_autoencoder("ae", "tiny", 16, 8, masked=True)
    with pytest.raises(OtherNetwork, match="kind 'ae' in the weights, 'vae' in the network"):
        build_autoencoder("vae", "tiny", 16, 8, masked=True).load_state_dict(masked.state_dict())
    with pytest.raises(OtherNetwork, match="build_autoencoder in the weights, MaskedAutoEncoder3D in the network"):
        build_network(**SMALL).load_state_dict(masked.state_dict())


def test_weights_of_before_say_how_to_convert_them() -> None:
    network = build_network(**SMALL)
    weights = {name: value for name, value in network.state_dict().items() if name != DESCRIPTION_KEY}
    with pytest.raises(OtherNetwork, match="`maesil convert FILE NEW_FILE` adds it"):
        network.load_state_dict(weights)


def test_a_description_has_a_fixed_length_and_is_refused_where_it_is_none() -> None:
    network = build_network(**SMALL)
    assert network.state_dict()[DESCRIPTION_KEY].shape == (NUM_BYTES,)
    assert unpack(pack(network.description)) == network.description
    with pytest.raises(ValueError, match="expected at most 4096"):
        pack({"format": 1, "long": "a" * NUM_BYTES})
    for wrong, message in ((torch.zeros(4, dtype=torch.uint8), "cannot be read"), (pack({"format": 2}), "format 2: expected 1")):
        with pytest.raises(OtherNetwork, match=message):
            unpack(wrong)
