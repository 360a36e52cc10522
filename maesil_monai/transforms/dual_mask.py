"""Draws which patches of a superpatch are hidden from the encoder and which are decoded."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable, Transform
from monai.utils import MAX_SEED

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import as_triple, axial_axis, grid_of
from maesil_monai.masking import MaskRule, RuleName, draw_target
from maesil_monai.option_values import expect
from maesil_monai.transforms.crop_box import volume_shape


class DualMask(Randomizable, Transform):
    """Draws the masks of one superpatch by the dual (plane-wise and axis-wise) rule or one of its relatives.

    The planes are axial: they lie across the S-I axis, which is found from the image's affine, so that masks stay axial when
    the superpatch was turned. It belongs after all spatial augmentation.

    Args:
        patch_size: voxels per patch and axis, one number or three.
        rule: ``total``, ``union``, ``plane``, ``axis`` or ``random`` (:class:`maesil_monai.masking.MaskRule`), or a rule
            made already.
        decode_ratio: share of the hidden patches that are decoded and scored, in (0, 1].
        loss_on_all: decodes and scores every patch, the visible ones too.
        ratios: of a rule by its name, see :class:`maesil_monai.masking.MaskRule`.

    Raises:
        ValueError: for a rule or ratio out of range, or ``decode_ratio`` below 1 together with ``loss_on_all``.

    Source: MAESIL section III-A.

    Example:
        >>> hidden, target = DualMask(patch_size=8).set_random_state(seed=0)(torch.zeros(1, 128, 128, 128))
        >>> tuple(hidden.shape), int(hidden.sum()), torch.equal(hidden, target)
        ((16, 16, 16), 3072, True)
    """

    def __init__(
        self,
        patch_size: int | Sequence[int],
        rule: RuleName | MaskRule = "total",
        *,
        decode_ratio: float = 1.0,
        loss_on_all: bool = False,
        **ratios: Any,
    ) -> None:
        self.patch_size = as_triple(patch_size, "patch_size")
        self.rule = rule if isinstance(rule, MaskRule) and not ratios else MaskRule(rule, **ratios)  # type: ignore[arg-type]
        expect(0.0 < decode_ratio <= 1.0, "decode_ratio", decode_ratio, "a value above 0 and at most 1")
        expect(isinstance(loss_on_all, bool), "loss_on_all", loss_on_all, "true or false (True or False on a command line)")
        if loss_on_all and decode_ratio < 1.0:
            raise BadSetting(f"decode_ratio={decode_ratio} with loss_on_all=True: all patches are decoded. Set one of the two.")
        self.decode_ratio = decode_ratio
        self.loss_on_all = loss_on_all
        self._seed = 0

    def randomize(self, data: Any = None) -> None:
        """Draws the seed of the next masks."""
        self._seed = int(self.R.randint(MAX_SEED, dtype="uint32"))

    def __call__(
        self, img: torch.Tensor, valid: torch.Tensor | None = None, seed: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draws masks for a superpatch.

        Args:
            img: the superpatch, (C, D, H, W); only its shape and, of a MetaTensor, its affine are used. Without an affine
                S-I is the last axis.
            valid: patches that may be scored, bool (gi, gj, gk) or (1, gi, gj, gk); None allows all.
            seed: draws fixed masks, the same in every call, in place of random ones.

        Returns:
            ``hidden`` and ``target``, plain bool tensors (gi, gj, gk), gi = D / patch_size[0] and so on. ``hidden`` has the
            rule's exact number of True values; ``target`` is a subset of it (all patches with ``loss_on_all``), without the
            patches that are not valid.

        Raises:
            ValueError: if the patches do not tile the image, the rule cannot be met on their grid, or ``valid`` has another
                shape.
        """
        token_grid = grid_of(volume_shape(img), self.patch_size, ("the image's shape", "patch_size"))
        if seed is None:
            self.randomize()
        generator = torch.Generator().manual_seed(self._seed if seed is None else int(seed))
        axis = axial_axis(img.affine) if isinstance(img, MetaTensor) else 2
        hidden = self.rule.draw(token_grid, 1, generator, axis)
        target = torch.ones_like(hidden) if self.loss_on_all else draw_target(hidden, self.decode_ratio, generator)
        if valid is not None:
            target = target & self._plain(valid, token_grid)
        return hidden[0], target[0]

    @staticmethod
    def _plain(valid: torch.Tensor, token_grid: Sequence[int]) -> torch.Tensor:
        """Gives ``valid`` as a plain bool tensor (1, gi, gj, gk)."""
        if tuple(valid.shape) not in (tuple(token_grid), (1, *token_grid)):
            raise ValueError(f"valid has shape {tuple(valid.shape)}: expected {tuple(token_grid)}, one value for each patch.")
        plain = valid.as_tensor() if isinstance(valid, MetaTensor) else valid
        return plain.to("cpu", torch.bool).reshape(1, *token_grid)


class DualMaskd(Randomizable, MapTransform):
    """Dictionary form of :class:`DualMask`: adds ``hidden`` and ``target``.

    Args:
        keys: the image, one key.
        valid_key: item that marks the patches without padding; None scores all.
        seed_key: item that holds the masks' seed, for masks that stay the same in every epoch; None draws them.
        allow_missing_keys: leaves data without the image as it is.
        choices: arguments of :class:`DualMask`.

    Raises:
        ValueError: see :class:`DualMask`; also for more than one key.
        KeyError: when called on data without the image (unless ``allow_missing_keys``), ``valid_key`` or ``seed_key``.

    Example:
        >>> mask = DualMaskd(keys="image", patch_size=2, valid_key=None, seed_key="mask_seed")
        >>> sample = mask({"image": torch.zeros(1, 8, 8, 8), "mask_seed": 3})
        >>> int(sample["hidden"].sum()), torch.equal(sample["target"], sample["hidden"])
        (48, True)
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        valid_key: str | None = "valid",
        seed_key: str | None = None,
        allow_missing_keys: bool = False,
        **choices: Any,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        if len(self.keys) != 1:
            raise BadSetting(f"keys={self.keys}: expected one image, for which one pair of masks is drawn.")
        self.masker = DualMask(**choices)
        self.valid_key = valid_key
        self.seed_key = seed_key

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> DualMaskd:
        """Sets the state the masks are drawn from."""
        super().set_random_state(seed, state)
        self.masker.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Adds the masks; the other items stay."""
        d = dict(data)
        for key in self.key_iterator(d):
            for needed, what in ((self.valid_key, "the patches without padding"), (self.seed_key, "the masks' seed")):
                if needed is not None and needed not in d:
                    raise KeyError(f"key `{needed}`, which holds {what}, is missing in the data.")
            valid = None if self.valid_key is None else d[self.valid_key]
            seed = None if self.seed_key is None else d[self.seed_key]
            d["hidden"], d["target"] = self.masker(d[key], valid, seed)
        return d
