"""Which scan each place of an endless stream of samples shows: collections by weight, patients or scans by turns."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from maesil_monai.data.samples.keyed_permutation import keyed_permutation
from maesil_monai.errors import BadSetting

Weights: TypeAlias = "str | Mapping[str, float]"


class ScanOrder:
    """The scans in the order in which they are tried for one sample: the first one, then those that may stand in for it.

    Args:
        mixture: whose order it is.
        position: place of the sample in the stream, from 0.

    Example:
        >>> order = ScanOrder(Mixture([{}, {}, {}], seed=0), position=4)
        >>> sorted(order), order[0] == next(iter(order))
        ([0, 1, 2], True)
    """

    def __init__(self, mixture: Mixture, position: int) -> None:
        self.mixture = mixture
        self.collection, count = mixture.collection_at(position)
        self.stretch, self.place = divmod(count, mixture.num_units(self.collection))

    def __len__(self) -> int:
        return self.mixture.num_scans(self.collection)

    def __getitem__(self, index: int) -> int:
        """Gives the scan of try ``index``; the first one costs constant time, a later one as many steps as come before it."""
        if not 0 <= index < len(self):
            raise IndexError(f"try {index} of {len(self)}.")
        return next(itertools.islice(self, index, None))

    def __iter__(self) -> Iterator[int]:
        num_units = self.mixture.num_units(self.collection)
        for step in range(num_units):
            yield from self.mixture.scans_at(self.collection, self.stretch, (self.place + step) % num_units)


class Mixture:
    """Deals the samples of an endless stream out to scans, each sample by itself in constant time and memory.

    The stream is first dealt out to collections. With ``proportional`` there is but one, of all scans. Otherwise each collection
    gets its share evenly all along the stream: with weights that are whole numbers without a common divisor, every window of as
    many samples as they sum to holds exactly the weight's number of each collection, and any other window is at most as many
    samples off as there are collections. Within a collection each stretch of as many samples as it has scans visits every scan
    once, in an order drawn for that stretch.

    With ``by_patient`` a stretch visits every patient once, and a patient with k scans shows each of them once in k stretches.

    Args:
        rows: one dictionary per scan. ``dataset`` names its collection, ``patient_id`` its patient; a scan without a
            ``patient_id`` is a patient of its own. With weights, a patient of two collections is visited in both.
        seed: of the orders, not negative.
        weights: ``proportional`` (to the number of scans, or of patients), ``balanced`` (the same for each collection), or a
            weight of 0 or more for each collection.
        by_patient: visits patients equally often, rather than scans.

    Raises:
        ValueError: for no rows, other weights, weights that leave out or invent a collection, or rows without the key that is
            needed.

    Example:
        >>> rows = [{"dataset": "btcv"}, {"dataset": "lidc"}, {"dataset": "lidc"}]
        >>> mixture = Mixture(rows, seed=0, weights={"btcv": 1, "lidc": 3})
        >>> [rows[mixture.order(position)[0]]["dataset"] for position in range(8)]
        ['lidc', 'lidc', 'lidc', 'btcv', 'lidc', 'lidc', 'lidc', 'btcv']
    """

    def __init__(
        self, rows: Sequence[Mapping[str, Any]], seed: int, weights: Weights = "proportional", by_patient: bool = False
    ) -> None:
        if len(rows) == 0 or seed < 0:
            raise BadSetting(f"{len(rows)} scans, seed={seed}: expected one scan or more and a seed of 0 or more.")
        self.seed = seed
        # Scans stand in the order of their units, units in the order of their collections; the starts tell where each begins.
        self._scans: Sequence[int] | np.ndarray = range(len(rows))
        self._unit_starts: Sequence[int] | np.ndarray = range(len(rows) + 1)
        self._collection_starts = [0, len(rows)]
        self._shares = [Fraction(1)]
        if weights == "proportional" and not by_patient:
            return
        units = _units(rows, named=weights != "proportional", by_patient=by_patient)
        weight_of = _weights(weights, sorted({group for group, _ in units}))
        wanted = sorted((unit for unit in units if weight_of[unit[0]] > 0), key=lambda unit: unit[0])
        self._scans = np.fromiter(itertools.chain.from_iterable(units[unit] for unit in wanted), dtype=np.int64)
        self._unit_starts = np.cumsum([0, *(len(units[unit]) for unit in wanted)])
        sizes = Counter(group for group, _ in wanted)
        self._collection_starts = [0, *itertools.accumulate(sizes.values())]
        self._shares = _shares([weight_of[group] for group in sizes])

    def order(self, position: int) -> ScanOrder:
        """Gives the scans that are tried, in this order, for the sample at a place of the stream, counted from 0."""
        return ScanOrder(self, position)

    def collection_at(self, position: int) -> tuple[int, int]:
        """Gives the collection of a sample, and how many samples before this one are of the same collection."""
        for collection, share in enumerate(self._shares):
            before = math.floor(share * position)
            if math.floor(share * (position + 1)) > before:
                return collection, before
            position -= before
        raise AssertionError("the last share is 1 and takes every sample that is left")

    def num_units(self, collection: int) -> int:
        """Gives the number of scans, or with ``by_patient`` of patients, in a collection."""
        return self._collection_starts[collection + 1] - self._collection_starts[collection]

    def num_scans(self, collection: int) -> int:
        """Gives the number of scans in a collection."""
        first, stop = self._collection_starts[collection : collection + 2]
        return int(self._unit_starts[stop] - self._unit_starts[first])

    def scans_at(self, collection: int, stretch: int, place: int) -> Iterator[int]:
        """Gives the scan at a place of a stretch; with ``by_patient`` the patient's other scans behind it."""
        order = keyed_permutation(self.num_units(collection), self.seed, (0, collection, stretch))
        unit = self._collection_starts[collection] + order(place)
        first, stop = int(self._unit_starts[unit]), int(self._unit_starts[unit + 1])
        count = stop - first
        if count == 1:
            yield int(self._scans[first])
            return
        turn, place = divmod(stretch, count)
        own_order = keyed_permutation(count, self.seed, (1, unit, turn))
        for step in range(count):
            yield int(self._scans[first + own_order((place + step) % count)])


