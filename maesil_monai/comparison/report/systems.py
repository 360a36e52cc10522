"""What the compared systems are called in tables, in which group each stands, and what the paper reports of them."""

from __future__ import annotations

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
_WHOLE = {"ae": "AE", "vae": "VAE", "vqvae": "VQ-VAE"}
_NAMES = {
    "maesil": "MAESIL",
    "mae": "MAE",
    "hi_end_mae": "Hi-End-MAE",
    "hi_end_mae_paper": "Hi-End-MAE, own sizes",
    "medmae": "MedMAE, slices",
    **_WHOLE,
}
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
        family, form = self.autoencoder
        return "whole" if (family and form != "masked") or self.sees_input else "inpainting"

    @property
    def base(self) -> str:
        """The model without the changes of an ablation (``maesil`` of ``maesil+decoder=cross_attention``)."""
        return self.model.partition("+")[0]

    @property
    def autoencoder(self) -> tuple[str, str]:
        """Family and form of an autoencoder: ``vqvae`` and ``512``; empty texts for all others."""
        family, _, form = self.base.partition("_")
        return (family, form) if family in _WHOLE and form in _LATENTS else ("", "")

    @property
    def label(self) -> str:
        """What readers call it; the training's rule in brackets where masks were trained with.

        Example:
            >>> System("maesil+mask_ratio=0.6", "plane").label, System("vqvae_8", "total").label, System("new", None).label
            ('MAESIL, mask_ratio=0.6 (plane)', 'VQ-VAE 1/8', 'new')
        """
        if self.group in ("baseline", "constant"):
            return {**BASELINES, **CONSTANTS}[self.model]
        family, form = self.autoencoder
        name = f"{_NAMES[family]} {_LATENTS[form]}" if family else _NAMES.get(self.base, self.base)
        label = ", ".join([name, *(["masked"] if form == "masked" else []), *self.model.split("+")[1:]])
        return f"{label} ({self.training_rule})" if self.training_rule and self.group == "inpainting" else label

    @property
    def is_masked_autoencoder(self) -> bool:
        """Tells an AE, VAE or VQ-VAE that was trained and is tested under the mask, which the paper does not have."""
        return self.autoencoder[1] == "masked"

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
        family, form = self.autoencoder
        return _LATENTS[form] if family else ""

    @property
    def order(self) -> tuple[int, int, int, bool, str, str]:
        """Sorts systems for a table: by group, then as named here, ablations and other rules behind."""
        names = [*_NAMES, *BASELINES, *CONSTANTS]
        family, form = self.autoencoder
        name = family or self.base
        place = names.index(name) if name in names else len(names)
        size = int(form) if form.isdecimal() else 64
        later = self != MAESIL and self.base == "maesil"
        return (list(GROUPS).index(self.group), place, size, later, self.model, self.training_rule or "")


MAESIL = System("maesil", "total")
MAESIL_LOSS_ON_ALL = System("maesil+loss_on_all=true", "total")
"""MAESIL trained so that its raw output means something at visible voxels, too."""


# Table II: PSNR (dB), SSIM, LPIPS on the paper's unified set. Which region and which bottleneck they belong to, it does not say.
PAPER_TABLE_2 = {
    "maesil": {"psnr": 30.28, "ssim": 0.98, "lpips": 0.26},
    "ae": {"psnr": 25.23, "ssim": 0.97, "lpips": 0.39},
    "vae": {"psnr": 11.91, "ssim": 0.25, "lpips": 0.91},
    "vqvae": {"psnr": 20.04, "ssim": 0.88, "lpips": 0.49},
}
# Table III: PSNR of MAESIL (dB) by the start of a collection's name.
PAPER_TABLE_3 = {"btcv": 32.09, "lidc": 22.58, "totalsegmentator": 18.72}
