"""The end of the processes of a job on a busy machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

# All threads share one core, where those of gloo run only when nothing else wants to: so they fall behind the end of Python.
BUSY_PROCESS = """
import os
import torch
import torch.distributed as dist
from maesil_monai.training import distributed

def reduce():
    number = torch.tensor(1.0)
    dist.all_reduce(number)
    return float(number)

torch.set_num_threads(1)
distributed.initialize()
assert reduce() == 2.0
for thread in map(int, os.listdir("/proc/self/task")):
    os.sched_setaffinity(thread, {min(os.sched_getaffinity(0))})
    if thread != os.getpid():
        os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
held = dist.group.WORLD  # as DistributedDataParallel holds it
assert reduce() == 2.0
distributed.finalize()
"""


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="scheduling of threads is Linux's")
def test_the_processes_of_a_job_end_well_on_a_busy_machine() -> None:
    for _ in range(12):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        environment = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        programs = [
            subprocess.Popen(
                [sys.executable, "-c", BUSY_PROCESS],
                env={**environment, "RANK": str(rank), "CUDA_VISIBLE_DEVICES": ""},
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(2)
        ]
        errors = [program.communicate(timeout=120)[1] for program in programs]
        assert [program.returncode for program in programs] == [0, 0], errors
