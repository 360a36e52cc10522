"""A table as content, and its two forms: Markdown and HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

NOTE_WORSE = "worse than the best baseline that learns nothing"
_WORSE_MARK = '<span class="worse" title="' + NOTE_WORSE + '">&#9660;<span class="unseen"> ' + NOTE_WORSE + "</span></span>"


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: the value or the words.
        interval: ``[low, high]``.
        words: explain the value.
        difference: to MAESIL, with its interval.
        sign: 1 or -1 where the difference's interval excludes 0 to the good or to the bad.
        best: the best of its column.
        worse: worse than the best baseline.
        number: aligned to the right.
    """

    text: str
    interval: str = ""
    words: str = ""
    difference: str = ""
    sign: int = 0
    best: bool = False
    worse: bool = False
    number: bool = True


@dataclass(frozen=True)
class Row:
    """One line; ``mark`` is ``""``, ``own`` (MAESIL) or ``loses`` (to a baseline), ``group`` starts a group of that name."""

    cells: Sequence[Cell]
    mark: str = ""
    group: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a caption and notes. The first column holds names.

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

    def markdown(self) -> str:
        """Writes the table, then (where there are differences) a second one of them, then the notes."""
        parts = [self._lines(differences=False)]
        if any(cell.difference for row in self.rows for cell in row.cells):
            parts += ["Difference to MAESIL (total), paired over patients:", self._lines(differences=True)]
        if any(cell.worse for row in self.rows for cell in row.cells):
            parts.append(f"`v` {NOTE_WORSE}")
        parts += [f"- {markdown_text(note)}" if len(self.notes) > 1 else markdown_text(note) for note in self.notes]
        return "\n".join(part if part.startswith("- ") else part + "\n" for part in parts).rstrip("\n")

    def html(self) -> str:
        """Writes the table in a box that scrolls sideways where the page is narrow, and the notes below it."""
        numeric = [any(row.cells[place].number for row in self.rows) for place in range(len(self.head))]
        head = "".join(
            f'<th scope="col"{_numeric(number and place > 0)}>{html.escape(name)}</th>'
            for place, (name, number) in enumerate(zip(self.head, numeric, strict=True))
        )
        lines = []
        for row in self.rows:
            if row.group:
                heading = f'<th scope="rowgroup" colspan="{len(self.head)}"><span>{html.escape(row.group)}</span></th>'
                lines.append(f'<tr class="group">{heading}</tr>')
            mark = f' class="{row.mark}"' if row.mark else ""
            name, *others = row.cells
            cells = f'<th scope="row">{_html_cell(name)}</th>' + "".join(
                f"<td{_numeric(cell.number)}>{_html_cell(cell)}</td>" for cell in others
            )
            lines.append(f"<tr{mark}>{cells}</tr>")
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return (
            f'<p class="caption">{html.escape(self.caption)}</p>'
            f'<div class="wide" tabindex="0" role="group" aria-label="{html.escape(self.caption, quote=True)}"><table>'
            f"<thead><tr>{head}</tr></thead><tbody>\n"
            + "\n".join(lines)
            + f'</tbody></table></div><div class="notes">{notes}</div>'
        )

    def _lines(self, differences: bool) -> str:
        kept = [
            place
            for place in range(len(self.head))
            if place == 0 or not differences or any(row.cells[place].difference for row in self.rows)
        ]
        lines = [
            "| " + " | ".join(markdown_text(self.head[place]) for place in kept) + " |",
            "| " + " | ".join("--:" if place else ":--" for place in kept) + " |",
        ]
        for row in self.rows:
            if differences and not any(cell.difference for cell in row.cells):
                continue
            if row.group and not differences:
                lines.append(f"| *{markdown_text(row.group)}* |" + " |" * (len(kept) - 1))
            cells = [_markdown_cell(row.cells[place], differences and place > 0) for place in kept]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)


def _numeric(number: bool) -> str:
    return ' class="number"' if number else ""


def _html_cell(cell: Cell) -> str:
    text = html.escape(cell.text)
    if cell.best:
        text = f"<b>{text}</b>"
    if cell.worse:
        text = f"{text} {_WORSE_MARK}"
    if cell.interval:
        text += f"<small>{html.escape(cell.interval)}</small>"
    if cell.words:
        text += f'<small class="words">{html.escape(cell.words)}</small>'
    if cell.difference:
        # In two parts, between which the line may break: so the table fits a narrower page.
        difference, _, interval = cell.difference.partition(" ")
        mark = {1: " good", -1: " bad"}.get(cell.sign, "")
        parts = "".join(f" <span>{html.escape(part)}</span>" for part in (f"\u0394 {difference}", interval) if part)
        text += f'<small class="parts{mark}">{parts.lstrip()}</small>'
    return text


def _markdown_cell(cell: Cell, difference: bool) -> str:
    if difference:
        return markdown_text(cell.difference) or "-"
    text = markdown_text(cell.text)
    if cell.best:
        text = f"**{text}**"
    return " ".join(
        part for part in (text, "`v`" if cell.worse else "", markdown_text(cell.interval), markdown_text(cell.words)) if part
    )


def markdown_text(text: str) -> str:
    """Escapes what Markdown or the HTML in it would take for markup."""
    text = " ".join(text.split())
    for special in "\\`*_<>|":
        text = text.replace(special, "\\" + special)
    return text
