"""Files that appear whole or not at all."""

import json
import math
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from maesil_monai.whole_files import sync_folder, whole_file, write_json, write_whole


def test_the_content_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    assert write_whole(path, "old") == path
    write_whole(path, "n\u00e4chster")
    assert path.read_text(encoding="utf-8") == "n\u00e4chster"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_whole(tmp_path / "a.json", "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_an_error_within_the_block_leaves_the_old_content(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a.json", "old")
    with suppress(KeyError), whole_file(path) as file:
        file.write(b"ne")
        raise KeyError
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_private_file_is_private_from_its_first_byte_whatever_a_kill_left(tmp_path: Path) -> None:
    leftover = tmp_path / ".key.partial"
    leftover.touch(0o644)
    with whole_file(tmp_path / "key", mode=0o600):
        assert stat.S_IMODE(leftover.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_two_writers_with_partial_files_of_their_own_do_not_spoil_one_another(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with whole_file(path, partial=".1.partial") as slow:
        slow.write(b"who")
        with whole_file(path, partial=".2.partial") as fast:
            fast.write(b"whole")
        assert path.read_bytes() == b"whole"
        slow.write(b"le")
    assert path.read_bytes() == b"whole"


def test_json_has_null_where_a_number_is_not_defined(tmp_path: Path) -> None:
    content = {"a": [1.5, math.nan, (math.inf,)], "b": {1: -math.inf}}
    path = write_json(tmp_path / "a.json", content)
    assert json.loads(path.read_text()) == {"a": [1.5, None, [None]], "b": {"1": None}}


def test_a_folder_that_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "missing")
