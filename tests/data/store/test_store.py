"""The store: what is written, what is read back, what plain Zarr sees, and what must not open."""

import hashlib
import json
import math
import pickle

import numpy as np
import pytest
import torch
import zarr

from maesil_monai.data.store import StoreSource, open_entry, write_entry
from maesil_monai.data.store.body_counts import BLOCK, BodyCounts, count_blocks
from maesil_monai.data.store.folder_or_url import Folder
from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume
from maesil_monai.data.volumes.volume_files import find_volumes, open_volume, read_volume
from maesil_monai.data.volumes.volume_source import ArraySource
from maesil_monai.transforms import BodyMask

SHAPE = (70, 100, 45)  # 3 x 4 x 2 chunks of 32, the last ones cut off
AFFINE = np.array([[0.7, 0.1, 0, -30.0], [-0.1, 0.7, 0, 20.0], [0, 0, 2.5, 5.0], [0, 0, 0, 1.0]])
WHOLE = ((0, 0, 0), SHAPE)


def _scan():
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 2000, SHAPE).astype(np.int16)
    hu[:32, :32, :32] = -1024  # one chunk of nothing but the fill value
    body = np.zeros(SHAPE, dtype=bool)
    body[10:61, 21:90, 3:] = True
    label = rng.integers(0, 4, SHAPE).astype(np.uint8)
    return ArraySource(hu, AFFINE, "secret name", np.diag([-1.0, -1.0, 1.0, 1.0])), body, label


@pytest.fixture
def entry(tmp_path):
    source, body, label = _scan()
    write_entry(tmp_path / "case.zarr", source, body, label, {"spacing": [1, 2.5], "labels": {"1": "liver"}})
    return tmp_path / "case.zarr"


def _files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _boxes(count=20):
    rng = np.random.default_rng(1)
    for _ in range(count):
        ends = [sorted(rng.choice(n + 1, 2, replace=False).tolist()) for n in SHAPE]
        yield tuple(a for a, _ in ends), tuple(b for _, b in ends)


def test_any_box_of_scan_label_and_body_is_what_was_written(entry):
    source, body, label = _scan()
    opened = open_entry(entry)
    for box in [WHOLE, *_boxes()]:
        index = (0, *(slice(a, b) for a, b in zip(*box, strict=True)))
        for stored, array in ((opened, source.array), (opened.label, label), (opened.body, body)):
            values = stored.read(box)
            assert values.is_contiguous()
            assert values.numpy().dtype == array.dtype
            assert np.array_equal(values[0].numpy(), array[None][index])
    with pytest.raises(ValueError, match="does not fit"):
        opened.read(((0, 0, 0), (70, 100, 46)))


def test_geometry_and_attributes_come_back_and_the_name_of_the_file_does_not(entry):
    opened = open_entry(str(entry))
    source, _, _ = _scan()
    assert opened.shape == SHAPE
    np.testing.assert_array_equal(opened.affine, source.affine)
    np.testing.assert_array_equal(opened.original_affine, source.original_affine)
    assert opened.attributes == {"spacing": [1, 2.5], "labels": {"1": "liver"}}
    assert opened.name == str(entry)
    assert not any(b"secret" in content for content in _files(entry).values())


def test_plain_zarr_reads_the_arrays_with_axes_z_y_x(entry):
    source, body, label = _scan()
    group = zarr.open_group(entry, mode="r")
    for path, array in (("0", source.array), ("labels/label/0", label), ("labels/body/0", body)):
        assert np.array_equal(group[path][:].transpose(2, 1, 0), array)
        assert group[path].metadata.dimension_names == ("z", "y", "x")
        # What zarr would write for this array is what stands there.
        there = json.loads((entry / path / "zarr.json").read_text())
        again = {**group[path].metadata.to_dict(), "codecs": [codec.to_dict() for codec in group[path].metadata.codecs]}
        assert json.loads(json.dumps({**again, "storage_transformers": None}, default=str)) == {
            **there,
            "storage_transformers": None,
        }
    assert int(group["body_counts"][:].sum()) == int(body.sum())


