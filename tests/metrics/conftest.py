"""AlexNet's file of weights, with random ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from maesil_monai.metrics import lpips_network

LAYERS = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like torchvision's, of the classifier only one tensor."""
    generator = torch.Generator().manual_seed(0)
    state = {"classifier.1.bias": torch.zeros(2)}
    for number, shape in LAYERS.items():
        spread = (2 / (shape[1] * shape[2] * shape[3])) ** 0.5
        state[f"features.{number}.weight"] = spread * torch.randn(shape, generator=generator)
        state[f"features.{number}.bias"] = 0.1 * torch.randn(shape[0], generator=generator)
    path = tmp_path_factory.mktemp("weights") / "lpips_backbone_alex.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="session")
def random_network(random_weights: Path) -> Any:
    """LPIPS on these weights."""
    return lpips_network(random_weights)
