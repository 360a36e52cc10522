"""Attention is the same sum whichever kernel computes it."""

from __future__ import annotations

import pytest
import torch

from maesil_monai.networks.attention import SHORT_ATTENTION, Attention, attend
from maesil_monai.networks.presets import build_network


def _softmax_of_scores(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Attention by its definition, in float64, one sample and head at a time."""
    found = torch.empty(*query.shape[:3], value.shape[3], dtype=torch.float64)
    for sample in range(len(query)):
        for head in range(query.shape[1]):
            kept = present[sample]
            scores = query[sample, head].double() @ key[sample, head, kept].double().T / query.shape[3] ** 0.5
            weights = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
            found[sample, head] = weights @ value[sample, head, kept].double()
    return found


# bfloat16 has 8 bits: of values around 1, some of them summed, 0.03 is the last one or two.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
@pytest.mark.parametrize("all_present", [True, False])
@pytest.mark.parametrize("num_queries", [5, SHORT_ATTENTION // 7 + 1])
def test_attention_is_the_softmax_of_scaled_products_over_the_keys_that_are_present(
    dtype: torch.dtype, tolerance: float, all_present: bool, num_queries: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, n, 4, generator=generator).to(dtype) for n in (num_queries, 7, 7))
    present = torch.ones(2, 7, dtype=torch.bool)
    if not all_present:
        present[0, 2:] = present[1, :3] = False
    found = attend(query, key, value, None if all_present else present)
    assert found.dtype == dtype
    shown = slice(None, 5)  # the first queries tell
    expected = _softmax_of_scores(query[:, :, shown], key, value, present)
    torch.testing.assert_close(found[:, :, shown].double(), expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("num_queries", [5, 33])
def test_gradients_of_short_bfloat16_attention_are_those_of_float32(num_queries: int) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(2, 3, n, 4, generator=generator).bfloat16() for n in (num_queries, 7, 7)]
    present = torch.tensor([[True] * 7, [True, False] + [True] * 5])
    gradients = []
    for dtype in (torch.bfloat16, torch.float32):
        inputs = [tensor.to(dtype, copy=True).requires_grad_() for tensor in tensors]
        attend(*inputs, present).float().square().sum().backward()
        gradients.append([tensor.grad.float() for tensor in inputs])
    for short, exact in zip(*gradients, strict=True):
        torch.testing.assert_close(short, exact, atol=0.03 * float(exact.abs().max()), rtol=0)
    assert torch.equal(gradients[0][1][1, :, 1], torch.zeros(3, 4))  # a key that is not present learns nothing


@pytest.mark.parametrize("decoder", ["self_attention", "cross_attention", "hierarchical"])
def test_a_hidden_token_looks_at_its_neighbours_from_the_start(decoder: str) -> None:
    torch.manual_seed(0)
    network = build_network("tiny", 64, decoder=decoder)
    attentions = [module for module in network.modules() if isinstance(module, Attention)]
    for attention in attentions:
        keys, values = attention.key_value.weight.chunk(2)
        assert torch.equal(keys, attention.query.weight)
        assert not torch.equal(values, attention.query.weight)
    # What the first attention of the decoder weighs for the token in the middle of a grid of 8^3, if all tokens are hidden.
    attention = network.decoder.blocks[0].attention
    tokens = torch.nn.functional.layer_norm(network.decoder.mask_token + network.decoder.positions(), (192,))
    middle = 4 * 64 + 4 * 8 + 4
    query = attention.query(tokens)[0, middle].view(6, 32)
    keys = attention.key_value(tokens)[0, :, :192].view(512, 6, 32)
    weights = torch.einsum("hd,nhd->hn", query, keys).div(32**0.5).softmax(dim=1).mean(dim=0).view(8, 8, 8)
    beside = torch.stack(
        [weights[3, 4, 4], weights[5, 4, 4], weights[4, 3, 4], weights[4, 5, 4], weights[4, 4, 3], weights[4, 4, 5]]
    )
    corners = weights[::7, ::7, ::7]
    assert min(weights[4, 4, 4], beside.min()) > 10 * corners.max()
