"""Which scan each sample of the stream shows: exact shares, equal visits, no state, constant cost."""

from __future__ import annotations

import itertools
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence

import pytest

from maesil_monai.data.samples.keyed_permutation import KeyedPermutation
from maesil_monai.data.samples.scan_order import Mixture


class ManyScans(Sequence):
    """A list of any length that holds nothing."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict:  # type: ignore[override]
        return {"image": f"{index}.nii"}


def rows(**counts: int) -> list[dict]:
    return [{"dataset": name, "image": f"{name}{number}"} for name, count in counts.items() for number in range(count)]


def first_scans(mixture: Mixture, count: int) -> list[int]:
    return [mixture.order(position)[0] for position in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 1000])
def test_a_permutation_holds_every_item_once(count: int) -> None:
    order = KeyedPermutation(count, seed=3, key=(5,))
    assert sorted(order(place) for place in range(count)) == list(range(count))


def test_all_orders_of_a_few_items_are_equally_likely() -> None:
    found = Counter(tuple(map(KeyedPermutation(4, seed=0, key=(key,)), range(4))) for key in range(2400))
    # 24 orders, 100 times each; chi-squared of 23 degrees of freedom is above 49.7 once in a thousand.
    assert len(found) == 24
    assert sum((number - 100) ** 2 / 100 for number in found.values()) < 49.7


def test_neighbours_of_a_large_permutation_have_nothing_to_do_with_one_another() -> None:
    order = KeyedPermutation(10_000_000, seed=0)
    items = [order(place) for place in range(2000)]
    assert len(set(items)) == 2000
    # The mean step between two independent items of n is n / 3.
    mean_step = sum(abs(a - b) for a, b in itertools.pairwise(items)) / 1999
    assert 0.31 < mean_step / 10_000_000 < 0.36
    # Quarters of the range hold 500 each, standard deviation 19.
    assert all(400 < number < 600 for number in Counter(item // 2_500_000 for item in items).values())


def test_places_outside_a_permutation_are_refused() -> None:
    with pytest.raises(IndexError, match="expected 0 to 2"):
        KeyedPermutation(3, seed=0)(3)
    with pytest.raises(ValueError, match="expected 1 or more"):
        KeyedPermutation(0, seed=0)


def test_each_stretch_visits_every_scan_once_in_an_order_of_its_own() -> None:
    shown = first_scans(Mixture(rows(a=5, b=15), seed=1), 60)
    stretches = [shown[first : first + 20] for first in (0, 20, 40)]
    assert all(sorted(stretch) == list(range(20)) for stretch in stretches)
    assert stretches[0] != stretches[1] != stretches[2]


@pytest.mark.parametrize("weights", [{"a": 5, "b": 3, "c": 2}, {"a": 0.5, "b": 0.3, "c": 0.2}])
def test_every_window_of_the_weights_sum_holds_exactly_the_weights(weights: dict[str, float]) -> None:
    data = rows(a=4, b=30, c=9)
    names = [data[scan]["dataset"] for scan in first_scans(Mixture(data, seed=0, weights=weights), 200)]
    windows = [Counter(names[first : first + 10]) for first in range(190)]
    assert all(window == {"a": 5, "b": 3, "c": 2} for window in windows)


def test_any_window_is_off_by_fewer_samples_than_there_are_collections() -> None:
    weights = {"a": 0.137, "b": 1.0, "c": 0.71, "d": 0.003}
    data = rows(a=3, b=3, c=3, d=3)
    names = [data[scan]["dataset"] for scan in first_scans(Mixture(data, seed=0, weights=weights), 2000)]
    for length in (50, 333, 1000):
        for first in range(0, 1000, 7):
            found = Counter(names[first : first + length])
            assert all(abs(found[name] - length * weight / 1.85) < 4 for name, weight in weights.items())


def test_balanced_collections_come_equally_often_and_so_do_the_scans_of_each() -> None:
    data = rows(small=2, large=8)
    shown = Counter(first_scans(Mixture(data, seed=0, weights="balanced"), 64))
    # 32 samples each: 16 for each of 2 scans, 4 for each of 8.
    assert shown == {0: 16, 1: 16, **dict.fromkeys(range(2, 10), 4)}


def test_a_collection_without_weight_is_never_shown() -> None:
    data = rows(a=3, b=3)
    assert set(first_scans(Mixture(data, seed=0, weights={"a": 0, "b": 1}), 30)) == {3, 4, 5}


def test_patients_weigh_once_and_show_all_their_scans() -> None:
    patients = ["p", "q", "p", "p", None, None, "q"]
    data = [{"patient_id": patient, "dataset": "x"} if patient else {"dataset": "x"} for patient in patients]
    shown = first_scans(Mixture(data, seed=0, by_patient=True), 4 * 6)
    # p, q and two scans without a patient, which are patients of their own: stretches of 4 samples.
    for first in range(0, 24, 4):
        assert {patients[scan] or scan for scan in shown[first : first + 4]} == {"p", "q", 4, 5}
    # Six stretches: p shows 3 scans twice, q shows 2 scans three times.
    assert Counter(shown) == {0: 2, 2: 2, 3: 2, 1: 3, 6: 3, 4: 6, 5: 6}


def test_the_other_scans_of_a_patient_stand_in_first_and_then_all_others_once() -> None:
    data = [{"patient_id": patient} for patient in "ppqqrr"]
    order = list(Mixture(data, seed=0, by_patient=True).order(7))
    assert sorted(order) == list(range(6))
    assert order[0] // 2 == order[1] // 2


def test_scans_stand_in_for_one_another_within_a_collection_in_the_order_of_the_stretch() -> None:
    data = rows(a=3, b=5)
    mixture = Mixture(data, seed=0, weights="balanced")
    # The second sample is the first one of the collection a, the fourth and the sixth follow in its stretch.
    order = mixture.order(1)
    assert len(order) == 3
    assert list(order) == [order[index] for index in range(3)] == [mixture.order(position)[0] for position in (1, 3, 5)]
    assert sorted(order) == [0, 1, 2]
    with pytest.raises(IndexError, match="try 3 of 3"):
        order[3]


def test_a_sample_of_ten_million_scans_costs_what_a_sample_of_a_hundred_costs() -> None:
    seconds, peaks = [], []
    for count in (100, 10_000_000):
        mixture = Mixture(ManyScans(count), seed=0)
        tracemalloc.start()
        began = time.perf_counter()
        first_scans(mixture, 300)
        seconds.append(time.perf_counter() - began)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2**20
    assert seconds[1] < 10 * seconds[0]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("equal", "expected proportional, balanced"),
        ({"a": 1}, "expected a weight for each"),
        ({"a": 1, "b": 1, "c": 1}, "expected a weight for each"),
        ({"a": 1, "b": -1}, "0 or more"),
        ({"a": 1, "b": float("nan")}, "0 or more"),
        ({"a": 1, "b": float("inf")}, "0 or more"),
        ({"a": 1, "b": True}, "0 or more"),
        ({"a": 0, "b": 0}, "one above 0"),
    ],
)
def test_weights_that_do_not_fit_the_collections_are_refused(weights: dict[str, float] | str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mixture(rows(a=2, b=2), seed=0, weights=weights)


def test_rows_without_the_name_that_is_needed_are_refused() -> None:
    with pytest.raises(ValueError, match=r"scan 0 \(a.nii\) names no dataset"):
        Mixture([{"image": "a.nii"}], seed=0, weights="balanced")
    with pytest.raises(ValueError, match="no scan names a patient_id"):
        Mixture([{"image": "a.nii"}], seed=0, by_patient=True)
    with pytest.raises(ValueError, match="one scan or more"):
        Mixture([], seed=0)
