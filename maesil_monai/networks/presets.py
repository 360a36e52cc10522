"""Named sizes of the masked autoencoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maesil_monai.errors import BadSetting
from maesil_monai.networks.mae import MaskedAutoEncoder3D
from maesil_monai.networks.slice_mae import SliceMaskedAutoEncoder

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 192,
        "mlp_dim": 768,
        "num_layers": 4,
        "num_heads": 6,
        "decoder_hidden_size": 192,
        "decoder_mlp_dim": 768,
        "decoder_num_layers": 3,
        "decoder_num_heads": 6,
    },
    "small": {
        "hidden_size": 384,
        "mlp_dim": 1536,
        "num_layers": 8,
        "num_heads": 6,
        "decoder_hidden_size": 384,
        "decoder_mlp_dim": 1536,
        "decoder_num_layers": 4,
        "decoder_num_heads": 12,
    },
    "base": {
        "hidden_size": 768,
        "mlp_dim": 3072,
        "num_layers": 12,
        "num_heads": 12,
        "decoder_hidden_size": 512,
        "decoder_mlp_dim": 2048,
        "decoder_num_layers": 8,
        "decoder_num_heads": 16,
    },
    "hi_end_mae": {
        "hidden_size": 768,
        "mlp_dim": 3072,
        "num_layers": 12,
        "num_heads": 12,
        "decoder_hidden_size": 384,
        "decoder_mlp_dim": 1536,
        "decoder_num_layers": 5,
        "decoder_num_heads": 12,
    },
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
        img_size: voxels of a superpatch, one number or three.
        patch_size: voxels of a patch, one number or three.
        decoder: ``self_attention`` (the paper's), ``cross_attention`` or ``hierarchical``.
        overrides: any other argument of :class:`MaskedAutoEncoder3D`.

    Raises:
        ValueError: for an unknown preset, and as :class:`MaskedAutoEncoder3D`.

    Example:
        >>> sum(p.numel() for p in build_network("tiny", 64).parameters()) // 1000
        3349
    """
    settings = {**_sizes(preset), **overrides}
    return MaskedAutoEncoder3D(img_size=img_size, patch_size=patch_size, decoder=decoder, **settings)


def build_slice_network(
    preset: str = "base",
    img_size: int | Sequence[int] = 128,
    patch_size: int | Sequence[int] = 8,
    **overrides: Any,
) -> SliceMaskedAutoEncoder:
    """Builds a slice-wise masked autoencoder with the widths and depths that :func:`build_network` has for a preset.

    Args:
        preset: as for :func:`build_network`.
        img_size: voxels of a superpatch, one number or three.
        patch_size: voxels of a patch, one number or three.
        overrides: any other argument of :class:`SliceMaskedAutoEncoder`.

    Raises:
        ValueError: for an unknown preset, and as :class:`SliceMaskedAutoEncoder`.

    Example:
        >>> build_slice_network("tiny", 64).encoder.blocks[0].attention.num_heads
        6
    """
    return SliceMaskedAutoEncoder(img_size=img_size, patch_size=patch_size, **{**_sizes(preset), **overrides})


def _sizes(preset: str) -> dict[str, Any]:
    if preset not in PRESETS:
        raise BadSetting(f"preset={preset!r}: expected one of {', '.join(PRESETS)}.")
    return PRESETS[preset]
