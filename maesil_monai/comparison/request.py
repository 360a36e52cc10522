"""What is asked of a comparison, and how it is read from the options of a command line."""

from __future__ import annotations

import errno
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maesil_monai.comparison.ablations import ablations
from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.entry import RULES, Entry
from maesil_monai.errors import BadSetting

SECTIONS = ("test", "validation")


@dataclass(frozen=True)
class Request:
    """What is asked of a comparison.

    Args:
        store: store or folder with a data list that names a test split.
        output: folder of the comparison.
        entries: what is compared beside the trivial baselines.
        checkpoints: weights of entries, by their text; each file is one seed.
        train: train entries that have no weights.
        seeds: of the trainings; distinct, 0 or more.
        rules: mask rules of the evaluation; the first is the headline, under which every metric is measured.
        learning_rates: rates that are tried in short runs of every trained entry; empty trains at the overlays' own.
        search_share: length of a short run as a share of a whole one, above 0, at most 1.
        section: ``test``, or ``validation`` for choices.
        leave_out: collection that is not trained on and the only one to be judged; empty for none.
        max_superpatches: superpatches that are judged, 0 for all.
        figures_per_dataset: scans of each collection that pictures are made of.
        command: what was typed, for the report.

    Raises:
        ValueError: for a value outside its range.
        FileNotFoundError: for weights that are not there.
    """

    store: str
    output: Path
    entries: tuple[Entry, ...]
    checkpoints: Mapping[str, Sequence[Path]]
    train: bool = False
    seeds: tuple[int, ...] = (0,)
    rules: tuple[str, ...] = RULES
    learning_rates: tuple[float, ...] = ()
    search_share: float = 0.2
    section: str = "test"
    leave_out: str = ""
    max_superpatches: int = 0
    figures_per_dataset: int = 1
    command: str = ""

    def __post_init__(self) -> None:
        _expect(isinstance(self.train, bool), "train", self.train, "True or False")
        whole = all(_is_whole(seed) for seed in self.seeds)
        _expect(bool(self.seeds) and whole, "seeds", self.seeds, "one or more whole numbers, 0 or more")
        _expect(len(set(self.seeds)) == len(self.seeds), "seeds", self.seeds, "each seed once")
        positive = all(_is_number(rate) and rate > 0 for rate in self.learning_rates)
        _expect(positive, "learning_rates", self.learning_rates, "finite numbers above 0")
        distinct = len({f"{rate:g}" for rate in self.learning_rates}) == len(self.learning_rates)  # %g: a run's folder
        _expect(distinct, "learning_rates", self.learning_rates, "rates that differ in their first six digits")
        share = _is_number(self.search_share) and 0 < self.search_share <= 1
        _expect(share, "search_share", self.search_share, "a number above 0, at most 1")
        _expect(self.section in SECTIONS, "section", self.section, " or ".join(SECTIONS))
        _expect(_is_whole(self.max_superpatches), "max_superpatches", self.max_superpatches, "a whole number, 0 or more")
        _expect(_is_whole(self.figures_per_dataset), "figures", self.figures_per_dataset, "a whole number, 0 or more")
        for name, files in self.checkpoints.items():
            for file in files:
                if not file.is_file():
                    what = f"no such file of weights of {name} (--checkpoints MODEL=FILE)"
                    raise FileNotFoundError(errno.ENOENT, what, str(file))


