"""The same work on a Dask cluster: here two processes of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from prepared_stores import copy_patients, tree

from maesil_monai.data.prepare import PrepareOptions, prepare
from maesil_monai.data.prepare.pseudonyms import write_private

distributed = pytest.importorskip("distributed")


def test_a_cluster_of_two_workers_gives_the_bytes_of_one_process(scan_folder: Path, tmp_path: Path) -> None:
    copy_patients(scan_folder, tmp_path / "scans", 4)
    (tmp_path / "scans/p3/ct.nii.gz").write_bytes(b"")
    write_private(tmp_path / "key", "9" * 64)
    settings = {"folder": tmp_path / "scans", "key_file": tmp_path / "key"}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        result = prepare(PrepareOptions(tmp_path / "cluster", **settings, backend="dask", scheduler=cluster.scheduler_address))
    assert [refusal.code for refusal in result.refusals] == ["EMPTY_FILE"]
    prepare(PrepareOptions(tmp_path / "alone", **settings))
    assert tree(tmp_path / "cluster") == tree(tmp_path / "alone")
