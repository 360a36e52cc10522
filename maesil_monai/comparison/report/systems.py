"""What the compared systems and metrics are called in tables, in which group each stands, and what the paper reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

GroupName = Literal["inpainting", "whole", "baseline", "constant"]
GROUPS: dict[str, str] = {
    "inpainting": "Learned, sees visible patches only",
    "whole": "Learned, sees the whole input (compression, no inpainting)",
    "baseline": "Learns nothing, sees visible patches only",
    "constant": "One value everywhere, to show what a region does not see",
}
BASELINES = {
    "mean_of_visible": "mean of visible voxels",
    "interpolate_axial": "interpolation along S-I",
    "nearest_visible_patch": "nearest visible patch",
    "mean_training_volume": "mean training volume",
}
CONSTANTS = {"air_everywhere": "air everywhere (-1000 HU)", "water_everywhere": "water everywhere (0 HU)"}
_NAMES = {
    "maesil": "MAESIL",
    "mae": "MAE",
    "hi_end_mae": "Hi-End-MAE",
    "hi_end_mae_paper": "Hi-End-MAE, own sizes",
    "medmae": "MedMAE, slices",
    "ae": "AE",
    "vae": "VAE",
    "vqvae": "VQ-VAE",
}
_WHOLE = ("ae", "vae", "vqvae")
_LATENTS = {"": "1/64", "8": "1/8", "512": "1/512", "masked": "1/64"}


class System(NamedTuple):
    """A model as it was trained.

    Args:
        model: its name in ``results.json``.
        training_rule: mask rule of the training; None for a method that learns nothing.
        sees_input: it is known to see hidden voxels, too.
    """

    model: str
    training_rule: str | None
    sees_input: bool = False

    @property
    def group(self) -> GroupName:
        """The group of :data:`GROUPS` it belongs to.

        Example:
            >>> [System(name, None).group for name in ("vqvae_512", "vqvae_masked", "mean_of_visible", "water_everywhere")]
            ['whole', 'inpainting', 'baseline', 'constant']
        """
        if self.model in BASELINES:
            return "baseline"
        if self.model in CONSTANTS:
            return "constant"
        name, _, form = self.base.partition("_")
        is_known = name in _WHOLE and form in _LATENTS and form != "masked"
        return "whole" if is_known or self.sees_input else "inpainting"

    @property
    def base(self) -> str:
        """The model without the changes of an ablation (``maesil`` of ``maesil+decoder=cross_attention``)."""
        return self.model.partition("+")[0]

    @property
    def label(self) -> str:
        """What readers call it; the training's rule in brackets where masks were trained with.

        Example:
            >>> System("maesil+mask_ratio=0.6", "plane").label, System("vqvae_8", "total").label, System("new", None).label
            ('MAESIL, mask_ratio=0.6 (plane)', 'VQ-VAE 1/8', 'new')
        """
        if self.group in ("baseline", "constant"):
            return {**BASELINES, **CONSTANTS}[self.model]
        name, _, form = self.base.partition("_")
        if name in _WHOLE and form in _LATENTS:
            label = f"{_NAMES[name]} {_LATENTS[form]}" + (", masked" if form == "masked" else "")
        else:
            label = _NAMES.get(self.base, self.base)
        changes = self.model.partition("+")[2]
        label = ", ".join([label, *changes.split("+")]) if changes else label
        return f"{label} ({self.training_rule})" if self.training_rule and self.group == "inpainting" else label

    @property
    def is_masked_autoencoder(self) -> bool:
        """Tells an AE, VAE or VQ-VAE that was trained and is tested under the mask, which the paper does not have."""
        return self.base in {f"{name}_masked" for name in _WHOLE}

    @property
    def has_loss_on_all(self) -> bool:
        """Tells that its name asks for the loss on all voxels; else a network that inpaints is untrained at visible ones.

        Example:
            >>> System("mae+loss_on_all=true", "random").has_loss_on_all, System("mae", "random").has_loss_on_all
            (True, False)
        """
        return "loss_on_all=true" in self.model.split("+")[1:]

    @property
    def latents(self) -> str:
        """Latent values per voxel where the name tells; empty where it does not."""
        name, _, form = self.base.partition("_")
        return _LATENTS.get(form, "") if name in _WHOLE else ""

    @property
    def order(self) -> tuple[int, int, int, bool, str, str]:
        """Sorts systems for a table: by group, then as named here, ablations and other rules behind."""
        names = [*_NAMES, *BASELINES, *CONSTANTS]
        family, _, form = self.base.partition("_")
        name = self.base if self.base in names else family
        place = names.index(name) if name in names else len(names)
        size = int(form) if form.isdecimal() else 64
        later = self != MAESIL and self.base == "maesil"
        return (list(GROUPS).index(self.group), place, size, later, self.model, self.training_rule or "")


MAESIL = System("maesil", "total")
MAESIL_LOSS_ON_ALL = System("maesil+loss_on_all=true", "total")
"""MAESIL trained so that its raw output means something at visible voxels, too."""


@dataclass(frozen=True)
class Metric:
    """How a metric is shown: its key in ``results.json``, heading, unit, decimals, and whether more is better."""

    key: str
    label: str
    unit: str
    decimals: int
    higher_better: bool

    def text(self, value: float, sign: bool = False) -> str:
        """Formats a value.

        Example:
            >>> METRICS["psnr"].text(-0.004, sign=True), METRICS["mae_hu"].text(12.34)
            ('+0.00', '12.3')
        """
        value = round(value, self.decimals) + 0.0  # no minus zero
        return f"{value:+.{self.decimals}f}" if sign else f"{value:.{self.decimals}f}"

    def better(self, value: float, other: float) -> bool:
        """Tells whether ``value`` beats ``other``."""
        return value > other if self.higher_better else value < other


METRICS = {
    metric.key: metric
    for metric in (
        Metric("psnr", "PSNR", "dB", 2, True),
        Metric("ssim", "SSIM", "", 3, True),
        Metric("lpips", "LPIPS", "", 3, False),
        Metric("mae_hu", "MAE", "HU", 1, False),
        Metric("mae_soft_hu", "soft-tissue MAE", "HU", 1, False),
    )
}

# Table II: PSNR (dB), SSIM, LPIPS on the paper's unified set. Which region and which bottleneck they belong to, it does not say.
PAPER_TABLE_2 = {
    "maesil": {"psnr": 30.28, "ssim": 0.98, "lpips": 0.26},
    "ae": {"psnr": 25.23, "ssim": 0.97, "lpips": 0.39},
    "vae": {"psnr": 11.91, "ssim": 0.25, "lpips": 0.91},
    "vqvae": {"psnr": 20.04, "ssim": 0.88, "lpips": 0.49},
}
# Table III: PSNR of MAESIL (dB) by the start of a collection's name.
PAPER_TABLE_3 = {"btcv": 32.09, "lidc": 22.58, "totalsegmentator": 18.72}
