"""How the comparison was made: settings, commands, versions, checkpoints, the search of learning rates, codebooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from maesil_monai.comparison.report.results_file import UNIFIED, Results

_SAME_FOR_ALL = (
    "All systems are judged on the same superpatches under the same masks, those with a * aside. Errors are pooled over a scan's "
    "superpatches, then turned into dB, then averaged over a patient's scans, over patients and seeds, then over collections."
)


def tiles(results: Results) -> list[tuple[str, str]]:
    """Gives what stands large at the top: ``(number, words)``."""
    collections = [dataset for dataset in results.datasets if dataset != UNIFIED]
    counts = (
        (sum(map(results.num_patients, collections)), "test patient", "test patients"),
        (len(collections), "collection", "collections"),
        (len(results.of_group("inpainting", "whole")), "trained model", "trained models"),
        (len(results.of_group("baseline")), "baseline that learns nothing", "baselines that learn nothing"),
        (len(results.seeds), "seed", "seeds"),
    )
    found = [(str(count), noun(count, one, many)) for count, one, many in counts]
    for key, words in (("superpatch_size", "voxels a superpatch"), ("patch_size", "voxels a patch")):
        if key in results.settings:
            found.append((_sizes(results.settings[key]), words))
    return [*found, _duration(results.content["hours"])] if "hours" in results.content else found


def how(results: Results) -> str:
    """Says in a paragraph what was judged and how; sizes in mm and acquired slices per patch where the settings know them."""
    patients = ", ".join(f"{name} ({results.num_patients(name)})" for name in results.datasets if name != UNIFIED)
    headline = (
        f"The headline is the mask rule {results.rule} in the evaluation and the region hidden_body: voxels of the body in "
        "hidden patches, averaged over collections of two patients or more."
    )
    return " ".join([f"Test patients: {patients}.", *patch_sizes(results), headline, _SAME_FOR_ALL])


def patch_sizes(results: Results) -> list[str]:
    """Says how large a patch is in mm and in acquired slices, a sentence each, where the settings know."""
    words = {"patch_mm": "Size of a patch in mm", "acquired_slices_per_patch": "Acquired slices per patch"}
    return [f"{told}: {plain(results.settings[key])}." for key, told in words.items() if key in results.settings]


def commands(results: Results) -> list[str]:
    """Gives the exact commands, if the settings hold them."""
    return [str(command) for command in results.settings.get("commands", ())]


def settings_tables(results: Results) -> list[tuple[str, dict[Any, str], list[Any]]]:
    """Gives all of it as tables: ``(title, headings by key, rows of text by key)``, those without a row left out."""
    content = results.content
    settings = {key: value for key, value in results.settings.items() if key != "commands"}
    settings |= {"test_uses": content["test_uses"]} if "test_uses" in content else {}
    search = content.get("search", ())
    tried = {key: key for row in search for key in row}
    book = {"run": "run", "used": "entries used", "size": "entries", "perplexity": "perplexity"}
    books = [{"run": run, **found} for run, found in content.get("codebook", {}).items()]
    tables: list[tuple[str, dict[Any, str], list[Any]]] = [
        ("Settings", {0: "setting", 1: "value"}, list(_flat(settings))),
        ("Learning rates tried, judged on validation", tried, [{key: plain(row.get(key)) for key in tried} for row in search]),
        ("Codebooks", book, [{key: plain(row.get(key)) for key in book} for row in books]),
    ]
    for title, *head in (("Hardware", "part", "value"), ("Versions", "package", "version"), ("Checkpoints", "run", "SHA-256")):
        tables.append((title, dict(enumerate(head)), list(_flat(content.get(title.lower(), {})))))
    return [table for table in tables if table[2]]


def noun(count: int, one: str, many: str = "") -> str:
    """Gives the singular for 1, else the plural; without ``many`` an s is added.

    Example:
        >>> noun(1, "run"), noun(0, "run"), noun(2, "baseline that learns nothing", "baselines that learn nothing")
        ('run', 'runs', 'baselines that learn nothing')
    """
    return one if count == 1 else many or f"{one}s"


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
