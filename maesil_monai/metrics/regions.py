"""The regions of a superpatch in which a reconstruction is judged, as voxels.

- ``hidden``: voxels of the patches that were hidden and are scored (``hidden & target``). ``target`` never holds a padded
  patch, so padding is never counted.
- ``body``: voxels of the body. For complete volumes only (pasted, or decoded everywhere): raw output is zero elsewhere.
- ``hidden_body``: voxels in both. The headline, because most voxels of a CT are air, and air is easily guessed.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch

from maesil_monai.geometry import Triple, tokens_to_voxels

RegionName = Literal["hidden", "body", "hidden_body"]
REGION_NAMES: tuple[str, ...] = get_args(RegionName)


def region_voxels(
    name: str, hidden: torch.Tensor, body: torch.Tensor | None, target: torch.Tensor, patch_size: Triple
) -> torch.Tensor:
    """Marks the voxels of a region.

    Args:
        name: one of ``hidden``, ``body``, ``hidden_body``.
        hidden: bool, shape (B, gi, gj, gk), the patches the encoder did not see.
        body: bool, shape (B, 1, D, H, W), the voxels of the body; None will do for ``hidden``.
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
        raise ValueError(f"region {name!r} is unknown: expected one of {', '.join(REGION_NAMES)}.")
    scored = tokens_to_voxels(hidden & target, patch_size)
    if name == "hidden":
        return scored
    if body is None:
        raise ValueError(f"region {name!r} needs the body mask: found none. Add the key 'body' to the validation data.")
    if body.shape != scored.shape:
        raise ValueError(
            f"region {name!r}: the body mask has shape {tuple(body.shape)}, hidden {tuple(hidden.shape)} with patches of "
            f"{tuple(patch_size)} voxels covers {tuple(scored.shape)}. Crop both from the same superpatch."
        )
    return body.bool() if name == "body" else scored & body.bool()
