"""What may follow after the decoded patches are put back into a volume."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from maesil_monai.geometry import tokens_to_voxels


class ConvHead(nn.Module):
    """Smooths predicted patches across their borders: two 3^3 convolutions whose output is added to the prediction.

    It sees the predictions of hidden patches and the voxels of visible ones, each with an indicator of where they are, and it
    corrects hidden patches alone. So hidden voxels never enter, a visible voxel is never its own answer, and the prediction of
    hidden patches does not depend on whether visible ones are decoded too. It does depend on which hidden patches are decoded
    together: the others are unknown to their neighbours.

    The second convolution starts at zero, and with it the correction.

    Args:
        in_channels: channels C of the image.
        patch_size: voxels per patch on each axis.
        hidden_channels: channels between the convolutions.

    Example:
        >>> head, hidden = ConvHead(1, (8, 8, 8)), torch.ones(1, 2, 2, 2, dtype=torch.bool)
        >>> head(torch.ones(1, 1, 16, 16, 16), torch.zeros(1, 1, 16, 16, 16), hidden, hidden).mean().item()
        1.0
    """

    def __init__(self, in_channels: int, patch_size: tuple[int, int, int], hidden_channels: int = 8) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.first = nn.Conv3d(2 * in_channels + 2, hidden_channels, kernel_size=3, padding=1)
        self.last = nn.Conv3d(hidden_channels, in_channels, kernel_size=3, padding=1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, predicted: torch.Tensor, image: torch.Tensor, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Corrects the predictions of hidden patches.

        Args:
            predicted: shape (B, C, D, H, W), zero outside ``target``.
            image: same shape; read at visible patches only.
            hidden: bool, shape (B, gi, gj, gk).
            target: bool, same shape: which patches are predicted.

        Returns:
            Shape and dtype of ``predicted``, unchanged outside the patches that are hidden and predicted.
        """
        visible_voxels = tokens_to_voxels(~hidden, self.patch_size)
        guessed_voxels = tokens_to_voxels(hidden & target, self.patch_size)
        guessed = predicted.masked_fill(~guessed_voxels, 0.0)
        seen = image.masked_fill(~visible_voxels, 0.0).to(predicted.dtype)
        indicators = torch.cat([guessed_voxels, visible_voxels], dim=1).to(predicted.dtype)
        known = torch.cat([guessed, seen, indicators], dim=1)
        # With the channels last, convolutions of so few channels take a third of the time on a CPU.
        correction = self.last(F.gelu(self.first(known.contiguous(memory_format=torch.channels_last_3d))))
        return predicted + correction.masked_fill(~guessed_voxels, 0.0).to(predicted.dtype)
