"""The order of samples as a function of (seed, epoch, index) alone: never of workers, ranks or interruptions.

The sampler hands out keys, the dataset turns a key into a scan and a random state. Nothing is counted while iterating,
because the workers of a data loader run ahead of the training step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ignite.distributed as idist
import numpy as np
from monai.data import Dataset
from torch.utils.data.distributed import DistributedSampler

from maesil_monai.data.samples.scan_order import Mixture, ScanOrder, Weights
from maesil_monai.data.volumes.bad_volume import BadVolume, bad_volume_behind
from maesil_monai.errors import BadSetting

Key = tuple[int, int]
logger = logging.getLogger(__name__)


class EpochSampler(DistributedSampler):
    """Hands out the keys (epoch, index) of an epoch to the processes of a job.

    Global batch k of an epoch holds the indices from ``k * G`` to ``(k + 1) * G - 1`` with ``G = batch_size * num_replicas``, so
    it is the same for any number of processes at the same G. The number of samples is rounded down to whole global batches.
    MONAI's and ignite's engines set the epoch on samplers of this base class; they count epochs from 1.

    Args:
        num_samples: samples per epoch, of the whole job.
        batch_size: samples per batch of one process.
        num_replicas: number of processes; None asks ignite, 1 without a job.
        rank: number of this process, ``0 <= rank < num_replicas``; None asks ignite, 0 without a job.

    Raises:
        ValueError: if an epoch does not fill one global batch, or for a rank outside the job.

    Example:
        >>> list(EpochSampler(num_samples=5, batch_size=1, num_replicas=2, rank=1))
        [(1, 1), (1, 3)]
    """

    def __init__(self, num_samples: int, batch_size: int, num_replicas: int | None = None, rank: int | None = None) -> None:
        num_replicas = idist.get_world_size() if num_replicas is None else num_replicas
        rank = idist.get_rank() if rank is None else rank
        self.batch_size = batch_size
        self.global_batch_size = batch_size * num_replicas
        if batch_size < 1 or num_samples < self.global_batch_size:
            raise BadSetting(
                f"num_samples={num_samples} per epoch do not fill one global batch of {batch_size} (batch_size) x {num_replicas} "
                f"(processes): expected {max(self.global_batch_size, 1)} or more and a batch_size of at least 1."
            )
        self.num_batches = num_samples // self.global_batch_size
        super().__init__(range(self.num_batches * self.global_batch_size), num_replicas, rank, shuffle=False, drop_last=True)  # type: ignore[arg-type]
        self.epoch = 1
        self.position = 0

    def __iter__(self) -> Iterator[Key]:
        # Place and epoch are read now, not when the first key is asked for: the sampler may turn to another epoch meanwhile.
        epoch = self.epoch
        return (key for batch in range(self.position, self.num_batches) for key in self.keys(epoch, batch))

    def keys(self, epoch: int, batch: int) -> list[Key]:
        """Gives the keys that this process holds in global batch ``batch`` (counted from 0) of an epoch."""
        first = batch * self.global_batch_size + self.rank * self.batch_size
        return [(epoch, index) for index in range(first, first + self.batch_size)]

    def set_epoch(self, epoch: int) -> None:
        """Turns to an epoch, counted from 1; another epoch than the present one starts at its first batch.

        Raises:
            ValueError: for an epoch below 1.
        """
        if epoch < 1:
            raise ValueError(f"epoch={epoch}: epochs are counted from 1, as the engines of MONAI and ignite count them.")
        if epoch != self.epoch:
            self.position = 0
        self.epoch = epoch

    def seek(self, num_iterations: int) -> None:
        """Turns to the batch that follows after ``num_iterations`` global batches of the run."""
        epochs, self.position = divmod(num_iterations, self.num_batches)
        self.epoch = epochs + 1

    def state_dict(self) -> dict[str, int]:
        """Gives the place in the run (``position``: batches of the epoch already delivered) and the sizes it is counted in."""
        return {
            "epoch": self.epoch,
            "position": self.position,
            "num_batches": self.num_batches,
            "global_batch_size": self.global_batch_size,
        }

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Goes to the place of :meth:`state_dict`; the number of processes may differ.

        Raises:
            ValueError: if the epoch has another number of batches or another global batch size.
        """
        for key in ("num_batches", "global_batch_size"):
            if state[key] != getattr(self, key):
                raise BadSetting(
                    f"sample order cannot go on: {key} was {state[key]} and is {getattr(self, key)} now. "
                    "Keep superpatches_per_epoch and batch_size x number of processes as they were."
                )
        self.epoch, self.position = state["epoch"], state["position"]


