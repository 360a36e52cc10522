"""The bundle that the comparison trains and evaluates with: its configurations, and the overlay of each model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

import maesil_monai
from maesil_monai.evaluation.comparison.entry import Entry


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
        """
        places = [Path(root)] if root is not None else [Path("bundle"), Path(maesil_monai.__file__).parents[1] / "bundle"]
        found = [place for place in places if (place / "configs" / "train.json").is_file()]
        if not found:
            raise FileNotFoundError(2, "no such bundle; name its folder by --bundle", str(places[-1] / "configs" / "train.json"))
        listed = [] if overlay is None else [overlay] if isinstance(overlay, (str, Path)) else list(overlay)
        for file in listed:
            if not Path(file).is_file():
                raise FileNotFoundError(2, "no such overlay", str(file))
        return cls(found[0].resolve(), tuple(Path(file).resolve() for file in listed))

    @property
    def models(self) -> tuple[str, ...]:
        """The models there are overlays for."""
        return tuple(sorted(file.stem for file in (self.root / "configs" / "models").glob("*.json")))

    def files_of(self, model: str) -> list[str]:
        """Gives the configurations of a model's training, in order.

        Raises:
            ValueError: for a model without an overlay.
        """
        if model not in self.models:
            raise ValueError(f"model {model!r} is unknown: expected one of {', '.join(self.models)}.")
        own = self.root / "configs" / "models" / f"{model}.json"
        return [str(file) for file in (self.root / "configs" / "train.json", *self.overlay, own)]

    def settings_of(self, entry: Entry) -> dict[str, Any]:
        """Gives a model's configuration with the entry's rule and changes, references not followed."""
        settings = ConfigParser.load_config_files(self.files_of(entry.model))
        settings.update(entry.changes)
        if entry.rule is not None:
            settings["mask_rule"] = entry.rule
        return settings

    def with_rule(self, entry: Entry) -> Entry:
        """Writes out the rule an entry is trained with."""
        return Entry(entry.model, entry.rule or self.settings_of(entry)["mask_rule"], entry.changes)
