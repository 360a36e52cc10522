"""Entries behind URLs: in memory, and on a local HTTP server."""

import functools
import http.server
import threading
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset

from maesil_monai.data.store import open_entry, write_entry
from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume
from maesil_monai.data.volumes.volume_source import ArraySource
from maesil_monai.transforms import LoadVolume, LoadVolumed, SuperpatchCropd

SHAPE = (40, 70, 35)


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and runs of bytes of them."""

    requests: list = []  # noqa: RUF012

    def do_GET(self):
        self.requests.append((self.path, self.headers.get("Range")))
        wanted = self.headers.get("Range")
        if wanted is None:
            super().do_GET()
            return
        start, stop = (int(n) for n in wanted.removeprefix("bytes=").split("-"))
        with Path(self.translate_path(self.path)).open("rb") as file:
            file.seek(start)
            content = file.read(stop + 1 - start)
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class PlainHandler(RangeHandler):
    """Knows no ranges, as Python's own server."""

    def do_GET(self):
        http.server.SimpleHTTPRequestHandler.do_GET(self)


@pytest.fixture
def store(tmp_path):
    hu = np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)
    body = hu > -900
    write_entry(tmp_path / "case.zarr", ArraySource(hu, np.diag([1, 1, 2, 1.0])), body, body.astype(np.uint8), {"n": 1})
    return tmp_path, hu


@pytest.fixture
def serve(store):
    servers = []

    def start(handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(store[0])))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    RangeHandler.requests.clear()
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _in_memory(folder):
    fsspec.filesystem("memory").put(str(folder / "case.zarr"), "/store/case.zarr", recursive=True)
    return "memory://store"


@pytest.mark.parametrize("kind", ["memory", "http"])
def test_any_box_behind_a_url_is_what_was_written(store, serve, kind):
    folder, hu = store
    root = _in_memory(folder) if kind == "memory" else serve(RangeHandler)
    source = open_entry(f"{root}/case.zarr")
    rng = np.random.default_rng(0)
    for _ in range(10):
        (a, b), (c, d), (e, f) = (sorted(rng.choice(n + 1, 2, replace=False).tolist()) for n in SHAPE)
        assert np.array_equal(source.read(((a, c, e), (b, d, f)))[0].numpy(), hu[a:b, c:d, e:f])
    assert source.attributes == {"n": 1}
    assert source.body.share(((0, 0, 0), SHAPE)) == pytest.approx((hu > -900).mean())
    assert np.array_equal(open_entry(f"{root}/case.zarr/labels/label").read(((0, 0, 0), SHAPE))[0].numpy(), hu > -900)
    with pytest.raises(MissingVolume, match=r"\[MISSING\]"):
        open_entry(f"{root}/other.zarr")


def test_a_box_over_http_asks_for_its_ranges_only(store, serve):
    folder, hu = store
    source = open_entry(f"{serve(RangeHandler)}/case.zarr")
    source.read(((0, 0, 0), (1, 1, 1)))
    RangeHandler.requests.clear()
    assert np.array_equal(source.read(((33, 65, 33), (40, 70, 35)))[0].numpy(), hu[33:, 65:, 33:])
    ((path, wanted),) = RangeHandler.requests
    start, stop = (int(n) for n in wanted.removeprefix("bytes=").split("-"))
    assert path == "/case.zarr/0/c/0/0/0"
    assert stop + 1 - start < (folder / "case.zarr/0/c/0/0/0").stat().st_size / 4


def test_a_server_without_ranges_is_refused(store, serve):
    with pytest.raises(BadVolume, match="NO_RANGES"):
        open_entry(f"{serve(PlainHandler)}/case.zarr").read(((0, 0, 0), SHAPE))


def test_a_loader_takes_urls_and_keeps_what_it_opened(store):
    folder, hu = store
    url = f"{_in_memory(folder)}/case.zarr"
    load = LoadVolume()
    assert load(url) is load(url)
    assert torch.equal(LoadVolume(lazy=False)(url).as_tensor()[0], torch.from_numpy(hu).float())


@pytest.mark.parametrize("num_workers", [0, 2])
def test_worker_processes_read_entries_that_the_main_process_read_before(store, serve, num_workers):
    folder, hu = store
    url = f"{serve(RangeHandler)}/case.zarr"
    crop = SuperpatchCropd("image", superpatch_size=(40, 70, 35), patch_size=5)
    load = LoadVolumed("image")

    def both(data):
        return crop(load(data))["image"].as_tensor()

    rows = [{"image": place, "superpatch": 0} for place in (url, str(folder / "case.zarr"))] * 2
    both(rows[0])
    for image in DataLoader(Dataset(rows, both), batch_size=1, num_workers=num_workers):
        assert torch.equal(image[0, 0], torch.from_numpy(hu).float())
