"""Transformer blocks.

Shape suffixes: B batch, N queries, M keys, D width, H heads, d width of a head.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from maesil_monai.errors import BadSetting

SHORT_ATTENTION = 1024 * 1024  # queries x keys up to which a CPU attends without the fused kernel in bfloat16


def attend(
    query_BHNd: torch.Tensor, key_BHMd: torch.Tensor, value_BHMd: torch.Tensor, present_BM: torch.Tensor | None = None
) -> torch.Tensor:
    """Scaled dot-product attention: fused, but for short bfloat16 sequences on a CPU.

    The backward pass of the CPU's fused kernel makes no use of bfloat16: two batched products and a softmax take half to two
    thirds of its time for 64 to 1,024 tokens, and more than it from about 1,500 on.

    Args:
        query_BHNd: floating point, shape (B, H, N, d).
        key_BHMd: same dtype, shape (B, H, M, d).
        value_BHMd: as ``key_BHMd``.
        present_BM: bool, which keys are attended to, at least one in each sample; None: all.

    Returns:
        Shape (B, H, N, d), the same dtype.
    """
    present_B11M = None if present_BM is None else present_BM[:, None, None, :]
    if torch.jit.is_scripting():  # a condition of its own: only so is the rest not compiled
        return F.scaled_dot_product_attention(query_BHNd, key_BHMd, value_BHMd, present_B11M)
    if _is_short_on_cpu(query_BHNd, key_BHMd):
        return _attend_unfused(query_BHNd, key_BHMd, value_BHMd, present_B11M)
    return F.scaled_dot_product_attention(query_BHNd, key_BHMd, value_BHMd, present_B11M)


def _is_short_on_cpu(query_BHNd: torch.Tensor, key_BHMd: torch.Tensor) -> bool:
    short = query_BHNd.shape[2] * key_BHMd.shape[2] <= SHORT_ATTENTION
    return short and query_BHNd.device.type == "cpu" and query_BHNd.dtype == torch.bfloat16


def _attend_unfused(
    query_BHNd: torch.Tensor, key_BHMd: torch.Tensor, value_BHMd: torch.Tensor, present_B11M: torch.Tensor | None
) -> torch.Tensor:
    batch, num_heads, num_queries, head = query_BHNd.shape
    query_XNd = (query_BHNd * head**-0.5).reshape(batch * num_heads, num_queries, head)  # X: all heads of the batch
    key_XMd, value_XMd = (tensor.reshape(batch * num_heads, -1, head) for tensor in (key_BHMd, value_BHMd))
    weights_XNM = torch.bmm(query_XNd, key_XMd.transpose(1, 2))
    if present_B11M is not None:
        weights_BHNM = weights_XNM.view(batch, num_heads, num_queries, -1).masked_fill(~present_B11M, float("-inf"))
        weights_XNM = weights_BHNM.flatten(0, 1)
    return torch.bmm(weights_XNM.softmax(dim=-1), value_XMd).view(batch, num_heads, num_queries, head)


class Attention(nn.Module):
    """Multi-head attention of queries to a context (self-attention when the two are the same tensor).

    Args:
        hidden_size: width D, a multiple of ``num_heads``.
        num_heads: heads H.

    Raises:
        ValueError: if the heads do not divide the width.
    """

    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        if hidden_size % num_heads:
            raise BadSetting(f"hidden_size={hidden_size} is no multiple of num_heads={num_heads}.")
        self.num_heads = num_heads
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key_value = nn.Linear(hidden_size, 2 * hidden_size)
        self.out = nn.Linear(hidden_size, hidden_size)

    def forward(
        self, tokens_BND: torch.Tensor, context_BMD: torch.Tensor, present_BM: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Returns the attended tokens, shape (B, N, D); ``present_BM`` as in :func:`attend`."""
        batch, num_queries, width = tokens_BND.shape
        num_keys = context_BMD.shape[1]
        head = width // self.num_heads
        query_BHNd = self.query(tokens_BND).view(batch, num_queries, self.num_heads, head).transpose(1, 2)
        both_2BHMd = self.key_value(context_BMD).view(batch, num_keys, 2, self.num_heads, head).permute(2, 0, 3, 1, 4)
        attended_BHNd = attend(query_BHNd, both_2BHMd[0], both_2BHMd[1], present_BM)
        return self.out(attended_BHNd.transpose(1, 2).reshape(batch, num_queries, width))


