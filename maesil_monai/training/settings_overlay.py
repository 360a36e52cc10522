"""The settings a finished network is used with, as an overlay for the bundle's other configurations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events

from maesil_monai.training.durable_checkpoint import BEST_NAME
from maesil_monai.whole_files import write_whole

OVERLAY_NAME = "settings.json"


class SettingsOverlay:
    """Writes ``settings.json`` when a run starts: network, sizes, window and masks, and ``ckpt``, the run's best model.

    ``--config_file "['bundle/configs/inference.json','OUTPUT/settings.json']"`` then uses the network as it was trained.

    Args:
        output_dir: the run's folder.
        settings: keys of the configuration that training, evaluation and inference share.

    Example:
        >>> SettingsOverlay("output", {"preset": "tiny"}).path.name
        'settings.json'
    """

    def __init__(self, output_dir: str | Path, settings: Mapping[str, Any]) -> None:
        self.path = Path(output_dir) / OVERLAY_NAME
        self.settings = dict(settings)

    def attach(self, engine: Engine) -> None:
        """Follows a MONAI trainer."""
        if idist.get_rank() == 0:
            engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Writes the file whole or not at all."""
        overlay = {"ckpt": str(self.path.parent.resolve() / BEST_NAME), **self.settings}
        write_whole(self.path, json.dumps(overlay, indent=4) + "\n")