def test_the_metadata_are_an_ome_ngff_image_with_its_labels_in_mm(entry):
    group = zarr.open_group(entry, mode="r")
    ome = group.attrs["ome"]
    (image,) = ome["multiscales"]
    assert ome["version"] == "0.5"
    assert [(axis["name"], axis["type"], axis["unit"]) for axis in image["axes"]] == [
        (name, "space", "millimeter") for name in "zyx"
    ]
    (dataset,) = image["datasets"]
    assert group[dataset["path"]].shape == SHAPE[::-1]
    scale, translation = dataset["coordinateTransformations"]
    # Columns (0.7, -0.1, 0) and (0.1, 0.7, 0) are sqrt(0.5) long.
    assert scale == {"type": "scale", "scale": pytest.approx([2.5, math.sqrt(0.5), math.sqrt(0.5)])}
    assert translation == {"type": "translation", "translation": [5.0, 20.0, -30.0]}
    assert group["labels"].attrs["ome"]["labels"] == ["label", "body"]
    for name in ("label", "body"):
        attributes = group[f"labels/{name}"].attrs["ome"]
        assert attributes["image-label"]["source"]["image"] == "../../"
        assert attributes["multiscales"][0]["datasets"] == image["datasets"]
        assert group[f"labels/{name}/0"].dtype == np.uint8


def test_a_scan_is_at_most_twelve_files_and_the_same_bytes_each_time(entry, tmp_path):
    source, body, label = _scan()
    (tmp_path / "again").mkdir()
    turned = ArraySource(np.asfortranarray(source.array), AFFINE, "other", source.original_affine)
    write_entry(tmp_path / "again" / "case.zarr", turned, body, label, {"spacing": [1, 2.5], "labels": {"1": "liver"}})
    first, second = _files(entry), _files(tmp_path / "again" / "case.zarr")
    assert len(first) <= 12
    assert {name: hashlib.sha256(content).hexdigest() for name, content in first.items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in second.items()
    }


def test_a_scan_without_label_and_body_has_neither(tmp_path):
    source, _, _ = _scan()
    write_entry(tmp_path / "x.zarr", source, None, None, {})
    opened = open_entry(tmp_path / "x.zarr")
    assert (opened.label, opened.body, opened.derived) == (None, None, {})
    assert len(_files(tmp_path / "x.zarr")) == 3
    with pytest.raises(MissingVolume, match="NO_LABEL"):
        open_entry(tmp_path / "x.zarr/labels/label")


