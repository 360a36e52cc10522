"""Starting a network from the weights of another run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from maesil_monai.errors import BadCheckpoint
from maesil_monai.training.weights import started_from
from maesil_monai.weights_file import save_weights
from maesil_monai.weights_file.checkpoint_files import save_checkpoint


def _values(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("path", ["", None])
def test_without_a_file_the_network_stays_as_it_is(path: str | None) -> None:
    network = nn.Linear(2, 3)
    before = _values(network)
    assert started_from(network, path) is network
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_same_network_comes_back_with_the_weights_of_the_file(tmp_path: Path) -> None:
    network, other = nn.Linear(2, 3), nn.Linear(2, 3)
    save_weights(tmp_path / "model.pt", other.state_dict())
    assert started_from(network, tmp_path / "model.pt") is network
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in network.state_dict().items())


def test_of_a_checkpoint_the_averaged_weights_are_taken_where_there_are_any(tmp_path: Path) -> None:
    trained, averaged = nn.Linear(2, 3), nn.Linear(2, 3)
    for name, module, expected in (("with", averaged.state_dict(), averaged), ("without", {}, trained)):
        state = {"network": trained.state_dict(), "average": {"num_updates": 1, "module": dict(module)}}
        save_checkpoint(tmp_path / f"{name}.pt", state)
        network = started_from(nn.Linear(2, 3), tmp_path / f"{name}.pt")
        assert torch.equal(network.weight, expected.weight)


def test_a_file_of_another_architecture_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    save_weights(tmp_path / "model.pt", nn.Conv3d(1, 2, 3).state_dict())
    network = nn.Linear(5, 7)
    before = _values(network)
    with pytest.raises(BadCheckpoint, match="0 tensors loaded"):
        started_from(network, tmp_path / "model.pt")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
