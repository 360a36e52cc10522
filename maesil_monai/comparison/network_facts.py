"""What the tables say of a network beside its scores."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from maesil_monai.networks.autoencoders import ConvolutionalAutoEncoder3D


def network_facts(network: nn.Module) -> dict[str, Any]:
    """Tells of a network its parameters, whether it sees the whole input, and how many latent values it has for a voxel.

    Returns:
        ``parameters``; ``sees_input``, True for an autoencoder without a mask; ``latent_values_per_voxel``, None for
        transformers, which have no bottleneck.

    Example:
        >>> network_facts(nn.Linear(2, 3))
        {'parameters': 9, 'sees_input': False, 'latent_values_per_voxel': None}
    """
    parameters = sum(weight.numel() for weight in network.parameters())
    sees_input, ratio = False, None
    if isinstance(network, ConvolutionalAutoEncoder3D):
        sees_input, ratio = network.fill is None, math.prod(network.latent_shape) / math.prod(network.img_size)
    return {"parameters": parameters, "sees_input": sees_input, "latent_values_per_voxel": ratio}


def reset_latent_use(network: nn.Module) -> None:
    """Begins to count anew how a bottleneck's latents are used, if the network has one."""
    if isinstance(network, ConvolutionalAutoEncoder3D):
        network.bottleneck.reset_use()


def latent_use(network: nn.Module) -> dict[str, Any]:
    """Tells how latents were used since :func:`reset_latent_use`: ``{"codebook": ...}`` or ``{"latents": ...}``, or nothing."""
    use = network.bottleneck.use() if isinstance(network, ConvolutionalAutoEncoder3D) else {}
    return {"codebook" if "perplexity" in use else "latents": use} if use else {}
