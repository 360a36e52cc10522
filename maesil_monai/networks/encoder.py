"""The transformer encoder: it sees the visible tokens and nothing else."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from maesil_monai.networks.attention import SelfAttentionBlock


class VisionTransformerEncoder(nn.Module):
    """A stack of pre-norm blocks and a last norm.

    Args:
        hidden_size: width D of a token.
        mlp_dim: width inside the feed-forward layers.
        num_layers: blocks.
        num_heads: attention heads.
        activation_checkpointing: recomputes each block in the backward pass: less memory, about a third more time.

    Source: MAESIL section III-A; ViT (arXiv 2010.11929).

    Example:
        >>> VisionTransformerEncoder(24, 96, 2, 4)(torch.zeros(2, 10, 24)).shape
        torch.Size([2, 10, 24])
    """

    def __init__(
        self,
        hidden_size: int,
        mlp_dim: int,
        num_layers: int,
        num_heads: int,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.activation_checkpointing = activation_checkpointing
        self.blocks = nn.ModuleList(SelfAttentionBlock(hidden_size, mlp_dim, num_heads) for _ in range(num_layers))
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, tokens_BKD: torch.Tensor) -> torch.Tensor:
        """Maps tokens with their positions, (B, K, D), to encoded tokens (B, K, D)."""
        for block in self.blocks:
            if torch.jit.is_scripting():
                tokens_BKD = block(tokens_BKD)
            elif self.activation_checkpointing and self.training:
                tokens_BKD = checkpoint(block, tokens_BKD, use_reentrant=False)
            else:
                tokens_BKD = block(tokens_BKD)
        return self.norm(tokens_BKD)
