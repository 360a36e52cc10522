"""The regions of a superpatch in which a reconstruction is judged, as voxels.

- ``hidden``: voxels of the patches that were hidden and are scored (``hidden & target``). ``target`` never holds a padded
  patch, so padding is never counted.
- ``body``: voxels of the body. For complete volumes only (pasted, or decoded everywhere): raw output is zero elsewhere.
- ``hidden_body``: voxels in both. The headline, because most voxels of a CT are air, and air is easily guessed.
- ``full``: all voxels of ``target``, as the network gave them. Says something if ``target`` is every patch that is not padding.
- ``pasted``: the same voxels, but visible ones are taken from the image, so that they have no error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Triple, tokens_to_voxels

RegionName = Literal["hidden", "body", "hidden_body", "full", "pasted"]
REGION_NAMES: tuple[str, ...] = get_args(RegionName)


def checked_regions(regions: Sequence[str]) -> tuple[str, ...]:
    """Gives the names of regions as a tuple.

    Raises:
        ValueError: for an unknown name, none, or one given twice.
    """
    if isinstance(regions, str) or not regions or set(regions) - set(REGION_NAMES) or len(set(regions)) < len(regions):
        raise BadSetting(f"regions={regions!r}: expected a list of one or more of {', '.join(REGION_NAMES)}, each once.")
    return tuple(regions)


def region_voxels(
    name: str, hidden: torch.Tensor, body: torch.Tensor | None, target: torch.Tensor, patch_size: Triple
) -> torch.Tensor:
    """Marks the voxels of a region.

    Args:
        name: one of ``hidden``, ``body``, ``hidden_body``, ``full``, ``pasted``.
        hidden: bool, shape (B, gi, gj, gk), the patches the encoder did not see.
        body: bool, shape (B, 1, D, H, W), the voxels of the body; None will do for regions without body in their name.
        target: bool, shape (B, gi, gj, gk), the patches that were decoded and are scored.
        patch_size: voxels per patch on each axis.

    Returns:
        bool, shape (B, 1, D, H, W) with D = gi * patch_size[0] and so on.

    Raises:
        ValueError: for an unknown name, if ``body`` is missing, or if its shape is not the one above.

    Example:
        >>> hidden = torch.zeros(1, 2, 1, 1, dtype=torch.bool)
        >>> hidden[0, 1] = True
        >>> region_voxels("hidden", hidden, None, hidden, (2, 1, 1)).flatten().tolist()
        [False, False, True, True]
    """
    if name not in REGION_NAMES:
        raise BadSetting(f"region {name!r} is unknown: expected one of {', '.join(REGION_NAMES)}.")
    scored = tokens_to_voxels(target if name in ("full", "pasted") else hidden & target, patch_size)
    if name in ("hidden", "full", "pasted"):
        return scored
    if body is None:
        raise BadSetting(f"region {name!r} needs the body mask: found none. Add the key 'body' to the validation data.")
    if body.shape != scored.shape:
        raise ValueError(
            f"region {name!r}: the body mask has shape {tuple(body.shape)}, hidden {tuple(hidden.shape)} with patches of "
            f"{tuple(patch_size)} voxels covers {tuple(scored.shape)}. Crop both from the same superpatch."
        )
    return body.bool() if name == "body" else scored & body.bool()


def complete_volume(
    region: str,
    prediction: torch.Tensor,
    image: torch.Tensor,
    hidden: torch.Tensor,
    target: torch.Tensor,
    patch_size: Triple,
) -> torch.Tensor:
    """Gives the volume on which metrics that look at a voxel's surroundings judge a region.

    It is the pasted volume (predictions at hidden target patches, the image everywhere else), for ``full`` the raw output. Where
    nothing was decoded the image stands in both: the edge of what was decoded is no fault of the prediction.

    Args:
        region: one of :data:`REGION_NAMES`.
        prediction: shape (B, 1, D, H, W).
        image: the truth, same shape.
        hidden: bool, shape (B, gi, gj, gk).
        target: bool, same shape.
        patch_size: voxels per patch on each axis.

    Returns:
        Shape (B, 1, D, H, W).
    """
    predicted = target if region == "full" else hidden & target
    return torch.where(tokens_to_voxels(predicted, patch_size), prediction, image)
