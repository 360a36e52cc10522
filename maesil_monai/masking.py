"""Mask rules: which patches of a superpatch are hidden from the encoder, and which of them are decoded.

A mask is a bool tensor named for what True means (``hidden``, ``target``). All counts are exact in every sample,
so that a batch is rectangular: every sample of a batch has the same number of visible tokens.

Source: MAESIL section III-A. The paper asks for 75 % hidden in each plane, a hidden block of 50 % of the planes, and
75 % hidden in total, which cannot all hold (together they hide 87.5 %); rule ``total`` keeps the block and the total,
rule ``union`` keeps the block and the planes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from maesil_monai.errors import BadSetting

RuleName = Literal["total", "union", "plane", "axis", "random"]


def nearest_count(ratio: float, total: int) -> int:
    """Rounds a share of a count half up: ``floor(ratio * total + 0.5)``."""
    return math.floor(ratio * total + 0.5)


@dataclass(frozen=True)
class MaskRule:
    """A rule that hides patches, with its ratios.

    With G axial token planes of P tokens each, N = G * P:

    - ``total``: a contiguous block of ``axis_ratio`` of the planes is hidden whole, and the surviving planes hide, spread as
      evenly as whole numbers allow, what brings the sum to ``total_ratio`` of N.
    - ``union``: the same block, and ``plane_ratio`` of each surviving plane.
    - ``plane``: ``plane_ratio`` of each plane. ``axis``: the block alone. ``random``: ``total_ratio`` of N anywhere (MAE).

    Args:
        name: one of ``total``, ``union``, ``plane``, ``axis``, ``random``.
        total_ratio: share of all tokens hidden by ``total`` and ``random``, in (0, 1).
        plane_ratio: share hidden in each plane by ``union`` and ``plane``, in (0, 1).
        axis_ratio: share of the axial planes in the hidden block of ``total``, ``union`` and ``axis``, in (0, 1).
        wrap: lets the block run over the end to the other side, so that every plane is hidden equally often.

    Raises:
        ValueError: for an unknown name or a ratio outside (0, 1).

    Example:
        >>> hidden = MaskRule("total").draw((16, 16, 16), 2, torch.Generator().manual_seed(0))
        >>> hidden.flatten(1).sum(1).tolist()
        [3072, 3072]
    """

    name: RuleName = "total"
    total_ratio: float = 0.75
    plane_ratio: float = 0.75
    axis_ratio: float = 0.5
    wrap: bool = False

    def __post_init__(self) -> None:
        if self.name not in get_args(RuleName):
            raise BadSetting(f"mask rule {self.name!r} is unknown: expected one of {', '.join(get_args(RuleName))}.")
        if not isinstance(self.wrap, bool):
            raise BadSetting(f"wrap={self.wrap!r}: expected true or false (True or False on a command line).")
        for key in ("total_ratio", "plane_ratio", "axis_ratio"):
            if not 0.0 < getattr(self, key) < 1.0:
                raise BadSetting(f"{key}={getattr(self, key)} of mask rule {self.name!r}: expected a value between 0 and 1.")

    def plane_counts(self, token_grid: Sequence[int], axial_axis: int = 2) -> tuple[int, int]:
        """Gives the hidden block's planes and the number of tokens hidden in all surviving planes together.

        Args:
            token_grid: patches per axis.
            axial_axis: the axis of the grid that runs along S-I.

        Returns:
            ``(block, rest)``; ``block * P + rest`` tokens are hidden. For ``random``, ``block`` is 0.

        Raises:
            ValueError: if the rule leaves nothing visible or nothing hidden on this grid.
        """
        num_planes = token_grid[axial_axis]
        num_tokens = token_grid[0] * token_grid[1] * token_grid[2]
        per_plane = num_tokens // num_planes
        block = 0
        if self.name in ("total", "union", "axis"):
            if num_planes < 2:
                raise BadSetting(
                    f"mask rule {self.name!r} needs 2 axial token planes or more, the grid {tuple(token_grid)} has 1."
                )
            block = min(max(nearest_count(self.axis_ratio, num_planes), 1), num_planes - 1)
        if self.name in ("total", "random"):
            rest = nearest_count(self.total_ratio, num_tokens) - block * per_plane
        elif self.name == "axis":
            rest = 0
        else:
            rest = nearest_count(self.plane_ratio, per_plane) * (num_planes - block)
        if not 0 <= rest < (num_planes - block) * per_plane or block + rest == 0:
            raise BadSetting(
                f"mask rule {self} cannot be met on the token grid {tuple(token_grid)}: {block} of {num_planes} axial planes are "
                f"hidden whole and {rest} more of {(num_planes - block) * per_plane} tokens would be. Change a ratio or a size."
            )
        return block, rest

    def num_hidden(self, token_grid: Sequence[int], axial_axis: int = 2) -> int:
        """Counts the tokens hidden in every sample; arguments and errors as in :meth:`plane_counts`."""
        block, rest = self.plane_counts(token_grid, axial_axis)
        return block * (math.prod(token_grid) // token_grid[axial_axis]) + rest

    def draw(
        self,
        token_grid: Sequence[int],
        batch_size: int,
        generator: torch.Generator,
        axial_axis: int = 2,
        hide_first: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Draws masks for a batch.

        Args:
            token_grid: patches per axis (gi, gj, gk).
            batch_size: number of independent masks.
            generator: source of randomness, on the CPU; the masks are a function of its state alone.
            axial_axis: the axis of the grid that runs along S-I.
            hide_first: bool, shape (batch_size, gi, gj, gk): patches that the rule hides before others wherever it has a
                choice (within the hidden part of a surviving plane; anywhere for ``random``).

        Returns:
            ``hidden``, bool, shape (batch_size, gi, gj, gk), exactly :meth:`num_hidden` True values in each sample.

        Raises:
            ValueError: see :meth:`plane_counts`.
        """
        block, rest = self.plane_counts(token_grid, axial_axis)
        num_planes = token_grid[axial_axis]
        across = [size for axis, size in enumerate(token_grid) if axis != axial_axis]
        per_plane = across[0] * across[1]
        scores_BGP = torch.rand(batch_size, num_planes, per_plane, generator=generator)
        if hide_first is not None:
            scores_BGP = scores_BGP - hide_first.movedim(1 + axial_axis, 1).reshape(scores_BGP.shape).float()
        if self.name == "random":
            hidden_BGP = _lowest(scores_BGP.flatten(1), torch.tensor([[rest]])).view_as(scores_BGP)
        else:
            in_block_BG = self._draw_block(num_planes, block, batch_size, generator)
            each, extra = divmod(rest, num_planes - block)
            order_BG = torch.rand(batch_size, num_planes, generator=generator).masked_fill(in_block_BG, 2.0)
            counts_BG = each + _lowest(order_BG, torch.tensor([[extra]])).long()
            counts_BG = counts_BG.masked_fill(in_block_BG, per_plane)
            hidden_BGP = _lowest(scores_BGP, counts_BG[..., None])
        return hidden_BGP.view(batch_size, num_planes, *across).movedim(1, 1 + axial_axis).contiguous()

    def _draw_block(self, num_planes: int, block: int, batch_size: int, generator: torch.Generator) -> torch.Tensor:
        """Marks the planes of the hidden block: bool, shape (batch_size, num_planes)."""
        num_starts = num_planes if self.wrap else num_planes - block + 1
        start_B1 = torch.randint(num_starts, (batch_size, 1), generator=generator)
        return (torch.arange(num_planes) - start_B1) % num_planes < block


