"""The decoder of Hi-End-MAE, which reads the encoder at several depths.

Shape suffixes: B batch, N all tokens, K visible, T wanted, E encoder width, D decoder width, P voxels of a patch.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from maesil_monai.networks.attention import Attention, Block, FeedForward, SelfAttentionBlock
from maesil_monai.networks.decoders import Decoder
from maesil_monai.networks.patches import gather_tokens

NUM_SELF_BLOCKS = 2
NUM_STATE_BLOCKS = 3


class HierarchicalBlock(Block):
    """Pre-norm block: self-attention, attention to a hidden state of the encoder, feed-forward, each added to its input.

    As in the original, the hidden state is mapped to the decoder's width and then used as it is: it gets no norm and no further
    positions (it carries those that were added to the encoder's input).

    Args:
        encoder_hidden_size: width E of the hidden state.
        hidden_size: width D of the decoder.
        mlp_dim: width inside the feed-forward layer.
        num_heads: attention heads.
        recomputed: see :class:`~maesil_monai.networks.attention.Block`.

    Example:
        >>> HierarchicalBlock(48, 24, 96, 4)(torch.zeros(2, 10, 24), torch.zeros(2, 5, 48)).shape
        torch.Size([2, 10, 24])
    """

    def __init__(
        self, encoder_hidden_size: int, hidden_size: int, mlp_dim: int, num_heads: int, recomputed: bool = False
    ) -> None:
        super().__init__(recomputed)
        self.embed = nn.Linear(encoder_hidden_size, hidden_size)
        self.self_attention_norm = nn.LayerNorm(hidden_size)
        self.self_attention = Attention(hidden_size, num_heads)
        self.cross_attention_norm = nn.LayerNorm(hidden_size)
        self.cross_attention = Attention(hidden_size, num_heads)
        self.feed_forward_norm = nn.LayerNorm(hidden_size)
        self.feed_forward = FeedForward(hidden_size, mlp_dim)

    def forward(self, tokens_BND: torch.Tensor, state_BKE: torch.Tensor) -> torch.Tensor:
        """Maps tokens (B, N, D) and a hidden state (B, K, E) to tokens (B, N, D)."""
        normed_BND = self.self_attention_norm(tokens_BND)
        tokens_BND = tokens_BND + self.self_attention(normed_BND, normed_BND)
        tokens_BND = tokens_BND + self.cross_attention(self.cross_attention_norm(tokens_BND), self.embed(state_BKE))
        return tokens_BND + self.feed_forward(self.feed_forward_norm(tokens_BND))


class HierarchicalDecoder(Decoder):
    """Mask tokens and encoded tokens pass two self-attention blocks, then three blocks that attend to ever earlier layers.

    The keys and values of the last three blocks are the encoder's hidden states after layers 10, 7 and 4 of 12. An encoder of L
    layers hands out those after ``floor(L * (10, 7, 4) / 12 + 1/2)``, at least 1: 7, 5 and 3 of 8; 3, 2 and 1 of 4. From 3 layers
    on they are three different layers, from 4 on none is the last one.

    The original's code calls them 9, 6 and 3: places, counted from 0, in the list of what leaves each block. It also carries a
    class token, at which its loss does not look; it is left out here, as in the other decoders. Its targets are normalised patch
    by patch; such an output is no picture and has no PSNR, so to be compared it is trained on voxels, as the others are.

    Args:
        num_layers: is not used, for the design has five blocks.
        sizes: the other arguments of :class:`Decoder`.

    Source: Hi-End-MAE (doi 10.1016/j.media.2025.103770, arXiv 2502.08347).
    """

    block = SelfAttentionBlock

    def __init__(self, num_layers: int, **sizes: Any) -> None:
        super().__init__(num_layers=NUM_SELF_BLOCKS, **sizes)
        of_block = ("encoder_hidden_size", "hidden_size", "mlp_dim", "num_heads", "recomputed")
        blocks = (HierarchicalBlock(*(sizes[name] for name in of_block)) for _ in range(NUM_STATE_BLOCKS))
        self.state_blocks = nn.ModuleList(blocks)

    @staticmethod
    def state_layers(num_layers: int) -> list[int]:
        """Names the layers whose hidden states are the keys and values, in the order of the blocks.

        Example:
            >>> HierarchicalDecoder.state_layers(12), HierarchicalDecoder.state_layers(4)
            ([10, 7, 4], [3, 2, 1])
        """
        return [max(math.floor(num_layers * layer / 12 + 0.5), 1) for layer in (10, 7, 4)]

    def forward(
        self, encoded_BKE: torch.Tensor, visible_BK: torch.Tensor, wanted_BT: torch.Tensor, states: list[torch.Tensor]
    ) -> torch.Tensor:
        """Decodes the wanted patches; see the docstring of ``decoders.py``."""
        tokens_BND = self.full_sequence(self.embed(encoded_BKE), visible_BK)
        for block in self.blocks:
            tokens_BND = block(tokens_BND)
        for number, block in enumerate(self.state_blocks):
            tokens_BND = block(tokens_BND, states[number])
        return self.head(self.norm(gather_tokens(tokens_BND, wanted_BT)))
