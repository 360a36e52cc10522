"""Calls of the comparison that cannot be carried out end in one clear line, before anything is read, trained or written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from maesil_monai.__main__ import main
from maesil_monai.comparison import compare
from maesil_monai.comparison.bundle_files import SET_BY_COMPARISON, BundleFiles
from maesil_monai.comparison.model_entry import Entry
from maesil_monai.comparison.report.systems import System
from maesil_monai.comparison.request import MODELS, Request

ROOT = Path(__file__).parents[2]
BUNDLE = BundleFiles.find(ROOT / "bundle")
CALL = ("compare", "--store", "store", "--output", "out")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _error(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Gives the one line of a call that fails."""
    with pytest.raises(SystemExit) as ended:
        main([*CALL, *words])
    assert ended.value.code == 1
    return _one_line(capsys.readouterr().err)


def _one_line(shown: str) -> str:
    (line,) = (line for line in shown.splitlines() if line.startswith("error:"))
    assert "Traceback" not in shown
    assert not Path("out").exists()
    return line


def _request(monkeypatch: pytest.MonkeyPatch, *words: str) -> Request:
    """Gives the request that a call makes."""
    made: list[Request] = []
    monkeypatch.setattr(compare, "compare", lambda request, command: made.append(request) or [])
    main([*CALL, *words])
    return made[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--learning_rates 0.1,x --train", "learning_rates='x': expected numbers"),
        ("--overlay broken.json", "broken.json, line 2, column 19: "),
    ],
)
def test_a_bad_call_of_the_program_is_one_line_and_exit_code_1(words: str, message: str, tmp_path: Path) -> None:
    # 4 spaces, 12 characters of the key, a colon and a space; then a comma, where the value is missing.
    Path("broken.json").write_text('{\n    "max_epochs": ,\n}')
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-m", "maesil_monai", *CALL, *words.split()],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert message in _one_line(ran.stderr)
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--models unet --train", "model 'unet' is unknown"),
        ("--models maesil", "no weights for maesil@total"),
        ("--models maesil --rules diagonal", "expected one or more of total"),
        ("--models maesil --checkpoints mae=m.pt --train", "checkpoints of mae@random"),
        ("--checkpoints mae=lost.pt", "lost.pt"),
        ("--checkpoints maesil", "checkpoint 'maesil': expected MODEL=FILE"),
        ("--checkpoints maesil=", "expected MODEL=FILE"),
        ("--checkpoints maesil@diagonal=m.pt", "with a rule of total, "),
        ("--checkpoints maesil+decoder=cross_attention", "expected MODEL=FILE"),
        ("--checkpoints 5", "checkpoint '5': expected MODEL=FILE"),
        ("--models", "models=True: expected one value"),
        ("--models maesil+superpatch_size=[32,32,mae", "'[32,32,mae' is no JSON"),
        ("--seeds a", "seeds='a': expected whole numbers"),
        ("--seeds 0,1.5", "seeds='1.5': expected whole numbers"),
        ("--seeds=-1", "seeds=(-1,): expected one or more whole numbers, 0 or more"),
        ("--seeds 1,2,1", "seeds=(1, 2, 1): expected each seed once"),
        ("--seeds=[] --train", "seeds=[]: expected one or more values"),
        ("--seeds", "seeds=True: expected one value"),
        ("--learning_rates 0.1,x", "learning_rates='x': expected numbers"),
        ("--learning_rates 0.1,0", "learning_rates=(0.1, 0.0): expected finite numbers above 0"),
        ("--learning_rates nan", "learning_rates=(nan,): expected finite"),
        ("--learning_rates 0.1,1e-1", "learning_rates=(0.1, 0.1): expected rates that differ"),
        ("--search_share abc", "search_share='abc': expected numbers"),
        ("--search_share inf", "search_share=inf: expected a number above 0, at most 1"),
        ("--search_share 0", "search_share=0.0: expected a number above 0"),
        ("--search_share 1.01", "search_share=1.01: expected a number above 0, at most 1"),
        ("--figures abc", "figures='abc': expected whole numbers"),
        ("--figures=-1", "figures=-1: expected a whole number, 0 or more"),
        ("--figures 1,2", "figures=(1, 2): expected whole numbers"),
        ("--max_superpatches=-1", "max_superpatches=-1: expected a whole number, 0 or more"),
        ("--max_superpatches 0.5", "max_superpatches=0.5: expected whole numbers"),
        ("--section training", "section='training': expected test or validation"),
        ("--train yes", "train='yes': expected no value"),
        ("--ablate 2", "ablate=2: expected no value"),
        ("--leave_out", "leave_out=True: expected one value"),
        ("--bundle 5", "5/configs/train.json"),
        ("--overlay", "overlay=True: expected one value"),
        ("--overlay lost.json", "lost.json"),
    ],
)
def test_a_bad_option_is_told_with_what_was_found_and_expected(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("m.pt").touch()
    line = _error(words.split(), capsys)
    assert message in line


def test_an_empty_list_is_not_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("models", "checkpoints", "rules", "learning_rates", "seeds"):  # a variable of a shell that is not set, say
        assert f"{option}='': expected one or more values" in _error([f"--{option}", "", "--train"], capsys)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "overlay.json, line 1, column 1: "),
        ('{"max_epochs": 2', "overlay.json, line 1, column 17: "),
        ("[1]", "overlay.json: found a list; expected an object"),
        (b"\xff\xfe", "overlay.json: "),
        ({"seed": 3}, "overlay.json sets seed,"),
        ({"leave_out": "lidc"}, "overlay.json sets leave_out,"),
        ({"time_limit_minutes": 5}, "every model trains for the same number of steps"),
        ({"normalise_patches": True, "max_epochs": 2}, "their PSNR is not defined"),
    ],
)
def test_a_bad_overlay_is_named(content: Any, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    raw = (
        json.dumps(content).encode() if isinstance(content, dict) else content if isinstance(content, bytes) else content.encode()
    )
    Path("overlay.json").write_bytes(raw)
    assert message in _error(["--train", "--overlay", "overlay.json"], capsys)


def test_an_overlay_may_say_what_holds_anyway() -> None:
    Path("overlay.json").write_text(json.dumps({"time_limit_minutes": None, "normalise_patches": False, "max_epochs": 3}))
    files = BundleFiles.find(ROOT / "bundle", "overlay.json")
    assert files.settings_of(Entry("mae"))["max_epochs"] == 3


def test_models_are_split_at_commas_outside_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    changed, plain = "maesil@total+superpatch_size=[32,32,16]", "mae@random"
    for text, expected in (
        ("maesil+superpatch_size=[32,32,16],mae", [changed, plain]),
        ("'maesil+superpatch_size=[32,32,16]','mae'", [changed, plain]),
        ("maesil+superpatch_size=[32,32,16]", [changed]),
        ("mae, maesil+superpatch_size=[32, 32, 16],", [plain, changed]),
        ("[mae,'maesil+superpatch_size=[32,32,16]']", [plain, changed]),
        ("mae", [plain]),
        ("mae,mae@random", [plain]),
    ):
        assert [str(entry) for entry in _request(monkeypatch, "--models", text, "--train").entries] == expected
    (entry, _) = _request(monkeypatch, "--models", "maesil+superpatch_size=[32,32,16],mae").entries
    assert entry.changes == (("superpatch_size", [32, 32, 16]),)


def test_a_file_begins_at_the_first_equals_sign_that_is_not_of_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["seed=1/a.pt", "seed=2/a+decoder=b.pt", "c.pt"]
    for name in names:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    request = _request(
        monkeypatch,
        "--checkpoints",
        f"maesil={names[0]},maesil@total={names[1]},maesil@plane+decoder=cross_attention={names[0]},"
        f"maesil+superpatch_size=[32,32,16]+mask_ratio=0.6={names[1]},mae={names[2]}",
    )
    assert (
        {name: [str(file) for file in files] for name, files in request.weights.items()}
        == {
            "maesil@total": names[:2],  # by either name
            "maesil@plane+decoder=cross_attention": names[:1],
            "maesil@total+superpatch_size=[32,32,16]+mask_ratio=0.6": names[1:2],
            "mae@random": names[2:],
        }
    )
    assert [str(entry) for entry in request.entries] == list(request.weights)


def test_options_arrive_as_what_they_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = _request(monkeypatch, "--train")
    assert plain.entries == tuple(BUNDLE.with_rule(Entry.parse(name)) for name in MODELS)
    assert (plain.seeds, plain.learning_rates, plain.search_share, plain.leave_out) == ((0,), (), 0.2, "")
    words = (
        "--models mae --train --seeds 3,1 --learning_rates 1e-4,0.001 --search_share 1 --rules plane,total --section validation"
    )
    full = _request(monkeypatch, *words.split(), "--leave_out", "2024", "--figures", "0", "--max_superpatches", "6", "--ablate")
    assert (full.seeds, full.learning_rates, full.search_share) == ((3, 1), (1e-4, 1e-3), 1.0)
    assert (full.rules, full.section, full.leave_out) == (("plane", "total"), "validation", "2024")
    assert (full.figures, full.max_superpatches, full.train) == (0, 6, True)
    assert str(full.entries[0]) == "mae@random"
    assert "maesil@total+decoder=cross_attention" in map(str, full.entries)


def test_a_change_of_what_is_no_setting_is_refused_with_names_near_it(capsys: pytest.CaptureFixture[str]) -> None:
    line = _error(["--models", "mae,maesil@total+decodr=cross_attention", "--train"], capsys)
    assert "decodr is no setting of train.json; did you mean decoder" in line
    for key in ("network_def", "settings", "train#loss", "device"):  # there, but not a user's settings
        with pytest.raises(ValueError, match=f"{key} is no setting of train.json"):
            BUNDLE.settings_of(Entry("maesil", "total", ((key, 1),)))


def test_a_change_to_what_a_setting_cannot_be_is_refused_before_anything_is_trained(capsys: pytest.CaptureFixture[str]) -> None:
    line = _error(["--models", "mae+mask_ratio=2", "--train"], capsys)
    assert "model 'mae+mask_ratio=2': mask_ratio=2: expected a number, above 0 and below 1." in line


def test_the_forms_of_an_autoencoder_share_its_overlay_and_keep_their_names() -> None:
    for name, changed in (
        ("vae", {}),
        ("vae_8", {"voxels_per_latent": 8}),
        ("vae_512", {"voxels_per_latent": 512}),
        ("vae_masked", {"masked_input": True, "loss_on_all": False}),
    ):
        entry = BUNDLE.with_rule(Entry.parse(name))
        assert str(entry) == f"{name}@total"
        assert BUNDLE.files_of(name) == BUNDLE.files_of("vae")
        assert BUNDLE.settings_of(entry) == {**BUNDLE.settings_of(Entry("vae")), **changed}
        assert System(entry.label, entry.rule).group == ("inpainting" if name == "vae_masked" else "whole")
    for name in ("mae_8", "vae_16", "hi_end_mae_masked"):
        with pytest.raises(ValueError, match=f"model '{name}' is unknown"):
            BUNDLE.settings_of(Entry(name))


@pytest.mark.parametrize("key", sorted(SET_BY_COMPARISON))
def test_a_change_of_what_is_the_same_for_all_models_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=rf"maesil\+{key}=1': {key} is the same for all models; ") as raised:
        Request("store", Path("out"), models=(f"maesil+{key}=1",), train=True, bundle=ROOT / "bundle")
    assert SET_BY_COMPARISON[key] in str(raised.value)


def test_an_entry_is_read_from_its_own_text() -> None:
    values: list[Any] = [
        [32, 32, 16],
        [0.5, 0.0],
        0.6,
        1e22,
        1e-7,
        True,
        None,
        -3,
        "conv",
        "NaN",
        "0.6",
        "[x",
        {"btcv": 2},
        [[1], "a"],
    ]
    for value in values:
        entry = Entry("maesil", "plane", (("decoder", "cross_attention"), ("spacing_mm", value)))
        assert Entry.parse(str(entry)) == entry
        assert len({entry, Entry.parse(str(entry))}) == 1
    with pytest.raises(ValueError, match="mask_ratio is changed twice"):
        Entry.parse("mae+mask_ratio=0.6+mask_ratio=0.7")
