"""A random order of any number of things of which one place can be asked for, without making the whole order."""

from __future__ import annotations

import functools

import numpy as np

NUM_ROUNDS = 96
_WORD = 2**64 - 1


class KeyedPermutation:
    """A permutation of ``range(num_items)`` drawn from a key, evaluated place by place in constant time and memory.

    The swap-or-not shuffle: each round pairs the items (i and pivot - i, modulo their number), and a bit drawn for each pair
    says whether the two change places. It works for any number of items, needs no table, and so costs the same for ten items as
    for ten million.

    Args:
        num_items: how many items are permuted, at least 1.
        seed: not negative.
        key: what tells the permutations of one seed apart, whole numbers from 0 up.

    Raises:
        ValueError: for no items.

    Example:
        >>> order = KeyedPermutation(5, seed=0, key=(1,))
        >>> sorted(order(place) for place in range(5))
        [0, 1, 2, 3, 4]

    Source: Hoang, Morris and Rogaway, "An enciphering scheme based on a card shuffle", CRYPTO 2012. After r rounds the order of
    q of N items differs from a uniform one by at most ``8 N^1.5 / (r + 4) * ((N + q) / 2N)^(r / 2 + 1)``.
    """

    def __init__(self, num_items: int, seed: int, key: tuple[int, ...] = ()) -> None:
        if num_items < 1:
            raise ValueError(f"num_items={num_items}: expected 1 or more.")
        self.num_items = num_items
        # The spawn key keeps these words apart from the seeds of the transforms, which have none.
        words = np.random.SeedSequence(seed, spawn_key=key).generate_state(2 * NUM_ROUNDS, np.uint64).tolist()
        self._rounds = [(pivot % num_items, salt) for pivot, salt in zip(words[::2], words[1::2], strict=True)]

    def __call__(self, place: int) -> int:
        """Gives the item at a place, both counted from 0.

        Raises:
            IndexError: for a place outside the permutation.
        """
        if not 0 <= place < self.num_items:
            raise IndexError(f"place {place} of a permutation of {self.num_items} items: expected 0 to {self.num_items - 1}.")
        for pivot, salt in self._rounds:
            partner = (pivot - place) % self.num_items
            # The larger of the two stands for the pair; the finaliser of splitmix64 makes its bit.
            word = max(place, partner) ^ salt
            word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
            word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
            if word >> 63:
                place = partner
        return place


@functools.lru_cache(maxsize=64)
def keyed_permutation(num_items: int, seed: int, key: tuple[int, ...]) -> KeyedPermutation:
    """Gives a permutation, one of those used last without drawing its rounds again."""
    return KeyedPermutation(num_items, seed, key)
