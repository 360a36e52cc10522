"""AE, VAE and VQ-VAE: how much passes their bottleneck, what a masked one sees, and what their losses and reports say."""

import copy
import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from autoencoder_trainings import GRID, SIZE, hidden_patches, network_of, smooth_images, train

from maesil_monai.geometry import patchify, tokens_to_voxels
from maesil_monai.losses import ReconstructionLoss
from maesil_monai.networks import auxiliary_loss_of, build_autoencoder
from maesil_monai.training.ema import WeightAverage

KINDS = ("ae", "vae", "vqvae")
# One of two processes: counts what is brighter by 1 in the second one, and writes down what it has learned.
PROCESS = """
import sys, torch
from maesil_monai.networks.bottlenecks import CodebookBottleneck
from maesil_monai.networks.running_statistics import HiddenFill
rank = int(sys.argv[1])
torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
fill, codebook = HiddenFill((2, 2, 2)), CodebookBottleneck(1, num_codes=4)
for step in range(3):
    torch.manual_seed(10 * step + rank)
    volume = torch.rand(1, 1, 4, 4, 4) + rank
    fill(volume, None)
    codebook(volume)
torch.save({**fill.state_dict(), **codebook.state_dict()}, f"{sys.argv[2]}.{rank}")
torch.distributed.destroy_process_group()
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("voxels_per_latent", [8, 64, 512])
def test_exactly_one_value_in_so_many_voxels_passes_the_bottleneck(kind, voxels_per_latent):
    network, passed = network_of(kind, voxels_per_latent), []
    network.decoder.register_forward_pre_hook(lambda module, inputs: passed.append(inputs[0]))
    image = smooth_images()
    assert network(image).shape == image.shape
    assert passed[0].numel() * voxels_per_latent == image.numel()
    assert tuple(passed[0].shape[1:]) == network.latent_shape


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_voxels_cannot_influence_a_masked_network(kind):
    network = network_of(kind, masked=True)
    train(network, 3, masked=True)
    network.eval()
    image, hidden = smooth_images(), hidden_patches()
    voxels = tokens_to_voxels(hidden, (4, 4, 4))
    assert network(image, hidden).std() > 0
    for other in (torch.rand_like(image) * 100 - 50, torch.full_like(image, math.nan)):
        assert torch.equal(network(torch.where(voxels, other, image), hidden), network(image, hidden))
    changed = torch.where(voxels, image, 1 - image)
    assert not torch.equal(network(changed, hidden), network(image, hidden))


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_that_is_not_masked_sees_the_whole_image(kind):
    network = network_of(kind)
    train(network, 3)
    network.eval()
    image, hidden = smooth_images(), hidden_patches()
    assert torch.equal(network(image, hidden), network(image))
    assert not torch.equal(network(image, hidden), network(1 - image, hidden))


def test_hidden_voxels_are_filled_with_the_mean_of_the_visible_voxels_of_the_training():
    network = network_of("ae", masked=True)
    means = []
    for step in range(3):
        image, hidden = smooth_images(seed=step) * (step + 1), hidden_patches(seed=step)
        network(image, hidden)
        means.append(image[~tokens_to_voxels(hidden, (4, 4, 4))].mean())
    fill = network.eval().fill
    torch.testing.assert_close(fill.visible_mean, torch.stack(means).mean())
    filled, flag = fill(image, hidden).split(1, dim=1)
    voxels = tokens_to_voxels(hidden, (4, 4, 4))
    assert (filled[voxels] == fill.visible_mean).all()
    assert torch.equal(filled[~voxels], image[~voxels])
    assert torch.equal(flag, voxels.float())
    assert int(fill.num_batches) == 3  # the pass in eval mode is not counted


def test_a_batch_in_which_all_is_hidden_does_not_change_the_fill():
    fill = network_of("ae", masked=True).fill
    image, nothing = torch.full((1, 1, *SIZE), 0.5), torch.zeros(1, *GRID, dtype=torch.bool)
    fill(image, nothing)
    fill(image, ~nothing)
    assert (float(fill.visible_mean), int(fill.num_batches)) == (0.5, 1)


def test_a_masked_network_tells_a_hidden_voxel_from_one_that_has_the_fill_value():
    network = network_of("ae", masked=True)
    train(network, 1, masked=True)
    network.eval()
    image = network.fill.visible_mean.expand(1, 1, *SIZE)
    assert not torch.equal(network(image, hidden_patches(1)), network(image))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", [False, True])
def test_the_output_is_zero_outside_target_and_only_there(kind, masked):
    network, target = network_of(kind, masked=masked).eval(), hidden_patches(seed=1)
    filled = patchify(network(smooth_images(), hidden_patches(), target), (4, 4, 4)).abs().sum(2) > 0
    assert torch.equal(filled, target.flatten(1))


@pytest.mark.parametrize("kind", KINDS)
def test_an_auxiliary_loss_is_given_once_and_only_in_training(kind):
    network = network_of(kind)
    assert network.auxiliary_loss() is None
    network(smooth_images())
    assert network.auxiliary_loss().ndim == 0
    assert network.auxiliary_loss() is None
    network.eval()(smooth_images())
    assert network.auxiliary_loss() is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("taken", [True, False])
def test_a_network_in_training_can_be_copied(kind, taken):
    network = network_of(kind)
    network(smooth_images())
    if taken:
        network.auxiliary_loss()
    copied = copy.deepcopy(network)
    assert copied.auxiliary_loss() is None
    assert (network.auxiliary_loss() is None) == taken
    assert all(torch.equal(value, copied.state_dict()[name]) for name, value in network.state_dict().items())


def test_the_loss_adds_the_auxiliary_loss_once():
    network, image = network_of("vqvae"), smooth_images()
    train(network, 2)
    label = {"image": image, "target": torch.ones(2, *GRID, dtype=torch.bool)}
    loss = ReconstructionLoss(4, auxiliary=auxiliary_loss_of(network))
    pred = network(image)
    with_extra, without = loss(pred, label), loss(pred, label)
    assert with_extra > without
    torch.testing.assert_close(without, (pred - image).square().mean())


@pytest.mark.parametrize("kind", KINDS)
def test_an_evaluation_changes_nothing_that_is_saved(kind):
    network = network_of(kind, masked=True)
    train(network, 2, masked=True)
    before = copy.deepcopy(network.state_dict())
    network.eval()(smooth_images(), hidden_patches())
    assert before.keys() == network.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_an_average_of_the_weights_has_the_present_counts_and_codes(kind):
    network = network_of(kind, masked=True)
    average = WeightAverage(network, decay=0.9)
    train(network, 3, masked=True)
    average.update()
    averaged, buffers = average.module.state_dict(), dict(network.named_buffers())
    saved = [name for name in buffers if name in averaged]
    assert len(saved) == {"ae": 2, "vae": 3, "vqvae": 5}[kind]
    assert all(torch.equal(averaged[name], buffers[name]) for name in saved)
    average.module(smooth_images(), hidden_patches())


def test_two_processes_learn_the_same_codes_and_fill_from_all_their_data(tmp_path):
    command = [sys.executable, "-c", PROCESS]
    running = [subprocess.Popen([*command, str(rank), str(tmp_path / "meeting")]) for rank in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    first, second = (torch.load(tmp_path / f"meeting.{rank}") for rank in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert float(first["visible_mean"]) == pytest.approx(1.0, abs=0.1)  # one has values around 0.5, the other around 1.5
    assert int(first["num_batches"]) == 3
    assert first["codes"].min() < 1 < first["codes"].max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_gives_the_same_volume(kind, masked):
    network = network_of(kind, masked=masked)
    train(network, 2, masked)
    network.eval()
    image, hidden = smooth_images(), hidden_patches()
    scripted = torch.jit.script(network)
    torch.testing.assert_close(scripted(image, hidden, hidden), network(image, hidden, hidden))
    torch.testing.assert_close(scripted(image), network(image))


@pytest.mark.parametrize("kind", KINDS)
def test_training_under_bfloat16_autocast_learns(kind):
    network = network_of(kind, masked=True)
    curve = train(network, 40, masked=True, amp=True)
    assert curve[-1][0] < 0.25 * curve[0][0]
    assert all(value.dtype != torch.bfloat16 for value in network.state_dict().values())


def test_gradients_under_autocast_are_right_on_the_smallest_volumes():
    """On volumes two voxels deep, oneDNN gives gradients in bfloat16 that are garbage in part, now and then not finite."""
    for seed in range(4):
        gradients = []
        for amp in (False, True):
            torch.manual_seed(seed)
            network = build_autoencoder("ae", "tiny", 16, 8, 64)
            image = torch.rand(2, 1, 16, 16, 16)
            with torch.autocast("cpu", torch.bfloat16, enabled=amp):
                pred = network(image)
            (pred.float() - image).square().mean().backward()
            gradients.append(torch.cat([parameter.grad.flatten() for parameter in network.parameters()]))
        assert F.cosine_similarity(*gradients, dim=0) > 0.99


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "gan"}, "'ae', 'vae' or 'vqvae'"),
        ({"preset": "huge"}, "tiny, small, base"),
        ({"voxels_per_latent": 32}, "expected one of 8, 64, 512"),
        ({"img_size": 24, "voxels_per_latent": 512}, r"stride=\(16, 16, 16\) does not divide img_size"),
        ({"patch_size": 5}, "does not divide img_size"),
        ({"kind": "vae", "kl_weight": -1.0}, "kl_weight=-1.0"),
        ({"kind": "vqvae", "num_codes": 1}, "at least 2 codes"),
        ({"kind": "vqvae", "restart_below": 1.0}, "restart_below=1.0"),
    ],
)
def test_impossible_networks_give_one_clear_error(change, words):
    with pytest.raises(ValueError, match=words):
        build_autoencoder(**{"kind": "ae", "preset": "tiny", "img_size": 16, "patch_size": 8, **change})


def test_settings_of_another_bottleneck_are_refused():
    with pytest.raises(TypeError, match="num_codes"):
        build_autoencoder("vae", "tiny", 16, 8, num_codes=8)


def test_masks_and_images_that_do_not_fit_give_one_clear_error():
    network, image, hidden = network_of("ae", masked=True), smooth_images(), hidden_patches()
    with pytest.raises(ValueError, match="built for 1 channel"):
        network(image[:, :, :8])
    with pytest.raises(ValueError, match="hidden of shape"):
        network(image, hidden[:, :1])
    with pytest.raises(ValueError, match="target of shape"):
        network(image, hidden, hidden[:, :1])
