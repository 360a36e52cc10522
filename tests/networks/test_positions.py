"""Fixed and learned codes of the places of tokens."""

from __future__ import annotations

import math

import pytest
import torch

from maesil_monai.networks.positions import PositionEncoding, sincos_positions


def test_a_code_is_sines_and_cosines_of_the_index_along_each_axis() -> None:
    # Width 12 over three axes: 4 channels each, two rates, 1 and 1 / sqrt(100). Token (1, 0, 2) of (2, 3, 4) is number 14.
    code = sincos_positions((2, 3, 4), 12)[1 * 12 + 0 * 4 + 2]
    along = [(math.sin(i), math.sin(i / 10), math.cos(i), math.cos(i / 10)) for i in (1, 0, 2)]
    torch.testing.assert_close(code, torch.tensor(along).flatten())
    # The remainder goes to the last axis: 4, 4 and 6 of 14.
    assert sincos_positions((2, 2, 2), 14).shape == (8, 14)
    torch.testing.assert_close(sincos_positions((2, 2, 2), 14)[1, 8:11], torch.sin(100.0 ** -(torch.arange(3) / 3)))


@pytest.mark.parametrize("size", [8, 16])
def test_every_sine_tells_the_tokens_of_an_axis_apart(size: int) -> None:
    sines = sincos_positions((size, 1, 1), 768)[:, :128]
    spread = sines.amax(0) - sines.amin(0)
    # The slowest channel turns by nearly 1 / 100 from token to token.
    assert spread.min() > 0.01 * (size - 1)
    of_words = sincos_positions((size, 1, 1), 768, temperature=10_000.0)[:, :128]
    assert ((of_words.amax(0) - of_words.amin(0)) < 0.01 * (size - 1)).float().mean() > 0.45


def test_fixed_codes_are_no_weights_and_learned_ones_are() -> None:
    fixed, learned = PositionEncoding((4, 4, 2), 12), PositionEncoding((4, 4, 2), 12, "learned")
    assert not fixed.state_dict()
    torch.testing.assert_close(
        PositionEncoding((4, 4, 2), 12, "sincos_mae")()[0], sincos_positions((4, 4, 2), 12, temperature=10_000.0)
    )
    torch.testing.assert_close(fixed()[0], sincos_positions((4, 4, 2), 12))
    assert learned.state_dict()["position"].shape == (1, 32, 12)
    with pytest.raises(ValueError, match="expected one of sincos, sincos_mae, learned"):
        PositionEncoding((4, 4, 2), 12, "none")
    with pytest.raises(ValueError, match="even width of 6 or more"):
        sincos_positions((4, 4, 2), 7)
