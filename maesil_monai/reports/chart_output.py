"""The two forms of a chart: SVG that follows the page it stands in, and PNG for a file."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from maesil_monai.reports.chart_style import COLOURS
from maesil_monai.whole_files import write_whole

_TIP = "tip: "


def set_tip(artist: Artist, words: str) -> None:
    """Gives a mark of an SVG words that show under the pointer."""
    artist.set_gid(_TIP + words)


def as_svg(figure: Figure, title: str = "", description: str = "") -> str:
    """Draws a figure as an element for a page: the same bytes for the same figure, and no id that another chart has.

    Args:
        figure: in colours of :data:`~maesil_monai.reports.chart_style.COLOURS`, each of which becomes a variable of the page.
        title: what it is, for those who do not see it; without one it is a sample in a legend, and hidden from them.
        description: what it shows. No two charts of a page have the same title and description.

    Returns:
        An ``<svg>`` element in the page's font, without a size of its own.
    """
    stream = io.BytesIO()
    # Ids of markers are made from the salt. What is no text could not be read or searched.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": title + description}):
        figure.savefig(stream, format="svg", facecolor="none", metadata={"Date": None})
    root = ElementTree.fromstring(stream.getvalue())
    pointed_at = re.findall(r"#(\w+)", stream.getvalue().decode())
    for element in root.iter():
        for child in list(element):
            # A style would be one of the whole page. What needs no clipping needs no url(), which a page's test looks for.
            if child.tag.endswith(("metadata", "style", "clipPath")):
                element.remove(child)
        name = element.get("id", "")
        if name.startswith(_TIP):
            _put_first(element, "title", name.removeprefix(_TIP))
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {  # two decimals are enough on a screen
            key.rpartition("}")[2]: re.sub(r"(\.\d\d)\d+", r"\1", value)
            for key, value in element.attrib.items()
            if key != "clip-path" and (key != "id" or name in pointed_at)
        }
    view = {"viewBox": root.attrib["viewBox"]}
    if title:
        root.attrib = {**view, "role": "img", "aria-label": f"{title}. {description}"}
        _put_first(root, "desc", description)
        _put_first(root, "title", title)
    else:
        root.attrib = {**view, "class": "sample", "aria-hidden": "true"}
    svg = re.sub(r">\s+<", "><", ElementTree.tostring(root, encoding="unicode"))
    # Older releases of matplotlib write "font: 11px 'DejaVu Sans'", newer ones size and family apart.
    svg = re.sub(r"font: (\S+) [^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r'<g />|font-family: [^;"]*; |transform="rotate\(-0 [^"]*"', "", svg)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg


def save_png(figure: Figure, path: str | os.PathLike[str], dpi: int = 150) -> Path:
    """Writes a figure as PNG, whole or not at all.

    Args:
        figure: what to write.
        path: the file; its folder is made if need be.
        dpi: pixels per inch.

    Raises:
        OSError: if it cannot be written; the old file is then untouched.
    """
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi)
    return write_whole(path, stream.getvalue())


def _put_first(element: ElementTree.Element, tag: str, words: str) -> None:
    child = ElementTree.Element(tag)
    child.text = words
    element.insert(0, child)
