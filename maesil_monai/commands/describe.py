"""``describe``: what a file of weights says of itself."""

from __future__ import annotations

from maesil_monai.weights_file import describe as describe_weights
from maesil_monai.weights_file import read_weights


def describe(file: str) -> None:
    """Prints network, preprocessing, masks, recipe, patients (hashed), cost and last validation of a file of weights.

    Args:
        file: model.pt, its safetensors form, or a training checkpoint.
    """
    print(describe_weights(read_weights(str(file))))
