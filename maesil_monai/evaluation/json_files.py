"""Results as JSON that every reader accepts: whole files, and no NaN, which JSON does not know."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maesil_monai.whole_files import write_whole


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> Path:
    """Writes a file whole or not at all; numbers that are not defined (NaN, infinite) become ``null``.

    Args:
        path: the file; its folder is made if need be.
        content: plain nested values.

    Returns:
        ``path``.
    """
    return write_whole(path, json.dumps(_defined(content), indent=4, allow_nan=False) + "\n")


def _defined(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _defined(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_defined(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
