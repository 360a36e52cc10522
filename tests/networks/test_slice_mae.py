"""The slice-wise masked autoencoder: each slice by itself, under the masks of the 3D network."""

from __future__ import annotations

import pytest
import torch

from maesil_monai.geometry import patchify, tokens_to_voxels
from maesil_monai.losses import ReconstructionLoss
from maesil_monai.masking import MaskRule, draw_target
from maesil_monai.networks import SliceMaskedAutoEncoder, build_network, build_slice_network

SIZE, PATCH, GRID = (16, 24, 20), (8, 8, 4), (2, 3, 5)
RULES = ["plane", "random", "total"]


def small_network(**overrides: object) -> SliceMaskedAutoEncoder:
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "mlp_dim": 48, "num_layers": 2, "num_heads": 4}
    sizes |= {f"decoder_{key}": value for key, value in sizes.items()}
    return build_slice_network("tiny", SIZE, PATCH, **{**sizes, **overrides})


def random_input(rule: str = "total", batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 1, *SIZE, generator=generator), MaskRule(rule).draw(GRID, batch, generator)


@pytest.mark.parametrize("rule", RULES)
def test_a_slice_is_made_of_all_its_own_visible_pixels_and_of_nothing_else(rule: str) -> None:
    network = small_network().eval()
    image, hidden = random_input(rule)
    image.requires_grad_()
    predicted = network(image, hidden)
    visible = ~tokens_to_voxels(hidden, PATCH)
    # Two slices of one plane of patches, and the last slice; the sum over a slice is moved by whatever moves the slice.
    for z in (5, 6, 19):
        (gradient,) = torch.autograd.grad(predicted[1, 0, :, :, z].square().sum(), image, retain_graph=True)
        expected = torch.zeros_like(visible)
        expected[1, 0, :, :, z] = visible[1, 0, :, :, z]
        assert torch.equal(gradient != 0, expected)


@pytest.mark.parametrize("rule", RULES)
def test_hidden_voxels_cannot_influence_the_output(rule: str) -> None:
    network = small_network().eval()
    image, hidden = random_input(rule)
    changed = torch.where(tokens_to_voxels(hidden, PATCH), torch.rand_like(image) * 100 - 50, image)
    assert torch.equal(network(image, hidden), network(changed, hidden))


def test_slices_that_show_nothing_all_get_one_and_the_same_guess() -> None:
    network = small_network().eval()
    image, hidden = random_input("total")
    predicted = network(image, hidden, hidden)
    blind = hidden.all(dim=1).all(dim=1).repeat_interleave(PATCH[2], dim=1)  # (B, slices)
    guesses = predicted[:, 0].permute(0, 3, 1, 2)[blind]
    assert guesses.shape[0] == 24  # 2 samples with 3 blind planes of 4 slices
    torch.testing.assert_close(guesses, guesses[:1].expand_as(guesses))


def test_fillers_change_nothing() -> None:
    network = small_network().eval()
    image, hidden = random_input("plane")
    more_visible = hidden.clone()
    more_visible[1, :, :, 2] = False
    alone, together = network(image[:1], hidden[:1]), network(image, more_visible)
    torch.testing.assert_close(together[:1], alone)


def test_a_superpatch_of_which_nothing_is_visible_is_guessed() -> None:
    network = small_network().eval()
    image, hidden = random_input()
    everything = network(image, torch.ones_like(hidden))
    assert torch.equal(everything, network(torch.zeros_like(image), torch.ones_like(hidden)))


@pytest.mark.parametrize(("rule", "num_arguments"), [("plane", 1), ("total", 2)])
def test_attention_takes_a_mask_only_where_slices_differ_in_visible_tokens(rule: str, num_arguments: int) -> None:
    network = small_network()
    counts: list[int] = []
    network.encoder.register_forward_pre_hook(lambda _, inputs: counts.append(len(inputs)))
    network(*random_input(rule))
    assert counts == [num_arguments]


def test_only_slices_with_targets_are_decoded() -> None:
    network = small_network()
    image, hidden = random_input()
    target = torch.zeros_like(hidden)
    target[0, 0, 0, 1] = target[1, 1, 2, 4] = True
    decoded: list[int] = []
    network.decoder.register_forward_pre_hook(lambda _, inputs: decoded.append(inputs[0].shape[0]))
    partly = network(image, hidden, target)
    assert decoded == [2 * PATCH[2]]
    whole = network(image, hidden).masked_fill(~tokens_to_voxels(target, PATCH), 0.0)
    torch.testing.assert_close(partly, whole)


