"""Quantities that networks learn by counting and not by gradients, alike on every process of a job.

They live in buffers, so they are saved, resumed and averaged with the weights.
"""

from __future__ import annotations

import ignite.distributed as idist
import torch
from torch import nn

from maesil_monai.geometry import tokens_to_voxels


def sum_over_processes(value: torch.Tensor) -> torch.Tensor:
    """Adds up a tensor over the processes of a job; alone, the tensor stays as it is."""
    return idist.all_reduce(value)  # type: ignore[return-value]


def of_first_process(value: torch.Tensor) -> torch.Tensor:
    """Gives every process of a job the tensor of the first one; alone, the tensor stays as it is."""
    return idist.broadcast(value)  # type: ignore[return-value]


class HiddenFill(nn.Module):
    """Fills hidden voxels with the mean of the visible voxels of the training and tells where it did so.

    The mean is taken over all batches since training began. Before it is 0, air in the usual window.

    Args:
        patch_size: voxels of a patch on each axis.

    Example:
        >>> fill, hidden = HiddenFill((2, 2, 2)), torch.tensor([[[[True, False]]]])
        >>> fill(torch.full((1, 1, 2, 2, 4), 0.5), hidden)[0, :, 0, 0]
        tensor([[0.5000, 0.5000, 0.5000, 0.5000],
                [1.0000, 1.0000, 0.0000, 0.0000]])
        >>> fill.eval()(torch.full((1, 1, 2, 2, 4), 0.9), hidden)[0, 0, 0, 0]
        tensor([0.5000, 0.5000, 0.9000, 0.9000])
    """

    def __init__(self, patch_size: tuple[int, int, int]) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.visible_mean = nn.Buffer(torch.zeros(()))
        self.num_batches = nn.Buffer(torch.zeros((), dtype=torch.int64))

    def forward(self, image: torch.Tensor, hidden: torch.Tensor | None) -> torch.Tensor:
        """Fills what is hidden.

        Args:
            image: floating point, shape (B, C, D, H, W).
            hidden: bool, shape (B, gi, gj, gk); None: nothing is hidden.

        Returns:
            Shape (B, C + 1, D, H, W): the filled image, and a channel that is 1 where a voxel is hidden, else 0.
        """
        nothing = torch.zeros_like(image[:, :1], dtype=torch.bool)
        voxels = nothing if hidden is None else tokens_to_voxels(hidden, self.patch_size)
        if self.training and not torch.jit.is_scripting():
            self._learn(image, voxels)
        filled = image.masked_fill(voxels, self.visible_mean.to(image.dtype))
        return torch.cat([filled, voxels.to(image.dtype)], dim=1)

    @torch.jit.unused
    def _learn(self, image: torch.Tensor, voxels: torch.Tensor) -> None:
        """Takes a batch into the mean; one without a visible voxel leaves it as it is."""
        with torch.no_grad():
            total = image.masked_fill(voxels, 0.0).sum(dtype=torch.float64)
            count = (~voxels).sum().double() * image.shape[1]
            both = sum_over_processes(torch.stack([total, count]))
            self.num_batches.add_((both[1] > 0).long())
            step = (both[0] / both[1].clamp(min=1.0) - self.visible_mean) / self.num_batches.clamp(min=1)
            self.visible_mean.add_(torch.where(both[1] > 0, step, 0.0).float())
