"""What a model is evaluated with, taken from the bundle: its network, its data path and its precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from torch import nn

from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.model_entry import Entry
from maesil_monai.evaluation.baselines import Batch, Predictor
from maesil_monai.evaluation.mean_volume import MeanVolume
from maesil_monai.geometry import as_triple
from maesil_monai.inferers import SuperpatchInferer
from maesil_monai.transforms import WindowHU
from maesil_monai.weights_file.load import load_strictly
from maesil_monai.weights_file.read import read_weights

# What decides which voxels are judged, and on what scale.
SIZE_KEYS = ("cube_size", "superpatch_size", "patch_size", "resample_policy", "spacing_mm", "window_hu", "min_body", "val_masks")


def dataset_of(scan: Mapping[str, Any]) -> str:
    """Names the collection of a scan: ``scans`` where the data list names none."""
    return str(scan.get("dataset", "scans"))


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

    Attributes:
        settings: the configuration, references not followed.
        scans: those that are judged, by their number in the batches.
        window_hu: the HU mapped to 0 and to 1.
    """

    def __init__(self, bundle: BundleFiles, entry: Entry, split: Split, rule: str, preset: str | None = None) -> None:
        masks = ("mask_ratio", "mask_axis_ratio", "mask_wrap")
        base = ConfigParser.load_config_files([str(bundle.root / "configs" / "train.json"), *map(str, bundle.overlay)])
        self.settings = {
            **bundle.settings_of(entry),
            **({} if preset is None else {"preset": preset}),
            **{key: base[key] for key in masks},
            "bundle_root": str(bundle.root),
            "dataset_dir": split.store,
            "mask_rule": rule,
            "seed": split.mask_seed,
            "val_superpatches": split.max_superpatches,
            "leave_out": "",
        }
        self._parser = parser = ConfigParser(self.settings)
        for place, step in enumerate(parser["validate#preprocessing#transforms"]):
            if isinstance(step, dict) and step["_target_"].endswith(".DualMaskd"):
                # Every patch that is no padding is decoded, so that all regions come from one call.
                parser[f"validate#preprocessing#transforms#{place}#loss_on_all"] = True
        parser["validate#scans#section"] = split.section
        parser["validate#scans#dataset"] = split.dataset
        parser["train#data#leave_out"] = split.dataset  # the mean training volume must not know it either
        self._get = parser.get_parsed_content
        self.scans: Sequence[dict[str, Any]] = self._get("validate#scans")
        lower, upper = self._get("window_hu")
        self.window_hu = (float(lower), float(upper))

    def network(self, checkpoint: Path) -> nn.Module:
        """Builds the network with the weights of a checkpoint.

        Raises:
            BadCheckpoint: for a checkpoint of a network that was built otherwise; names what differs.
        """
        network: nn.Module = self._get("network_def")
        load_strictly(network, read_weights(checkpoint), "Give the model it was trained as, and the overlay with its sizes.")
        return network.to(self._get("device")).eval()

    @property
    def loader(self) -> Any:
        """Batches of the held-out superpatches."""
        return self._get("validate#dataloader")

    def predictor(self, network: nn.Module) -> Predictor:
        """Calls a network as it is called in training and in its precision, decoding ``target``."""
        inferer, device = self._get("validate#inferer"), self._get("device")

        def predict(batch: Batch) -> torch.Tensor:
            image, hidden, target = (batch[key].to(device) for key in ("image", "hidden", "target"))
            return inferer(image, network, hidden=hidden, target=target).cpu()

        return predict

    def whole(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Reads a whole scan on the resampled grid: the image in [0, 1] and the body, both (1, 1, D, H, W)."""
        volumes = self._get("sources")(dict(self.scans[number]))
        image, body = (volumes[key].read(((0, 0, 0), volumes[key].shape)) for key in ("image", "body"))
        return WindowHU(self.window_hu)(image.float())[None], body.bool()[None]

    def superpatch_inferer(self, paste: bool, overlap: float) -> SuperpatchInferer:
        """Makes what reconstructs whole scans under the masks of the evaluation."""
        sizes = self._get("superpatch_size"), self._get("patch_size")
        options = {key: self._get(key) for key in ("seed", "batch_size", "amp")}
        return SuperpatchInferer(*sizes, self._get("mask"), paste=paste, overlap=overlap, **options)

    def patch_sizes(self) -> dict[str, dict[str, Any]]:
        """Tells for each collection what a patch covers: its size in mm and the acquired slices along S-I, medians over scans."""
        patch = as_triple(self._get("patch_size"), "patch_size")
        sources = self._get("sources")
        covered: dict[str, list[list[float]]] = {}
        for scan in self.scans:
            image = sources(dict(scan))["image"]
            size_mm = [float(voxels * mm) for voxels, mm in zip(patch, image.spacing_mm, strict=True)]
            covered.setdefault(dataset_of(scan), []).append([*size_mm, float(patch[2] * image.scale[2])])
        medians = {name: np.median(rows, axis=0).round(1).tolist() for name, rows in covered.items()}
        return {
            "patch_mm": {name: median[:3] for name, median in medians.items()},
            "acquired_slices_per_patch": {name: median[3] for name, median in medians.items()},
        }

    def mean_volume(self) -> MeanVolume | None:
        """Averages the training scans on the resampled grid."""
        sources = self._get("sources")
        return MeanVolume.from_datalist(self._get("train#data"), lambda item: sources(dict(item))["image"], self.window_hu)
