"""Position encodings of a token grid."""

from __future__ import annotations

import math

import torch
from torch import nn

from maesil_monai.errors import BadSetting

# MAE's 10,000 comes from sentences of hundreds of words. With 8 to 16 tokens an axis it leaves half of the channels as
# good as constant, and attention takes several times as many steps until it finds the neighbours of a hidden patch.
TEMPERATURES = {"sincos": 100.0, "sincos_mae": 10_000.0}


def sincos_positions(grid: tuple[int, ...], width: int, temperature: float = TEMPERATURES["sincos"]) -> torch.Tensor:
    """Gives the fixed sine-cosine code of every token of a grid.

    The width is shared out to the axes in even parts, the remainder going to the last axis; within a part, half the
    channels are sines and half cosines of ``index / temperature^(c / half)``.

    Args:
        grid: tokens per axis, of two or three axes.
        width: channels, even and at least 2 for each axis.
        temperature: about the longest wavelength, in tokens, over 2 pi.

    Returns:
        float32, shape (N, width), tokens in C order.

    Raises:
        ValueError: if ``width`` is odd or too small.

    Source: MAE (arXiv 2111.06377) appendix A.1, with two axes and temperature 10,000; MAESIL section III-A, which names none.
    """
    num_axes = len(grid)
    if width % 2 or width < 2 * num_axes:
        raise BadSetting(
            f"hidden_size={width}: sine-cosine positions in {num_axes}D need an even width of {2 * num_axes} or more."
        )
    part = width // (2 * num_axes) * 2
    codes = []
    for axis, channels in enumerate([*[part] * (num_axes - 1), width - (num_axes - 1) * part]):
        half = channels // 2
        rates = temperature ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(grid[axis], dtype=torch.float64)[:, None] * rates
        code = torch.cat([angles.sin(), angles.cos()], dim=1)
        shape = [*[1] * num_axes, channels]
        shape[axis] = grid[axis]
        codes.append(code.view(shape).expand(*grid, channels))
    return torch.cat(codes, dim=num_axes).reshape(-1, width).float()


class PositionEncoding(nn.Module):
    """The positions of all tokens, fixed or learned.

    Fixed codes are no part of the ``state_dict``: they follow from grid and width, so weights fit any grid.

    Args:
        grid: tokens per axis, of two or three axes.
        width: channels.
        kind: ``sincos`` (fixed, of a temperature for short axes), ``sincos_mae`` (fixed, with MAE's) or ``learned`` (a parameter,
            started from a normal distribution of deviation 0.02).

    Raises:
        ValueError: for an unknown kind, or a width that sine-cosine cannot serve.

    Example:
        >>> PositionEncoding((4, 4, 2), 12)().shape
        torch.Size([1, 32, 12])
    """

    def __init__(self, grid: tuple[int, ...], width: int, kind: str = "sincos") -> None:
        super().__init__()
        if kind in TEMPERATURES:
            self.register_buffer("position", sincos_positions(grid, width, TEMPERATURES[kind])[None], persistent=False)
        elif kind == "learned":
            self.position = nn.Parameter(torch.randn(1, math.prod(grid), width) * 0.02)
        else:
            raise BadSetting(f"position={kind!r}: expected one of {', '.join(TEMPERATURES)}, learned.")

    def forward(self) -> torch.Tensor:
        """Returns the codes, shape (1, N, width)."""
        return self.position