def test_the_output_is_zero_outside_target_and_only_there() -> None:
    network = small_network().eval()
    image, hidden = random_input()
    target = draw_target(hidden, 0.5, torch.Generator().manual_seed(1))
    filled = patchify(network(image, hidden, target), PATCH).abs().sum(2) > 0
    assert torch.equal(filled, target.flatten(1))


def test_without_targets_the_output_is_zero_and_the_gradients_are() -> None:
    network = small_network()
    image, hidden = random_input()
    nothing = network(image, hidden, torch.zeros_like(hidden))
    assert nothing.shape == image.shape
    assert not nothing.any()
    nothing.sum().backward()
    assert all(not parameter.grad.any() for parameter in network.parameters())


def test_the_loss_looks_at_exactly_the_tokens_hidden_from_the_encoder() -> None:
    network = small_network()
    image, hidden = random_input()
    pred = network(image, hidden, hidden)
    pred.retain_grad()
    ReconstructionLoss(PATCH)(pred, {"image": image, "target": hidden}).backward()
    scored = patchify(pred.grad, PATCH).abs().sum(2) > 0
    assert torch.equal(scored, hidden.flatten(1))
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_each_token_is_predicted_at_its_own_place() -> None:
    """A network that learns one mapping, place in the slice to brightness, must put each brightness at its place."""
    network = small_network(num_layers=1, decoder_num_layers=1)
    ramp = torch.arange(6.0).view(1, 1, 2, 3, 1) / 6
    image = ramp.repeat_interleave(8, 2).repeat_interleave(8, 3).expand(1, 1, *SIZE)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        hidden = MaskRule("random").draw(GRID, 1, generator)
        loss = ReconstructionLoss(PATCH)(network(image, hidden, hidden), {"image": image, "target": hidden})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    hidden = MaskRule("random").draw(GRID, 1, generator)
    error = (network(image, hidden, hidden) - image)[tokens_to_voxels(hidden, PATCH)]
    assert error.square().mean().sqrt() < 0.05  # the ramp's own deviation is 0.28


def test_positions_are_those_of_the_plane() -> None:
    codes = small_network().positions()[0].view(2, 3, 24)
    assert torch.unique(codes.flatten(0, 1), dim=0).shape[0] == 6
    assert torch.equal(codes[:, 0, :12], codes[:, 2, :12])  # the first half of the channels codes the first axis
    assert torch.equal(codes[0, :, 12:], codes[1, :, 12:])


@pytest.mark.parametrize("rule", RULES)
def test_bfloat16_autocast_stays_close_to_float32(rule: str) -> None:
    network = small_network().eval()
    image, hidden = random_input(rule)
    with torch.autocast("cpu", torch.bfloat16):
        half = network(image, hidden, hidden)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), network(image, hidden, hidden), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_gives_the_same_volume(rule: str) -> None:
    network = small_network().eval()
    image, hidden = random_input(rule)
    scripted = torch.jit.script(network)
    torch.testing.assert_close(scripted(image, hidden, hidden), network(image, hidden, hidden))
    torch.testing.assert_close(scripted(image), network(image))


def test_activation_checkpointing_changes_no_gradient() -> None:
    image, hidden = random_input()
    gradients = []
    for checkpointing in (False, True):
        network = small_network(activation_checkpointing=checkpointing)
        network(image, hidden, hidden).square().sum().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        assert torch.equal(plain, checkpointed)


@pytest.mark.parametrize("preset", ["tiny", "small", "base"])
def test_a_preset_has_the_widths_and_depths_of_the_3d_network(preset: str) -> None:
    with torch.device("meta"):
        slices, volumes = build_slice_network(preset, 64), build_network(preset, 64)
    for part in ("encoder", "decoder.blocks"):
        ours, theirs = (dict(net.get_submodule(part).named_parameters()) for net in (slices, volumes))
        assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}
    assert slices.decoder.head.out_features == 64  # 8 x 8 pixels


def test_masks_and_images_that_do_not_fit_give_one_clear_error() -> None:
    network = small_network()
    image, hidden = random_input()
    with pytest.raises(ValueError, match="built for 1 channel"):
        network(image[:, :, :8], hidden)
    with pytest.raises(ValueError, match="hidden of shape"):
        network(image, hidden[:, :1])
    with pytest.raises(ValueError, match="target of shape"):
        network(image, hidden, hidden[:, :1])
    with pytest.raises(ValueError, match="does not divide img_size"):
        build_slice_network("tiny", 20, 8)
    with pytest.raises(ValueError, match="tiny, small, base"):
        build_slice_network("huge")
