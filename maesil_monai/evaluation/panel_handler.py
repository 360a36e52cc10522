"""Draws panels of fixed validation superpatches after every validation, so that one can watch a network learn."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import grid_of, tokens_to_voxels
from maesil_monai.metrics.reconstruction_error import psnr_db
from maesil_monai.metrics.regions import region_voxels
from maesil_monai.reports.panels import reconstruction_panel
from maesil_monai.reports.slices import WINDOWS, central_voxel, png_bytes
from maesil_monai.whole_files import write_whole

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Example:
    """One superpatch with its reconstruction, each a batch of one on the CPU."""

    body_voxels: int
    label: Mapping[str, torch.Tensor]
    pred: torch.Tensor
    spacing_mm: tuple[float, ...] | None


class PanelHandler:
    """Writes panels for the superpatch with the most body of each of the first scans, the same ones at every validation.

    Attach it to the evaluator (``val_handlers``). Its output must hold ``pred`` and ``label`` with ``image``, ``hidden``,
    ``target``, ``body``, ``scan`` and ``start``, batched (``decollate=False``). Only the first process draws. A picture that
    cannot be written is a warning, not the end of a training.

    The title has the PSNR of the superpatch's hidden body voxels; it is that of one superpatch, not of a scan.

    Files: ``output_dir/panels/scanSSS_WINDOW.png``, replaced at each validation, or with ``keep_all``
    ``scanSSS_epochEEEE_WINDOW.png``. TensorBoard keeps them all as ``panels/scanSSS_WINDOW``.

    Args:
        output_dir: the run's folder.
        num_panels: number of scans to draw, one superpatch each; 0 draws none.
        window_hu: the HU mapped to 0 and to 1.
        windows: display windows ``{name: (width, level)}`` in HU.
        spacing_mm: size of a voxel; None: from the batch's ``spacing_mm`` (B, 3), and where that is missing voxels are drawn as
            cubes, which the title says.
        scans: the validation scans, by their number; their ``case_id`` stands in the titles.
        paste_visible: show visible voxels as they are; False shows the raw output, which is zero outside ``target``. Hidden
            voxels are never pasted, whether they were decoded or not; where nothing is hidden the raw output is shown.
        keep_all: keep the panels of every validation.
        summary_writer: TensorBoard writer, or None.

    Raises:
        ValueError: if ``num_panels`` is negative.

    Example:
        >>> PanelHandler("output", num_panels=2, scans=[{"case_id": "pt_41"}]).folder.name
        'panels'
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        num_panels: int = 2,
        window_hu: Sequence[float] = (-1000.0, 1000.0),
        windows: Mapping[str, Sequence[float]] = WINDOWS,
        spacing_mm: Sequence[float] | None = None,
        scans: Sequence[Mapping[str, Any]] = (),
        paste_visible: bool = True,
        keep_all: bool = False,
        summary_writer: Any = None,
    ) -> None:
        if num_panels < 0:
            raise BadSetting(f"num_panels={num_panels}: expected a number of scans, 0 to draw none.")
        self.folder = Path(output_dir) / "panels"
        self.num_panels = num_panels
        self.window_hu = (float(window_hu[0]), float(window_hu[1]))
        self.windows = {name: (float(width), float(level)) for name, (width, level) in windows.items()}
        self.spacing_mm = None if spacing_mm is None else tuple(spacing_mm)
        self.case_names = [scan["case_id"] for scan in scans]
        self.paste_visible = paste_visible
        self.keep_all = keep_all
        self.summary_writer = summary_writer
        self._examples: dict[int, _Example] = {}

    def attach(self, engine: Engine) -> None:
        """Registers the handler with an evaluator."""
        if idist.get_rank() == 0:
            engine.add_event_handler(Events.EPOCH_STARTED, self._forget)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._draw)

    def _forget(self, engine: Engine) -> None:
        self._examples = {}

    def _collect(self, engine: Engine) -> None:
        """Keeps of each of the first scans the superpatch with the most body."""
        output: Any = engine.state.output
        batch: Any = engine.state.batch
        label, pred = output["label"], output["pred"]
        counts = label["body"].flatten(1).sum(dim=1).tolist()
        for sample, (scan, count) in enumerate(zip(label["scan"].tolist(), counts, strict=True)):
            kept = self._examples.get(scan)
            if kept is None and len(self._examples) >= self.num_panels:
                continue
            if kept is None or count > kept.body_voxels:
                known = self.spacing_mm is None and isinstance(batch, Mapping) and "spacing_mm" in batch
                spacing_mm = tuple(batch["spacing_mm"][sample].tolist()) if known else self.spacing_mm
                one = slice(sample, sample + 1)
                own = {key: label[key][one].detach().cpu() for key in ("image", "hidden", "target", "body", "start")}
                self._examples[scan] = _Example(count, own, pred[one].detach().float().cpu(), spacing_mm)

    def _draw(self, engine: Engine) -> None:
        for scan, example in self._examples.items():
            case = self.case_names[scan] if scan < len(self.case_names) else f"scan {scan}"
            label, pred = example.label, example.pred
            title = f"{case}, superpatch at {tuple(label['start'][0].tolist())}, epoch {engine.state.epoch}"
            image, patches = label["image"].float(), label["hidden"]
            patch_size = grid_of(image.shape[2:], patches.shape[1:], ("image", "token grid"))
            hidden = tokens_to_voxels(patches, patch_size)
            scored = region_voxels("hidden_body", label, patch_size)
            pasted = self.paste_visible and patches.any()  # a network that hides nothing is shown as it is
            shown = torch.where(hidden, pred, image) if pasted else pred
            epoch = f"_epoch{engine.state.epoch:04d}" if self.keep_all else ""
            for window_name, window in self.windows.items():
                panel = reconstruction_panel(
                    image[0, 0].numpy(),
                    hidden[0, 0].numpy(),
                    shown[0, 0].numpy(),
                    example.spacing_mm or (1.0, 1.0, 1.0),
                    window=window,
                    center=central_voxel(label["body"][0, 0].bool().numpy()),
                    title=title if example.spacing_mm else f"{title} (voxel size unknown)",
                    psnr_db=float(psnr_db((pred - image)[scored].square().mean())) if scored.any() else None,
                    window_hu=self.window_hu,
                )
                try:
                    write_whole(self.folder / f"scan{scan:03d}{epoch}_{window_name}.png", png_bytes(panel))
                except OSError as error:
                    logger.warning("The panel of %s was not written: %s. The training goes on.", case, error)
                if self.summary_writer is not None:
                    tag = f"panels/scan{scan:03d}_{window_name}"
                    self.summary_writer.add_image(tag, np.asarray(panel), engine.state.epoch, dataformats="HWC")
        self._forget(engine)
