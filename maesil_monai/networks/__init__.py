"""Networks behind one contract: ``network(image, hidden=None, target=None)`` returns one volume of the image's shape."""

from maesil_monai.networks.mae import MaskedAutoEncoder3D
from maesil_monai.networks.presets import PRESETS, build_network

__all__ = ["PRESETS", "MaskedAutoEncoder3D", "build_network"]