class FeedForward(nn.Sequential):
    """Linear, GELU, linear: ``hidden_size`` -> ``mlp_dim`` -> ``hidden_size``."""

    def __init__(self, hidden_size: int, mlp_dim: int) -> None:
        super().__init__(nn.Linear(hidden_size, mlp_dim), nn.GELU(), nn.Linear(mlp_dim, hidden_size))


class Block(nn.Module):
    """The base of the blocks.

    Args:
        recomputed: computes the block again in the backward pass: less memory, about a third more time.
    """

    def __init__(self, recomputed: bool) -> None:
        super().__init__()
        self.recomputed = recomputed

    def __call__(self, *inputs: Any) -> Any:
        # Here and not in forward, which TorchScript compiles.
        if self.recomputed and self.training:
            return checkpoint(super().__call__, *inputs, use_reentrant=False)
        return super().__call__(*inputs)


class SelfAttentionBlock(Block):
    """Pre-norm transformer block: x + attention(norm(x)), then x + feed_forward(norm(x)).

    Example:
        >>> SelfAttentionBlock(24, 96, 4)(torch.zeros(2, 10, 24)).shape
        torch.Size([2, 10, 24])
    """

    def __init__(self, hidden_size: int, mlp_dim: int, num_heads: int, recomputed: bool = False) -> None:
        super().__init__(recomputed)
        self.attention_norm = nn.LayerNorm(hidden_size)
        self.attention = Attention(hidden_size, num_heads)
        self.feed_forward_norm = nn.LayerNorm(hidden_size)
        self.feed_forward = FeedForward(hidden_size, mlp_dim)

    def forward(self, tokens_BND: torch.Tensor, present_BN: torch.Tensor | None = None) -> torch.Tensor:
        """Maps (B, N, D) to (B, N, D); no token attends to those that ``present_BN``, bool, marks False."""
        normed_BND = self.attention_norm(tokens_BND)
        tokens_BND = tokens_BND + self.attention(normed_BND, normed_BND, present_BN)
        return tokens_BND + self.feed_forward(self.feed_forward_norm(tokens_BND))


class CrossAttentionBlock(Block):
    """Pre-norm block whose queries attend to a context and never to one another.

    What a query becomes does not depend on which other queries are there, so any subset can be decoded.

    Source: CrossMAE (arXiv 2401.14391) section 3.2.

    Example:
        >>> CrossAttentionBlock(24, 96, 4)(torch.zeros(2, 10, 24), torch.zeros(2, 5, 24)).shape
        torch.Size([2, 10, 24])
    """

    def __init__(self, hidden_size: int, mlp_dim: int, num_heads: int, recomputed: bool = False) -> None:
        super().__init__(recomputed)
        self.attention_norm = nn.LayerNorm(hidden_size)
        self.context_norm = nn.LayerNorm(hidden_size)
        self.attention = Attention(hidden_size, num_heads)
        self.feed_forward_norm = nn.LayerNorm(hidden_size)
        self.feed_forward = FeedForward(hidden_size, mlp_dim)

    def forward(self, queries_BND: torch.Tensor, context_BMD: torch.Tensor) -> torch.Tensor:
        """Maps queries (B, N, D) and context (B, M, D) to (B, N, D)."""
        queries_BND = queries_BND + self.attention(self.attention_norm(queries_BND), self.context_norm(context_BMD))
        return queries_BND + self.feed_forward(self.feed_forward_norm(queries_BND))


def initialise_linear_layers(network: nn.Module) -> None:
    """Sets every linear layer to Xavier-uniform weights and zero biases, as MAE does, and each attention's keys to its queries.

    PyTorch's default start, which is smaller, left a network on the plateau of "predict the mean" several times longer. With
    equal weights for queries and keys, a token attends first to those that are like it. Hidden tokens differ in nothing but
    their place, so they begin by looking at their neighbours; where this has to be found, some seeds need several times longer.

    Source: MAE (arXiv 2111.06377); queries and keys: mimetic initialisation (arXiv 2305.09828).
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Attention):
                module.key_value.weight[: module.query.out_features] = module.query.weight
