"""What a checkpoint's run says of itself: are these the weights of the model they are given for?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.model_entry import Entry
from maesil_monai.errors import BadCheckpoint
from maesil_monai.networks.described_network import is_same
from maesil_monai.training.settings import RunSettings
from maesil_monai.training.trained_on import seen_scans
from maesil_monai.weights_file.read import read_weights

# What names and shapes of weights do not tell, or not in words that help. A preset is taken over where the entry names none, the
# others only judge.
COMPARED_KEYS = tuple(
    name for name in RunSettings.names("shared") if name not in ("preset", "min_body", "val_scans", "val_masks", "seed")
)


def preset_of(checkpoint: Path, entry: Entry, bundle: BundleFiles) -> str | None:
    """Reads the settings that a checkpoint was trained with and holds them against the entry.

    Returns:
        The preset the network was trained as, None where the weights tell none.

    Raises:
        BadCheckpoint: for weights of another network, other sizes or another training rule, of normalised targets, of which no
            picture can be judged, or that do not say what they are.
    """
    own: Mapping[str, Any] = read_weights(checkpoint).description.get("settings", {})
    expected = bundle.settings_of(entry)
    compared = (*COMPARED_KEYS, *(key for key, _ in entry.changes if key == "preset"))
    differing = [key for key in compared if key in own and not is_same(own[key], expected[key])]
    if differing:
        found = ", ".join(f"{key} {json.dumps(own[key])}" for key in differing)
        wanted = ", ".join(f"{key} {json.dumps(expected[key])}" for key in differing)
        cure = (
            "Networks trained on normalised targets have no PSNR and cannot be compared."
            if "normalise_patches" in differing
            else "Name the model as it was trained (MODEL@RULE+KEY=VALUE), and give the overlay with its sizes."
        )
        raise BadCheckpoint(checkpoint, f"weights of a run with {found}", f"{entry} with {wanted}", cure)
    return None if "preset" not in own else str(own["preset"])


def refuse_seen(checkpoint: Path, entry: Entry, scans: Sequence[Mapping[str, Any]]) -> None:
    """Refuses weights that have learnt from patients of the scans that are judged, as far as their record tells.

    Raises:
        BadCheckpoint: with how many, and one of them.
    """
    seen = seen_scans(checkpoint, scans)
    if seen:
        found = f"weights that were trained on {len(seen)} of the {len(scans)} scans to be judged ({seen[0]} ...)"
        cure = "Train anew (--train), or judge other scans. Are only the names alike? Then name the patients in the data list."
        raise BadCheckpoint(checkpoint, found, f"{entry} of which all judged patients were kept away", cure)
