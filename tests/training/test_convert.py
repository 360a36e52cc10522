"""Weights of before, which did not say what they are, say it once converted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from maesil_monai.__main__ import main
from maesil_monai.errors import BadCheckpoint, BadSetting
from maesil_monai.networks import build_network
from maesil_monai.networks.described_network import DESCRIPTION_KEY
from maesil_monai.training.convert import convert
from maesil_monai.training.settings import RunSettings
from maesil_monai.weights_file import load_network
from maesil_monai.weights_file.checkpoint_files import save_archive

TRAIN = json.loads((Path(__file__).parents[2] / "bundle" / "configs" / "train.json").read_text())
SHARED = {
    **{name: TRAIN[name] for name in RunSettings.names("shared")},
    **{"preset": "tiny", "superpatch_size": 16, "patch_size": 8, "decoder": "cross_attention"},
}


@pytest.fixture
def before(tmp_path: Path) -> Path:
    network = build_network("tiny", 16, 8, "cross_attention")
    weights = {name: value for name, value in network.state_dict().items() if name != DESCRIPTION_KEY}
    save_archive(tmp_path / "model.pt", weights)
    (tmp_path / "settings.json").write_text(json.dumps({"ckpt": "model.pt", **SHARED}))
    return tmp_path / "model.pt"


def test_converted_weights_are_the_same_and_say_of_which_network(before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["convert", str(before), str(before.with_name("new.pt"))])
    kept = torch.load(before, weights_only=True)
    for name in ("new.pt", "new.safetensors"):
        network = load_network(before.with_name(name))
        assert all(torch.equal(value, kept[key]) for key, value in network.state_dict().items() if key != DESCRIPTION_KEY)
        assert network.description["settings"] == SHARED
    capsys.readouterr()
    main(["describe", str(before.with_name("new.safetensors"))])
    shown = capsys.readouterr().out.splitlines()
    assert "  window_hu                 -1000, 1000" in shown
    assert "  decoder                   cross_attention" in shown


def test_what_does_not_belong_together_is_refused_and_nothing_is_written(before: Path, tmp_path: Path) -> None:
    new, settings = tmp_path / "out" / "model.pt", tmp_path / "settings.json"
    for wrong, message in (({"decoder": "self_attention"}, "missing"), ({"preset": "small"}, "of wrong shape")):
        settings.write_text(json.dumps({**SHARED, **wrong}))
        with pytest.raises(BadCheckpoint, match=f"{message}.*Give the settings.json of the run that made them"):
            convert(before, new)
    settings.write_text(json.dumps({**SHARED, "window_hu": "wide"}))
    with pytest.raises(BadSetting, match="window_hu='wide'"):
        convert(before, new)
    for text, message in (("{", "an object of settings"), ("[]", "no preset"), ('{"preset": "tiny"}', "no decoder")):
        settings.write_text(text)
        with pytest.raises(BadSetting, match=message):
            convert(before, new)
    settings.unlink()
    with pytest.raises(FileNotFoundError, match=r"settings\.json"):
        convert(before, new)
    assert not new.parent.exists()


def test_weights_that_say_what_they_are_stay_as_they_are(before: Path, tmp_path: Path) -> None:
    convert(before, tmp_path / "new.pt")
    shutil.copy(tmp_path / "new.pt", tmp_path / "again.pt")
    with pytest.raises(BadCheckpoint, match="Use them as they are"):
        convert(tmp_path / "again.pt", tmp_path / "new.pt")
