"""A training run of a second, wired as the bundle wires it; also a program, for tests that kill it.

Run as ``python tiny_run.py FOLDER SECONDS_PER_ITERATION EPOCHS``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from ignite.metrics import Average
from monai.data import DataLoader
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.transforms import MapTransform, Randomizable
from monai.utils import set_determinism

from maesil_monai.data.samples.loaders import training_loader
from maesil_monai.data.samples.sampling import EpochSampler, SeededDataset
from maesil_monai.inferers import AutocastInferer
from maesil_monai.training.best_model import BestModel
from maesil_monai.training.checkpoint_handler import DurableCheckpoint
from maesil_monai.training.ema import WeightAverage, validation_network
from maesil_monai.training.folder_lock import FolderLock
from maesil_monai.training.gradients import GradientGuard
from maesil_monai.training.optimizer import build_optimizer
from maesil_monai.training.prepare_batch import PrepareReconstruction
from maesil_monai.training.progress import ProgressLine
from maesil_monai.training.resume import Resume
from maesil_monai.training.run_record import RunRecord
from maesil_monai.training.schedule import WarmupCosine
from maesil_monai.training.signals import StopSignal
from maesil_monai.training.time_limit import TimeLimit
from maesil_monai.training.training_state import TrainingState
from maesil_monai.training.validation_schedule import EpochValidation
from maesil_monai.training.worker_end import WorkerEnd

LISTED = [{"image": f"scan_{number}.nii", "sha256": f"{number}a"} for number in range(5)]


class DrawSuperpatch(Randomizable, MapTransform):
    """Draws a superpatch of 4^3 voxels around a value, and a mask of 2^3 patches."""

    def __init__(self) -> None:
        super().__init__("image")

    def __call__(self, data: dict[str, Any]) -> list[dict[str, torch.Tensor]]:
        image = torch.from_numpy(self.R.normal(data["image"], 1.0, (1, 4, 4, 4))).float()
        hidden = torch.from_numpy(self.R.random_sample((2, 2, 2)) < 0.5)
        return [{"image": image, "hidden": hidden, "target": hidden}]


class TinyNetwork(torch.nn.Module):
    """Reconstructs with dropout, so that the random draws of training matter."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.inner = torch.nn.Conv3d(1, width, 3, padding=1)
        self.mask_token = torch.nn.Parameter(torch.zeros(1, 1, 1, 1, 1))
        self.dropout = torch.nn.Dropout(0.2)
        self.outer = torch.nn.Conv3d(width, 1, 3, padding=1)

    def forward(self, image: torch.Tensor, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        hole = hidden[:, None].repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)
        seen = torch.where(hole, self.mask_token, image)
        return self.outer(self.dropout(torch.relu(self.inner(seen))))


def squared_error(prediction: torch.Tensor, label: dict[str, torch.Tensor]) -> torch.Tensor:
    """Stands for the reconstruction loss."""
    return (prediction - label["image"]).square().mean()


def error_of(output: dict[str, Any]) -> float:
    """Stands for the metric."""
    return float(squared_error(output["pred"], output["label"]))


class Note:
    """Keeps the batches a trainer saw, as one number each."""

    def __init__(self) -> None:
        self.batches: list[float] = []

    def attach(self, engine: SupervisedTrainer) -> None:
        engine.add_event_handler(Events.ITERATION_STARTED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        self.batches.append(float(engine.state.batch["image"].double().sum()))


class StopAfter:
    """Ends a run after an iteration, as a user or a time limit would."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def attach(self, engine: SupervisedTrainer) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=self.iteration), lambda: engine.terminate())


class Run:
    """Six batches of two per epoch, accumulated by four, so that an epoch has a step of four and a flush of two."""

    def __init__(
        self,
        folder: Path,
        resume: str = "",
        num_workers: int = 0,
        max_epochs: int = 3,
        accumulation_steps: int = 4,
        save_interval: int | None = 1,
        handlers: tuple = (),
        width: int = 3,
        loss: Any = squared_error,
        keep: int = 2,
        decay: float = 0.9,
        num_batches: int = 6,
        val_interval: int = 1,
        minutes: float | None = None,
        val_at_start: bool = False,
    ) -> None:
        set_determinism(7)
        self.network = TinyNetwork(width)
        self.optimizer = build_optimizer(self.network, 1e-2, 8, base_batch_size=0)
        self.schedule = WarmupCosine(self.optimizer, warmup_steps=2, min_lr=1e-4)
        self.average = WeightAverage(self.network, decay)
        self.sampler = EpochSampler(2 * num_batches, batch_size=2)
        dataset = SeededDataset([{"image": float(value)} for value in range(5)], DrawSuperpatch(), 3, self.sampler)
        loader = training_loader(dataset, self.sampler, num_workers)
        self.best = BestModel(folder, higher_is_better=False)
        self.state = TrainingState(
            self.network, self.optimizer, self.schedule, self.average, self.sampler, self.best, {"network": {"width": width}}
        )
        self.checkpoint = DurableCheckpoint(folder, self.state, save_interval, keep)
        self.evaluator = SupervisedEvaluator(
            device="cpu",
            val_data_loader=DataLoader(SeededDataset([{"image": 1.0}], DrawSuperpatch(), 0), batch_size=1),
            network=validation_network(self.average),
            prepare_batch=PrepareReconstruction(),
            inferer=AutocastInferer(False),
            key_val_metric={"error": Average(error_of)},
            val_handlers=[self.best],
            decollate=False,
        )
        self.note = Note()
        self.trainer = SupervisedTrainer(
            device="cpu",
            max_epochs=max_epochs,
            train_data_loader=loader,
            network=self.network,
            optimizer=self.optimizer,
            loss_function=loss,
            prepare_batch=PrepareReconstruction(),
            inferer=AutocastInferer(False),
            accumulation_steps=accumulation_steps,
            decollate=False,
            train_handlers=[
                FolderLock(folder),
                TimeLimit(minutes),
                Resume(resume, folder, self.state),
                RunRecord(folder, {"width": width, "folder": str(folder)}, data=LISTED, best=self.best),
                self.checkpoint,
                StopSignal(),
                GradientGuard(1.0, folder),
                self.schedule,
                self.average,
                EpochValidation(val_interval, self.evaluator, val_at_start),
                ProgressLine(2),
                self.note,
                *handlers,
                WorkerEnd(),
            ],
        )

    def run(self) -> Run:
        """Trains, and gives itself."""
        self.trainer.run()
        return self

    def tensors(self) -> dict[str, torch.Tensor]:
        """Gives everything that training changes, by name."""
        found = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        found |= {f"average.{name}": value for name, value in self.average.module.state_dict().items()}
        for number, slots in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{number}.{name}": value for name, value in slots.items()}
        return found | {"rates": torch.tensor([group["lr"] for group in self.optimizer.param_groups], dtype=torch.float64)}


class Slow:
    """Makes every iteration last a given time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def attach(self, engine: SupervisedTrainer) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: time.sleep(self.seconds))
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: print("running", flush=True))


if __name__ == "__main__":
    torch.set_num_threads(1)
    Run(Path(sys.argv[1]), resume="last", max_epochs=int(sys.argv[3]), handlers=(Slow(float(sys.argv[2])),)).run()
