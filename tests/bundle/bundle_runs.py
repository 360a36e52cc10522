"""The bundle's workflows in this process, with settings so small that a run takes seconds."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigWorkflow

BUNDLE = Path(__file__).resolve().parents[2] / "bundle"
CONFIGS = BUNDLE / "configs"
# A cube of 2^3 superpatches of 4^3 patches of 4^3 voxels.
SIZES: dict[str, Any] = {"preset": "tiny", "cube_size": 32, "superpatch_size": 16, "patch_size": 4}
# Six of the superpatches of two scans are judged, each under two masks.
JUDGED: dict[str, Any] = {**SIZES, "val_scans": 2, "val_superpatches": 6, "num_panels": 1, "num_workers": 0}
# Four batches of two superpatches per epoch, at a learning rate of 0.001.
TRAINING: dict[str, Any] = {
    **JUDGED,
    "batch_size": 2,
    "accumulation": 1,
    "superpatches_per_epoch": 8,
    "max_epochs": 2,
    "val_interval": 2,
    "warmup_steps": 2,
    "learning_rate": 1e-3,
    "learning_rate_batch": None,
}


@dataclass(frozen=True)
class Trained:
    """A finished run: its folder, and the trainer as it was left."""

    folder: Path
    trainer: Any

    @property
    def settings(self) -> Path:
        """The overlay for evaluation and inference that the run left behind."""
        return self.folder / "settings.json"


@contextlib.contextmanager
def unchanged_process() -> Iterator[None]:
    """Takes back what a bundle changes in the process that runs it: how errors are printed and where modules are looked for."""
    hook, path = sys.excepthook, list(sys.path)
    try:
        yield
    finally:
        sys.excepthook, sys.path[:] = hook, path


def config_files(*names: str | Path) -> list[str]:
    """Gives the paths of configurations of the bundle by name (or as they are), the first one to be overlaid by the others."""
    return [str(name) if isinstance(name, Path) else str(CONFIGS / f"{name}.json") for name in names]


def workflow(*names: str | Path, **overrides: Any) -> ConfigWorkflow:
    """Makes a workflow as ``monai.bundle run`` does, and initialises it.

    The bundle's logging configuration is left out: it would replace the handlers that tests read log lines with.
    """
    kind = "train" if names[0] == "train" else "infer"
    made = ConfigWorkflow(config_files(*names), logging_file=False, workflow_type=kind, bundle_root=str(BUNDLE), **overrides)
    with unchanged_process():
        made.initialize()
    return made


def run(*names: str | Path, run_id: str = "run", **overrides: Any) -> ConfigWorkflow:
    """Makes a workflow and runs it to its end."""
    made = workflow(*names, run_id=run_id, **overrides)
    with unchanged_process():
        made.run()
        made.finalize()
    return made
