"""Optimiser, learning rate, weight average and gradient guard agree with the steps the trainer takes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ignite.engine import Events
from tiny_run import Run, TinyNetwork, squared_error

from maesil_monai.training.ema import WeightAverage
from maesil_monai.training.gradients import REPORT_NAME, GradientGuard, NonFiniteLoss
from maesil_monai.training.optimizer import build_optimizer
from maesil_monai.training.schedule import WarmupCosine, warmup_cosine
from maesil_monai.training.step_count import is_step, num_steps, total_steps


def engine_at(iteration: int, accumulation_steps: int = 4) -> Any:
    state = SimpleNamespace(iteration=iteration, epoch_length=6, max_epochs=3)
    return SimpleNamespace(state=state, accumulation_steps=accumulation_steps)


class CountSteps:
    """Compares what the package believes with the calls of ``optimizer.step``."""

    def __init__(self) -> None:
        self.found: list[tuple[bool, int]] = []
        self.expected: list[tuple[bool, int]] = []
        self.rates: list[float] = []

    def attach(self, engine: Any) -> None:
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.compare)

    def start(self, engine: Any) -> None:
        self.calls = self.before = 0
        engine.optimizer.register_step_pre_hook(self.count)

    def count(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self.calls += 1
        self.rates.append(optimizer.param_groups[0]["lr"])

    def compare(self, engine: Any) -> None:
        self.found.append((is_step(engine), num_steps(engine)))
        self.expected.append((self.calls > self.before, self.calls))
        self.before = self.calls


@pytest.mark.parametrize("accumulation_steps", [1, 2, 4, 5, 6, 7])
def test_steps_are_told_as_the_trainer_takes_them(tmp_path: Path, accumulation_steps: int) -> None:
    count = CountSteps()
    run = Run(tmp_path, accumulation_steps=accumulation_steps, save_interval=None, handlers=(count,)).run()
    assert count.found == count.expected
    assert count.calls == total_steps(run.trainer) == run.average.num_updates
    # Warm-up over 2 steps, then a cosine from 0.01 down to 0.0001.
    assert count.rates == pytest.approx([1e-2 * warmup_cosine(step, 2, count.calls, 1e-2) for step in range(count.calls)])


def test_the_learning_rate_rises_linearly_and_ends_at_its_minimum() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = WarmupCosine(optimizer, warmup_steps=4, min_lr=0.5, total_steps=14)
    rates = []
    for iteration in range(1, 16):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule(engine_at(iteration, accumulation_steps=1))
    assert rates[:5] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])
    # Half way down, at step 4 + 5, the rate is half way between 2 and 0.5.
    assert rates[9] == pytest.approx(1.25)
    assert rates[14] == pytest.approx(0.5)


@pytest.mark.parametrize("arguments", [{"warmup_steps": -1}, {"warmup_steps": 0, "min_lr": 3.0}])
def test_schedules_out_of_range_are_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match="expected 0 or more steps"):
        WarmupCosine(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0), **arguments)


class Named(torch.nn.Module):
    """Has a parameter of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.position_embedding = torch.nn.Parameter(torch.zeros(1, 8, 4))
        self.class_token = torch.nn.Parameter(torch.zeros(1, 1, 4))
        self.patches = torch.nn.Conv3d(1, 4, 2)
        self.norm = torch.nn.LayerNorm(4)
        self.head = torch.nn.Linear(4, 2)
        self.frozen = torch.nn.Parameter(torch.zeros(3, 3), requires_grad=False)


def test_every_trained_parameter_is_in_one_group_and_only_kernels_decay() -> None:
    network = Named()
    decayed, undecayed = build_optimizer(network, 1.5e-4, batch_size=16, accumulation=4, weight_decay=0.1).param_groups
    names = {id(value): name for name, value in network.named_parameters()}
    assert sorted(names[id(value)] for value in decayed["params"]) == ["head.weight", "patches.weight"]
    together = [names[id(value)] for group in (decayed, undecayed) for value in group["params"]]
    assert sorted(together) == sorted(name for name in names.values() if name != "frozen")
    assert (decayed["weight_decay"], undecayed["weight_decay"]) == (0.1, 0.0)
    # 1.5e-4 is meant for 256 superpatches, a step takes 16 * 4.
    assert decayed["lr"] == undecayed["lr"] == pytest.approx(1.5e-4 / 4)


def test_a_network_without_parameters_to_train_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameter to train"):
        build_optimizer(torch.nn.Linear(1, 1).requires_grad_(False), 1e-3, 1)


def test_the_average_follows_its_warm_up_and_copies_buffers() -> None:
    network = torch.nn.BatchNorm1d(1)
    average = WeightAverage(network, decay=0.25)
    network.weight.data.fill_(3.0)
    network.running_mean.fill_(7.0)
    average.update()
    # The first decay is 2 / 11, below 0.25: 1 * 2 / 11 + 3 * 9 / 11.
    assert average.module.weight.item() == pytest.approx(29 / 11)
    average.update()
    # The second is 3 / 12 = 0.25.
    assert average.module.weight.item() == pytest.approx(29 / 11 * 0.25 + 3 * 0.75)
    assert average.module.running_mean.item() == 7.0
    assert network.weight.item() == 3.0