class SeededDataset(Dataset):
    """Gives the sample of a key (epoch, index), the same one in every worker, process and resumed run.

    The samples of all epochs form one stream, which a :class:`Mixture` deals out: each stretch of ``len(data)`` samples visits
    every scan once, in an order drawn for that stretch, so that scans are visited equally often, however short or long an epoch
    is; ``weights`` and ``by_patient`` change what is visited equally often. The transform's random state is set from
    ``SeedSequence([seed, epoch, index])``. A scan that raises :class:`BadVolume` is refused for the run and the next one of the
    stretch (of the same collection, where there are weights) takes its place; every other error stays loud.

    A sample costs the same time and memory whatever the number of scans.

    Args:
        data: one dictionary per scan.
        transform: as in MONAI; its random parts must follow ``Compose.set_random_state``.
        seed: of the order and of the transforms, not negative.
        sampler: the sampler of the keys, which tells how many samples an epoch has; None: ``len(data)``.
        bad_share: largest share of the scans that may be refused, from 0 to 1.
        weights: of the collections, see :class:`Mixture`.
        by_patient: whether patients with several scans are visited as often as others, see :class:`Mixture`.

    Raises:
        ValueError: for empty data, a negative seed, a share outside [0, 1], or weights that do not fit the data.

    Example:
        >>> dataset = SeededDataset([{"image": name} for name in "abc"], transform=[], seed=0)
        >>> sorted(dataset[(1, index)]["image"] for index in range(3))
        ['a', 'b', 'c']
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Sequence[Callable] | Callable | None,
        seed: int,
        sampler: EpochSampler | None = None,
        bad_share: float = 0.05,
        weights: Weights = "proportional",
        by_patient: bool = False,
    ) -> None:
        if len(data) == 0 or seed < 0 or not 0.0 <= bad_share <= 1.0:
            raise BadSetting(
                f"{len(data)} scans, seed={seed}, bad_share={bad_share}: expected one scan or more, a seed of 0 or more, "
                "a bad_share from 0 to 1."
            )
        super().__init__(data, transform if transform is not None else [])
        self.seed = seed
        self.samples_per_epoch = len(data) if sampler is None else len(sampler.dataset)  # type: ignore[arg-type]
        self.bad_share = bad_share
        self.refused: dict[int, BadVolume] = {}
        self.mixture = Mixture(data, seed, weights, by_patient)

    def scans_of(self, key: int | Key) -> ScanOrder:
        """Gives the scans, as numbers in ``data``, in the order in which they are tried for a key."""
        epoch, index = _as_key(key)
        return self.mixture.order(max(epoch - 1, 0) * self.samples_per_epoch + index)

    def __getitem__(self, key: int | Key) -> Any:  # type: ignore[override]
        """Gives what the transform makes of the key's scan; a plain number stands for the key (0, number).

        Raises:
            BadVolume: if more than ``bad_share`` of the scans were refused, or all scans of a collection.
        """
        epoch, index = _as_key(key)
        for scan in self.scans_of(key):
            if scan in self.refused:
                continue
            bits = np.random.MT19937(np.random.SeedSequence([self.seed, epoch, index]))
            self.transform.set_random_state(state=np.random.RandomState(bits))
            try:
                return self.transform(self.data[scan])
            except (BadVolume, RuntimeError) as error:
                fault = bad_volume_behind(error)
                if fault is None:
                    raise
                self._refuse(scan, fault)
        raise self._none_left(scan)

    def _refuse(self, scan: int, fault: BadVolume) -> None:
        """Remembers and reports a refused scan."""
        self.refused[scan] = fault
        logger.warning("scan %d refused, the next one takes its place: %s", scan, fault)
        if len(self.refused) > self.bad_share * len(self.data):
            found = f"{len(self.refused)} of {len(self.data)} scans refused, this one last: {fault.found}"
            cure = "Check the data list and correct or remove the files named in the warnings."
            raise BadVolume("TOO_MANY_BAD_SCANS", fault.path, found, f"at most {self.bad_share:.0%} (bad_share)", cure) from fault

    def _none_left(self, scan: int) -> BadVolume:
        last = self.refused[scan]
        found = f"no scan left of its collection {self.data[scan].get('dataset', '')!r}, this one refused last: {last.found}"
        expected = "one usable scan or more in each collection that has a weight"
        cure = "Correct the files named in the warnings, or give the collection the weight 0."
        return BadVolume("TOO_MANY_BAD_SCANS", last.path, found, expected, cure)


def _as_key(key: int | Key) -> Key:
    """Reads a plain number as an index outside any epoch."""
    return (int(key[0]), int(key[1])) if isinstance(key, tuple) else (0, int(key))
