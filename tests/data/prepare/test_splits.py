"""Which side a patient is on, and that nobody moves."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from maesil_monai.data.prepare.collections.listing import Candidate, Split
from maesil_monai.data.prepare.splits import assign_splits, drawn_split
from maesil_monai.data.volumes.bad_volume import BadVolume


def _scan(patient: str, split: Split | None = None, case: str = "a") -> Candidate:
    return Candidate((Path(f"{patient}/{case}.nii"),), False, "folder", f"{patient}/{case}", patient, "", split)


def test_adding_ten_scans_moves_nobody() -> None:
    before = [_scan(f"patient {number}") for number in range(200)]
    added = [_scan(f"new {number}") for number in range(5)] + [_scan(f"patient {number}", case="b") for number in range(5)]
    first, second = assign_splits(before), assign_splits([*added, *reversed(before)])
    assert {patient: second[patient] for patient in first} == first
    assert len(second) == 205


def test_the_shares_are_kept_and_the_seed_draws_anew() -> None:
    sides = Counter(drawn_split(str(patient), 0, 0.1, 0.2) for patient in range(10_000))
    # Standard deviations of 30 and 40 patients.
    assert abs(sides["validation"] - 1000) < 120
    assert abs(sides["test"] - 2000) < 160
    moved = sum(drawn_split(str(patient), 0, 0.1, 0.2) != drawn_split(str(patient), 1, 0.1, 0.2) for patient in range(1000))
    # Two independent draws agree with probability 0.49 + 0.01 + 0.04.
    assert 400 < moved < 520


def test_shares_of_zero_train_on_everybody() -> None:
    assert {drawn_split(str(patient), 0, 0.0, 0.0) for patient in range(100)} == {"training"}


def test_an_official_side_takes_all_scans_of_the_patient_along() -> None:
    splits = assign_splits([_scan("one", "test"), _scan("one", None, "b"), _scan("two", "validation")])
    assert splits == {"one": "test", "two": "validation"}


def test_a_patient_on_two_official_sides_is_refused() -> None:
    with pytest.raises(BadVolume, match=r"one/b.nii: validation, while one/a.nii .* is training.*\[LEAKAGE\]"):
        assign_splits([_scan("one", "training"), _scan("one", "validation", "b")])


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (-0.1, 0.1), (float("nan"), 0.1)])
def test_shares_that_leave_nobody_to_train_on_are_refused(val: float, test: float) -> None:
    with pytest.raises(ValueError, match="shares from 0 up"):
        assign_splits([_scan("one")], 0, val, test)
