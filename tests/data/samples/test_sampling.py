"""The order of samples depends on (seed, epoch, index) alone."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import pytest
import torch
from monai.data import DataLoader, list_data_collate
from monai.transforms import Compose, MapTransform, Randomizable

from maesil_monai.data.samples.sampling import EpochSampler, SeededDataset
from maesil_monai.data.volumes.bad_volume import BadVolume


class DrawNumber(Randomizable, MapTransform):
    """Stands for a random crop: refuses bad scans after drawing, else gives a list of one dictionary."""

    def __init__(self, keys: str = "image") -> None:
        super().__init__(keys)

    def __call__(self, data: dict) -> list[dict]:
        drawn = self.R.random_sample()
        if data["image"].startswith("bad"):
            raise BadVolume("EMPTY_FILE", data["image"], "0 bytes", "a volume", "Copy it again.")
        return [{"scan": torch.tensor(int(data["image"][4:])), "drawn": torch.tensor(drawn)}]


def scans(count: int, bad: tuple[int, ...] = ()) -> list[dict]:
    return [{"image": f"{'bad ' if number in bad else 'scan'}{number}"} for number in range(count)]


def epoch_of(loader: DataLoader, epoch: int) -> list[tuple[list[int], list[float]]]:
    loader.sampler.set_epoch(epoch)
    return [(batch["scan"].tolist(), batch["drawn"].tolist()) for batch in loader]


@pytest.mark.parametrize("num_replicas", [2, 4])
def test_every_number_of_processes_sees_the_same_global_batches(num_replicas: int) -> None:
    alone = EpochSampler(19, batch_size=4, num_replicas=1, rank=0)
    ranks = [EpochSampler(19, batch_size=4 // num_replicas, num_replicas=num_replicas, rank=r) for r in range(num_replicas)]
    for sampler in (alone, *ranks):
        sampler.set_epoch(3)
    # 19 samples are 4 whole global batches of 4.
    assert list(alone) == [(3, index) for index in range(16)]
    per_rank = [np.array(list(sampler)).reshape(4, 4 // num_replicas, 2) for sampler in ranks]
    for batch in range(4):
        together = np.concatenate([keys[batch] for keys in per_rank])
        assert [tuple(key) for key in together.tolist()] == alone.keys(3, batch)


def test_the_length_of_the_loader_does_not_depend_on_the_place_in_the_epoch() -> None:
    sampler = EpochSampler(10, batch_size=2, num_replicas=1, rank=0)
    sampler.seek(8)
    assert (sampler.epoch, sampler.position, len(sampler)) == (2, 3, 10)
    assert list(sampler) == [(2, index) for index in range(6, 10)]


def test_a_resumed_epoch_starts_at_its_place_and_the_next_one_at_its_first_batch() -> None:
    sampler = EpochSampler(6, batch_size=2, num_replicas=1, rank=0)
    sampler.seek(4)
    other = EpochSampler(6, batch_size=1, num_replicas=2, rank=1)
    other.load_state_dict(sampler.state_dict())
    other.set_epoch(2)
    assert list(other) == [(2, 3), (2, 5)]
    other.set_epoch(3)
    assert list(other) == [(3, 1), (3, 3), (3, 5)]


def test_a_place_counted_in_other_batches_is_refused() -> None:
    state = EpochSampler(6, batch_size=2, num_replicas=1, rank=0).state_dict()
    with pytest.raises(ValueError, match=r"global_batch_size was 2 and is 3 now"):
        EpochSampler(9, batch_size=3, num_replicas=1, rank=0).load_state_dict(state)


def test_an_epoch_that_fills_no_global_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 4 or more"):
        EpochSampler(3, batch_size=2, num_replicas=2, rank=0)


def test_epochs_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        EpochSampler(3, batch_size=1).set_epoch(0)


@pytest.mark.parametrize("num_samples", [3, 7, 16])
def test_every_scan_is_visited_equally_often_whatever_the_length_of_an_epoch(num_samples: int) -> None:
    sampler = EpochSampler(num_samples, batch_size=1)
    dataset = SeededDataset(scans(7), DrawNumber(), seed=5, sampler=sampler)
    visits: Counter[int] = Counter()
    for epoch in range(1, 8):
        sampler.set_epoch(epoch)
        visits.update(int(dataset[key][0]["scan"]) for key in sampler)
    # 7 epochs of num_samples samples over 7 scans: num_samples visits each.
    assert visits == dict.fromkeys(range(7), num_samples)


def test_stretches_have_different_orders_and_another_seed_another_order() -> None:
    def orders(seed: int) -> list[list[int]]:
        dataset = SeededDataset(scans(20), DrawNumber(), seed=seed)
        return [[int(dataset[(epoch, index)][0]["scan"]) for index in range(20)] for epoch in (1, 2)]

    assert orders(0)[0] != orders(0)[1]
    assert orders(0)[0] != orders(1)[0]
    assert orders(0) == orders(0)


def test_samples_do_not_depend_on_the_number_of_workers_or_on_refused_scans_met_before(caplog: pytest.LogCaptureFixture) -> None:
    def run(num_workers: int, first_epoch: int = 1) -> list:
        sampler = EpochSampler(12, batch_size=3)
        dataset = SeededDataset(scans(10, bad=(2, 7)), DrawNumber(), seed=1, sampler=sampler, bad_share=0.5)
        loader = DataLoader(dataset, batch_size=3, sampler=sampler, num_workers=num_workers, collate_fn=list_data_collate)
        return [epoch_of(loader, epoch) for epoch in range(first_epoch, 3)]

    alone, workers = run(0), run(2)
    assert alone == workers
    # A run that starts later has met no refused scan yet; its samples are the same.
    assert run(0, first_epoch=2) == alone[1:]
    assert {scan for epoch in alone for numbers, _ in epoch for scan in numbers} == {0, 1, 3, 4, 5, 6, 8, 9}


def test_a_refused_scan_is_warned_of_once_and_remembered(caplog: pytest.LogCaptureFixture) -> None:
    dataset = SeededDataset(scans(10, bad=(4,)), DrawNumber(), seed=0, bad_share=0.1)
    with caplog.at_level(logging.WARNING):
        for epoch in (1, 2, 3):
            assert len([dataset[(epoch, index)] for index in range(10)]) == 10
    assert [record.getMessage().count("bad 4") for record in caplog.records] == [1]
    assert list(dataset.refused) == [4]


def test_too_many_refused_scans_stop_the_run_and_are_named() -> None:
    dataset = SeededDataset(scans(4, bad=(0, 1, 2, 3)), DrawNumber(), seed=0, bad_share=0.25)
    with pytest.raises(BadVolume, match=r"2 of 4 scans refused.*TOO_MANY_BAD_SCANS"):
        dataset[(1, 0)]


def test_faults_of_the_program_are_not_taken_for_bad_scans() -> None:
    def typo(data: dict) -> dict:
        return data["imagge"]

    # MONAI's Compose wraps the KeyError.
    with pytest.raises(RuntimeError, match="applying transform"):
        SeededDataset(scans(4), typo, seed=0)[(1, 0)]


def test_a_plain_number_is_a_key_without_an_epoch() -> None:
    dataset = SeededDataset(scans(5), Compose([DrawNumber()]), seed=0)
    assert dataset[3][0]["drawn"] == dataset[(0, 3)][0]["drawn"]
    assert sorted(int(dataset[index][0]["scan"]) for index in range(5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"seed": 0, "bad_share": 1.5}])
def test_seeds_and_shares_out_of_range_are_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match="expected one scan or more"):
        SeededDataset(scans(2), None, **arguments)


def test_weights_and_patients_reach_the_dataset() -> None:
    data = [{**row, "dataset": "ab"[number % 4 == 0], "patient_id": str(number // 2)} for number, row in enumerate(scans(8))]
    dataset = SeededDataset(data, DrawNumber(), seed=0, weights={"a": 1, "b": 3})
    # Scans 0 and 4 are the collection b.
    assert sum(int(dataset[(1, index)][0]["scan"]) % 4 == 0 for index in range(8)) == 6
    by_patient = SeededDataset(data, DrawNumber(), seed=0, by_patient=True)
    shown = [int(by_patient[(epoch, index)][0]["scan"]) for epoch in (1, 2) for index in range(8)]
    # 4 patients of 2 scans: each stretch of 4 samples shows each patient, two stretches show each scan.
    assert all(sorted(number // 2 for number in shown[first : first + 4]) == [0, 1, 2, 3] for first in range(0, 16, 4))
    assert Counter(shown) == dict.fromkeys(range(8), 2)


def test_a_refused_scan_is_replaced_from_its_own_collection_until_none_is_left() -> None:
    data = [{**row, "dataset": "small" if number < 2 else "large"} for number, row in enumerate(scans(20, bad=(0,)))]
    dataset = SeededDataset(data, DrawNumber(), seed=0, weights="balanced", bad_share=0.2)
    shown = [int(dataset[(1, index)][0]["scan"]) for index in range(20)]
    assert Counter(number < 2 for number in shown) == {True: 10, False: 10}
    data[1] = {"image": "bad 1", "dataset": "small"}
    with pytest.raises(BadVolume, match=r"no scan left of its collection 'small'.*TOO_MANY_BAD_SCANS"):
        [dataset[(2, index)] for index in range(2)]


def test_an_epoch_of_any_length_is_handed_out_key_by_key_and_keeps_its_epoch() -> None:
    sampler = EpochSampler(10**12, batch_size=4)
    keys = iter(sampler)
    assert [next(keys) for _ in range(5)] == [(1, index) for index in range(5)]
    sampler.set_epoch(2)
    assert next(keys) == (1, 5)
