"""The regions of a superpatch in which a reconstruction is judged, as voxels.

- ``hidden``: voxels of the patches that were hidden and are scored (``hidden & target``). ``target`` never holds a padded
  patch, so padding is never counted.
- ``body``: voxels of the body. For complete volumes only (pasted, or decoded everywhere): raw output is zero elsewhere.
- ``hidden_body``: voxels in both. The headline, because most voxels of a CT are air, and air is easily guessed.
- ``full``: all voxels of ``target``, as the network gave them. Says something if ``target`` is every patch that is not padding.
- ``pasted``: the same voxels, but visible ones are taken from the image, so that they have no error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Triple, tokens_to_voxels

Label = Mapping[str, torch.Tensor]
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


def region_voxels(name: str, label: Label, patch_size: Triple) -> torch.Tensor:
    """Marks the voxels of a region.

    Args:
        name: one of :data:`REGION_NAMES`.
        label: of a batch: ``hidden`` and ``target``, bool, shape (B, gi, gj, gk), the patches the encoder did not see, and those
            that were decoded and are scored; for regions with body in their name ``body``, shape (B, 1, D, H, W).
        patch_size: voxels per patch on each axis.

    Returns:
        bool, shape (B, 1, D, H, W) with D = gi * patch_size[0] and so on.

    Raises:
        ValueError: for an unknown name, if ``body`` is missing, or if its shape is not the one above.

    Example:
        >>> hidden = torch.tensor([[[[False]], [[True]]]])
        >>> region_voxels("hidden", {"hidden": hidden, "target": hidden}, (2, 1, 1)).flatten().tolist()
        [False, False, True, True]
    """
    if name not in REGION_NAMES:
        raise BadSetting(f"region {name!r} is unknown: expected one of {', '.join(REGION_NAMES)}.")
    hidden, target, body = label["hidden"], label["target"], label.get("body")
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


def complete_volume(region: str, prediction: torch.Tensor, label: Label, patch_size: Triple) -> torch.Tensor:
    """Gives the volume on which metrics that look at a voxel's surroundings judge a region, (B, 1, D, H, W).

    It is the pasted volume (predictions at hidden target patches, the image everywhere else), for ``full`` the raw output. Where
    nothing was decoded the image stands in both: the edge of what was decoded is no fault of the prediction.
    """
    predicted = label["target"] if region == "full" else label["hidden"] & label["target"]
    return torch.where(tokens_to_voxels(predicted, patch_size), prediction, label["image"])
