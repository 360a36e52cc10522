"""The convolutional encoder and decoder that the compared autoencoders share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn


class Convolution(nn.Conv3d):
    """A 3D convolution of stride 1 that keeps the size, safe on small volumes.

    Under bfloat16 on a CPU, oneDNN (in torch 2.14) leaves parts of the weight's gradient unset where the first axis is shorter
    than the kernel: there it is computed in float32.

    Args:
        in_channels: channels of the volume.
        out_channels: channels of the result.
        kernel_size: odd.

    Example:
        >>> with torch.autocast("cpu", torch.bfloat16):
        ...     Convolution(4, 8, 3)(torch.zeros(1, 4, 2, 8, 8)).dtype, Convolution(4, 8, 3)(torch.zeros(1, 4, 8, 8, 8)).dtype
        (torch.float32, torch.bfloat16)
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """Maps (B, C, D, H, W) to (B, out_channels, D, H, W)."""
        if not torch.jit.is_scripting() and volume.device.type == "cpu" and volume.shape[2] < self.kernel_size[0]:
            with torch.autocast("cpu", enabled=False):
                return self._conv_forward(volume.float(), self.weight, self.bias)
        return self._conv_forward(volume, self.weight, self.bias)


class ResidualUnit(nn.Module):
    """Two convolutions on a bypass, x + conv(relu(conv(relu(x)))), which start as the identity.

    Args:
        channels: channels of the volume, before and after.
        kernel_size: of both convolutions, odd.

    Example:
        >>> volume = torch.rand(1, 4, 2, 2, 2)
        >>> torch.equal(ResidualUnit(4)(volume), volume)
        True
    """

    def __init__(self, channels: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.first = Convolution(channels, channels, kernel_size)
        self.second = Convolution(channels, channels, kernel_size)
        _start(self.first, gain=2.0)
        _start(self.second, gain=0.0)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """Maps (B, C, D, H, W) to the same shape."""
        return volume + self.second(torch.relu(self.first(torch.relu(volume))))


class ConvolutionalEncoder(nn.Sequential):
    """Halves each axis as often as there are ``channels``: convolutions of kernel 4 and stride 2, and residual units.

    Nothing bends the way past the residual units, so the network starts as a linear autoencoder and has the principal
    components in a few hundred steps; with a ReLU after each halving (MONAI's ``VQVAE``) it had learned less after 600 steps
    than this one after 300. At half resolution, where a 3^3 unit would take half of the time, units are of kernel 1. There are
    no norms, which brought nothing: only convolutions carry values from place to place.

    Args:
        in_channels: channels of the image.
        out_channels: channels of what is encoded.
        channels: after each halving.
        num_res_units: residual units after each halving.

    Source: van den Oord et al. (arXiv 1711.00937) section 4.1, with the bypasses of He et al. (arXiv 1603.05027).

    Example:
        >>> ConvolutionalEncoder(1, 8, (4, 16, 32))(torch.zeros(2, 1, 16, 16, 32)).shape
        torch.Size([2, 8, 2, 2, 4])
    """

    def __init__(self, in_channels: int, out_channels: int, channels: Sequence[int], num_res_units: int = 1) -> None:
        layers: list[nn.Module] = []
        for level, (before, after) in enumerate(zip([in_channels, *channels], channels, strict=False)):
            layers.append(_start(nn.Conv3d(before, after, kernel_size=4, stride=2, padding=1)))
            layers += [ResidualUnit(after, kernel_size=3 if level else 1) for _ in range(num_res_units)]
        super().__init__(*layers, _start(Convolution(channels[-1], out_channels, 3)))


class ConvolutionalDecoder(nn.Sequential):
    """The way back: residual units, and transposed convolutions of kernel 4 and stride 2, which leave no checkerboard.

    Args:
        in_channels: channels of the latents.
        out_channels: channels of the image. Its values are not bounded.
        channels: as in :class:`ConvolutionalEncoder`, used from last to first.
        num_res_units: residual units before each doubling.

    Example:
        >>> ConvolutionalDecoder(8, 1, (4, 16, 32))(torch.zeros(2, 8, 2, 2, 4)).shape
        torch.Size([2, 1, 16, 16, 32])
    """

    def __init__(self, in_channels: int, out_channels: int, channels: Sequence[int], num_res_units: int = 1) -> None:
        layers: list[nn.Module] = [_start(Convolution(in_channels, channels[-1], 3))]
        for level in reversed(range(len(channels))):
            before, after = channels[level], channels[level - 1] if level else out_channels
            layers += [ResidualUnit(before, kernel_size=3 if level else 1) for _ in range(num_res_units)]
            layers.append(_start(nn.ConvTranspose3d(before, after, kernel_size=4, stride=2, padding=1)))
        super().__init__(*layers)


def _start(layer: nn.Conv3d | nn.ConvTranspose3d, gain: float = 1.0) -> nn.Conv3d | nn.ConvTranspose3d:
    """Draws normal weights that make the output's variance ``gain`` times the input's, and sets biases to zero.

    PyTorch's default start is smaller: without norms the image fades on its way through the layers.
    """
    taps = layer.weight[0, 0].numel()  # that reach one voxel of the output; of a transposed kernel every stride-th on an axis
    if isinstance(layer, nn.ConvTranspose3d):
        taps //= layer.stride[0] * layer.stride[1] * layer.stride[2]
    nn.init.normal_(layer.weight, std=math.sqrt(gain / (layer.in_channels * taps)))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
