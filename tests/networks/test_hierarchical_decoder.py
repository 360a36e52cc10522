"""The hierarchical decoder of Hi-End-MAE: which layers of the encoder it reads, and that it reaches them all."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from maesil_monai.masking import MaskRule
from maesil_monai.networks import MaskedAutoEncoder3D, build_network
from maesil_monai.networks.hierarchical_decoder import HierarchicalDecoder

SIZE = (16, 24, 40)  # 2 x 3 x 5 tokens
NAMED = [10, 7, 4]


def deep_network(**overrides: object) -> MaskedAutoEncoder3D:
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "mlp_dim": 48, "num_layers": 12, "num_heads": 4}
    decoder = {"decoder_hidden_size": 12, "decoder_mlp_dim": 24, "decoder_num_heads": 2}
    return build_network("tiny", SIZE, 8, "hierarchical", **{**sizes, **decoder, **overrides})


def random_input() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 1, *SIZE, generator=generator), MaskRule("random").draw((2, 3, 5), 2, generator)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_three_last_blocks_attend_to_what_layers_10_7_and_4_give(checkpointing: bool) -> None:
    network = deep_network(activation_checkpointing=checkpointing)
    given: dict[int, torch.Tensor] = {}
    taken: list[torch.Tensor] = []
    for number, block in enumerate(network.encoder.blocks, 1):
        block.register_forward_hook(lambda _, __, output, number=number: given.update({number: output}))
    for block in network.decoder.state_blocks:
        block.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[1]))
    network(*random_input())
    assert [next(number for number in given if given[number] is state) for state in taken] == NAMED


@pytest.mark.parametrize("layer", range(1, 13))
def test_a_layer_reaches_the_decoder_past_later_layers_only_if_it_is_named(layer: int) -> None:
    network = deep_network().eval()
    image, hidden = random_input()
    expected = network(image, hidden, hidden)
    kept: list[torch.Tensor] = []

    def change(_: nn.Module, __: object, output: torch.Tensor) -> torch.Tensor:
        kept.append(output)
        return output + torch.linspace(-1, 1, output.shape[2])

    # What follows in the encoder gets the unchanged output, so a change that shows came by the decoder's own way.
    after = [*network.encoder.blocks, network.encoder.norm][layer]
    network.encoder.blocks[layer - 1].register_forward_hook(change)
    after.register_forward_pre_hook(lambda _, inputs: (kept[-1], *inputs[1:]))
    moved = (network(image, hidden, hidden) - expected).abs().amax() > 0
    assert bool(moved) == (layer in NAMED)


def test_gradients_reach_every_layer_of_the_encoder() -> None:
    network = deep_network()
    image, hidden = random_input()
    network(image, hidden, hidden).square().sum().backward()
    assert all(block.feed_forward[0].weight.grad.abs().sum() > 0 for block in network.encoder.blocks)
    assert network.patch_embedding.weight.grad.abs().sum() > 0


def test_gradients_reach_the_encoder_through_its_hidden_states_too() -> None:
    network = deep_network()
    network.encoder.norm.register_forward_hook(lambda _, __, output: output.detach())
    image, hidden = random_input()
    network(image, hidden, hidden).square().sum().backward()
    reached = [block.feed_forward[0].weight.grad is not None for block in network.encoder.blocks]
    assert reached == [True] * 10 + [False] * 2


def test_the_layers_scale_with_the_depth_of_the_encoder() -> None:
    assert HierarchicalDecoder.state_layers(12) == NAMED
    assert HierarchicalDecoder.state_layers(24) == [20, 14, 8]
    for depth in range(1, 40):
        layers = HierarchicalDecoder.state_layers(depth)
        assert sorted(layers, reverse=True) == layers
        assert 1 <= layers[2] <= layers[0] <= depth
        assert len(set(layers)) == min(depth, 3)
        assert layers[0] < depth or depth < 4


@pytest.mark.parametrize("depth", [1, 2])
def test_an_encoder_with_fewer_layers_than_states_hands_one_out_twice(depth: int) -> None:
    image, hidden = random_input()
    assert deep_network(num_layers=depth)(image, hidden, hidden).isfinite().all()


def test_the_preset_has_the_sizes_of_the_original() -> None:
    with torch.device("meta"):
        network = build_network("hi_end_mae", 96, 16, "hierarchical")
    decoder = network.decoder
    assert network.grid == (6, 6, 6)
    assert (len(network.encoder.blocks), network.encoder.blocks[0].attention.num_heads) == (12, 12)
    assert (network.encoder.norm.normalized_shape, decoder.norm.normalized_shape) == ((768,), (384,))
    assert (len(decoder.blocks), len(decoder.state_blocks)) == (2, 3)
    assert {block.attention.num_heads for block in decoder.blocks} == {12}
    assert {block.cross_attention.num_heads for block in decoder.state_blocks} == {12}
    assert {block.feed_forward[0].out_features for block in (*decoder.blocks, *decoder.state_blocks)} == {4 * 384}


@pytest.mark.parametrize("preset", ["tiny", "small", "base"])
def test_the_other_presets_keep_their_encoder_and_the_width_of_their_decoder(preset: str) -> None:
    with torch.device("meta"):
        network, plain = (build_network(preset, 64, 8, decoder) for decoder in ("hierarchical", "self_attention"))
    assert [value.shape for value in network.encoder.parameters()] == [value.shape for value in plain.encoder.parameters()]
    assert network.decoder.norm.normalized_shape == plain.decoder.norm.normalized_shape
