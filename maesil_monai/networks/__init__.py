"""Networks behind one contract: ``network(image, hidden=None, target=None)`` returns one volume of the image's shape."""

from maesil_monai.networks.autoencoders import ConvolutionalAutoEncoder3D, auxiliary_loss_of, build_autoencoder
from maesil_monai.networks.mae import MaskedAutoEncoder3D
from maesil_monai.networks.presets import PRESETS, build_network, build_slice_network
from maesil_monai.networks.slice_mae import SliceMaskedAutoEncoder

__all__ = [
    "PRESETS",
    "ConvolutionalAutoEncoder3D",
    "MaskedAutoEncoder3D",
    "SliceMaskedAutoEncoder",
    "auxiliary_loss_of",
    "build_autoencoder",
    "build_network",
    "build_slice_network",
]