def _units(rows: Sequence[Mapping[str, Any]], named: bool, by_patient: bool) -> dict[tuple[str, int | str], list[int]]:
    """Gathers the scans that take turns, by collection (all in one unless ``named``) and patient (or the scan's number)."""
    units: dict[tuple[str, int | str], list[int]] = {}
    has_patients = False
    for number, row in enumerate(rows):
        group = row.get("dataset") if named else ""
        if not isinstance(group, str) or (named and not group):
            raise BadSetting(
                f"scan {number} ({row.get('image')}) names no dataset, which weights by dataset need: "
                "use a datalist.json whose rows have one, as a prepared store has, or weights='proportional'."
            )
        patient = row.get("patient_id") if by_patient else None
        has_patients = has_patients or bool(patient)
        units.setdefault((group, str(patient) if patient else number), []).append(number)
    if by_patient and not has_patients:
        raise BadSetting("by_patient=True, but no scan names a patient_id: use a datalist.json whose rows have one.")
    return units


def _weights(weights: Weights, names: Sequence[str]) -> dict[str, Fraction]:
    """Reads the weight of each collection; a decimal such as 0.3 is taken as three tenths."""
    if isinstance(weights, str):
        if weights not in ("proportional", "balanced"):
            raise BadSetting(f"weights={weights!r}: expected proportional, balanced or a weight for each dataset.")
        return dict.fromkeys(names, Fraction(1))
    if set(weights) != set(names):
        raise BadSetting(
            f"weights name the datasets {sorted(weights)}, the scans are of {list(names)}: "
            "expected a weight for each of them; 0 leaves a dataset out."
        )
    found = {}
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
            raise BadSetting(f"weight {weight!r} of dataset {name!r}: expected a number of 0 or more.")
        found[name] = Fraction(str(weight))
    if not any(found.values()):
        raise BadSetting(f"weights={dict(weights)}: expected one above 0.")
    return found


def _shares(weights: Sequence[Fraction]) -> list[Fraction]:
    """Gives each collection's share of what the ones before it have left; the last one's is 1."""
    return [weight / sum(weights[place:]) for place, weight in enumerate(weights)]
