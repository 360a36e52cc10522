"""What of a batch goes into the network, and what into the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.data import MetaTensor
from monai.engines import PrepareBatch

NETWORK_KEYS = ("hidden", "target")
EVALUATION_KEYS = ("body", "scan", "start")


class PrepareReconstruction(PrepareBatch):
    """Prepares batches of superpatches and masks for MONAI's engines.

    Metadata is stripped: networks of many small operations run several times slower on MetaTensors.

    Example:
        >>> hidden = torch.ones(1, 2, 2, 2, dtype=torch.bool)
        >>> batch = {"image": torch.zeros(1, 1, 16, 16, 16), "hidden": hidden, "target": hidden}
        >>> image, label, _, keywords = PrepareReconstruction()(batch)
        >>> sorted(label), sorted(keywords)
        (['hidden', 'image', 'target'], ['hidden', 'target'])
    """

    def __call__(
        self,
        batchdata: Mapping[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], tuple, dict[str, torch.Tensor]]:
        """Moves a batch to the device.

        Args:
            batchdata: ``image`` (B, 1, D, H, W) float, ``hidden`` and ``target`` (B, gi, gj, gk) bool; for evaluation also any of
                ``body`` (B, 1, D, H, W) bool, ``scan`` (B,) int64, ``start`` (B, 3) int64. Other keys are left out.
            device: where to.
            non_blocking: as in ``torch.Tensor.to``.
            kwargs: more arguments of ``torch.Tensor.to``, for the image only.

        Returns:
            ``(image, label, (), keywords)``: label holds all tensors named above, keywords those two that the network gets.

        Raises:
            KeyError: if one of the first three is not in the batch.
        """
        missing = [key for key in ("image", *NETWORK_KEYS) if key not in batchdata]
        if missing:
            raise KeyError(
                f"batch without {', '.join(missing)}: found {', '.join(sorted(batchdata))}. Add DualMaskd to the transforms."
            )
        label = {"image": _plain(batchdata["image"]).to(device=device, non_blocking=non_blocking, **kwargs)}
        for key in (*NETWORK_KEYS, *EVALUATION_KEYS):
            if key in batchdata:
                label[key] = _plain(batchdata[key]).to(device=device, non_blocking=non_blocking)
        return label["image"], label, (), {key: label[key] for key in NETWORK_KEYS}


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """Gives the tensor without metadata."""
    return tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
