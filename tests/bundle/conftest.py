"""One small training run that the tests of the bundle share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle_runs import TRAINING, Trained, run


@pytest.fixture(scope="session")
def trained(scan_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two epochs on four scans, validated before the first and after the last one."""
    folder = tmp_path_factory.mktemp("trained")
    made = run("train", run_id="training", dataset_dir=str(scan_folder), output_dir=str(folder), **TRAINING)
    return Trained(folder, made.trainer)


@pytest.fixture(autouse=True)
def _unchanged_logging() -> Iterator[None]:
    """Takes back what a bundle's ``logging.conf`` sets, for handlers of a finished test would write into a closed stream."""
    root, ignite = logging.getLogger(), logging.getLogger("ignite")
    handlers, levels, propagate = list(root.handlers), (root.level, ignite.level), ignite.propagate
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ignite.setLevel(levels[1])
    ignite.propagate = propagate
