"""Names that tell nothing, and where their key may be."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from maesil_monai.data.prepare.pseudonyms import (
    Pseudonyms,
    add_to_map,
    file_name,
    open_private_folder,
    private_folder,
    read_or_make_key,
    write_private,
)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_names_depend_on_the_key_and_hold_nothing_of_the_id() -> None:
    one, other = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)
    assert re.fullmatch("[0-9a-f]{16}", one.patient("LIDC-IDRI-0314"))
    assert one.patient("LIDC-IDRI-0314") != other.patient("LIDC-IDRI-0314")
    assert one.patient("x") != one.case("x", "x") != one.case("xx", "")
    assert one.source_salt() not in (b"1" * 32, other.source_salt())


def test_a_patient_has_one_name_in_all_collections_and_a_case_one_in_each() -> None:
    names = Pseudonyms(bytes(32))
    assert names.case("btcv", "img0001") != names.case("folder", "img0001")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", "\n", "", ".", "..", "Muller \u00fc", "x" * 300, "case.zarr", "nul\0", "-rf", "*"]
)
def test_readable_names_are_safe_file_names(name: str) -> None:
    safe = file_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,89}", safe)
    assert safe not in (".", "..")


def test_twins_that_differ_in_case_alone_stay_apart_on_any_file_system() -> None:
    names = [file_name(name) for name in ("Case", "case", "CASE", "ca/se", "ca_se")]
    assert len({name.lower() for name in names}) == 5


def test_key_and_map_lie_beside_the_store_for_this_user_alone(tmp_path: Path) -> None:
    store = tmp_path / "store"
    folder = open_private_folder(store)
    key = read_or_make_key(store)
    add_to_map(folder, {"folder/1.zarr": {"patient_id": "Doe"}})
    assert folder == private_folder(store) == tmp_path / "store.private"
    assert _mode(folder) == 0o700
    assert {path.name: _mode(path) for path in folder.iterdir()} == {"key": 0o600, "names.json": 0o600}
    assert read_or_make_key(store) == key
    assert len(key) == 32


def test_earlier_names_stay_in_the_map(tmp_path: Path) -> None:
    add_to_map(tmp_path, {"a": {"patient_id": "1"}})
    add_to_map(tmp_path, {"b": {"patient_id": "2"}})
    assert sorted(json.loads((tmp_path / "names.json").read_text())) == ["a", "b"]


@pytest.mark.parametrize("place", ["key", "folder/key", "../store/key"])
def test_a_key_in_the_store_is_refused(tmp_path: Path, place: str) -> None:
    store = tmp_path / "store"
    store.mkdir()
    with pytest.raises(ValueError, match="lies in the store"):
        read_or_make_key(store, store / place)
    assert not list(store.rglob("*"))


def test_a_link_to_a_key_in_the_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "store")
    with pytest.raises(ValueError, match="lies in the store"):
        read_or_make_key(tmp_path / "store", tmp_path / "link" / "key")


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    write_private(tmp_path / "key", "0" * 64)
    assert read_or_make_key(tmp_path / "store", tmp_path / "key") == bytes(32)
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(ValueError, match="chmod 600"):
        read_or_make_key(tmp_path / "store", tmp_path / "key")


def test_a_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    write_private(tmp_path / "key", "secret")
    with pytest.raises(ValueError, match="holds no key"):
        read_or_make_key(tmp_path / "store", tmp_path / "key")
