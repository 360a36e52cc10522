"""The network behind LPIPS, and where its weights come from."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import pickle
import urllib.request
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from maesil_monai.errors import UserError
from maesil_monai.whole_files import whole_file

logger = logging.getLogger(__name__)

WEIGHTS_VARIABLE = "MAESIL_LPIPS_WEIGHTS"
BACKBONE_NAME = "lpips_backbone_alex.pth"
TORCHVISION_URL = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
SHA256_START = "7be5be79"  # torchvision writes it into the file's name
TIMEOUT_SECONDS = 30.0


class LPIPSUnavailable(UserError, RuntimeError):
    """LPIPS cannot be measured here: its weights, or the packages that it needs, are not to be had. The message says why."""


def find_lpips_weights(download: bool = True) -> Path:
    """Finds the ImageNet weights of AlexNet, on which LPIPS stands.

    Looked for in this order: the file, or ``lpips_backbone_alex.pth`` in the folder, that the environment variable
    ``MAESIL_LPIPS_WEIGHTS`` names; torchvision's cache; a download into that cache, which is announced in the log.

    Args:
        download: False leaves the last step out.

    Raises:
        LPIPSUnavailable: if the variable names nothing that is there, or there is no other source.
    """
    named = os.environ.get(WEIGHTS_VARIABLE)
    if named:
        path = Path(named).expanduser()
        path = path / BACKBONE_NAME if path.is_dir() else path
        if not path.is_file():
            raise LPIPSUnavailable(f"{WEIGHTS_VARIABLE}={named}: there is no file {path}. Correct the variable or unset it.")
        return path
    cached = Path(torch.hub.get_dir()) / "checkpoints" / TORCHVISION_URL.rsplit("/", 1)[1]
    if cached.is_file():
        return cached
    ways = f"set {WEIGHTS_VARIABLE} to a folder with {BACKBONE_NAME}, or put {TORCHVISION_URL} at {cached}"
    if not download:
        raise LPIPSUnavailable(f"the AlexNet weights are not on this machine: {ways}.")
    try:
        _download(TORCHVISION_URL, cached)
    except (OSError, http.client.HTTPException) as error:
        raise LPIPSUnavailable(f"the AlexNet weights could not be downloaded ({error}): {ways}.") from error
    return cached


def lpips_network(weights: str | os.PathLike[str] | None = None, download: bool = True) -> Any:
    """Builds ``lpips.LPIPS(net="alex", spatial=True)`` with weights that are on this machine.

    Args:
        weights: the file; None looks for it as :func:`find_lpips_weights` does.
        download: as there.

    Returns:
        The network in evaluation mode, on the CPU, without gradients.

    Raises:
        LPIPSUnavailable: if the packages ``lpips`` and ``torchvision`` cannot be imported, or the weights are not to be had,
            cannot be read, or are not AlexNet's.
    """
    path = find_lpips_weights(download) if weights is None else Path(weights)
    try:
        features = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LPIPSUnavailable(f"{path} is no file of weights ({reason}). Delete it and fetch it anew.") from error
    network = _empty_network()
    _fill_backbone(network, features, path)
    return network.eval().requires_grad_(False)


def _empty_network() -> Any:
    """Builds the network with its own linear heads and a backbone of random weights, without word or trace."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):  # the random weights must not move the seed of others
        # lpips 0.1.4 asks torchvision in the way of its version 0.12.
        warnings.filterwarnings("ignore", message="The parameter 'pretrained' is deprecated", category=UserWarning)
        warnings.filterwarnings("ignore", message="Arguments other than a weight enum or `None`", category=UserWarning)
        try:
            import lpips  # here, because it brings torchvision, which takes seconds
        except ImportError as error:
            raise LPIPSUnavailable(f"the package lpips cannot be imported ({error}): pip install lpips.") from error
        return lpips.LPIPS(net="alex", spatial=True, pnet_rand=True, verbose=False)


def _fill_backbone(network: Any, weights: Any, path: Path) -> None:
    """Copies ``features.N.*`` into the slices of the backbone, whose layers keep torchvision's numbers N."""
    if not isinstance(weights, Mapping):
        raise LPIPSUnavailable(f"{path} holds a {type(weights).__name__}: expected the weights of AlexNet.")
    own = network.net.state_dict()
    names = {name: f"features.{name.partition('.')[2]}" for name in own}
    wrong = [name for part, name in names.items() if name not in weights or weights[name].shape != own[part].shape]
    if wrong:
        raise LPIPSUnavailable(f"{path}: {', '.join(wrong)} missing or of another shape. It is not AlexNet's file.")
    unused = {name for name in weights if name.startswith("features.")} - set(names.values())
    if unused:
        raise LPIPSUnavailable(f"{path}: AlexNet has no {', '.join(sorted(unused))}. It is not AlexNet's file.")
    network.net.load_state_dict({part: weights[name] for part, name in names.items()})


def _download(url: str, path: Path) -> None:
    """Fetches a file whole or not at all, and compares its checksum."""
    checksum = hashlib.sha256()
    partial = f".{path.name}.{os.getpid()}.partial"  # several processes may fetch it at the same time
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer, whole_file(path, partial=partial) as file:
        size = int(answer.headers.get("Content-Length", 0)) / 1e6
        logger.info("Downloading AlexNet's weights for LPIPS, this once: %s (%.1f MB) to %s", url, size, path)
        while block := answer.read(1 << 20):
            checksum.update(block)
            file.write(block)
        if not checksum.hexdigest().startswith(SHA256_START):
            raise OSError(f"{url} came with another checksum, {checksum.hexdigest()[:8]}: expected {SHA256_START}")
