"""Everything that a run needs to go on as if it had never stopped, in one object."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, Protocol

import ignite.distributed as idist
import torch
from monai.engines import Workflow

from maesil_monai.data.samples.sampling import EpochSampler
from maesil_monai.errors import BadCheckpoint
from maesil_monai.training.distributed import unwrap
from maesil_monai.training.ema import WeightAverage
from maesil_monai.training.random_state import get_random_state

logger = logging.getLogger(__name__)


class Stateful(Protocol):
    """Anything with a state to keep."""

    def state_dict(self) -> dict[str, Any]:
        """Gives the state."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes the state over."""


class TrainingState:
    """Collects the state of a run for a checkpoint and puts it back.

    Args:
        network: the network in training, wrapped or not.
        optimizer: its optimiser.
        schedule: the learning rate schedule, for instance :class:`WarmupCosine`.
        average: the weight average.
        sampler: the sampler of the training data, which is set to the trainer's place.
        best: the keeper of the best model, for instance :class:`BestModel`.
        fingerprint: the configuration values that decide what the weights mean (network, sizes, mask rule), such as
            :meth:`RunSettings.fixed`. A checkpoint with other ones is refused.
        provenance: the account of the run, for instance :class:`Provenance`.

    Example:
        >>> network = torch.nn.Linear(1, 1)
        >>> state = TrainingState(network, torch.optim.SGD(network.parameters(), lr=0.1), fingerprint={"width": 1})
        >>> state.differences({"width": 2})
        ['width: 2 in the checkpoint, 1 now']
    """

    def __init__(
        self,
        network: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Stateful | None = None,
        average: WeightAverage | None = None,
        sampler: EpochSampler | None = None,
        best: Stateful | None = None,
        fingerprint: Mapping[str, Any] | None = None,
        provenance: Stateful | None = None,
    ) -> None:
        self.network = network
        self.sampler = sampler
        # The order matters: an average may start from the network's weights, a schedule sets the optimiser's rates.
        parts: dict[str, Any] = {
            "network": unwrap(network),
            "average": average,
            "optimizer": optimizer,
            "schedule": schedule,
            "best": best,
        }
        parts["provenance"] = provenance
        self.parts = {name: part for name, part in parts.items() if part is not None}
        self.fingerprint = json.loads(json.dumps({} if fingerprint is None else fingerprint))

    def collect(self, engine: Workflow) -> dict[str, Any]:
        """Gives the state as tensors and plain values. In a job of several processes all of them must call it together."""
        state: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "trainer": {
                "iteration": engine.state.iteration,
                "epoch_length": engine.state.epoch_length,
                "max_epochs": engine.state.max_epochs,
            },
            "random": idist.all_gather(get_random_state()),
            **{name: part.state_dict() for name, part in self.parts.items()},
        }
        if self.sampler is not None:
            self.sampler.seek(engine.state.iteration)
            state["sampler"] = self.sampler.state_dict()
        return state

    def restore(self, engine: Workflow, state: Mapping[str, Any], path: str) -> dict[str, Any] | None:
        """Puts a state back into network, optimiser and the rest, and sets the trainer to its iteration.

        Args:
            engine: the trainer, not yet in its first iteration.
            state: what :meth:`collect` gave.
            path: what error messages call it.

        Returns:
            The state of this process's random number generators, to be set right before the next iteration (making the iterator
            of a data loader draws from them); None if the job had another number of processes.

        Raises:
            BadCheckpoint: if configuration, run or epoch do not fit; names the keys that differ.
        """
        self._refuse_other_runs(engine, state, path)
        for name, part in self.parts.items():
            try:
                part.load_state_dict(state[name])
            except (KeyError, ValueError, RuntimeError) as error:
                cure = "Resume with the configuration of that run, or start from its weights with init_weights."
                what = " ".join(str(error).split())  # torch writes a list over many lines
                raise BadCheckpoint(path, f"its {name} does not fit: {what}", f"a {name} of this configuration", cure) from error
        iteration = state["trainer"]["iteration"]
        engine.load_state_dict(
            {"iteration": iteration, "epoch_length": engine.state.epoch_length, "max_epochs": engine.state.max_epochs}
        )
        if self.sampler is not None:
            self.sampler.seek(iteration)
        if len(state["random"]) != idist.get_world_size():
            logger.warning(
                "%s was written by %d processes and is read by %d: samples and masks go on as they were, other draws do not.",
                path,
                len(state["random"]),
                idist.get_world_size(),
            )
            return None
        return state["random"][idist.get_rank()]

    def differences(self, fingerprint: Mapping[str, Any]) -> list[str]:
        """Lists the keys in which another fingerprint differs from this run's, one line each."""
        theirs, ours = _flatten(fingerprint), _flatten(self.fingerprint)
        absent = "absent"
        return [
            f"{key}: {theirs.get(key, absent)} in the checkpoint, {ours.get(key, absent)} now"
            for key in sorted(theirs.keys() | ours.keys())
            if theirs.get(key, absent) != ours.get(key, absent)
        ]

    def _refuse_other_runs(self, engine: Workflow, state: Mapping[str, Any], path: str) -> None:
        """Compares configuration, parts and epoch before anything is changed."""
        differing = self.differences(state["fingerprint"])
        expected = {*self.parts, "fingerprint", "trainer", "random", "format_version"} | ({"sampler"} if self.sampler else set())
        differing += [f"{name}: not in the checkpoint" for name in sorted(expected - state.keys())]
        differing += [f"{name}: not in this run" for name in sorted(state.keys() - expected)]
        trainer = state["trainer"]
        if trainer["epoch_length"] != engine.state.epoch_length:
            differing.append(f"batches per epoch: {trainer['epoch_length']} in the checkpoint, {engine.state.epoch_length} now")
        if self.sampler is not None and "sampler" in state:
            try:
                self.sampler.load_state_dict(state["sampler"])
            except ValueError as error:
                differing.append(str(error))
        if differing:
            cure = "Resume with the configuration of that run, or start from its weights with init_weights."
            raise BadCheckpoint(path, "; ".join(differing), "a checkpoint of this configuration", cure)
        if trainer["iteration"] > engine.state.max_epochs * engine.state.epoch_length:
            found = f"{trainer['iteration']} iterations"
            raise BadCheckpoint(path, found, f"at most {engine.state.max_epochs} epochs (max_epochs)", "Raise max_epochs.")
        if trainer["max_epochs"] != engine.state.max_epochs:
            logger.warning(
                "max_epochs was %d and is %d now: the learning rate follows the new length from here on.",
                trainer["max_epochs"],
                engine.state.max_epochs,
            )


def _flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Gives nested mappings as one, with ``#`` between the keys as in MONAI's configuration ids."""
    if not isinstance(tree, Mapping) or not tree:
        return {prefix: tree} if prefix else {}
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(_flatten(value, f"{prefix}#{key}" if prefix else str(key)))
    return flat
