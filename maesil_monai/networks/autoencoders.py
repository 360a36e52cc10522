"""Convolutional autoencoders: AE, VAE and VQ-VAE on one trunk, so that a comparison of them compares their bottlenecks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import grid_of, tokens_to_voxels
from maesil_monai.networks.bottlenecks import CodebookBottleneck, GaussianBottleneck, PlainBottleneck
from maesil_monai.networks.conv_trunk import ConvolutionalDecoder, ConvolutionalEncoder
from maesil_monai.networks.running_statistics import HiddenFill
from maesil_monai.networks.superpatch_network import SuperpatchNetwork
from maesil_monai.option_values import expect

LATENT_CHANNELS = 8
# Voxels for each latent value, and the halvings of each axis that give it with 8 channels: stride 4, 8 or 16.
HALVINGS = {8: 2, 64: 3, 512: 4}
# Channels after each halving.
WIDTHS = {"tiny": (16, 32, 64, 128), "small": (32, 64, 128, 256), "base": (64, 128, 256, 512)}


class ConvolutionalAutoEncoder3D(SuperpatchNetwork):
    """A convolutional autoencoder with a bottleneck of its own choice.

    Called as ``network(image, hidden=None, target=None)``, it returns one volume of the image's shape, zero outside ``target``.
    As in the paper it sees the whole image and has no use for ``hidden``, unless it is ``masked``: then it sees hidden voxels
    filled with the training's mean of visible ones, and a channel that tells where.

    Args:
        bottleneck: what lies in the middle; see :mod:`maesil_monai.networks.bottlenecks`.
        in_channels: channels of the image.
        img_size, patch_size: voxels of a superpatch and of a patch of ``hidden`` and ``target``, one number or three.
        channels: of the trunk, after each halving; the latents' stride 2 ** len(channels) must divide ``img_size``.
        latent_channels: values at each latent position.
        num_res_units: residual units at each resolution.
        masked: see above.

    Attributes:
        latent_shape: channels and positions of the latents of one superpatch.

    Raises:
        ValueError: for sizes that do not fit one another.

    Example:
        >>> network = ConvolutionalAutoEncoder3D(PlainBottleneck(8), img_size=16, channels=(8, 16), latent_channels=8)
        >>> network(torch.rand(2, 1, 16, 16, 16)).shape, network.latent_shape
        (torch.Size([2, 1, 16, 16, 16]), (8, 4, 4, 4))
    """

    def __init__(
        self,
        bottleneck: PlainBottleneck | GaussianBottleneck | CodebookBottleneck,
        in_channels: int = 1,
        img_size: int | Sequence[int] = 128,
        patch_size: int | Sequence[int] = 8,
        channels: Sequence[int] = WIDTHS["base"][:3],
        latent_channels: int = LATENT_CHANNELS,
        num_res_units: int = 1,
        masked: bool = False,
    ) -> None:
        super().__init__(locals())
        stride = 2 ** len(channels)
        positions = grid_of(self.img_size, (stride, stride, stride), ("img_size", "the latents' stride"))
        self.latent_shape = (latent_channels, *positions)
        self.fill = HiddenFill(self.patch_size) if masked else None
        seen_channels = in_channels + int(masked)
        self.encoder = ConvolutionalEncoder(seen_channels, bottleneck.in_channels, channels, num_res_units)
        self.bottleneck = bottleneck
        self.decoder = ConvolutionalDecoder(latent_channels, in_channels, channels, num_res_units)
        self.to(memory_format=torch.channels_last_3d)  # a fifth less time for a step on a CPU
        self._pending: torch.Tensor | None = None

    def forward(
        self, image: torch.Tensor, hidden: torch.Tensor | None = None, target: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Encodes and decodes.

        Args:
            image: floating point in [0, 1], shape (B, in_channels, *img_size).
            hidden: bool, shape (B, gi, gj, gk): what a masked network does not see.
            target: bool, same shape: what is returned.

        Returns:
            Shape of ``image``, zero outside ``target``; bfloat16 under autocast, else float32.

        Raises:
            ValueError: for an image or mask of another shape.
        """
        self._check_image(image)
        if self.fill is not None:
            if hidden is not None:
                self._check_patches(hidden, "hidden", image.shape[0])
            image = self.fill(image, hidden)
        latents, loss = self.bottleneck(self.encoder(image))
        if self.training and not torch.jit.is_scripting():
            self._pending = loss
        decoded = self.decoder(latents)
        if target is None:
            return decoded
        self._check_patches(target, "target", image.shape[0])
        return decoded.masked_fill(~tokens_to_voxels(target, self.patch_size), 0.0)

    def auxiliary_loss(self) -> torch.Tensor | None:
        """Gives the bottleneck's loss of the last forward pass in training, once; else None."""
        loss, self._pending = self._pending, None
        return loss

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out a loss that nobody took: it hangs in a graph, and such a tensor cannot be copied."""
        return {**self.__dict__, "_pending": None}


def build_autoencoder(
    kind: str,
    preset: str = "base",
    img_size: int | Sequence[int] = 128,
    patch_size: int | Sequence[int] = 8,
    voxels_per_latent: int = 64,
    masked: bool = False,
    **options: Any,
) -> ConvolutionalAutoEncoder3D:
    """Builds an autoencoder of a named kind and size; 8 channels at each latent position.

    Args:
        kind: ``ae``, ``vae`` or ``vqvae``.
        preset: width of the trunk, ``tiny``, ``small`` or ``base``.
        img_size, patch_size: voxels of a superpatch and of a patch, one number or three.
        voxels_per_latent: size of the bottleneck, as voxels for each latent value: 8, 64 or 512 (stride 4, 8 or 16).
        masked: hides the ``hidden`` voxels from the network; else it sees the whole image, as the paper's baselines do.
        options: of the bottleneck, arguments of :class:`GaussianBottleneck` (``kl_weight``, ``warmup_steps``) or
            :class:`CodebookBottleneck` (``num_codes``, ``commitment_weight``, ``decay``, ``restart_below``).

    Raises:
        ValueError: for unknown names and sizes that do not fit.

    Example:
        >>> build_autoencoder("vae", "tiny", img_size=64, voxels_per_latent=512).latent_shape
        (8, 4, 4, 4)
    """
    expect(preset in WIDTHS, "preset", preset, f"one of {', '.join(WIDTHS)}")
    expect(voxels_per_latent in HALVINGS, "voxels_per_latent", voxels_per_latent, f"one of {', '.join(map(str, HALVINGS))}")
    middle: PlainBottleneck | GaussianBottleneck | CodebookBottleneck
    if kind == "ae":
        middle = PlainBottleneck(LATENT_CHANNELS, **options)
    elif kind == "vae":
        middle = GaussianBottleneck(LATENT_CHANNELS, voxels_per_latent, **options)
    elif kind == "vqvae":
        middle = CodebookBottleneck(LATENT_CHANNELS, **options)
    else:
        raise BadSetting(f"kind={kind!r}: expected 'ae', 'vae' or 'vqvae'.")
    channels = WIDTHS[preset][: HALVINGS[voxels_per_latent]]
    network = ConvolutionalAutoEncoder3D(middle, 1, img_size, patch_size, channels, LATENT_CHANNELS, masked=masked)
    sizes = {"img_size": network.img_size, "patch_size": network.patch_size, "voxels_per_latent": voxels_per_latent}
    network.is_built_by("build_autoencoder", {"kind": kind, "preset": preset, **sizes, "masked": masked, **options})
    return network


def auxiliary_loss_of(network: nn.Module) -> Callable[[], torch.Tensor | None] | None:
    """Gives a network's bound ``auxiliary_loss``, or None where there is none: the loss of a configuration holds this.

    Args:
        network: the network itself, not wrapped for distributed training.

    Example:
        >>> auxiliary_loss_of(nn.Identity()) is None
        True
    """
    return getattr(network, "auxiliary_loss", None)
