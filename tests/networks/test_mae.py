"""The masked autoencoder: what it sees, what it predicts, and that one look at one thing."""

import pytest
import torch

from maesil_monai.geometry import patchify, tokens_to_voxels
from maesil_monai.losses import ReconstructionLoss
from maesil_monai.masking import MaskRule, draw_target
from maesil_monai.networks import PRESETS, build_network

SIZE = (16, 24, 40)  # 2 x 3 x 5 tokens: no two axes alike
DECODERS = ["self_attention", "cross_attention", "hierarchical"]
VARIANTS = [*((decoder, "linear") for decoder in DECODERS), ("cross_attention", "conv_stem")]


def small_network(decoder="cross_attention", patch_embedding="linear", **overrides):
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "mlp_dim": 48, "num_layers": 2, "num_heads": 4}
    sizes |= {f"decoder_{key}": value for key, value in sizes.items()}
    return build_network("tiny", SIZE, 8, decoder, patch_embedding=patch_embedding, **{**sizes, **overrides})


def random_input(batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, 1, *SIZE, generator=generator)
    return image, MaskRule().draw((2, 3, 5), batch, generator)


@pytest.mark.parametrize(("decoder", "embedding"), VARIANTS)
def test_hidden_voxels_cannot_influence_the_output(decoder, embedding):
    network = small_network(decoder, embedding).eval()
    image, hidden = random_input()
    changed = torch.where(tokens_to_voxels(hidden, (8, 8, 8)), torch.rand_like(image) * 100 - 50, image)
    assert not torch.equal(image, changed)
    assert torch.equal(network(image, hidden), network(changed, hidden))


@pytest.mark.parametrize(("decoder", "embedding"), VARIANTS)
def test_every_visible_patch_influences_every_predicted_patch(decoder, embedding):
    network = small_network(decoder, embedding).eval()
    image, hidden = random_input(batch=1)
    image.requires_grad_()
    predicted = patchify(network(image, hidden, hidden), (8, 8, 8))[0]
    for token in hidden.flatten().nonzero().flatten()[:3]:
        (gradient,) = torch.autograd.grad(predicted[token].sum(), image, retain_graph=True)
        moved = patchify(gradient, (8, 8, 8))[0].abs().sum(1) > 0
        assert torch.equal(moved, ~hidden.flatten())


@pytest.mark.parametrize(("decoder", "embedding"), VARIANTS)
def test_the_loss_looks_at_exactly_the_tokens_hidden_from_the_encoder(decoder, embedding):
    network = small_network(decoder, embedding)
    image, hidden = random_input()
    pred = network(image, hidden, hidden)
    pred.retain_grad()
    ReconstructionLoss(8)(pred, {"image": image, "target": hidden}).backward()
    scored = patchify(pred.grad, (8, 8, 8)).abs().sum(2) > 0
    assert torch.equal(scored, hidden.flatten(1))


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_output_is_zero_outside_target_and_only_there(decoder):
    network = small_network(decoder).eval()
    image, hidden = random_input()
    target = draw_target(hidden, 0.5, torch.Generator().manual_seed(1))
    filled = patchify(network(image, hidden, target), (8, 8, 8)).abs().sum(2) > 0
    assert torch.equal(filled, target.flatten(1))


@pytest.mark.parametrize("decoder", DECODERS)
def test_decoding_all_hidden_patches_equals_decoding_them_in_two_halves(decoder):
    network = small_network(decoder).eval()
    image, hidden = random_input()
    half = draw_target(hidden, 0.5, torch.Generator().manual_seed(1))
    together = network(image, hidden, hidden)
    torch.testing.assert_close(network(image, hidden, half) + network(image, hidden, hidden & ~half), together)


def test_samples_may_want_different_numbers_of_patches():
    network = small_network().eval()
    image, hidden = random_input()
    target = hidden.clone()
    target[0, 0] = False
    both = network(image, hidden, target)
    for sample in range(2):
        alone = network(image[sample : sample + 1], hidden[sample : sample + 1], target[sample : sample + 1])
        torch.testing.assert_close(both[sample : sample + 1], alone)


