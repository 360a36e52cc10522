"""The transformer encoder: it sees the visible tokens and nothing else."""

from __future__ import annotations

import torch
from torch import nn

from maesil_monai.networks.attention import SelfAttentionBlock


class VisionTransformerEncoder(nn.Module):
    """A stack of pre-norm blocks and a last norm.

    The outputs of its blocks are called hidden states, numbered from 1, as they leave the block: the last norm acts on the last
    one only. It can hand them out; those that nobody asks for are not kept.

    Args:
        hidden_size: width D of a token.
        mlp_dim: width inside the feed-forward layers.
        num_layers: blocks.
        num_heads: attention heads.
        recomputed: see :class:`~maesil_monai.networks.attention.Block`.

    Source: MAESIL section III-A; ViT (arXiv 2010.11929).

    Example:
        >>> VisionTransformerEncoder(24, 96, 2, 4)(torch.zeros(2, 10, 24)).shape
        torch.Size([2, 10, 24])
    """

    def __init__(self, hidden_size: int, mlp_dim: int, num_layers: int, num_heads: int, recomputed: bool = False) -> None:
        super().__init__()
        blocks = (SelfAttentionBlock(hidden_size, mlp_dim, num_heads, recomputed) for _ in range(num_layers))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, tokens_BKD: torch.Tensor, present_BK: torch.Tensor | None = None) -> torch.Tensor:
        """Encodes tokens; arguments and result as in :meth:`encode_with_states`, without hidden states."""
        no_layers: list[int] = []
        return self.encode_with_states(tokens_BKD, no_layers, present_BK)[0]

    def encode_with_states(
        self, tokens_BKD: torch.Tensor, state_layers: list[int], present_BK: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Encodes tokens and hands out hidden states.

        Args:
            tokens_BKD: tokens with their positions, (B, K, D).
            state_layers: numbers of the layers whose outputs to hand out, from 1.
            present_BK: bool, False for fillers that no token may attend to; None: there are none.

        Returns:
            The encoded tokens, (B, K, D), and the hidden states in the order asked for, each (B, K, D).
        """
        states: dict[int, torch.Tensor] = {}
        for number, block in enumerate(self.blocks):
            tokens_BKD = block(tokens_BKD, present_BK)
            if number + 1 in state_layers:
                states[number + 1] = tokens_BKD
        return self.norm(tokens_BKD), [states[layer] for layer in state_layers]
