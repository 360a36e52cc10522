"""Small autoencoders, images for them, and short trainings."""

import torch
import torch.nn.functional as F

from maesil_monai.masking import MaskRule
from maesil_monai.networks import build_autoencoder

SIZE = (16, 16, 32)
GRID = (4, 4, 8)


def network_of(kind, voxels_per_latent=8, masked=False, **bottleneck):
    torch.manual_seed(0)
    if kind == "vqvae":
        bottleneck = {"num_codes": 32, **bottleneck}
    return build_autoencoder(kind, "tiny", SIZE, 4, voxels_per_latent, masked, **bottleneck)


def smooth_images(batch=2, seed=0):
    """Random blobs in [0, 1] on which neighbouring voxels agree, as in a CT."""
    coarse = torch.rand(batch, 1, 2, 2, 3, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, SIZE, mode="trilinear")


def hidden_patches(batch=2, seed=0):
    return MaskRule().draw(GRID, batch, torch.Generator().manual_seed(seed))


def train(network, steps, masked=False, amp=False):
    """Trains on fresh images and gives the mean squared error and the auxiliary loss of every step."""
    optimizer = torch.optim.Adam(network.parameters())
    curve = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * min(1.0, (step + 1) / 20)
        image = smooth_images(4, seed=100 + step)
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            pred = network.train()(image, hidden_patches(4, step) if masked else None)
        assert pred.dtype == (torch.bfloat16 if amp else torch.float32)
        error = (pred.float() - image).square().mean()
        extra = network.auxiliary_loss()
        optimizer.zero_grad()
        (error + extra).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        curve.append((error.item(), extra.item()))
    return curve