@pytest.mark.parametrize(("decoder", "num_steps"), [("cross_attention", 150), ("hierarchical", 250)])
def test_each_patch_is_predicted_at_its_own_place(decoder, num_steps):
    """A network that learns one mapping, position to brightness, must put each brightness at its position."""
    network = small_network(decoder, num_layers=1, decoder_num_layers=1)
    ramp = torch.arange(30.0).view(1, 1, 2, 3, 5) / 30
    image = ramp.repeat_interleave(8, 2).repeat_interleave(8, 3).repeat_interleave(8, 4)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(num_steps):
        hidden = MaskRule("random").draw((2, 3, 5), 1, generator)
        loss = ReconstructionLoss(8)(network(image, hidden, hidden), {"image": image, "target": hidden})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    hidden = MaskRule("random").draw((2, 3, 5), 1, generator)
    error = (network(image, hidden, hidden) - image)[tokens_to_voxels(hidden, (8, 8, 8))]
    assert error.square().mean().sqrt() < 0.05  # the ramp's own deviation is 0.29


@pytest.mark.parametrize("decoder", DECODERS)
def test_bfloat16_autocast_stays_close_to_float32(decoder):
    network = small_network(decoder).eval()
    image, hidden = random_input()
    with torch.autocast("cpu", torch.bfloat16):
        half = network(image, hidden, hidden)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), network(image, hidden, hidden), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("decoder", DECODERS)
def test_activation_checkpointing_changes_no_gradient(decoder):
    image, hidden = random_input()
    gradients = []
    for checkpointing in (False, True):
        network = small_network(decoder, activation_checkpointing=checkpointing)
        network(image, hidden, hidden).square().sum().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        assert torch.equal(plain, checkpointed)


@pytest.mark.parametrize(("decoder", "embedding"), VARIANTS)
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_gives_the_same_volume(decoder, embedding):
    network = small_network(decoder, embedding).eval()
    image, hidden = random_input()
    scripted = torch.jit.script(network)
    torch.testing.assert_close(scripted(image, hidden, hidden), network(image, hidden, hidden))
    torch.testing.assert_close(scripted(image), network(image))


def with_conv_head(decoder="cross_attention", **overrides):
    """A network whose head is no longer at its start, where it corrects nothing."""
    network = small_network(decoder, head="conv", **overrides)
    torch.nn.init.normal_(network.conv_head.last.weight)
    return network.eval()


def test_a_conv_head_starts_as_the_linear_head():
    linear, conv = small_network(), small_network(head="conv")
    image, hidden = random_input()
    assert torch.equal(conv(image, hidden), linear(image, hidden))
    assert {key for key in conv.state_dict() if key not in linear.state_dict()} == {
        f"conv_head.{layer}.{part}" for layer in ("first", "last") for part in ("weight", "bias")
    }


def test_a_conv_head_can_learn_from_its_start():
    network = small_network(head="conv")
    image, hidden = random_input()
    ReconstructionLoss(8)(network(image, hidden, hidden), {"image": image, "target": hidden}).backward()
    assert network.conv_head.last.weight.grad.abs().sum() > 0


def test_hidden_voxels_cannot_influence_the_output_of_a_conv_head():
    network = with_conv_head()
    image, hidden = random_input()
    changed = torch.where(tokens_to_voxels(hidden, (8, 8, 8)), torch.rand_like(image), image)
    assert torch.equal(network(image, hidden, hidden), network(changed, hidden, hidden))


def test_a_conv_head_corrects_hidden_patches_and_leaves_visible_ones_as_decoded():
    network, linear = with_conv_head(), small_network().eval()
    linear.load_state_dict(network.state_dict(), strict=False)
    image, hidden = random_input()
    corrected = patchify(network(image, hidden) - linear(image, hidden), (8, 8, 8)).abs().sum(2) > 0
    assert torch.equal(corrected, hidden.flatten(1))
    assert torch.equal(network(image), linear(image))


def test_what_a_conv_head_predicts_for_hidden_patches_does_not_depend_on_visible_ones_being_decoded():
    network = with_conv_head()
    image, hidden = random_input()
    everything = network(image, hidden).masked_fill(~tokens_to_voxels(hidden, (8, 8, 8)), 0.0)
    torch.testing.assert_close(network(image, hidden, hidden), everything)


def test_a_conv_head_keeps_the_output_zero_outside_target():
    network = with_conv_head()
    image, hidden = random_input()
    target = draw_target(hidden, 0.5, torch.Generator().manual_seed(1))
    filled = patchify(network(image, hidden, target), (8, 8, 8)).abs().sum(2) > 0
    assert torch.equal(filled, target.flatten(1))


