"""The report as one page that needs nothing else: no network, no scripts, no other files."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from maesil_monai.data.prepare.report import count_codes
from maesil_monai.reports.histogram import histogram
from maesil_monai.reports.report_style import STYLE

Picture = tuple[str, str, str]

MAX_ROWS = 500
_CHARTS = (
    ("spacing_right_left_mm", "Voxel size, right-left", "mm"),
    ("spacing_foot_head_mm", "Voxel size, foot-head", "mm"),
    ("voxels_right_left", "Voxels, right-left", "voxels"),
    ("voxels_foot_head", "Voxels, foot-head", "voxels"),
    ("extent_right_left_mm", "Field of view, right-left", "mm"),
    ("extent_foot_head_mm", "Coverage, foot-head", "mm"),
)


def report_page(report: Mapping[str, Any], pictures: Sequence[Picture] = ()) -> str:
    """Makes the page.

    Args:
        report: from :func:`~maesil_monai.data.prepare.report.report_of`.
        pictures: ``(data URL, dataset, case)`` of thumbnails.

    Returns:
        HTML that loads nothing; its own policy forbids it.
    """
    scans = report["scans"]
    tiles = [
        (scans["admitted"], "scans admitted"),
        (report["patients"], "patients"),
        (scans["noted"], "admitted with a note"),
        (scans["refused"], "refused"),
        (sum(sum(whys.values()) for whys in report["not_ct"].values()), "not CT, or not chosen"),
        (scans["vanished"], "vanished since an earlier run"),
    ]
    body = [
        "<h1>CT store</h1>",
        f"<p>{scans['found']} scans found; collections: {len(report['datasets'])}. Scans and patients appear under the names "
        "that the data list uses; who they are stands in the private folder beside the store only.</p>",
        '<div class="tiles">',
        *(f'<div class="tile"><b>{number}</b>{html.escape(text)}</div>' for number, text in tiles),
        "</div>",
        "<h2>Collections</h2>",
        _datasets(report["datasets"]),
        *_refusals(report["refusals"]),
        *_notes(report["notes"]),
        *_not_ct(report["not_ct"]),
        *_vanished(report["vanished"]),
        *_charts(report["histograms"]),
        *_pictures(pictures, scans["admitted"]),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>CT store</title>'
        f"<style>{STYLE}</style></head>\n<body><main>\n" + "\n".join(body) + "\n</main></body></html>\n"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Sequence[int] = ()) -> str:
    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(
            f"<{tag}{' class=number' if place in numbers else ''}>{html.escape(str(cell))}</{tag}>"
            for place, cell in enumerate(row)
        )

    lines = "".join(f"<tr>{cells('td', row)}</tr>\n" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells("th", head)}</tr></thead><tbody>\n{lines}</tbody></table></div>'


def _datasets(datasets: Mapping[str, Mapping[str, Any]]) -> str:
    columns = ("found", "admitted", "refused", "patients", "labelled", "training", "validation", "test")
    rows = [(name, *(dataset[c] for c in columns), ", ".join(dataset["versions"])) for name, dataset in datasets.items()]
    if len(rows) > 1:
        rows.append(("all", *(sum(dataset[c] for dataset in datasets.values()) for c in columns), ""))
    return _table(("collection", *columns, "version"), rows, range(1, len(columns) + 1))


def _refusals(refusals: Sequence[Mapping[str, str]]) -> list[str]:
    if not refusals:
        return ["<h2>Refused</h2>", "<p>No scan was refused.</p>"]
    rows = [(refusal["dataset"], refusal["case_id"], refusal["code"]) for refusal in refusals[:MAX_ROWS]]
    return [
        "<h2>Refused</h2>",
        _table(("code", "scans", "what to do"), count_codes(refusals), (1,)),
        f"<details><summary>{_which(len(refusals))}</summary>{_table(('collection', 'scan', 'code'), rows)}</details>",
    ]


def _notes(notes: Sequence[Mapping[str, Any]]) -> list[str]:
    if not notes:
        return []
    codes = [{"code": code, "cure": ""} for note in notes for code in note["codes"]]
    rows = [(note["dataset"], note["case_id"], ", ".join(note["codes"])) for note in notes[:MAX_ROWS]]
    return [
        "<h2>Admitted with a note</h2>",
        _table(("code", "scans"), [(code, count) for code, count, _ in count_codes(codes)], (1,)),
        f"<details><summary>{_which(len(notes))}</summary>{_table(('collection', 'scan', 'codes'), rows)}</details>",
    ]


def _not_ct(not_ct: Mapping[str, Mapping[str, int]]) -> list[str]:
    rows = [(name, why, count) for name, whys in not_ct.items() for why, count in whys.items()]
    return ["<h2>Not CT, or not chosen</h2>", _table(("collection", "why", "files or series"), rows, (2,))] if rows else []


def _vanished(entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    rows = [(entry,) for entry in entries[:MAX_ROWS]]
    return [
        "<h2>Vanished</h2>",
        "<p>The store holds these entries, but this run found no source for them. They are not in the data list; "
        "<code>--prune</code> deletes them.</p>",
        f"<details><summary>{_which(len(entries))}</summary>{_table(('entry',), rows)}</details>",
    ]


def _which(count: int) -> str:
    return f"Which {count}" if count <= MAX_ROWS else f"The first {MAX_ROWS} of {count}; report.json has them all"


def _charts(histograms: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    if not histograms:
        return []
    drawn = [histogram(f"{title} (scans)", *_numbers(histograms[key]), unit) for key, title, unit in _CHARTS]
    drawn.append(histogram("HU (share of voxels, mean over scans, logarithmic)", *_numbers(histograms["hu"]), "HU", share=True))
    charts = [f"<figure><figcaption>{chart.caption}</figcaption>{chart.svg}</figure>" for chart in drawn]
    return ["<h2>How the scans are made</h2>", '<div class="charts">', *charts, "</div>"]


def _numbers(found: Mapping[str, Sequence[float]]) -> tuple[Sequence[float], Sequence[float]]:
    return found["edges"], found["counts"]


def _pictures(pictures: Sequence[Picture], num_admitted: int) -> list[str]:
    if not pictures:
        return []
    figures = [
        f'<figure><img src="{url}" alt="axial and coronal plane">'
        f"<figcaption>{html.escape(dataset)}<br>{html.escape(case)}</figcaption></figure>"
        for url, dataset, case in pictures
    ]
    chosen = "All scans" if len(pictures) == num_admitted else f"{len(pictures)} of {num_admitted} scans"
    text = f"<p>{chosen}: the middle axial and coronal plane, -600 to 600 HU, the patient's right on the left.</p>"
    return ["<h2>Thumbnails</h2>", text, '<div class="pictures">', *figures, "</div>"]
