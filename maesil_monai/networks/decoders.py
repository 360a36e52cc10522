"""Decoders: from encoded visible tokens to the voxels of the wanted patches, behind one interface.

Every decoder is called as ``decoder(encoded_BKE, visible_BK, wanted_BT, states)``: the encoded visible tokens, the int64
places of the visible and of the wanted patches in the token grid, and the hidden states of the encoder that it asked for with
``state_layers``, each (B, K, E), for most decoders none; it returns the voxels of the wanted patches, (B, T, P).

Shape suffixes: B batch, N all tokens, K visible, T wanted, E encoder width, D decoder width, P voxels of a patch.
"""

from __future__ import annotations

import torch
from torch import nn

from maesil_monai.networks.attention import CrossAttentionBlock, SelfAttentionBlock
from maesil_monai.networks.patches import gather_tokens
from maesil_monai.networks.positions import PositionEncoding


class Decoder(nn.Module):
    """What the decoders share: the way in, the mask token, the positions, the blocks and the way out to voxels.

    Args:
        grid: tokens per axis, of two or three axes.
        encoder_hidden_size: width E of the encoded tokens.
        hidden_size: width D of the decoder.
        mlp_dim: width inside the feed-forward layers.
        num_layers: blocks.
        num_heads: attention heads.
        patch_voxels: values P to predict per patch (channels x voxels).
        position: ``sincos``, ``sincos_mae`` or ``learned``.
        recomputed: see :class:`~maesil_monai.networks.attention.Block`.
    """

    block: type[SelfAttentionBlock] | type[CrossAttentionBlock]

    def __init__(
        self,
        grid: tuple[int, ...],
        encoder_hidden_size: int,
        hidden_size: int,
        mlp_dim: int,
        num_layers: int,
        num_heads: int,
        patch_voxels: int,
        position: str = "sincos",
        recomputed: bool = False,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(encoder_hidden_size, hidden_size)
        self.mask_token = nn.Parameter(torch.randn(1, 1, hidden_size) * 0.02)
        self.positions = PositionEncoding(grid, hidden_size, position)
        self.blocks = nn.ModuleList(self.block(hidden_size, mlp_dim, num_heads, recomputed) for _ in range(num_layers))
        self.norm = nn.LayerNorm(hidden_size)
        self.head = nn.Linear(hidden_size, patch_voxels)

    @staticmethod
    def state_layers(num_layers: int) -> list[int]:
        """Names the layers of an encoder of ``num_layers``, from 1, whose hidden states this decoder takes."""
        no_layers: list[int] = []
        return no_layers

    def full_sequence(self, visible_BKD: torch.Tensor, visible_BK: torch.Tensor) -> torch.Tensor:
        """Puts the embedded visible tokens at their places, mask tokens at all others, and adds the positions: (B, N, D)."""
        positions_1ND = self.positions()
        batch, num_tokens, width = visible_BKD.shape[0], positions_1ND.shape[1], positions_1ND.shape[2]
        blank_BND = self.mask_token.to(visible_BKD.dtype).expand(batch, num_tokens, width)
        return blank_BND.scatter(1, visible_BK[:, :, None].expand(-1, -1, width), visible_BKD) + positions_1ND


class SelfAttentionDecoder(Decoder):
    """The paper's decoder: mask tokens are inserted and self-attention runs over the full sequence.

    Args: see :class:`Decoder`.

    Source: MAESIL section III-B; MAE (arXiv 2111.06377).
    """

    block = SelfAttentionBlock

    def forward(
        self, encoded_BKE: torch.Tensor, visible_BK: torch.Tensor, wanted_BT: torch.Tensor, states: list[torch.Tensor]
    ) -> torch.Tensor:
        """Decodes the wanted patches; see the module's docstring."""
        tokens_BND = self.full_sequence(self.embed(encoded_BKE), visible_BK)
        for block in self.blocks:
            tokens_BND = block(tokens_BND)
        return self.head(self.norm(gather_tokens(tokens_BND, wanted_BT)))


class CrossAttentionDecoder(Decoder):
    """Queries of the wanted patches attend to the encoded visible tokens and not to one another.

    Its cost grows with the wanted patches, and a patch decodes to the same voxels whichever others are decoded with it.

    Args: see :class:`Decoder`.

    Source: CrossMAE (arXiv 2401.14391).
    """

    block = CrossAttentionBlock

    def forward(
        self, encoded_BKE: torch.Tensor, visible_BK: torch.Tensor, wanted_BT: torch.Tensor, states: list[torch.Tensor]
    ) -> torch.Tensor:
        """Decodes the wanted patches; see the module's docstring."""
        positions_BND = self.positions().expand(encoded_BKE.shape[0], -1, -1)
        context_BKD = self.embed(encoded_BKE) + gather_tokens(positions_BND, visible_BK)
        queries_BTD = self.mask_token + gather_tokens(positions_BND, wanted_BT)
        for block in self.blocks:
            queries_BTD = block(queries_BTD, context_BKD)
        return self.head(self.norm(queries_BTD))
