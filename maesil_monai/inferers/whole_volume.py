"""Reconstruction of a whole volume, superpatch by superpatch, under seeded masks."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import as_triple, axial_axis, box_at, grid_of, tokens_to_voxels, unpatchify
from maesil_monai.inferers.autocast import AutocastInferer
from maesil_monai.inferers.blending import Predict, blend
from maesil_monai.inferers.overlapping_windows import overlap_shifts, place_windows
from maesil_monai.interpolation import slices_of
from maesil_monai.masking import MaskRule

logger = logging.getLogger(__name__)


class SuperpatchInferer(Inferer):
    """Hides patches of every superpatch by a seeded mask, predicts them, and puts the volume together.

    A masked autoencoder has never been trained on input without a mask, nor to predict what it sees. So each pass draws a
    mask, keeps the predictions of hidden patches, and the visible voxels are pasted. Further passes hide first what was
    visible so far: with two passes of rule ``total`` every voxel of the result is a prediction, and predictions of the same
    voxel are averaged.

    Args:
        superpatch_size: voxels, one number or three; must divide the volume (``ResampleToCube`` sees to it).
        patch_size: voxels, one number or three.
        mask_rule: name of a rule or a :class:`MaskRule`.
        seed: the masks are a function of seed, superpatch and pass alone.
        num_passes: masks drawn for each superpatch.
        paste: keeps the visible voxels of the input. False gives the network's raw output with everything decoded, for
            networks trained with the loss on all voxels; a warning says that others were not trained for it.
        batch_size: superpatches computed at once.
        amp: as in :class:`~maesil_monai.inferers.AutocastInferer`.
        overlap: share of a superpatch that its neighbours cover too; 0 is the paper's form, in which each is reconstructed by
            itself and borders show. With 1/2 the superpatches moved by half of their size along each axis are predicted as
            well and blended: n^3 + 3 n^2 (n - 1) calls for n^3 superpatches (208 for 64), (s - 1) times the second term for
            overlap 1 - 1/s. The masks stay those of the plain grid: no window shows the network a voxel that is hidden.
        shift_patches: with an overlap, moves the grid of patches too, by half a patch, so that patch borders do not meet. For
            networks that see the whole input; a masked one would find hardly a patch that touches no hidden voxel.
        normalised_targets: True for a network that predicts patches normalised by their own mean and deviation: refused.

    Raises:
        ValueError: for impossible sizes, passes or rules, and for normalised targets: they become a volume only with the
            truth's statistics.

    Example:
        >>> inferer = SuperpatchInferer(16, 8, seed=0)
        >>> inferer(torch.rand(1, 1, 32, 16, 16), lambda image, hidden, target: torch.zeros_like(image)).shape
        torch.Size([1, 1, 32, 16, 16])
    """

    def __init__(
        self,
        superpatch_size: int | Sequence[int] = 128,
        patch_size: int | Sequence[int] = 8,
        mask_rule: str | MaskRule = "total",
        seed: int = 0,
        num_passes: int = 1,
        paste: bool = True,
        batch_size: int = 1,
        amp: bool | str = False,
        overlap: float = 0.0,
        shift_patches: bool = False,
        normalised_targets: bool = False,
    ) -> None:
        super().__init__()
        if normalised_targets:
            raise BadSetting(
                "normalise_patches=True: such a network's output becomes a volume only with the truth's statistics. Reconstruct "
                "with a network trained on voxels."
            )
        if num_passes < 1 or batch_size < 1:
            raise BadSetting(f"num_passes={num_passes}, batch_size={batch_size}: expected 1 or more of each.")
        for name, value in (("paste", paste), ("shift_patches", shift_patches)):
            if not isinstance(value, bool):
                raise BadSetting(f"{name}={value!r}: expected true or false (True or False on a command line).")
        self.superpatch_size = as_triple(superpatch_size, "superpatch_size")
        self.patch_size = as_triple(patch_size, "patch_size")
        self.token_grid = grid_of(self.superpatch_size, self.patch_size)
        self.rule = mask_rule if isinstance(mask_rule, MaskRule) else MaskRule(mask_rule)  # type: ignore[arg-type]
        self.rule.plane_counts(self.token_grid)
        self.shifts = overlap_shifts(self.token_grid, self.patch_size, overlap, shift_patches)
        self.shift_patches = shift_patches
        self.seed = seed
        self.num_passes = num_passes
        self.paste = paste
        self.batch_size = batch_size
        self.inferer = AutocastInferer(amp)
        if not paste:
            logger.warning(
                "SuperpatchInferer(paste=False) gives raw output at visible patches too: it means something only for a "
                "network trained with the loss on all voxels."
            )

    def draw_hidden(self, index: int, superpatch_axial_axis: int = 2) -> torch.Tensor:
        """Gives the masks of the superpatch with a running number: bool, shape (num_passes, gi, gj, gk)."""
        state = int(np.random.SeedSequence([self.seed, index]).generate_state(1, np.uint64)[0] >> 1)
        generator = torch.Generator().manual_seed(state)
        seen = torch.zeros(1, *self.token_grid, dtype=torch.bool)
        passes = []
        for _ in range(self.num_passes):
            passes.append(self.rule.draw(self.token_grid, 1, generator, superpatch_axial_axis, hide_first=seen))
            seen = seen | ~passes[-1]
        return torch.cat(passes)

    def hidden_patches(self, volume_shape: Sequence[int], axis: int = 2) -> torch.Tensor:
        """Puts the masks of all superpatches together: bool, shape (num_passes, *volume_shape / patch_size)."""
        grid = grid_of(volume_shape, self.superpatch_size, ("volume shape", "superpatch_size"))
        masks = torch.stack([self.draw_hidden(index, axis) for index in range(math.prod(grid))], dim=1)
        return unpatchify(masks.flatten(2), grid, self.token_grid)[:, 0]

    def hidden_voxels(self, volume_shape: Sequence[int], axis: int = 2) -> torch.Tensor:
        """Marks the voxels hidden in the first pass: bool, shape (1, *volume_shape)."""
        return tokens_to_voxels(self.hidden_patches(volume_shape, axis)[:1], self.patch_size)[0]

    @torch.no_grad()
    def __call__(self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any) -> torch.Tensor:
        """Reconstructs a batch of volumes.

        Args:
            inputs: float32 in [0, 1], shape (B, 1, D, H, W); S-I is found from a MetaTensor's affine, else it is the last axis.
            network: called as ``network(image, hidden=..., target=...)``.
            args, kwargs: handed on to the network.

        Returns:
            float32, shape, type and metadata of ``inputs``.

        Raises:
            ValueError: if the superpatches do not tile the volume.
        """
        grid_of(inputs.shape[2:], self.superpatch_size, ("volume shape", "superpatch_size"))
        axis = axial_axis(np.asarray(inputs.affine.cpu()).reshape(-1, 4, 4)[0]) if isinstance(inputs, MetaTensor) else 2
        plain = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs

        def predict(image: torch.Tensor, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return self.inferer(image, network, *args, hidden=hidden, target=target, **kwargs)

        result = self._blend(plain, axis, predict) if len(self.shifts) > 1 else self._tile(plain, axis, predict)
        if isinstance(inputs, MetaTensor):
            return MetaTensor(result, meta=inputs.meta, applied_operations=inputs.applied_operations)
        return result

    def _tile(self, plain: torch.Tensor, axis: int, predict: Predict) -> torch.Tensor:
        """Reconstructs each superpatch by itself."""
        grid = grid_of(plain.shape[2:], self.superpatch_size)
        result = torch.empty_like(plain, dtype=torch.float32)
        jobs = [(scan, index) for scan in range(plain.shape[0]) for index in range(math.prod(grid))]
        for first in range(0, len(jobs), self.batch_size):
            chunk = jobs[first : first + self.batch_size]
            places = [(scan, slice(None), *slices_of(box_at(index, grid, self.superpatch_size))) for scan, index in chunk]
            image = torch.stack([plain[place] for place in places]).float()
            done = self._reconstruct(image, [index for _, index in chunk], axis, predict)
            for place, volume in zip(places, done, strict=True):
                result[place] = volume
        return result

    def _blend(self, plain: torch.Tensor, axis: int, predict: Predict) -> torch.Tensor:
        """Reconstructs all windows of all shifts under the masks of the plain grid, and blends them."""
        masks = self.hidden_patches(plain.shape[2:], axis).to(plain.device)
        windows = place_windows(masks, self.shifts, self.token_grid, self.patch_size, self.shift_patches, self.paste)
        return blend(plain, masks, windows, predict, self.superpatch_size, self.patch_size, self.paste, self.batch_size)

    def _reconstruct(self, image: torch.Tensor, indices: Sequence[int], axis: int, predict: Predict) -> torch.Tensor:
        """Reconstructs a batch of superpatches (b, 1, d, h, w)."""
        hidden_Pb = torch.stack([self.draw_hidden(index, axis) for index in indices], dim=1).to(image.device)
        total = torch.zeros_like(image)
        count = torch.zeros_like(image)
        for hidden in hidden_Pb:
            target = hidden if self.paste else torch.ones_like(hidden)
            kept = tokens_to_voxels(target, self.patch_size)
            total += predict(image, hidden, target).masked_fill(~kept, 0.0)
            count += kept
        return torch.where(count > 0, total / count.clamp(min=1), image)
