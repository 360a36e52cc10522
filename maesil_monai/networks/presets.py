"""Named sizes of the masked autoencoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maesil_monai.networks.mae import MaskedAutoEncoder3D
from maesil_monai.networks.slice_mae import SliceMaskedAutoEncoder
from maesil_monai.option_values import expect


def _sizes(encoder: tuple[int, int, int], decoder: tuple[int, int, int]) -> dict[str, int]:
    """Gives the arguments for width, layers and heads of an encoder and a decoder; all are four times as wide inside."""
    sizes: dict[str, int] = {}
    for part, (hidden_size, num_layers, num_heads) in (("", encoder), ("decoder_", decoder)):
        sizes |= {f"{part}hidden_size": hidden_size, f"{part}mlp_dim": 4 * hidden_size}
        sizes |= {f"{part}num_layers": num_layers, f"{part}num_heads": num_heads}
    return sizes


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": _sizes((192, 4, 6), (192, 3, 6)),
    "small": _sizes((384, 8, 6), (384, 4, 12)),
    "base": _sizes((768, 12, 12), (512, 8, 16)),
    "hi_end_mae": _sizes((768, 12, 12), (384, 5, 12)),
}


def build_network(
    preset: str = "base",
    img_size: int | Sequence[int] = 128,
    patch_size: int | Sequence[int] = 8,
    decoder: str = "self_attention",
    **overrides: Any,
) -> MaskedAutoEncoder3D:
    """Builds a masked autoencoder of a named size.

    ``base`` is the paper's: 768 wide, 12 layers, 12 heads, and a decoder of 8 layers 512 wide. ``small`` suits one GPU of a
    few gigabytes, ``tiny`` a CPU. ``hi_end_mae`` has the widths of Hi-End-MAE's ViT-B, for its decoder ``hierarchical``; its
    superpatches are 96^3 and its patches 16^3 voxels.

    Args:
        preset: ``tiny``, ``small``, ``base`` or ``hi_end_mae``.
        img_size, patch_size: voxels of a superpatch and of a patch, one number or three.
        decoder: ``self_attention`` (the paper's), ``cross_attention`` or ``hierarchical``.
        overrides: any other argument of :class:`MaskedAutoEncoder3D`.

    Raises:
        ValueError: for an unknown preset, and as :class:`MaskedAutoEncoder3D`.

    Example:
        >>> sum(p.numel() for p in build_network("tiny", 64).parameters()) // 1000
        3349
    """
    settings = {**_preset(preset), **overrides}
    return MaskedAutoEncoder3D(img_size=img_size, patch_size=patch_size, decoder=decoder, **settings)


def build_slice_network(
    preset: str = "base", img_size: int | Sequence[int] = 128, patch_size: int | Sequence[int] = 8, **overrides: Any
) -> SliceMaskedAutoEncoder:
    """Builds a slice-wise masked autoencoder with the widths and depths that :func:`build_network` has for a preset.

    Args:
        preset, img_size, patch_size: as for :func:`build_network`.
        overrides: any other argument of :class:`SliceMaskedAutoEncoder`.

    Raises:
        ValueError: for an unknown preset, and as :class:`SliceMaskedAutoEncoder`.

    Example:
        >>> build_slice_network("tiny", 64).encoder.blocks[0].attention.num_heads
        6
    """
    return SliceMaskedAutoEncoder(img_size=img_size, patch_size=patch_size, **{**_preset(preset), **overrides})


def _preset(preset: str) -> dict[str, Any]:
    expect(preset in PRESETS, "preset", preset, f"one of {', '.join(PRESETS)}")
    return PRESETS[preset]
