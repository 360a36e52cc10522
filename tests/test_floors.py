"""The rooms of the package stand on floors, and imports run down: see maesil_monai/HOUSE.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import maesil_monai

PACKAGE = Path(maesil_monai.__file__).parent
# From the roof to the ground. Rooms of one floor may import one another.
FLOORS = (
    ("__main__",),
    ("commands", "plain_errors", "option_names"),
    ("integrations",),
    ("comparison",),
    ("transfer",),
    ("evaluation",),
    ("phantom",),
    ("training",),
    ("transforms",),
    ("data",),
    ("reports",),
    ("weights_file",),
    ("networks", "losses", "metrics", "inferers"),
    ("errors", "config_names", "option_values", "folder_lock", "geometry", "masking", "interpolation", "whole_files"),
)
HEIGHT = {room: height for height, floor in enumerate(reversed(FLOORS)) for room in floor}


def imports_of(source: str) -> Iterator[str]:
    """Gives the rooms that a file imports from, within functions too."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "maesil_monai" and len(parts) > 1 and parts[1] != "__version__":
                yield parts[1]


def climbs(room: str, source: str) -> list[str]:
    """Lists the rooms above its own floor that a file imports from."""
    return [other for other in imports_of(source) if HEIGHT[other] > HEIGHT[room]]


def test_every_room_has_a_floor() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert rooms - {"__init__"} <= HEIGHT.keys()


def test_imports_run_down_the_floors() -> None:
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        place = file.relative_to(PACKAGE)
        room = place.parts[0].removesuffix(".py")
        if room != "__init__":
            found += [f"{place} imports {other}" for other in climbs(room, file.read_text(encoding="utf-8"))]
    assert found == []


def test_an_import_that_runs_up_is_seen() -> None:
    assert climbs("data", "def late():\n    from maesil_monai.training.ema import WeightAverage\n") == ["training"]
    assert climbs("training", "import maesil_monai.data.samples\nfrom maesil_monai import __version__\n") == []