def test_the_average_of_a_network_that_keeps_a_graph_goes_on() -> None:
    network = torch.nn.Linear(1, 1)
    average = WeightAverage(network, decay=0.9)
    network.kept = network(torch.ones(1, 1)) * 2.0  # type: ignore[assignment]
    average.update()
    assert average.num_updates == 1


def test_a_switched_off_average_validates_the_network_itself(tmp_path: Path) -> None:
    run = Run(tmp_path, decay=0.0, max_epochs=1).run()
    assert run.average.module is run.network
    assert run.average.state_dict() == {"num_updates": 0, "module": {}}


def test_averaging_switched_on_later_starts_from_the_present_weights() -> None:
    network = torch.nn.Linear(1, 1)
    average = WeightAverage(network, decay=0.9)
    network.weight.data.fill_(5.0)
    average.load_state_dict({"num_updates": 0, "module": {}})
    assert average.module.weight.item() == 5.0


class SpoilLoss:
    """A loss that is not finite at one call."""

    def __init__(self, call: int, factor: float) -> None:
        self.call, self.factor, self.calls = call, factor, 0

    def __call__(self, prediction: torch.Tensor, label: dict[str, torch.Tensor]) -> torch.Tensor:
        self.calls += 1
        return squared_error(prediction, label) * (self.factor if self.calls == self.call else 1.0)


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
@pytest.mark.parametrize("call", [3, 4, 5, 9])
def test_a_non_finite_loss_stops_before_the_step_and_is_never_saved(tmp_path: Path, call: int, factor: float) -> None:
    run = Run(tmp_path, loss=SpoilLoss(call, factor))
    with pytest.raises(NonFiniteLoss, match=f"at iteration {call}"):
        run.run()
    assert all(torch.isfinite(value).all() for value in run.tensors().values())
    # Steps are taken after iterations 4, 6 and 10.
    steps = sum(step < call for step in (4, 6, 10))
    report = json.loads((tmp_path / REPORT_NAME).read_text())
    assert (report["iteration"], report["optimizer_step"]) == (call, steps)
    epoch, batch = divmod(call - 1, 6)
    assert report["keys"] == [[epoch + 1, 2 * batch], [epoch + 1, 2 * batch + 1]]
    assert len(report["cases"]) == 2
    assert run.average.num_updates == steps
    good = Run(tmp_path / "good", handlers=(), max_epochs=3)
    good.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=call - 1), good.trainer.terminate)
    good.run()
    ours, theirs = run.tensors(), good.tensors()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_non_finite_gradient_stops_the_run_although_the_loss_is_finite(tmp_path: Path) -> None:
    def root_at_zero(prediction: torch.Tensor, label: dict[str, torch.Tensor]) -> torch.Tensor:
        return (prediction * 0.0).sqrt().mean()

    with pytest.raises(NonFiniteLoss, match="gradient norm nan"):
        Run(tmp_path, loss=root_at_zero).run()


class KeepNorms:
    """Keeps the norm of the gradients at each step."""

    def __init__(self) -> None:
        self.norms: list[float] = []

    def attach(self, engine: Any) -> None:
        engine.add_event_handler(Events.STARTED, lambda: engine.optimizer.register_step_pre_hook(self.keep))

    def keep(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        gradients = [value.grad for group in optimizer.param_groups for value in group["params"]]
        self.norms.append(float(torch.nn.utils.get_total_norm(gradients)))


def test_gradients_are_clipped_to_the_norm_at_steps(tmp_path: Path) -> None:
    keep = KeepNorms()
    Run(tmp_path, loss=lambda prediction, label: 1e4 * squared_error(prediction, label), handlers=(keep,)).run()
    assert keep.norms == pytest.approx([1.0] * 6, rel=1e-4)


def test_gradients_are_not_clipped_between_steps() -> None:
    network = TinyNetwork()
    for value in network.parameters():
        value.grad = torch.full_like(value, 10.0)
    engine = engine_at(3)
    engine.network, engine.optimizer = network, torch.optim.SGD(network.parameters(), lr=1.0)
    engine.state.output = {"loss": torch.tensor(1.0)}
    guard = GradientGuard(max_norm=1.0)
    guard(engine)
    assert all(value.grad is not None and value.grad.eq(10.0).all() for value in network.parameters())
    engine.state.iteration = 4
    guard(engine)
    norm = torch.nn.utils.get_total_norm([value.grad for value in network.parameters() if value.grad is not None])
    assert norm.item() == pytest.approx(1.0, rel=1e-4)


def test_a_norm_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a positive number"):
        GradientGuard(max_norm=0.0)
