"""Files of weights that know what they are: written, read, described, and turned into the network they are of."""

from maesil_monai.weights_file.describe import describe
from maesil_monai.weights_file.load import load_network, network_of
from maesil_monai.weights_file.read import Weights, read_weights
from maesil_monai.weights_file.save import save_weights

__all__ = ["Weights", "describe", "load_network", "network_of", "read_weights", "save_weights"]
