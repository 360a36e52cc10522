"""Pages that need nothing else: no network, no other file, no script but one that is named by its hash."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

ENVIRONMENT = Environment(
    loader=PackageLoader("maesil_monai.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, script: str = "", **content: Any) -> str:
    """Sets a page.

    Args:
        template: file in ``templates`` that extends ``base.html.j2``.
        script: the only one that the page may run; others cannot, even if a text smuggled one in.
        content: what the template shows. Text is escaped; HTML and SVG are marked ``safe`` by the template.

    Returns:
        HTML that loads nothing; its own policy (``Content-Security-Policy``) forbids it.

    Raises:
        jinja2.UndefinedError: if the template wants something that ``content`` lacks.

    Example:
        >>> "<h1>a &lt; b</h1>" in page("base.html.j2", title="a < b")
        True
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return ENVIRONMENT.get_template(template).render(script=script, script_sha256=digest, **content)