def draw_target(hidden: torch.Tensor, decode_ratio: float, generator: torch.Generator) -> torch.Tensor:
    """Draws which hidden patches are decoded and scored.

    Args:
        hidden: bool, shape (B, gi, gj, gk), the same number of True values in each sample.
        decode_ratio: share of the hidden patches to decode, in (0, 1]; 1 decodes all of them.
        generator: source of randomness, on the CPU.

    Returns:
        ``target``, bool, same shape, a subset of ``hidden`` with ``floor(decode_ratio * num_hidden + 0.5)``, at least 1,
        True values in each sample.

    Raises:
        ValueError: if ``decode_ratio`` is outside (0, 1].

    Source: CrossMAE (arXiv 2401.14391) section 3.3, partial reconstruction.
    """
    if not 0.0 < decode_ratio <= 1.0:
        raise BadSetting(f"decode_ratio={decode_ratio}: expected a value above 0 and at most 1.")
    if decode_ratio == 1.0:
        return hidden.clone()
    flat_BN = hidden.flatten(1)
    count = max(nearest_count(decode_ratio, int(flat_BN[0].sum())), 1)
    scores_BN = torch.rand(flat_BN.shape, generator=generator).masked_fill(~flat_BN, 2.0)
    return _lowest(scores_BN, torch.tensor([[count]])).view_as(hidden)


def _lowest(scores: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Marks the ``counts`` lowest scores along the last axis (ties broken by place); ``counts`` broadcasts against it."""
    ranks = scores.argsort(dim=-1, stable=True).argsort(dim=-1)
    return ranks < counts