def request_of(
    bundle: BundleFiles,
    default_models: Sequence[str],
    *,
    store: Any,
    output: Any,
    models: Any = None,
    checkpoints: Any = None,
    train: Any = False,
    seeds: Any = 0,
    rules: Any = None,
    learning_rates: Any = None,
    search_share: Any = 0.2,
    section: Any = "test",
    ablate: Any = False,
    leave_out: Any = "",
    max_superpatches: Any = 0,
    figures: Any = 1,
    command: str = "",
) -> Request:
    """Makes a request of the options of a command line, which may arrive as texts, numbers, truths, tuples or lists.

    Args:
        bundle: the configurations that models and their changes are looked up in.
        default_models: compared where neither models nor weights are named, or where weights are and others are trained.
        store: as in :class:`Request`, like all that are not named here.
        output: a folder.
        models: entries; None for the default.
        checkpoints: ``MODEL=FILE`` texts, see :func:`split_checkpoint`.
        train: True or False.
        seeds: whole numbers.
        rules: mask rules; None for all.
        learning_rates: numbers; None for none.
        search_share: a number.
        section: a name.
        ablate: whether the variants of :func:`~maesil_monai.comparison.ablations.ablations` are added.
        leave_out: name of a collection.
        max_superpatches: a whole number.
        figures: a whole number.
        command: what was typed.

    Returns:
        The request; each entry once, with its rule.

    Raises:
        ValueError: for an option that cannot be read or is out of its range; names the option.
        FileNotFoundError: for weights that are not there.
    """
    _expect(isinstance(train, bool), "train", train, "no value (--train, or --notrain)")
    _expect(isinstance(ablate, bool), "ablate", ablate, "no value (--ablate, or --noablate)")
    weights: dict[str, list[Path]] = {}
    for text in texts("checkpoints", checkpoints):
        entry, file = split_checkpoint(text)
        weights.setdefault(str(bundle.with_rule(entry)), []).append(file)
    names = texts("models", models) or (list(weights) if weights and not train else list(default_models))
    entries = [bundle.with_rule(Entry.parse(name)) for name in names]
    if ablate:
        entries += ablations(bundle)
    return Request(
        store=one_text("store", store),
        output=Path(one_text("output", output)),
        entries=tuple(dict.fromkeys(entries)),
        checkpoints=weights,
        train=train,
        seeds=tuple(_whole("seeds", text) for text in texts("seeds", seeds)),
        rules=tuple(texts("rules", rules)) or RULES,
        learning_rates=tuple(_number("learning_rates", text) for text in texts("learning_rates", learning_rates)),
        search_share=_number("search_share", search_share),
        section=one_text("section", section),
        leave_out=one_text("leave_out", leave_out),
        max_superpatches=_whole("max_superpatches", max_superpatches),
        figures_per_dataset=_whole("figures", figures),
        command=command,
    )


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


def texts(option: str, value: Any) -> list[str]:
    """Parts a list at its commas, except those within brackets.

    Args:
        option: its name, for the error.
        value: one text, a number, a list of such, or None for an empty list.

    Raises:
        ValueError: for an option without a value.

    Example:
        >>> texts("models", "maesil+superpatch_size=[32,32,16],mae")
        ['maesil+superpatch_size=[32,32,16]', 'mae']
        >>> texts("seeds", (0, 1))
        ['0', '1']
    """
    if value is None:
        return []
    parts: list[str] = []
    for one in value if isinstance(value, (tuple, list)) else [value]:
        parts.append("")
        depth = 0
        for letter in one_text(option, one):
            depth += (letter in "[{(") - (letter in "]})")
            if letter == "," and depth == 0:
                parts.append("")
            else:
                parts[-1] += letter
    found = [part.strip() for part in parts if part.strip()]
    _expect(bool(found), option, value, "one or more values, separated by commas")
    return found


def one_text(option: str, value: Any) -> str:
    """Gives the text of an option that has one value, such as a folder named like a number.

    Raises:
        ValueError: for a list, or for an option without a value.
    """
    _expect(isinstance(value, (str, int, float)) and not isinstance(value, bool), option, value, "one value")
    return str(value)


def _whole(option: str, value: Any) -> int:
    try:
        return int(one_text(option, value))
    except ValueError:
        raise BadSetting(f"{option}={value!r}: expected whole numbers, 0 or more.") from None


def _number(option: str, value: Any) -> float:
    try:
        return float(one_text(option, value))
    except ValueError:
        raise BadSetting(f"{option}={value!r}: expected numbers, such as 0.001.") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _expect(holds: bool, option: str, found: Any, expected: str) -> None:
    if not holds:
        raise BadSetting(f"{option}={found!r}: expected {expected}.")
