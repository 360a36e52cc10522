"""The report: right numbers, one page that needs nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from maesil_monai.data.prepare.collections.listing import Candidate, Listing, Split
from maesil_monai.data.prepare.plan import Plan, Refusal, make_plan
from maesil_monai.data.prepare.prepare_scan import Outcome
from maesil_monai.data.prepare.pseudonyms import Pseudonyms
from maesil_monai.data.prepare.report import report_of
from maesil_monai.data.prepare.report_page import MAX_ROWS, report_page
from maesil_monai.data.prepare.scan_facts import hu_histogram, voxel_sha256, whole_hu
from maesil_monai.data.volumes.admission_checks import DEFAULT_RULES


def _candidate(case: str, split: Split | None = "training", dataset: str = "folder") -> Candidate:
    return Candidate((Path(f"{case}.nii"),), False, dataset, case, f"patient {case}", "", split, version="2")


def _facts(**changes: Any) -> dict[str, Any]:
    facts = {"shape": [64, 64, 32], "spacing_mm": [1.0, 1.0, 2.5], "notes": [], "hu_histogram": [1] * 96, "has_label": False}
    return {**facts, **changes}


@pytest.fixture
def plan() -> Plan:
    listing = Listing(
        [_candidate("a"), _candidate("b", "test"), _candidate("c"), _candidate("d")], [(Path("x"), "modality CR")] * 2
    )
    return make_plan({"folder": (Path(), listing)}, Pseudonyms(bytes(32)), DEFAULT_RULES)


@pytest.fixture
def report(plan: Plan) -> dict[str, Any]:
    facts = [_facts(notes=["SHEARED"]), _facts(has_label=True, spacing_mm=[0.5, 0.5, 5.0]), _facts()]
    outcomes = [Outcome(job, facts=fact) for job, fact in zip(plan.jobs, facts, strict=False)]
    last = plan.jobs[3]
    refusal = Refusal("folder", last.case_id, "TRUNCATED", "Copy <the file> again.", "secret/path")
    return report_of(plan, [*outcomes, Outcome(last, refusal=refusal)], ["folder/0.zarr"])


def test_every_scan_is_counted_once(report: dict[str, Any]) -> None:
    assert report["scans"] == {"found": 4, "admitted": 3, "noted": 1, "refused": 1, "vanished": 1}
    assert report["patients"] == 3
    folder = report["datasets"]["folder"]
    assert (folder["labelled"], folder["training"] + folder["validation"] + folder["test"]) == (1, 3)
    assert folder["versions"] == ["2"]
    assert report["not_ct"] == {"folder": {"modality CR": 2}}
    assert [sum(h["counts"]) for name, h in report["histograms"].items() if name != "hu"] == [3] * 6
    assert sum(report["histograms"]["hu"]["counts"]) == pytest.approx(1, abs=1e-5)


def test_the_page_loads_nothing_and_runs_nothing(report: dict[str, Any]) -> None:
    page = report_page(report, [("data:image/png;base64,AA==", "folder", "a")])
    assert not re.search(r"https?://|<script|<link|@import|url\(|src=\"(?!data:)", page)
    assert "default-src 'none'" in page
    # Well formed, but for the tags that HTML leaves open.
    closed = re.sub(r"<(meta|img|br)([^>]*)>", r"<\1\2/>", page.removeprefix("<!DOCTYPE html>\n"))
    ElementTree.fromstring(closed)


def test_text_from_outside_is_escaped_and_messages_are_left_out(report: dict[str, Any]) -> None:
    report["datasets"]["<b>ward"] = report["datasets"]["folder"]
    page = report_page(report)
    assert "Copy &lt;the file&gt; again." in page
    assert "&lt;b&gt;ward" in page
    assert "<b>ward" not in page
    assert "secret/path" not in page


def test_a_long_list_of_refusals_is_cut_and_says_so(report: dict[str, Any]) -> None:
    report["refusals"] = report["refusals"] * (MAX_ROWS + 1)
    page = report_page(report)
    assert page.count("<td>TRUNCATED</td>") == 1 + MAX_ROWS
    assert f"The first {MAX_ROWS} of {MAX_ROWS + 1}" in page


def test_a_store_without_a_scan_has_a_report_too(plan: Plan) -> None:
    outcomes = [Outcome(job, refusal=Refusal("folder", job.case_id, "TRUNCATED", "", "")) for job in plan.jobs]
    report = report_of(plan, outcomes, [])
    assert report["histograms"] == {}
    assert "4 scans found" in report_page(report)


def test_what_looks_like_a_number_of_the_source_is_not_counted_by_name() -> None:
    listing = Listing([_candidate("a")], [(Path("x"), "1.2.826.0.1.3680043, no CT image")])
    plan = make_plan({"folder": (Path(), listing)}, Pseudonyms(bytes(32)), DEFAULT_RULES)
    assert plan.not_ct == {"folder": {"a private class, no CT image": 1}}


def test_voxels_have_one_fingerprint_whatever_their_strides_and_container() -> None:
    volume = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    assert voxel_sha256(volume) == voxel_sha256(np.asfortranarray(volume)) == voxel_sha256(volume[::-1][::-1])
    assert voxel_sha256(volume) != voxel_sha256(volume.reshape(5, 4, 6))
    assert voxel_sha256(whole_hu(volume + np.float32(0.3))) == voxel_sha256(volume)


def test_values_beyond_the_histogram_are_counted_at_its_ends() -> None:
    volume = np.array([-3000, -1024, -1000, 2047, 2048, 30000], dtype=np.int16)
    # Every second voxel on each axis is counted, so each value stands twice.
    counts = hu_histogram(np.repeat(volume, 2)[:, None, None])
    assert (counts[0], counts[-1], sum(counts)) == (3, 3, 6)


def test_values_beyond_int16_are_clipped_and_others_rounded() -> None:
    assert whole_hu(np.float32([[[-40000.0, 0.6, 40000.0]]])).ravel().tolist() == [-32768, 1, 32767]
