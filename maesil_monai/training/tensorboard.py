"""TensorBoard files, written by one process of a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ignite.distributed as idist
from monai.handlers import TensorBoardStatsHandler
from torch.utils.tensorboard import SummaryWriter

from maesil_monai.training.progress import loss_of


class SilentWriter:
    """Takes every call of a ``SummaryWriter`` and writes nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


def summary_writer(log_dir: str | Path) -> SummaryWriter | SilentWriter:
    """Gives a ``SummaryWriter`` on rank 0 and a silent one elsewhere, where MONAI's handlers would open files of their own.

    Args:
        log_dir: folder of the event files; made at the first write.

    Example:
        >>> SilentWriter().add_scalar("loss", 1.0, 1)
    """
    return SummaryWriter(str(log_dir)) if idist.get_rank() == 0 else SilentWriter()


def training_lines(summary_writer: SummaryWriter | SilentWriter) -> TensorBoardStatsHandler:
    """Draws a trainer's loss, and what :class:`GradientGuard` and :class:`ProgressLine` note of it."""
    shown = ["learning_rate", "grad_norm", "superpatches_per_second"]
    return TensorBoardStatsHandler(summary_writer, tag_name="train_loss", output_transform=loss_of, state_attributes=shown)
