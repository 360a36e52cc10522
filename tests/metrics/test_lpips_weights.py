import hashlib
import logging
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch

from maesil_monai.metrics import LPIPSUnavailable, find_lpips_weights, lpips_network
from maesil_monai.metrics import lpips_network as build
from maesil_monai.metrics.lpips_weights import WEIGHTS_VARIABLE

MODULE = "maesil_monai.metrics.lpips_weights"
FILE_NAME = "alexnet-owt-7be5be79.pth"
GIVEN = os.environ.get(WEIGHTS_VARIABLE)  # before it is unset for each test


@pytest.fixture(autouse=True)
def _empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable, an empty cache, and no network: a download fails at once."""
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(f"{MODULE}.TORCHVISION_URL", (tmp_path / "nowhere" / FILE_NAME).as_uri())


def test_the_variable_names_a_folder_or_a_file(random_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (random_weights, random_weights.parent):
        monkeypatch.setenv(WEIGHTS_VARIABLE, str(value))
        assert find_lpips_weights(download=False) == random_weights
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(random_weights.parent / "elsewhere"))
    with pytest.raises(LPIPSUnavailable, match=r"elsewhere.*Correct the variable or unset it"):
        find_lpips_weights()


def test_torchvisions_cache_is_used_if_the_file_is_there(tmp_path: Path) -> None:
    cached = tmp_path / "hub" / "checkpoints" / FILE_NAME
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert find_lpips_weights(download=False) == cached


def test_a_download_says_what_it_does_and_checks_what_it_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "nowhere" / FILE_NAME
    source.parent.mkdir()
    source.write_bytes(bytes(2_000_000))
    cached = tmp_path / "hub" / "checkpoints" / FILE_NAME
    with pytest.raises(LPIPSUnavailable, match="another checksum"):
        find_lpips_weights()
    assert list(cached.parent.iterdir()) == []
    monkeypatch.setattr(f"{MODULE}.SHA256_START", hashlib.sha256(bytes(2_000_000)).hexdigest()[:8])
    with caplog.at_level(logging.INFO, logger=MODULE):
        assert find_lpips_weights() == cached
    assert [path.name for path in cached.parent.iterdir()] == [FILE_NAME]
    assert cached.stat().st_size == 2_000_000
    (message,) = [record.message for record in caplog.records]
    assert f"{source.as_uri()} (2.0 MB) to {cached}" in message


def test_without_any_source_the_reason_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LPIPSUnavailable, match=r"could not be downloaded.*MAESIL_LPIPS_WEIGHTS.*alexnet-owt"):
        find_lpips_weights()

    def unexpected(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(urllib.request, "urlopen", unexpected)
    with pytest.raises(LPIPSUnavailable, match=r"not on this machine.*MAESIL_LPIPS_WEIGHTS"):
        find_lpips_weights(download=False)


def test_the_weights_of_every_layer_come_from_the_file(random_weights: Path, random_network: Any) -> None:
    state = torch.load(random_weights, weights_only=True)
    own = {f"features.{name.split('.', 1)[1]}": value for name, value in random_network.net.state_dict().items()}
    assert own.keys() == state.keys() - {"classifier.1.bias"}
    assert all(torch.equal(own[name], state[name]) for name in own)
    assert not random_network.training
    assert not any(parameter.requires_grad for parameter in random_network.parameters())


def test_building_it_is_silent_and_leaves_the_random_state_alone(random_weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    lpips_network(random_weights)  # warnings are errors in tests
    assert torch.equal(torch.rand(1), expected)
    assert capfd.readouterr() == ("", "")


def test_files_that_are_not_alexnets_are_refused(random_weights: Path, tmp_path: Path) -> None:
    state = torch.load(random_weights, weights_only=True)
    broken = tmp_path / "broken.pth"
    broken.write_bytes(random_weights.read_bytes()[:1000])
    wrong = {
        "missing": {name: value for name, value in state.items() if name != "features.6.bias"},
        "shape": state | {"features.6.bias": torch.zeros(3)},
        "more": state | {"features.12.bias": torch.zeros(3)},
        "list": [1, 2],
    }
    for name, content in wrong.items():
        torch.save(content, tmp_path / f"{name}.pth")
    for name, reason in (
        ("missing", "features.6.bias missing"),
        ("shape", "features.6.bias missing or of another shape"),
        ("more", "no features.12.bias"),
        ("list", "holds a list"),
        ("broken", "is no file of weights"),
        ("absent", "is no file of weights"),
    ):
        with pytest.raises(LPIPSUnavailable, match=reason):
            build(tmp_path / f"{name}.pth")


@pytest.mark.skipif(GIVEN is None, reason=f"{WEIGHTS_VARIABLE} names no weights")
def test_the_golden_value_is_reproduced() -> None:
    torch.manual_seed(123)
    one, other = torch.rand(10, 3, 100, 100) * 2 - 1, torch.rand(10, 3, 100, 100) * 2 - 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WEIGHTS_VARIABLE, str(GIVEN))
        network = lpips_network()
    network.spatial = False
    assert float(network(one, other).mean()) == pytest.approx(0.14856, abs=1e-5)
