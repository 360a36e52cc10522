"""The bottlenecks of VAE and VQ-VAE: what they let through, what they learn, what they tell of their use."""

import math

import pytest
import torch
from autoencoder_trainings import network_of, smooth_images, train

from maesil_monai.networks.bottlenecks import CodebookBottleneck, GaussianBottleneck


def test_a_vae_draws_in_training_and_gives_its_mean_in_evaluation():
    network, image = network_of("vae"), smooth_images()
    assert not torch.equal(network(image), network(image))
    network.eval()
    assert torch.equal(network(image), network(image))


def test_the_weight_of_the_divergence_rises_over_the_training_passes():
    bottleneck = GaussianBottleneck(8, voxels_per_latent=64, kl_weight=0.5, warmup_steps=4)
    encoded = torch.ones(1, 16, 2, 2, 2)  # mean 1, log variance 1: (1 + e - 1 - 1) / 2 nats each
    full = 0.5 * (math.e - 1) / 2 / 64
    for share in (0.25, 0.5, 0.75, 1.0, 1.0, 1.0):
        assert float(bottleneck.eval()(encoded)[1]) == 0.0
        assert float(bottleneck.train()(encoded)[1]) == pytest.approx(share * full)
    assert int(bottleneck.steps) == 6
    at_once = GaussianBottleneck(8, voxels_per_latent=64, kl_weight=0.5, warmup_steps=1)
    assert float(at_once(encoded)[1]) == pytest.approx(full)


@pytest.mark.parametrize(("kl_weight", "collapsed"), [(2e-4, False), (100.0, True)])
def test_a_short_training_does_not_collapse_a_vae_unless_the_weight_is_far_too_high(kl_weight, collapsed):
    network = network_of("vae", voxels_per_latent=64, kl_weight=kl_weight, warmup_steps=10)
    curve = train(network, 80)
    network.eval()(smooth_images(8))
    use = network.bottleneck.use()
    assert use["size"] == 8
    assert (use["active"] == 0, use["kl"] < 0.05) == (collapsed, collapsed)
    # The variance of the images is about 0.045: a collapsed network gives their mean at best.
    assert (curve[-1][0] > 0.03) == collapsed
    network.bottleneck.reset_use()
    assert network.bottleneck.use() == {"active": 0, "size": 8, "kl": 0.0}


def test_the_commitment_loss_reaches_the_encoder_and_nothing_else():
    network = network_of("vqvae")
    train(network, 2)
    network.zero_grad()
    network(smooth_images())
    network.auxiliary_loss().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.encoder.parameters())
    assert all(parameter.grad is None for parameter in network.decoder.parameters())
    assert [name for name, _ in network.bottleneck.named_parameters()] == []


def test_the_gradient_passes_straight_through_the_codes():
    bottleneck = CodebookBottleneck(2, num_codes=4).eval()
    encoded = torch.randn(1, 2, 3, 3, 3, requires_grad=True)
    upstream = torch.randn(1, 2, 3, 3, 3)
    bottleneck(encoded)[0].backward(upstream)
    assert torch.equal(encoded.grad, upstream)


def test_codes_settle_on_the_clusters_of_the_encoded_vectors():
    torch.manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0], [3.0, 3.0]])
    bottleneck = CodebookBottleneck(2, num_codes=16)
    for _ in range(60):
        vectors = centres.repeat(16, 1) + 0.05 * torch.randn(64, 2)
        bottleneck(vectors.t().reshape(1, 2, 4, 4, 4))
    found = bottleneck.codes[torch.cdist(centres, bottleneck.codes).argmin(dim=1)]
    torch.testing.assert_close(found, centres, atol=0.1, rtol=0)


def test_vectors_that_are_not_finite_leave_the_codes_finite():
    bottleneck = CodebookBottleneck(8, num_codes=4)
    latents, loss = bottleneck(torch.full((1, 8, 2, 2, 2), math.nan))
    assert loss.isnan()
    assert latents.isnan().all()
    assert bottleneck.codes.isfinite().all()


def test_a_code_that_nothing_chooses_starts_again_among_the_data():
    bottleneck = CodebookBottleneck(1, num_codes=3, decay=0.5)
    line = torch.linspace(0, 1, 27).view(1, 1, 3, 3, 3)
    bottleneck(line)
    for buffer in (bottleneck.codes, bottleneck.totals):
        buffer[2] = 1000.0
    for _ in range(12):
        bottleneck(line)
    assert bottleneck.codes.max() <= 1.0


def test_the_use_of_the_codes_is_counted_in_evaluation_until_it_is_reset():
    network = network_of("vqvae", num_codes=4)
    bottleneck = network.bottleneck.eval()
    assert network.bottleneck.use() == {"used": 0, "size": 4, "perplexity": 0.0}
    bottleneck.codes.copy_(torch.eye(8)[:4])
    choices = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])  # half, a quarter, a quarter: entropy 3/2 ln 2
    encoded = torch.eye(8)[choices].t().reshape(1, 8, 2, 2, 2)
    latents, loss = bottleneck(encoded)
    assert torch.equal(latents, encoded)
    assert float(loss) == 0.0
    bottleneck(encoded)
    assert network.bottleneck.use() == {"used": 3, "size": 4, "perplexity": pytest.approx(2**1.5)}
    bottleneck.train()(encoded)
    assert int(bottleneck.times_chosen.sum()) == 16
    network.bottleneck.reset_use()
    assert network.bottleneck.use()["used"] == 0


def test_a_short_training_uses_many_codes():
    network = network_of("vqvae", voxels_per_latent=64)
    curve = train(network, 80)
    network.eval()(smooth_images(8))
    use = network.bottleneck.use()
    assert use["used"] >= 16  # of 32
    assert use["perplexity"] > 8
    assert curve[-1][0] < 0.03  # of a variance of about 0.045


def test_autocast_does_not_blunt_the_choice_of_a_code():
    bottleneck = CodebookBottleneck(8, num_codes=512).eval()
    bottleneck.codes.normal_(generator=torch.Generator().manual_seed(0))
    encoded = torch.randn(2, 8, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    expected, _ = bottleneck(encoded)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = bottleneck(encoded)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
