"""AdamW as masked autoencoders are trained with it."""

from __future__ import annotations

from collections.abc import Sequence

import ignite.distributed as idist
import torch

from maesil_monai.errors import BadSetting
from maesil_monai.training.distributed import unwrap

UNDECAYED_NAMES = ("position", "token")


def build_optimizer(
    network: torch.nn.Module,
    learning_rate: float,
    batch_size: int,
    accumulation: int = 1,
    weight_decay: float = 0.05,
    betas: Sequence[float] = (0.9, 0.95),
    base_batch_size: int = 256,
) -> torch.optim.AdamW:
    """Builds AdamW with weight decay on weight matrices and kernels only.

    Biases, norms (fewer than two axes), position embeddings and mask or class tokens (names with ``position`` or ``token``) are
    not decayed. Frozen parameters are left out.

    Args:
        network: the network, wrapped for distributed training or not.
        learning_rate: base rate; the rate used is ``learning_rate * B / base_batch_size``, B superpatches per optimiser step.
        batch_size: superpatches per batch of one process.
        accumulation: batches per optimiser step; B is ``batch_size * accumulation * processes``.
        weight_decay: of the decayed group.
        betas: decay of the running moments.
        base_batch_size: batch size the base rate is meant for; 0: ``learning_rate`` is used as it is.

    Raises:
        ValueError: if the network has no parameter to train.

    Example:
        >>> optimizer = build_optimizer(torch.nn.Linear(2, 2), learning_rate=1.5e-4, batch_size=512)
        >>> [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
        [(0.0003, 0.05), (0.0003, 0.0)]

    Source: MAE (arXiv 2111.06377) appendix A.1.
    """
    named = [(name, value) for name, value in unwrap(network).named_parameters() if value.requires_grad]
    if not named:
        raise BadSetting(f"{type(unwrap(network)).__name__} has no parameter to train: every one is frozen, or there is none.")
    decayed = [value for name, value in named if is_decayed(name, value)]
    undecayed = [value for name, value in named if not is_decayed(name, value)]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": undecayed, "weight_decay": 0.0}]
    rate = learning_rate
    if base_batch_size:
        rate = learning_rate * batch_size * accumulation * idist.get_world_size() / base_batch_size
    fused = all(value.is_cuda for _, value in named)
    return torch.optim.AdamW(groups, lr=rate, betas=(betas[0], betas[1]), fused=fused)


def is_decayed(name: str, value: torch.Tensor) -> bool:
    """Tells whether weight decay acts on a parameter."""
    return value.ndim >= 2 and not any(part in name for part in UNDECAYED_NAMES)
