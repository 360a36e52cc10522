"""Nothing of what a source says about its patient gets into the store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from maesil_monai.data.dicom import find_series
from maesil_monai.data.prepare import PrepareOptions, prepare
from maesil_monai.phantom.layouts import PLANTED_TAGS, write_layouts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three collections below a folder with a telling name, with scans among them that will be refused."""
    root = tmp_path_factory.mktemp("Telling-place")
    write_layouts(root, num_scans=2)
    broken = root / "totalsegmentator/s0002/ct.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-100])
    slices = sorted((root / "lidc/LIDC-IDRI-0002").rglob("*.dcm"))
    ct = [path for path in slices if path.parent.name.endswith("chest-10002")]
    ct[len(ct) // 2].unlink()
    (root / "table/ward-Telling").mkdir(parents=True)
    shutil.copy(root / "btcv/RawData/Training/img/img0001.nii.gz", root / "table/ward-Telling/Tellingname^Zoe.nii.gz")
    (root / "table/ward-Telling/Tellinglink.nii.gz").symlink_to(root / "btcv/RawData/Training/img/img0002.nii.gz")
    return root


@pytest.fixture(scope="module")
def store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("output") / "store"
    result = prepare(PrepareOptions(place, folder / "btcv", folder / "lidc", folder / "totalsegmentator", folder / "table"))
    codes = [refusal.code for refusal in result.refusals]
    assert sorted(codes) == ["DUPLICATE_SCAN", "LINK_OUT", "SLICE_INCREMENT", "TRUNCATED"]
    return place


def _all_text(store: Path) -> Iterator[tuple[str, bytes]]:
    """Gives every name and the bytes of every file, of JSON also what its escapes stand for."""
    for path in sorted(store.rglob("*")):
        name = path.relative_to(store).as_posix()
        yield name, name.encode()
        if path.is_file():
            yield name, path.read_bytes()
            if path.suffix == ".json":
                yield name, json.dumps(json.loads(path.read_text()), ensure_ascii=False).encode()


def _found(store: Path, secrets: list[str]) -> list[tuple[str, str]]:
    return [(name, secret) for name, text in _all_text(store) for secret in secrets if secret.encode() in text]


def test_twenty_planted_tags_are_in_the_sources_and_in_no_output(folder: Path, store: Path) -> None:
    values = [value for _, value in PLANTED_TAGS]
    assert len(set(values)) == 20
    sources = b"".join(path.read_bytes() for path in (folder / "lidc").rglob("*.dcm"))
    assert all(value.encode() in sources for value in values)
    assert _found(store, values) == []


def test_no_id_date_name_or_path_of_a_source_is_in_any_output(folder: Path, store: Path) -> None:
    series = find_series(folder / "lidc")
    secrets = {uid for one in series for uid in (one.series_uid, one.study_uid, one.patient_id)}
    secrets |= {"Telling", "LIDC-IDRI", "img0001", "img0061", "s0001", "s0002", "01-01-2000", "ct.nii.gz", "RawData", str(folder)}
    assert _found(store, sorted(secrets - {""})) == []


def test_what_is_withheld_from_the_store_is_in_the_private_folder(folder: Path, store: Path) -> None:
    private = store.with_name("store.private")
    text = (private / "names.json").read_text() + (private / "details.json").read_text()
    assert all(word in text for word in ("img0001", "s0001", "LIDC-IDRI-0001", "Tellinglink.nii.gz", "TRUNCATED"))
    assert not private.is_relative_to(store)


def test_no_thumbnail_is_kept_where_none_is_wanted(folder: Path, store: Path) -> None:
    assert "data:image/png" in (store / "report.html").read_text()
    prepare(
        PrepareOptions(store, folder / "btcv", folder / "lidc", folder / "totalsegmentator", folder / "table", thumbnails="none")
    )
    assert "data:image" not in (store / "report.html").read_text().replace("img-src data:", "")
    assert not [path for path in store.rglob("*") if path.suffix in (".png", ".jpg")]


def test_entries_do_not_tell_who_made_them_or_when(store: Path) -> None:
    for path in store.glob("*/*.zarr/zarr.json"):
        kept = json.loads(path.read_text())["attributes"]["maesil"]
        assert set(kept["attributes"]) == {
            *("source_key", "dataset", "dataset_version", "case_id", "patient_id", "sha256", "shape", "spacing_mm"),
            *("notes", "hu_histogram", "body_share", "label_names", "has_label"),
        }
