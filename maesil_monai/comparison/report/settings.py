"""How the comparison was made: settings, commands, versions, checkpoints, the search of learning rates, codebooks."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from maesil_monai.comparison.report.results import UNIFIED, Results
from maesil_monai.comparison.report.wording import noun
from maesil_monai.reports.tables import Cell, Row, Table

COMMANDS = "commands"


def tiles(results: Results) -> list[tuple[str, str]]:
    """Gives what stands large at the top: ``(number, words)``."""
    collections = [dataset for dataset in results.datasets if dataset != UNIFIED]
    settings = results.settings
    num_patients = sum(results.num_patients(dataset) for dataset in collections) or results.num_patients(UNIFIED)
    counts = (
        (num_patients, "test patient", "test patients"),
        (len(collections), "collection", "collections"),
        (len(results.of_group("inpainting", "whole")), "trained model", "trained models"),
        (len(results.of_group("baseline")), "baseline that learns nothing", "baselines that learn nothing"),
        (len(results.seeds), "seed", "seeds"),
    )
    found = [(str(count), noun(count, one, many)) for count, one, many in counts]
    for key, words in (("superpatch_size", "voxels a superpatch"), ("patch_size", "voxels a patch")):
        if settings.get(key) is not None:
            found.append((_sizes(settings[key]), words))
    hours = results.content.get("hours")
    return [*found, _duration(hours)] if isinstance(hours, (int, float)) else found


def how(results: Results) -> str:
    """Says in a paragraph what was judged and how; sizes in mm and acquired slices per patch where the settings know them."""
    collections = ", ".join(
        f"{name} ({results.num_patients(name)})" for name in results.datasets if name != UNIFIED or len(results.datasets) == 1
    )
    facts = [f"Test patients: {collections}."]
    facts += patch_sizes(results)
    facts += [
        f"The headline is the mask rule {results.rule} in the evaluation and the region hidden_body: voxels of the body in "
        "hidden patches, averaged over collections of two patients or more.",
        _superpatches(results),
        "Errors are pooled over a scan's superpatches, then turned into dB, then averaged over a patient's scans, over patients "
        "and seeds, then over collections.",
        "Brackets hold 95 % intervals (bootstrap over patients and seeds); differences to MAESIL are paired by patient.",
    ]
    return " ".join(facts)


def patch_sizes(results: Results) -> list[str]:
    """Says how large a patch is in mm and in acquired slices, a sentence each, where the settings know."""
    words = {"patch_mm": "Size of a patch in mm", "acquired_slices_per_patch": "Acquired slices per patch"}
    known = {key: results.settings[key] for key in words if results.settings.get(key) is not None}
    return [f"{words[key]}: {plain(value)}." for key, value in known.items()]


def _superpatches(results: Results) -> str:
    apart = [system.label for system in results.systems if not results.shares_superpatches(system)]
    if not apart:
        return "All systems are judged on the same superpatches under the same masks."
    return (
        f"All systems are judged on the same superpatches under the same masks, except {'; '.join(apart)}: judged on "
        f"superpatches of {'its' if len(apart) == 1 else 'their'} own size, and not ranked."
    )


def commands(results: Results) -> list[str]:
    """Gives the exact commands, if the settings hold them."""
    found = results.settings.get(COMMANDS) or results.settings.get("command") or []
    return [found] if isinstance(found, str) else [str(command) for command in found]


def settings_tables(results: Results) -> str:
    """Writes all of it as tables."""
    content = results.content
    settings = {key: value for key, value in results.settings.items() if key not in (COMMANDS, "command")}
    settings |= {"test_uses": content["test_uses"]} if "test_uses" in content else {}
    runs = [
        (run, plain(book.get("used")), plain(book.get("size")), plain(book.get("perplexity")))
        for run, book in (content.get("codebook") or {}).items()
    ]
    search = [entry for entry in content.get("search") or () if isinstance(entry, Mapping)]
    columns = list(dict.fromkeys(key for entry in search for key in entry))
    parts = [
        _table("Settings", ("setting", "value"), _flat(settings)),
        _table(
            "Learning rates tried, judged on validation",
            columns,
            [[plain(entry.get(key)) for key in columns] for entry in search],
        ),
        _table("Codebooks", ("run", "entries used", "entries", "perplexity"), runs),
        _table("Hardware", ("part", "value"), _flat(content.get("hardware") or {})),
        _table("Versions", ("package", "version"), _flat(content.get("versions") or {})),
        _table("Checkpoints", ("run", "SHA-256"), _flat(content.get("checkpoints") or {})),
    ]
    return "".join(parts)


def plain(value: Any) -> str:
    """Writes a value of JSON for people.

    Example:
        >>> plain([64, 64, 32]), plain({"a": 2.5, "b": [1, 2]}), plain(None), plain(0.00030000001)
        ('64, 64, 32', 'a 2.5, b (1, 2)', '-', '0.0003')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_nested(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_nested(item) for item in value)
    return str(value)


def _nested(value: Any) -> str:
    return f"({plain(value)})" if isinstance(value, (Mapping, list, tuple)) else plain(value)


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Gives nested settings as lines of ``a.b``."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", plain(value)


def _table(title: str, head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [Row([Cell(text, number=False) for text in line]) for line in lines]
    if not rows:
        return ""
    return f"<details><summary>{html.escape(title)}</summary>{Table(title, head, rows).html()}</details>"


def _duration(hours: float) -> tuple[str, str]:
    """Tells a time in hours, or in minutes where it is less than one.

    Example:
        >>> [" ".join(_duration(hours)) for hours in (5.51, 0.999, 0.28, 0.02, 0.0)]
        ['5.5 hours in all', '1.0 hours in all', '17 minutes in all', '1 minute in all', '< 1 minute in all']
    """
    minutes = round(60 * hours)
    if minutes >= 60:
        return f"{hours:.1f}", "hours in all"
    return (str(minutes), f"{noun(minutes, 'minute')} in all") if minutes else ("< 1", "minute in all")


def _sizes(size: Any) -> str:
    r"""Writes a size per axis: one number for a cube.

    Example:
        >>> ascii(_sizes(64)), _sizes([64, 64, 32])
        ("'64\\xb3'", '64 x 64 x 32')
    """
    sizes = list(size) if isinstance(size, Sequence) else [size]
    return f"{sizes[0]}\u00b3" if len(set(sizes)) == 1 else " x ".join(str(part) for part in sizes)
