"""Panels of a whole reconstructed scan, as a step of post-processing."""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import Transform

from maesil_monai.inferers import SuperpatchInferer
from maesil_monai.reports.panels import reconstruction_panel
from maesil_monai.reports.slices import WINDOWS, central_voxel, png_bytes
from maesil_monai.whole_files import write_whole

logger = logging.getLogger(__name__)


class SaveScanPanelsd(Transform):
    """Writes Figure 3 of a scan: original, hidden patches of the first pass, reconstruction, difference, in every window.

    Put it before ``Invertd``: it draws on the resampled grid, on which the masks lie; proportions are those of the body.

    Args:
        output_dir: files become ``output_dir/CASE/NAME_WINDOW.png``, CASE being ``case_id`` (or the image's file name) and NAME
            its last part: the folder in which ``SaveImaged`` with ``data_root_dir`` puts the reconstruction.
        inferer: the inferer that made the reconstruction; it knows the masks.
        window_hu: the HU mapped to 0 and to 1.
        image_key, pred_key: original and reconstruction, MetaTensors (1, D, H, W) in [0, 1].

    Example:
        >>> SaveScanPanelsd("output", SuperpatchInferer(16, 8, "random")).image_key
        'image'

    Source: MAESIL figure 3.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        inferer: SuperpatchInferer,
        window_hu: Sequence[float] = (-1000.0, 1000.0),
        image_key: str = "image",
        pred_key: str = "pred",
    ) -> None:
        self.output_dir = Path(output_dir)
        self.inferer = inferer
        self.window_hu = (float(window_hu[0]), float(window_hu[1]))
        self.body_threshold = (-500.0 - self.window_hu[0]) / (self.window_hu[1] - self.window_hu[0])
        self.image_key = image_key
        self.pred_key = pred_key

    def __call__(self, data: Mapping[Hashable, Any]) -> Mapping[Hashable, Any]:
        """Draws the panels of one decollated item and returns it unchanged.

        Raises:
            KeyError: if image or prediction is missing.
        """
        image, pred = data[self.image_key], data[self.pred_key]
        original = image[0].as_tensor().cpu().numpy()
        reconstruction = torch.as_tensor(pred)[0].float().cpu().numpy()
        hidden = self.inferer.hidden_voxels(original.shape)[0].numpy()
        case = str(data.get("case_id") or Path(str(image.meta.get("filename_or_obj", "scan"))).name.split(".")[0])
        for name, window in WINDOWS.items():
            panel = reconstruction_panel(
                original,
                hidden,
                reconstruction,
                np.linalg.norm(np.asarray(image.affine.cpu())[:3, :3], axis=0).tolist(),
                window=window,
                center=central_voxel(original[::4, ::4, ::4] > self.body_threshold, scale=4),
                title=case,
                window_hu=self.window_hu,
            )
            file = write_whole(self.output_dir / case / f"{Path(case).name}_{name}.png", png_bytes(panel))
            logger.info("panel of %s: %s", case, file)
        return data
