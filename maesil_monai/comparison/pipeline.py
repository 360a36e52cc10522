"""What a model is evaluated with, taken from the bundle: its network, its data path and its precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from torch import nn

from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.entry import Entry
from maesil_monai.errors import BadCheckpoint
from maesil_monai.evaluation.mean_volume import MeanVolume
from maesil_monai.geometry import as_triple
from maesil_monai.inferers import SuperpatchInferer
from maesil_monai.training.weights import init_weights
from maesil_monai.transforms import WindowHU

UNNAMED = "scans"  # the collection of scans whose list names none
# What decides which voxels are judged, and on what scale.
SIZE_KEYS = ("cube_size", "superpatch_size", "patch_size", "resample_policy", "spacing_mm", "window_hu", "min_body", "val_masks")


@dataclass(frozen=True)
class Split:
    """The scans that are judged, and under which masks.

    Args:
        store: store or folder.
        section: ``test`` or ``validation``.
        dataset: only this collection; empty for all.
        max_superpatches: as in :func:`~maesil_monai.evaluation.held_out_superpatches`; 0 for all.
        mask_seed: of masks and choice.
    """

    store: str
    section: str = "test"
    dataset: str = ""
    max_superpatches: int = 0
    mask_seed: int = 0


class Pipeline:
    """The bundle's components for an entry, on a split, under a rule.

    Args:
        bundle: the configurations.
        entry: the model; its changes of the network and the sizes count, its training's mask does not.
        split: the scans.
        rule: the mask rule of the evaluation, at the ratios of the user's overlay.
        preset: of a checkpoint's network, where it is not the entry's.
    """

    def __init__(
        self,
        bundle: BundleFiles,
        entry: Entry,
        split: Split,
        rule: str,
        preset: str | None = None,
    ) -> None:
        masks = ("mask_ratio", "mask_axis_ratio", "mask_wrap")
        changes = {key: value for key, value in entry.changes if key not in masks}
        settings = {**bundle.settings_of(entry), **changes, **({} if preset is None else {"preset": preset})}
        base = ConfigParser.load_config_files([str(bundle.root / "configs" / "train.json"), *map(str, bundle.overlay)])
        settings.update({key: base[key] for key in masks})
        settings.update(
            bundle_root=str(bundle.root),
            dataset_dir=split.store,
            mask_rule=rule,
            seed=split.mask_seed,
            val_superpatches=split.max_superpatches,
            leave_out="",
        )
        self.parser = ConfigParser(settings)
        for place, step in enumerate(self.parser["validate#preprocessing#transforms"]):
            if isinstance(step, dict) and step["_target_"].endswith(".DualMaskd"):
                # Every patch that is no padding is decoded, so that all regions come from one call.
                self.parser[f"validate#preprocessing#transforms#{place}#loss_on_all"] = True
        self.parser["validate#scans#section"] = split.section
        self.parser["validate#scans#dataset"] = split.dataset
        self.parser["train#data#leave_out"] = split.dataset  # the mean training volume must not know it either
        self.settings = settings

    def network(self, checkpoint: Path | None = None) -> nn.Module:
        """Builds the network, with the weights of a checkpoint.

        Raises:
            BadCheckpoint: if names or shapes of the checkpoint differ from the network's.
        """
        network: nn.Module = self._get("network_def")
        if checkpoint is not None:
            coverage = init_weights(network, checkpoint)
            if coverage.missing or coverage.unexpected or coverage.wrong_shape:
                cure = "Give the model it was trained as, and the overlay with its sizes."
                raise BadCheckpoint(checkpoint, str(coverage), f"the weights of a {type(network).__name__}", cure)
        return network.to(self._get("device")).eval()

    @property
    def loader(self) -> Any:
        """Batches of the held-out superpatches."""
        return self._get("validate#dataloader")

    @property
    def scans(self) -> Sequence[dict[str, Any]]:
        """The scans that are judged, by their number in the batches."""
        return self._get("validate#scans")

    @property
    def inferer(self) -> Any:
        """Calls a network in the precision of the configuration."""
        return self._get("validate#inferer")

    @property
    def window_hu(self) -> tuple[float, float]:
        """The HU mapped to 0 and to 1."""
        lower, upper = self._get("window_hu")
        return float(lower), float(upper)

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return self._get("device")

    def dataset_of(self, number: int) -> str:
        """Names the collection of a scan."""
        return str(self.scans[number].get("dataset", UNNAMED))

    def whole(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Reads a whole scan on the resampled grid: the image in [0, 1] and the body, both (1, 1, D, H, W)."""
        volumes = self._get("sources")(dict(self.scans[number]))
        image, body = (volumes[key].read(((0, 0, 0), volumes[key].shape)) for key in ("image", "body"))
        return WindowHU(self.window_hu)(image.float())[None], body.bool()[None]

    def superpatch_inferer(self, paste: bool = True, overlap: float = 0.0) -> SuperpatchInferer:
        """Makes what reconstructs whole scans under the masks of the evaluation."""
        rule, amp = self._get("mask"), self._get("amp")
        sizes = self._get("superpatch_size"), self._get("patch_size")
        seed, batch_size = self._get("seed"), self._get("batch_size")
        return SuperpatchInferer(*sizes, rule, seed=seed, paste=paste, batch_size=batch_size, amp=amp, overlap=overlap)

    def patch_sizes(self) -> dict[str, dict[str, Any]]:
        """Tells for each collection what a patch covers: its size in mm and the acquired slices along S-I, medians over scans."""
        patch = as_triple(self._get("patch_size"), "patch_size")
        sources = self._get("sources")
        found: dict[str, list[tuple[list[float], float]]] = {}
        for number, scan in enumerate(self.scans):
            image = sources(dict(scan))["image"]
            size_mm = [float(voxels * mm) for voxels, mm in zip(patch, image.spacing_mm, strict=True)]
            found.setdefault(self.dataset_of(number), []).append((size_mm, float(patch[2] * image.scale[2])))
        return {
            "patch_mm": {name: np.median([mm for mm, _ in rows], axis=0).round(1).tolist() for name, rows in found.items()},
            "acquired_slices_per_patch": {name: round(float(np.median([n for _, n in rows])), 1) for name, rows in found.items()},
        }

    def mean_volume(self) -> MeanVolume | None:
        """Averages the training scans on the resampled grid."""
        sources = self._get("sources")
        return MeanVolume.from_datalist(self._get("train#data"), lambda item: sources(dict(item))["image"], self.window_hu)

    def _get(self, key: str) -> Any:
        return self.parser.get_parsed_content(key)
