"""What is asked of a comparison: the one list of the options, for Python and for the command line."""

from __future__ import annotations

import errno
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from maesil_monai.comparison.ablations import ablations
from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.model_entry import RULES, Entry
from maesil_monai.errors import BadSetting
from maesil_monai.option_values import expect, read_options

MODELS = (
    "maesil",
    "maesil+loss_on_all=true",  # whose raw output means something at visible voxels: one reading of the paper's numbers
    "mae",
    "hi_end_mae",
    "hi_end_mae@total",
    "medmae",
    "medmae@total",
    *(f"{kind}{size}" for kind in ("ae", "vae", "vqvae") for size in ("", "_8", "_512")),
    "ae_masked",
    "vae_masked",
    "vqvae_masked",
)


@dataclass(frozen=True)
class Request:
    """What is asked of a comparison.

    Args:
        store: a store of `prepare`, or a folder with a data list that names a test split.
        output: folder of the comparison.
        models: MODEL[@RULE][+KEY=VALUE...], separated by commas outside brackets; MODEL is an overlay in bundle/configs/models,
            KEY a setting of train.json. Default: those that have weights, or all systems of the paper.
        checkpoints: MODEL=FILE, separated by commas: weights that are there; of several of a model each counts as a seed.
            MODEL is written as in --models; the first = that is not of a change begins FILE, which may have more of them.
        train: train the models that have no weights.
        overlay: configuration between train.json and the models' overlays, such as bundle/configs/comparison_small.json.
        seeds: of the trainings, distinct whole numbers, separated by commas.
        rules: mask rules of the evaluation, separated by commas; under the first, every metric is measured.
        learning_rates: three rates, say, of which each trained model gets its best, found in short runs on validation.
        search_share: length of a short run as a share of a whole one, above 0, at most 1.
        section: test, or validation for choices.
        ablate: also train and judge MAESIL with other superpatches, rules, ratios and decoders.
        leave_out: collection that is not trained on, and alone is judged.
        max_superpatches: superpatches that are judged; 0 for all.
        figures: scans of each collection that pictures are made of.
        bundle: folder of the bundle, where it is neither in the working directory nor beside the package.

    Attributes:
        files: the configurations.
        entries: what is compared beside the trivial baselines, each once, with its rule; without ``models`` those with
            weights or, with ``train`` or without weights, :data:`MODELS`.
        weights: files of weights of entries, by their text; each file is one seed.

    Raises:
        ValueError: for an option that cannot be read or is out of its range; names the option.
        FileNotFoundError: for a bundle, an overlay or weights that are not there.
    """

    store: str
    output: Path
    models: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    train: bool = False
    overlay: Path | None = None
    seeds: tuple[int, ...] = (0,)
    rules: tuple[str, ...] = RULES
    learning_rates: tuple[float, ...] = ()
    search_share: float = 0.2
    section: Literal["test", "validation"] = "test"
    ablate: bool = False
    leave_out: str = ""
    max_superpatches: int = 0
    figures: int = 1
    bundle: Path | None = None
    files: BundleFiles = field(init=False, repr=False)
    entries: tuple[Entry, ...] = field(init=False, repr=False)
    weights: dict[str, list[Path]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        read_options(self)
        object.__setattr__(self, "files", BundleFiles.find(self.bundle, self.overlay))
        object.__setattr__(self, "weights", self._weights())
        names = self.models or (list(self.weights) if self.weights and not self.train else MODELS)
        entries = [self.files.with_rule(Entry.parse(name)) for name in names] + (ablations(self.files) if self.ablate else [])
        object.__setattr__(self, "entries", tuple(dict.fromkeys(entries)))
        expect(set(self.rules) <= set(RULES), "rules", self.rules, f"one or more of {', '.join(RULES)}")
        expect(min(self.seeds) >= 0, "seeds", self.seeds, "one or more whole numbers, 0 or more")
        expect(len(set(self.seeds)) == len(self.seeds), "seeds", self.seeds, "each seed once")
        positive = all(0 < rate < math.inf for rate in self.learning_rates)
        expect(positive, "learning_rates", self.learning_rates, "finite numbers above 0")
        distinct = len({f"{rate:g}" for rate in self.learning_rates}) == len(self.learning_rates)  # %g: a run's folder
        expect(distinct, "learning_rates", self.learning_rates, "rates that differ in their first six digits")
        expect(0 < self.search_share <= 1, "search_share", self.search_share, "a number above 0, at most 1")
        for name, number in (("max_superpatches", self.max_superpatches), ("figures", self.figures)):
            expect(number >= 0, name, number, "a whole number, 0 or more")

    def _weights(self) -> dict[str, list[Path]]:
        """Finds the files of weights that are named."""
        found: dict[str, list[Path]] = {}
        for text in self.checkpoints:
            entry, file = split_checkpoint(text)
            name = str(self.files.with_rule(entry))
            if not file.is_file():
                raise FileNotFoundError(errno.ENOENT, f"no such file of weights of {name} (--checkpoints MODEL=FILE)", str(file))
            found.setdefault(name, []).append(file)
        return found


def split_checkpoint(text: str) -> tuple[Entry, Path]:
    """Parts ``MODEL=FILE``: each change of a model has one ``=``, and the first one after them begins the file.

    An entry has no other ``=``, so there is one way to read a text, and a file's name may have any number of them.

    Raises:
        ValueError: if no entry stands before a ``=``, or nothing after it.

    Example:
        >>> entry, file = split_checkpoint("maesil+decoder=cross_attention=runs/seed=1/model.pt")
        >>> str(entry), file.as_posix()
        ('maesil+decoder=cross_attention', 'runs/seed=1/model.pt')
    """
    for place, letter in enumerate(text):
        if letter == "=" and text[place + 1 :]:
            try:
                return Entry.parse(text[:place]), Path(text[place + 1 :])
            except ValueError:
                continue
    raise BadSetting(
        f"checkpoint {text!r}: expected MODEL=FILE, MODEL as MODEL[@RULE][+KEY=VALUE...] with a rule of {', '.join(RULES)}."
    )