def test_fractions_of_a_hounsfield_unit_are_rounded(tmp_path):
    values = np.linspace(-1000.4, 1000.4, 4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    write_entry(tmp_path / "x.zarr", ArraySource(values, np.eye(4)), None, None, {})
    read = open_entry(tmp_path / "x.zarr").read(((0, 0, 0), (4, 5, 6)))[0].numpy()
    assert read.dtype == np.int16
    assert np.array_equal(read, np.rint(values))


def test_a_label_of_many_ids_keeps_them(tmp_path):
    source, _, _ = _scan()
    label = np.arange(np.prod(SHAPE), dtype=np.uint32).reshape(SHAPE).astype(np.uint16)
    write_entry(tmp_path / "x.zarr", source, None, label, {})
    assert np.array_equal(open_entry(tmp_path / "x.zarr").label.read(WHOLE)[0].numpy(), label)
    assert np.array_equal(read_volume(tmp_path / "x.zarr/labels/label", hounsfield=False).array, label)


def test_a_crop_fetches_only_the_chunks_below_it(entry, monkeypatch):
    opened, fetched = open_entry(entry), []
    original = Folder.read_ranges

    def counted(self, name, ranges):
        fetched.extend((name, start, stop) for start, stop in ranges)
        return original(self, name, ranges)

    monkeypatch.setattr(Folder, "read_ranges", counted)
    monkeypatch.setattr(Folder, "gap_bytes", 0)
    opened.read(((32, 33, 1), (64, 64, 32)))  # the inside of chunk (1, 1, 0)
    (index, chunk) = fetched
    assert index == ("0/c/0/0/0", 0, 16 * 24 + 4)
    # 3 chunks along x, 4 along y; z runs slowest.
    table = np.frombuffer((entry / "0/c/0/0/0").read_bytes()[: 16 * 24], "<u8").reshape(2, 4, 3, 2)
    offset, size = (int(n) for n in table[0, 1, 1])
    assert chunk == ("0/c/0/0/0", offset, offset + size)
    fetched.clear()
    opened.read(((31, 40, 0), (33, 41, 1)))  # two chunks that lie side by side in the file: one run of bytes
    assert len(fetched) == 1
    fetched.clear()
    assert opened.read(((0, 0, 0), (32, 32, 32))).unique().tolist() == [-1024]
    assert fetched == []  # chunks of air are not stored


def test_the_share_of_body_is_exact_on_blocks_and_within_its_bound_elsewhere():
    rng = np.random.default_rng(0)
    shape = (37, 41, 29)
    mask = np.zeros(shape, dtype=bool)
    mask[5:30, 3:35, 6:] = rng.random((25, 32, 23)) < 0.9
    counts = count_blocks(mask)
    assert counts.dtype == np.uint16
    assert counts.shape == (5, 6, 4)
    table = BodyCounts(counts, shape)
    for number in range(300):
        ends = [sorted(rng.choice(n + 1, 2, replace=False).tolist()) for n in shape]
        if number % 2:
            ends = [(a // 8 * 8, n if b > n - 8 else a // 8 * 8 + 8) for (a, b), n in zip(ends, shape, strict=True)]
        box = tuple(a for a, _ in ends), tuple(b for _, b in ends)
        inside = np.zeros(shape, dtype=bool)
        inside[tuple(slice(a, b) for a, b in ends)] = True
        error = abs(table.count(box) - np.count_nonzero(mask & inside))
        c, v, n = (count_blocks(m).astype(int) for m in (mask, inside, np.ones(shape, dtype=bool)))
        bound = np.minimum.reduce([c, n - c, v, n - v]).sum()
        assert error <= bound + 1e-6
        if number % 2:
            assert error < 1e-6
    assert BLOCK == 8


def test_the_stored_body_is_found_by_the_mask_transform_and_shares_read_no_mask(entry, monkeypatch):
    opened, fetched = open_entry(entry), []
    found = BodyMask()(opened)
    assert found is opened.body
    original = Folder.read_ranges
    monkeypatch.setattr(Folder, "read_ranges", lambda self, name, ranges: fetched.append(name) or original(self, name, ranges))
    _, body, _ = _scan()
    assert found.share(((8, 16, 0), (64, 96, 45))) == body[8:64, 16:96].mean()
    assert set(fetched) == {"body_counts/c/0/0/0"}
    fetched.clear()
    assert found.share(((0, 0, 0), SHAPE)) == body.mean()
    assert fetched == []
    assert np.array_equal(found.array, body)


def test_an_entry_is_small_in_memory_and_smaller_in_a_pickle(entry):
    opened = open_entry(entry)
    opened.read(WHOLE)
    opened.body.share(WHOLE)
    # Index of 24 chunks; sums of 10 x 14 x 7 block corners, 4 bytes each.
    assert opened.nbytes == 16 * 24 + 4 * 10 * 14 * 7
    twin = pickle.loads(pickle.dumps(opened))
    assert len(pickle.dumps(opened)) < 2000
    assert torch.equal(twin.read(WHOLE), opened.read(WHOLE))
    assert twin.body.share(WHOLE) == opened.body.share(WHOLE)


def test_folders_list_entries_once_and_a_whole_read_gives_all_voxels(entry, tmp_path):
    assert find_volumes(tmp_path) == [entry]
    source, _, label = _scan()
    assert isinstance(open_volume(entry), StoreSource)
    assert np.array_equal(read_volume(entry).array, source.array)
    assert np.array_equal(read_volume(entry / "labels" / "label", hounsfield=False).array, label)
    assert read_volume(entry).array.dtype == np.int16
    assert read_volume(entry / "labels/body").array.dtype == np.bool_
    with pytest.raises(BadVolume, match=r"\[URL\]"):
        read_volume("http://nowhere/scan.nii.gz")
