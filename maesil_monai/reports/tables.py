"""A table of measurements as content, and as Markdown; ``templates/parts.html.j2`` sets the same for a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Mark(NamedTuple):
    """A sign beside a value.

    Args:
        symbol: on a page.
        letter: in Markdown.
        words: what it says, for a legend and for those who do not see it.
        warns: shown in the colour of what is bad.
    """

    symbol: str
    letter: str
    words: str
    warns: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: the value or the words.
        interval: ``[low, high]``.
        words: explain the value.
        difference: to the model that others are set against, with its interval.
        sign: 1 or -1 where the difference's interval excludes 0 to the good or to the bad.
        best: the best of its column, shown bold.
        marks: what else is to be said of the value.
        number: aligned to the right.
    """

    text: str
    interval: str = ""
    words: str = ""
    difference: str = ""
    sign: int = 0
    best: bool = False
    marks: Sequence[Mark] = ()
    number: bool = True


@dataclass(frozen=True)
class Row:
    """One line; ``look`` is ``""``, ``own`` (the model that others are set against) or ``loses``, ``group`` starts a group."""

    cells: Sequence[Cell]
    look: str = ""
    group: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a caption and notes, falsy without a row. The first column holds names.

    Example:
        >>> print(Table("T", ("model", "PSNR"), [Row([Cell("MAE"), Cell("12.0", "[11.0, 13.0]", best=True)])]).markdown())
        | model | PSNR |
        | :-- | --: |
        | MAE | **12.0** [11.0, 13.0] |
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.rows)

    def is_numeric(self, place: int) -> bool:
        """Tells whether a column is aligned to the right."""
        return place > 0 and any(row.cells[place].number for row in self.rows)

    def markdown(self) -> str:
        """Writes the table, then (where there are differences) a second one of them, then the notes."""
        lines = []
        for row in self.rows:
            if row.group:
                lines.append([f"*{markdown_text(row.group)}*", *[""] * (len(self.head) - 1)])
            lines.append([_markdown_cell(cell) for cell in row.cells])
        parts = [markdown_lines(self.head, lines)]
        differing = [place for place in range(len(self.head)) if any(row.cells[place].difference for row in self.rows)]
        if differing:
            lines = [
                [_markdown_cell(row.cells[0]), *(_markdown_difference(row.cells[place]) for place in differing)]
                for row in self.rows
                if any(cell.difference for cell in row.cells)
            ]
            head = [self.head[place] for place in (0, *differing)]
            parts += ["Difference to MAESIL (total), paired over patients:", markdown_lines(head, lines)]
        notes = [f"- {markdown_text(note)}" for note in self.notes]
        return "\n\n".join([*parts, "\n".join(notes)] if notes else parts)


def markdown_lines(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Writes a table whose first column is aligned to the left and the others to the right; cells are Markdown already."""
    rule = [":--", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |".replace("  ", " ") for line in ([*map(markdown_text, head)], rule, *lines))


def markdown_text(text: str) -> str:
    """Escapes what Markdown or the HTML in it would take for markup."""
    text = " ".join(text.split())
    for special in "\\`*_<>|":
        text = text.replace(special, "\\" + special)
    return text


def _markdown_cell(cell: Cell) -> str:
    text = markdown_text(cell.text)
    marks = [f"`{mark.letter}`" for mark in cell.marks]
    return " ".join(filter(None, [f"**{text}**" if cell.best else text, *marks, cell.interval, markdown_text(cell.words)]))


def _markdown_difference(cell: Cell) -> str:
    return f"{cell.difference} {('', 'better', 'worse')[cell.sign]}".strip() or "-"
