"""Results as JSON that every reader accepts: whole files, and no NaN, which JSON does not know."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> Path:
    """Writes a file whole or not at all; numbers that are not defined (NaN, infinite) become ``null``.

    Args:
        path: the file; its folder is made if need be.
        content: plain nested values.

    Returns:
        ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(_defined(content), indent=4, allow_nan=False) + "\n")
    partial.replace(path)
    return path


def _defined(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _defined(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_defined(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
