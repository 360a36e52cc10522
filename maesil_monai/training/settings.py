"""The list of a run's settings: what each may be, and who depends on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, get_args

from maesil_monai.errors import BadSetting
from maesil_monai.inferers.autocast import DTYPES
from maesil_monai.losses.reconstruction import ERRORS
from maesil_monai.masking import RuleName
from maesil_monai.networks.autoencoders import HALVINGS
from maesil_monai.networks.mae import DECODERS, HEADS, PATCH_EMBEDDINGS
from maesil_monai.networks.presets import PRESETS
from maesil_monai.training.allowed_values import NULL, PATH, SIZE, TEXT, WEIGHTS, YES_NO, Allowed, choice, number, several, whole
from maesil_monai.transforms.resample_to_cube import Policy

_MM = number(above=0, example=1.5)
_SHARE = number(least=0, most=1)
_RATIO = number(above=0, below=1)


def _own(allowed: Allowed) -> Any:
    """A setting that a resumed run may change."""
    return field(metadata={"allowed": allowed})


def _fixed(allowed: Allowed) -> Any:
    """A setting that a resumed run must not change."""
    return field(metadata={"allowed": allowed, "fixed": True})


def _shared(allowed: Allowed) -> Any:
    """A setting that evaluation and inference need too; a resumed run must not change it either."""
    return field(metadata={"allowed": allowed, "fixed": True, "shared": True})


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The settings of a training: the plain names on top of ``train.json``, where their defaults stand.

    What each one does is told in docs/configuration.md. Values stay as they are given: a record shows what the user wrote.

    Raises:
        BadSetting: for a value of another type or out of range; says which, what was expected, and what to write.

    Example:
        >>> import json, pathlib
        >>> defaults = json.loads(pathlib.Path("bundle/configs/train.json").read_text())
        >>> values = {name: defaults[name] for name in RunSettings.names()}
        >>> RunSettings(**values).shared()["mask_rule"]
        'total'
        >>> RunSettings(**{**values, "mask_wrap": "false"})
        Traceback (most recent call last):
        maesil_monai.errors.BadSetting: mask_wrap='false': expected True or False. Write --mask_wrap True or --mask_wrap False.
    """

    dataset_dir: str = _own(PATH)
    ckpt: str = _own(PATH)
    init_weights: str | None = _own(PATH | NULL)
    preset: str = _shared(choice(*PRESETS))
    decoder: str = _shared(choice(*DECODERS))
    patch_embedding: str = _shared(choice(*PATCH_EMBEDDINGS))
    head: str = _shared(choice(*HEADS))
    voxels_per_latent: int | None = _shared(choice(*HALVINGS) | NULL)
    masked_input: bool | None = _shared(YES_NO | NULL)
    activation_checkpointing: bool = _own(YES_NO)
    resample_policy: str = _shared(choice(*get_args(Policy)))
    spacing_mm: float | Sequence[float] | None = _shared(_MM | several(_MM, 3, "[1,1,2.5]") | NULL)
    cube_size: int | Sequence[int] = _shared(SIZE)
    superpatch_size: int | Sequence[int] = _shared(SIZE)
    patch_size: int | Sequence[int] = _shared(SIZE)
    window_hu: Sequence[float] = _shared(several(number(), 2, "[-1000,1000]", rising=True))
    min_body: float = _shared(number(least=0, below=1, example=0.05))
    mask_rule: str = _shared(choice(*get_args(RuleName)))
    mask_ratio: float = _shared(_RATIO)
    mask_axis_ratio: float = _shared(_RATIO)
    mask_wrap: bool = _shared(YES_NO)
    decode_ratio: float = _fixed(number(above=0, most=1))
    loss: str = _fixed(choice(*ERRORS))
    loss_on_all: bool = _fixed(YES_NO)
    normalise_patches: bool = _shared(YES_NO)
    flip_probability: Sequence[float] = _fixed(several(_SHARE, 3, "[0.5,0,0]"))
    learning_rate: float = _own(number(least=0, example=0.001))
    learning_rate_batch: float | None = _own(number(least=0, example=256) | NULL)
    weight_decay: float = _own(number(least=0, example=0.05))
    warmup_steps: int = _own(whole(0, example=2000))
    max_gradient_norm: float | None = _own(number(above=0, example=1.0) | NULL)
    ema_decay: float = _own(number(least=0, below=1, example=0.99))
    batch_size: int = _own(whole(1, example=4))
    accumulation: int = _fixed(whole(1, example=8))
    superpatches_per_epoch: int = _own(whole(1, example=16384))
    max_epochs: int = _own(whole(1, example=100))
    time_limit_minutes: float | None = _own(number(above=0, example=60) | NULL)
    save_interval: int | None = _own(whole(1, example=250) | NULL)
    val_scans: float = _shared(whole(1, example=4) | number(above=0, below=1, example=0.1))
    val_superpatches: int = _own(whole(0, example=64))
    val_interval: int = _own(whole(1))
    val_masks: int = _shared(whole(1, example=2))
    num_panels: int = _own(whole(0, example=2))
    bad_share: float = _own(number(least=0, most=1, example=0.05))
    dataset_weights: str | Mapping[str, float] = _fixed(choice("proportional", "balanced") | WEIGHTS)
    by_patient: bool = _fixed(YES_NO)
    leave_out: str = _fixed(TEXT)
    amp: bool | str = _own(YES_NO | choice(*DTYPES))
    num_workers: int = _own(whole(0, example=4))
    cache_bytes: float = _own(number(least=0, example=2147483648))
    seed: int = _shared(whole(0))

    def __post_init__(self) -> None:
        for name in self.names():
            self.check(name, getattr(self, name))
        if (self.voxels_per_latent is None) != (self.masked_input is None):
            raise BadSetting(
                f"voxels_per_latent={self.voxels_per_latent}, masked_input={self.masked_input}: expected both or none, for they "
                "are an autoencoder's. Lay its overlay over train.json, such as bundle/configs/models/ae.json."
            )

    @classmethod
    def names(cls, mark: str = "allowed") -> tuple[str, ...]:
        """Names the settings, or those with the mark ``shared`` or ``fixed``."""
        return tuple(one.name for one in fields(cls) if mark in one.metadata)

    @classmethod
    def check(cls, name: str, value: Any) -> None:
        """Refuses a value that a setting must not have, with the error of the class."""
        allowed: Allowed = cls.__dataclass_fields__[name].metadata["allowed"]
        if not allowed.holds(value):
            raise allowed.error(name, value)

    def record(self) -> dict[str, Any]:
        """Gives all settings, for the record of a run."""
        return {name: getattr(self, name) for name in self.names()}

    def shared(self) -> dict[str, Any]:
        """Gives those that evaluation and inference need as well: what decides how the weights are to be used."""
        return {name: getattr(self, name) for name in self.names("shared")}

    def fixed(self) -> dict[str, Any]:
        """Gives those that a resumed run must not change: the fingerprint of a checkpoint."""
        return {name: getattr(self, name) for name in self.names("fixed")}
