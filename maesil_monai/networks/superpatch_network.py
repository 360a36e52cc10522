"""What the networks on superpatches share: the sizes they are built for, and the checks of what they are called with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from maesil_monai.geometry import as_triple, grid_of
from maesil_monai.networks.described_network import DescribedNetwork


class SuperpatchNetwork(DescribedNetwork):
    """The base of networks that are called as ``network(image, hidden=None, target=None)``.

    Args:
        arguments: of the constructor, its ``locals()``; ``in_channels``, ``img_size`` and ``patch_size`` among them.

    Attributes:
        grid: patches per axis of a superpatch.

    Raises:
        ValueError: for sizes that do not fit one another.

    Example:
        >>> SuperpatchNetwork({"in_channels": 1, "img_size": (32, 32, 16), "patch_size": 8}).grid
        (4, 4, 2)
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        sizes = {name: as_triple(arguments[name], name) for name in ("img_size", "patch_size")}
        super().__init__({**arguments, **sizes})
        self.in_channels: int = arguments["in_channels"]
        self.img_size, self.patch_size = sizes["img_size"], sizes["patch_size"]
        self.grid = grid_of(self.img_size, self.patch_size, ("img_size", "patch_size"))

    def _check_image(self, image: torch.Tensor) -> None:
        if list(image.shape[1:]) != [self.in_channels, self.img_size[0], self.img_size[1], self.img_size[2]]:
            raise ValueError(
                f"image of shape {list(image.shape)}: this network was built for {self.in_channels} channel(s) and "
                f"superpatches of {self.img_size} voxels."
            )

    def _check_patches(self, patches: torch.Tensor, name: str, batch: int) -> None:
        if list(patches.shape) != [batch, self.grid[0], self.grid[1], self.grid[2]]:
            raise ValueError(f"{name} of shape {list(patches.shape)}: expected ({batch}, *{self.grid}).")