def test_a_conv_head_reaches_two_voxels_across_a_border():
    head = with_conv_head().conv_head
    hidden = torch.ones(1, 2, 3, 5, dtype=torch.bool)
    predicted = torch.rand(1, 1, *SIZE, requires_grad=True)
    corrected = head(predicted, torch.zeros(1, 1, *SIZE), hidden, hidden)
    (gradient,) = torch.autograd.grad(corrected[0, 0, 4, 12, 8], predicted)
    assert gradient[0, 0, 4, 12].nonzero().flatten().tolist() == [6, 7, 8, 9, 10]  # two convolutions of 3


def test_visible_voxels_reach_the_hidden_patch_beside_them_through_a_conv_head():
    head = with_conv_head().conv_head
    hidden = torch.ones(1, 2, 3, 5, dtype=torch.bool)
    hidden[0, 0, 1, 0] = False
    image = torch.rand(1, 1, *SIZE, requires_grad=True)
    corrected = head(torch.zeros(1, 1, *SIZE), image, hidden, hidden)
    (gradient,) = torch.autograd.grad(corrected[0, 0, 4, 12, 8], image)
    assert gradient[0, 0, 4, 12].nonzero().flatten().tolist() == [6, 7]


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_and_bfloat16_give_the_same_volume_with_a_conv_head():
    network = with_conv_head()
    image, hidden = random_input()
    expected = network(image, hidden, hidden)
    torch.testing.assert_close(torch.jit.script(network)(image, hidden, hidden), expected)
    with torch.autocast("cpu", torch.bfloat16):
        half = network(image, hidden, hidden)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, atol=0.1, rtol=0.1)


def test_the_linear_embedding_is_the_convolution_of_the_paper():
    network = small_network()
    image, _ = random_input()
    embed = network.patch_embedding
    convolved = torch.nn.functional.conv3d(image, embed.weight, embed.bias, stride=8).flatten(2).transpose(1, 2)
    torch.testing.assert_close(embed(image, torch.arange(30).expand(2, -1), None), convolved)


def test_base_is_the_network_of_the_paper():
    assert PRESETS["base"]["hidden_size"] == 768
    assert PRESETS["base"]["num_layers"] == 12
    with torch.device("meta"):
        network = build_network("base")
    assert network.grid == (16, 16, 16)  # 4,096 tokens
    assert len(network.encoder.blocks) == 12
    assert len(network.decoder.blocks) == 8


def test_fixed_positions_are_unique_and_not_part_of_the_weights():
    network = small_network()
    codes = network.positions()[0]
    assert torch.unique(codes, dim=0).shape[0] == 30
    assert not any("position" in key for key in network.state_dict())
    learned = small_network(position="learned")
    assert learned.state_dict()["positions.position"].shape == (1, 30, 24)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"img_size": (16, 24, 41)}, "does not divide img_size"),
        ({"img_size": 0}, "img_size=0"),
        ({"decoder": "transformer"}, "self_attention, cross_attention, hierarchical"),
        ({"preset": "huge"}, "tiny, small, base, hi_end_mae"),
        ({"num_heads": 5}, "no multiple of num_heads=5"),
        ({"hidden_size": 25, "num_heads": 5}, "even width"),
        ({"position": "none"}, "expected one of sincos, sincos_mae, learned"),
        ({"patch_embedding": "deep"}, "linear, conv_stem"),
        ({"head": "mlp"}, "linear, conv"),
        ({"patch_embedding": "conv_stem", "patch_size": (8, 8, 4), "img_size": 16}, "same 2, 4, 8 or 16"),
    ],
)
def test_impossible_networks_give_one_clear_error(change, words):
    with pytest.raises(ValueError, match=words):
        build_network(**{"preset": "tiny", "img_size": 16, "patch_size": 8, **change})


def test_masks_and_images_that_do_not_fit_give_one_clear_error():
    network = small_network()
    image, hidden = random_input()
    with pytest.raises(ValueError, match="built for 1 channel"):
        network(image[:, :, :8], hidden)
    with pytest.raises(ValueError, match="hidden of shape"):
        network(image, hidden[:, :1])
    with pytest.raises(ValueError, match="target of shape"):
        network(image, hidden, hidden[:, :1])
    uneven = hidden.clone()
    uneven[0] = True
    with pytest.raises(ValueError, match="every sample must leave the same number"):
        network(image, uneven)
