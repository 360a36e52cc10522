"""What must not open, what must not be written, and what a write that was cut off leaves behind."""

import json
import shutil

import numpy as np
import pytest
import zarr

from maesil_monai.data.store import open_entry, write_entry
from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume
from maesil_monai.data.volumes.volume_files import find_volumes
from maesil_monai.data.volumes.volume_source import ArraySource

SHAPE = (70, 100, 45)
AFFINE = np.diag([0.7, 0.7, 2.5, 1.0])
WHOLE = ((0, 0, 0), SHAPE)


def _scan():
    rng = np.random.default_rng(0)
    source = ArraySource(rng.integers(-1000, 2000, SHAPE).astype(np.int16), AFFINE)
    return source, rng.random(SHAPE) < 0.5, rng.integers(0, 4, SHAPE).astype(np.uint8)


@pytest.fixture
def entry(tmp_path):
    write_entry(tmp_path / "case.zarr", *_scan(), {})
    return tmp_path / "case.zarr"


def test_an_entry_that_is_cut_off_anywhere_never_gives_voxels(entry, tmp_path):
    whole = {str(path.relative_to(entry)): path.read_bytes() for path in entry.rglob("*") if path.is_file()}

    def read_all(path):
        opened = open_entry(path)
        for source in (opened, opened.label, opened.body):
            source.read(WHOLE)
        opened.body.share(WHOLE)

    for name, content in whole.items():
        for cut in (None, 0, len(content) // 2, len(content) - 1):
            broken = tmp_path / "broken.zarr"
            shutil.rmtree(broken, ignore_errors=True)
            shutil.copytree(entry, broken)
            if cut is None:
                (broken / name).unlink()
            else:
                (broken / name).write_bytes(content[:cut])
            if name.startswith("labels/") and name.count("/") < 3:
                continue  # metadata for viewers only
            if name.endswith("zarr.json") and cut == len(content) - 1:
                continue  # the newline at the end
            with pytest.raises(BadVolume, match=r"MISSING|NOT_AN_ENTRY|DAMAGED"):
                read_all(broken)


def test_a_flipped_bit_is_seen(entry):
    rng = np.random.default_rng(0)
    for name in ("0/c/0/0/0", "labels/body/0/c/0/0/0"):
        good = (entry / name).read_bytes()
        for _ in range(40):
            bad = bytearray(good)
            bad[rng.integers(len(bad))] ^= 1 << int(rng.integers(8))
            (entry / name).write_bytes(bad)
            opened = open_entry(entry)
            with pytest.raises(BadVolume, match="DAMAGED"):
                opened.read(WHOLE) if name.startswith("0") else opened.body.read(WHOLE)
        (entry / name).write_bytes(good)


def test_a_write_that_fails_leaves_nothing_and_what_a_kill_left_is_cleaned_up(tmp_path):
    source, body, label = _scan()

    class Failing(ArraySource):
        def _read(self, box):
            if box[0][2] > 0:
                raise OSError(28, "No space left on device")
            return super()._read(box)

    path = tmp_path / "case.zarr"
    with pytest.raises(OSError, match="No space"):
        write_entry(path, Failing(source.array, AFFINE), body, label, {})
    assert list(tmp_path.iterdir()) == []
    write_entry(path, source, None, None, {})
    with pytest.raises(OSError, match="No space"):
        write_entry(path, Failing(source.array, AFFINE), body, label, {})
    assert open_entry(path).body is None  # the entry that was there is still there
    shutil.copytree(path, tmp_path / ".case.zarr.partial")
    shutil.copytree(path, tmp_path / ".case.zarr.old")
    assert find_volumes(tmp_path) == [path]
    write_entry(path, source, body, label, {})
    assert [p.name for p in tmp_path.iterdir()] == ["case.zarr"]
    assert open_entry(path).body is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "case.n5"}, r"ends in \.zarr"),
        ({"body": np.zeros((3, 3, 3), dtype=bool)}, "body of shape"),
        ({"body": np.zeros(SHAPE, dtype=np.uint8)}, "expected the scan's shape"),
        ({"label": np.zeros(SHAPE, dtype=np.int64)}, "uint8 or uint16"),
        ({"attributes": {"x": float("nan")}}, "not JSON compliant"),
    ],
)
def test_what_cannot_be_an_entry_is_refused_before_a_file_is_made(tmp_path, change, message):
    source, body, label = _scan()
    arguments = {"path": "case.zarr", "body": body, "label": label, "attributes": {}} | change
    with pytest.raises(ValueError, match=message):
        write_entry(tmp_path / arguments.pop("path"), source, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_other_things_named_like_an_entry_are_told_apart(tmp_path, entry):
    with pytest.raises(MissingVolume, match=r"\[MISSING\]"):
        open_entry(tmp_path / "nowhere.zarr")
    (tmp_path / "file.zarr").write_text("x")
    (tmp_path / "empty.zarr").mkdir()
    zarr.create_group(tmp_path / "other.zarr")
    for name in ("file.zarr", "empty.zarr", "other.zarr"):
        with pytest.raises(BadVolume, match="NOT_AN_ENTRY"):
            open_entry(tmp_path / name)
    root = json.loads((entry / "zarr.json").read_text())
    root["attributes"]["maesil"]["format"] = 2
    (entry / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(BadVolume, match="format 2"):
        open_entry(entry)


def test_an_array_stored_in_another_way_is_refused(entry):
    shutil.rmtree(entry / "0")
    zarr.create_array(entry / "0", shape=SHAPE[::-1], dtype="int16", chunks=(45, 50, 70))
    with pytest.raises(BadVolume, match="STORE_FORMAT"):
        open_entry(entry)
