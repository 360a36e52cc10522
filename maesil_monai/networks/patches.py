"""Patch embeddings: from voxels to the tokens of the visible patches.

Shape suffixes: B batch, N all tokens, K visible tokens, P voxels of a patch, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import patchify, tokens_to_voxels, unpatchify


def gather_tokens(tokens_BND: torch.Tensor, index_BK: torch.Tensor) -> torch.Tensor:
    """Picks tokens by index: (B, N, D) and int64 (B, K) give (B, K, D)."""
    return tokens_BND.gather(1, index_BK[:, :, None].expand(-1, -1, tokens_BND.shape[2]))


class LinearPatchEmbedding(nn.Module):
    """The paper's embedding: a 3D convolution whose stride is its kernel, computed for the visible patches only.

    Such a convolution is one matrix product per patch; the weight keeps the convolution's shape (D, C, i, j, k), so that it
    exchanges with ``torch.nn.Conv3d``.

    Args:
        in_channels: channels C of the image.
        hidden_size: width D of a token.
        patch_size: voxels per patch on each axis.

    Source: MAESIL section III-A.

    Example:
        >>> embed = LinearPatchEmbedding(1, 12, (8, 8, 8))
        >>> embed(torch.zeros(2, 1, 16, 16, 16), torch.tensor([[0, 5], [1, 2]]), None).shape
        torch.Size([2, 2, 12])
    """

    def __init__(self, in_channels: int, hidden_size: int, patch_size: tuple[int, int, int]) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.weight = nn.Parameter(torch.empty(hidden_size, in_channels, *patch_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        nn.init.xavier_uniform_(self.weight.data.view(hidden_size, -1))

    def forward(self, image: torch.Tensor, index_BK: torch.Tensor, hidden: torch.Tensor | None) -> torch.Tensor:
        """Embeds the patches at ``index_BK``.

        Args:
            image: shape (B, C, D, H, W).
            index_BK: int64, the patches to embed.
            hidden: not needed: a hidden patch is never gathered.

        Returns:
            Shape (B, K, hidden_size).
        """
        patches_BKP = gather_tokens(patchify(image, self.patch_size), index_BK)
        return F.linear(patches_BKP, self.weight.flatten(1), self.bias)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each voxel of (B, C, D, H, W): no statistic crosses from voxel to voxel."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Maps (B, C, D, H, W) to the same shape."""
        normed = F.layer_norm(image.movedim(1, 4), self.normalized_shape, self.weight, self.bias, self.eps)
        return normed.movedim(4, 1)


class ConvStemEmbedding(nn.Module):
    """A small convolutional stem: overlapping 3^3 convolutions of stride 2 down to one voxel per patch.

    Hidden patches are set to zero before the first convolution, so that nothing of them reaches a visible token; with
    ``hidden=None`` (transfer) it is an ordinary stem.

    Args:
        in_channels: channels C of the image.
        hidden_size: width D of a token, a multiple of 8.
        patch_size: voxels per patch, the same power of 2 on each axis, 2 to 16.

    Raises:
        ValueError: for a patch size or width the stem cannot serve.

    Source: Early convolutions (arXiv 2106.14881); PrimusV2 (arXiv 2503.01835).

    Example:
        >>> embed = ConvStemEmbedding(1, 16, (8, 8, 8))
        >>> embed(torch.zeros(2, 1, 16, 16, 16), torch.tensor([[0, 5], [1, 2]]), None).shape
        torch.Size([2, 2, 16])
    """

    def __init__(self, in_channels: int, hidden_size: int, patch_size: tuple[int, int, int]) -> None:
        super().__init__()
        if len(set(patch_size)) != 1 or patch_size[0] not in (2, 4, 8, 16):
            raise BadSetting(f"patch_size={patch_size}: the conv stem needs the same 2, 4, 8 or 16 on each axis.")
        if hidden_size % 8:
            raise BadSetting(f"hidden_size={hidden_size}: the conv stem needs a multiple of 8.")
        self.patch_size = patch_size
        num_halvings = patch_size[0].bit_length() - 1
        widths = [max(hidden_size // 2 ** (num_halvings - level), 8) for level in range(1, num_halvings)]
        layers: list[nn.Module] = []
        for before, after in zip([in_channels, *widths], widths, strict=False):
            layers += [nn.Conv3d(before, after, kernel_size=3, stride=2, padding=1), ChannelNorm(after), nn.GELU()]
        layers.append(nn.Conv3d(widths[-1] if widths else in_channels, hidden_size, kernel_size=3, stride=2, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, image: torch.Tensor, index_BK: torch.Tensor, hidden: torch.Tensor | None) -> torch.Tensor:
        """Embeds the patches at ``index_BK``; shapes as in :class:`LinearPatchEmbedding`, ``hidden`` bool (B, gi, gj, gk)."""
        if hidden is not None:
            image = image.masked_fill(tokens_to_voxels(hidden, self.patch_size), 0.0)
        return gather_tokens(self.layers(image).flatten(2).transpose(1, 2), index_BK)


def assemble_volume(
    patches_BTP: torch.Tensor, index_BT: torch.Tensor, target: torch.Tensor, patch_size: tuple[int, int, int]
) -> torch.Tensor:
    """Puts decoded patches at their places; everything outside ``target`` is zero.

    Args:
        patches_BTP: decoded patches, P = channels x voxels of a patch.
        index_BT: int64, where each belongs; rows with fewer targets than T are filled up with other places.
        target: bool, shape (B, gi, gj, gk).
        patch_size: voxels per patch on each axis.

    Returns:
        Shape (B, C, gi * i, gj * j, gk * k), dtype of ``patches_BTP``.
    """
    batch, gi, gj, gk = target.shape
    wanted_BT1 = target.flatten(1).gather(1, index_BT)[:, :, None]
    place_BTP = index_BT[:, :, None].expand_as(patches_BTP)
    blank_BNP = torch.zeros([batch, gi * gj * gk, patches_BTP.shape[2]], dtype=patches_BTP.dtype, device=patches_BTP.device)
    filled_BNP = blank_BNP.scatter(1, place_BTP, patches_BTP.masked_fill(~wanted_BT1, 0.0))
    return unpatchify(filled_BNP, (gi, gj, gk), patch_size)
