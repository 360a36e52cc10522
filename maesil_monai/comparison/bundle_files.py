"""The bundle that the comparison trains and evaluates with: its configurations, and the overlay of each model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.utils import OptionalImportError, optional_import

import maesil_monai
from maesil_monai.comparison.model_entry import Entry
from maesil_monai.config_names import OF_MONAI, head_of, suggestion
from maesil_monai.errors import BadSetting
from maesil_monai.training.settings import RunSettings

# What a comparison sets itself, for all models alike, and what to do instead of changing it for one.
SET_BY_COMPARISON = {
    "dataset_dir": "give the data as --store",
    "output_dir": "give the folder as --output",
    "bundle_root": "give the bundle as --bundle",
    "ckpt": "give trained weights as --checkpoints MODEL=FILE",
    "init_weights": "every model starts from random weights; give trained ones as --checkpoints MODEL=FILE",
    "seed": "give seeds as --seeds",
    "leave_out": "give the collection as --leave_out",
    "mask_rule": "write MODEL@RULE",
    "learning_rate": "give rates as --learning_rates, and every model gets its best",
    "val_scans": "every model trains and validates on the same scans",
    "time_limit_minutes": "every model trains for the same number of steps, so lower max_epochs in the overlay",
    "normalise_patches": "targets that are normalised patch by patch give no voxels, and their PSNR is not defined",
    "voxels_per_latent": "write ae_8 or ae_512",
    "masked_input": "write ae_masked",
}
# Models that share an overlay with another one: the name behind the overlay's, and what is changed of it.
AUTOENCODERS = ("ae", "vae", "vqvae")
FORMS: dict[str, dict[str, Any]] = {
    "_8": {"voxels_per_latent": 8},
    "_512": {"voxels_per_latent": 512},
    "_masked": {"masked_input": True, "loss_on_all": False, "mask_rule": "total"},
}


@dataclass(frozen=True)
class BundleFiles:
    """The bundle's folder, and an overlay of the user that goes between ``train.json`` and the models' overlays.

    Args:
        root: the folder that holds ``configs``.
        overlay: further configuration files, in order.
    """

    root: Path
    overlay: tuple[Path, ...] = ()

    @classmethod
    def find(cls, root: str | Path | None = None, overlay: str | Path | Sequence[str | Path] | None = None) -> BundleFiles:
        """Looks for the bundle: where it is said to be, in the working directory, or beside the package (a clone).

        Raises:
            FileNotFoundError: with the file that is missing, if there is none or an overlay is missing.
            ValueError: for an overlay that cannot be read, or that sets what would make the comparison unfair.
        """
        places = [Path(root)] if root is not None else [Path("bundle"), Path(maesil_monai.__file__).parents[1] / "bundle"]
        found = [place for place in places if (place / "configs" / "train.json").is_file()]
        if not found:
            raise FileNotFoundError(2, "no such bundle; name its folder by --bundle", str(places[-1] / "configs" / "train.json"))
        listed = [] if overlay is None else [overlay] if isinstance(overlay, (str, Path)) else list(overlay)
        for file in listed:
            if not Path(file).is_file():
                raise FileNotFoundError(2, "no such overlay", str(file))
            _check_overlay(Path(file), ConfigParser.load_config_file(found[0] / "configs" / "train.json"))
        return cls(found[0].resolve(), tuple(Path(file).resolve() for file in listed))

    @property
    def models(self) -> tuple[str, ...]:
        """The models there are: the overlays, and the forms of autoencoders."""
        overlays = [file.stem for file in (self.root / "configs" / "models").glob("*.json")]
        return tuple(sorted([*overlays, *(model + form for model in AUTOENCODERS if model in overlays for form in FORMS)]))

    def files_of(self, model: str) -> list[str]:
        """Gives the configurations of a model's training, in order.

        Raises:
            ValueError: for an unknown model.
        """
        if model not in self.models:
            raise BadSetting(f"model {model!r} is unknown: expected one of {', '.join(self.models)}.")
        own = self.root / "configs" / "models" / f"{_parted(model)[0]}.json"
        return [str(file) for file in (self.root / "configs" / "train.json", *self.overlay, own)]

    def settings_of(self, entry: Entry) -> dict[str, Any]:
        """Gives a model's configuration with the entry's rule and changes, references not followed.

        Raises:
            ValueError: for an unknown model, or a change of what is no setting or is not the model's to set, or to a value
                that the setting must not have.
        """
        settings = ConfigParser.load_config_files(self.files_of(entry.model))
        for key, value in entry.changes:
            if key in SET_BY_COMPARISON:
                raise BadSetting(f"model {str(entry)!r}: {key} is the same for all models; {SET_BY_COMPARISON[key]}.")
            if key not in RunSettings.names():
                cure = suggestion(key, RunSettings.names(), "docs/configuration.md lists the settings.")
                raise BadSetting(f"model {str(entry)!r}: {key} is no setting of train.json; {cure}")
            try:
                RunSettings.check(key, value)
            except BadSetting as error:
                raise BadSetting(f"model {str(entry)!r}: {error}") from None
        settings.update(self.changes_of(entry))
        if entry.rule is not None:
            settings["mask_rule"] = entry.rule
        return settings

    def changes_of(self, entry: Entry) -> dict[str, Any]:
        """Gives what is changed of the files of an entry's model, its rule aside."""
        return {**_parted(entry.model)[1], **dict(entry.changes)}

    def with_rule(self, entry: Entry) -> Entry:
        """Writes out the rule an entry is trained with, and refuses what :meth:`settings_of` refuses."""
        return Entry(entry.model, self.settings_of(entry)["mask_rule"], entry.changes)


def _parted(model: str) -> tuple[str, dict[str, Any]]:
    """Gives the overlay of a model, and what its form changes."""
    name, sign, form = model.partition("_")
    return (name, FORMS[sign + form]) if name in AUTOENCODERS and sign + form in FORMS else (model, {})


def _check_overlay(file: Path, train: Mapping[str, Any]) -> None:
    """Refuses an overlay that is no configuration, has keys that nothing reads, or gives models unequal trainings."""
    yaml, has_yaml = optional_import("yaml")
    unreadable = (ValueError, OptionalImportError, *([yaml.YAMLError] if has_yaml else []))
    try:
        content = ConfigParser.load_config_file(file)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadSetting(f"{file}, {place}: {error.msg}; expected JSON. Correct the overlay there.") from None
    except unreadable as error:
        what = " ".join(str(error).split())
        raise BadSetting(f"{file}: {what}; expected a configuration as JSON. Correct the overlay.") from None
    if not isinstance(content, dict):
        raise BadSetting(f"{file}: found a {type(content).__name__}; expected an object, {{KEY: VALUE}}, as train.json is.")
    for key in content:
        if head_of(key) not in (*train, *OF_MONAI) and f"@{key}" not in json.dumps(content):
            cure = suggestion(head_of(key), train, "docs/configuration.md lists them.")
            raise BadSetting(f"{file}: {key} is no key of train.json; {cure}")
    refused = [key for key in ("seed", "leave_out") if key in content]
    refused += [key for key in ("time_limit_minutes",) if content.get(key) is not None]
    refused += [key for key in ("normalise_patches",) if content.get(key)]
    if refused:
        why = "; ".join(f"{key}: {SET_BY_COMPARISON[key]}" for key in refused)
        raise BadSetting(f"{file} sets {', '.join(refused)}, which an overlay of a comparison must not ({why}). Remove it.")
