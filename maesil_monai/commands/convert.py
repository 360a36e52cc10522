"""``convert``: adds to weights of before what they are."""

from __future__ import annotations

from maesil_monai.training.convert import convert as convert_weights


def convert(file: str, output: str, settings: str | None = None) -> None:
    """Writes weights that do not say of which network they are anew, with the settings of their run, and as safetensors.

    Args:
        file: weights or a training checkpoint of a masked autoencoder.
        output: the file to write, such as model.pt in another folder.
        settings: the settings.json of their run; the one beside FILE if none is named.
    """
    convert_weights(str(file), str(output), None if settings is None else str(settings))
    print(f"Wrote {output}")
