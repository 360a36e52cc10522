"""Reconstruction losses over the decoded patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch.nn.modules.loss import _Loss

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import as_triple

ERRORS = ("mse", "l1")


class ReconstructionLoss(_Loss):
    """Mean squared or absolute error over the voxels of the ``target`` patches, and nothing else.

    With ``target`` = the hidden patches this is the loss of masked autoencoders; with all True it is the loss over all voxels.

    Args:
        patch_size: voxels of a patch, one number or three.
        error: ``mse`` or ``l1``.
        normalise_patches: compares with each true patch after subtracting its mean and dividing by its deviation. Better
            features for transfer (MAE section 4.1); the output is then no picture and has no PSNR.
        auxiliary: a callable that gives a further term (or None) and forgets it, such as a network's bound
            ``auxiliary_loss`` (KL, commitment). A callable, never the module itself, so that the loss owns no parameters.

    Raises:
        ValueError: for an unknown error.

    Source: MAE (arXiv 2111.06377) section 3; the MAESIL paper names no loss.

    Example:
        >>> image, target = torch.zeros(1, 1, 16, 16, 16), torch.zeros(1, 2, 2, 2, dtype=torch.bool)
        >>> target[0, 0, 0, 0] = True
        >>> ReconstructionLoss(8)(image + 2.0, {"image": image, "target": target})
        tensor(4.)
    """

    def __init__(
        self,
        patch_size: int | Sequence[int] = 8,
        error: str = "mse",
        normalise_patches: bool = False,
        auxiliary: Callable[[], torch.Tensor | None] | None = None,
    ) -> None:
        super().__init__()
        if error not in ERRORS:
            raise BadSetting(f"loss error={error!r}: expected one of {', '.join(ERRORS)}.")
        if not isinstance(normalise_patches, bool):
            raise BadSetting(
                f"normalise_patches={normalise_patches!r}: expected true or false (True or False on a command line)."
            )
        self.patch_size = as_triple(patch_size, "patch_size")
        self.error = error
        self.normalise_patches = normalise_patches
        self.auxiliary = auxiliary

    def forward(self, pred: torch.Tensor, label: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Computes the loss.

        Args:
            pred: float32, shape (B, C, D, H, W).
            label: ``image``, same shape, and ``target``, bool (B, gi, gj, gk). Patches are weighted equally over the batch; a
                batch without targets has loss 0.

        Returns:
            A scalar.
        """
        image, target = label["image"], label["target"]
        truth = self._blocks(image)
        if self.normalise_patches:
            variance, mean = torch.var_mean(truth, dim=(1, 3, 5, 7), keepdim=True)
            truth = (truth - mean) * (variance + 1e-6).rsqrt()
        difference = self._blocks(pred) - truth
        error = difference.square() if self.error == "mse" else difference.abs()
        per_patch = error.mean(dim=(1, 3, 5, 7))
        loss = per_patch.masked_fill(~target, 0.0).sum() / target.sum().clamp(min=1)
        extra = self.auxiliary() if self.auxiliary is not None else None
        return loss if extra is None else loss + extra

    def _blocks(self, volume: torch.Tensor) -> torch.Tensor:
        """Views (B, C, D, H, W) as (B, C, gi, i, gj, j, gk, k)."""
        batch, channels, depth, height, width = volume.shape
        i, j, k = self.patch_size
        return volume.view(batch, channels, depth // i, i, height // j, j, width // k, k)
