"""One process or many: the process group of torchrun, the device of a process, and the network inside its wrappers.

Who is who in the group is asked of ``ignite.distributed``.
"""

from __future__ import annotations

import atexit
import os
import time

import ignite.distributed as idist
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

GLOO_REST = 0.2  # seconds


def device(name: str | None = None) -> torch.device:
    """Chooses the device of this process.

    Args:
        name: a device by name; None: ``cuda:LOCAL_RANK`` where there is a GPU (torchrun sets LOCAL_RANK, else 0), else the CPU.

    Example:
        >>> device("cpu")
        device(type='cpu')
    """
    if name is not None:
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def initialize(backend: str | None = None) -> None:
    """Joins the process group that torchrun describes in the environment; without torchrun nothing happens.

    Args:
        backend: None: ``nccl`` where there is a GPU, else ``gloo``.
    """
    if "WORLD_SIZE" not in os.environ or idist.backend() is not None:
        return
    os.environ.setdefault("LOCAL_RANK", "0")
    if torch.cuda.is_available():
        torch.cuda.set_device(device())
    dist.init_process_group(backend or ("nccl" if torch.cuda.is_available() else "gloo"))
    # Under Slurm, ignite would take SLURM_LOCALID for LOCAL_RANK, which is 0 in all processes of a torchrun.
    job = os.environ.pop("SLURM_JOB_ID", None)
    idist.sync()
    os.environ.update({} if job is None else {"SLURM_JOB_ID": job})
    if idist.backend() == "gloo":
        # Gloo's threads let go of a tensor a moment after its collective is done. On a busy machine that moment can fall behind
        # the end of Python, which they need for it: the process then aborts, though all went well. So it rests before it ends.
        atexit.register(time.sleep, GLOO_REST)


def finalize() -> None:
    """Leaves the process group, if there is one."""
    if idist.backend() is not None:
        idist.finalize()


def wrap_ddp(network: torch.nn.Module, device: torch.device | str, find_unused_parameters: bool = False) -> torch.nn.Module:
    """Moves a network to its device and, in a job of several processes, wraps it for gradient averaging.

    Args:
        network: the network.
        device: the device of this process.
        find_unused_parameters: for networks some of whose parameters do not take part in every step.
    """
    network = network.to(device)
    if idist.backend() is None:
        return network
    ids = [torch.device(device)] if torch.device(device).type == "cuda" else None
    return DistributedDataParallel(network, device_ids=ids, find_unused_parameters=find_unused_parameters)


def unwrap(network: torch.nn.Module) -> torch.nn.Module:
    """Gives the network inside ``DistributedDataParallel`` and ``torch.compile``; its parameter names carry no prefix."""
    if isinstance(network, DistributedDataParallel):
        network = network.module
    return getattr(network, "_orig_mod", network)
