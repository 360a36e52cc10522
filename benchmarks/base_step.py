"""Time and peak memory of full training steps of the paper's network: 128^3, ViT-B, as the bundle trains it.

    python benchmarks/base_step.py --decoder self_attention
    python benchmarks/base_step.py --decoder cross_attention --decode_ratio 0.34
    python benchmarks/base_step.py --batch_size 4 --steps 30       # on a GPU

One process measures one setting, because peak memory is that of the process.
"""

from __future__ import annotations

import resource
import statistics
import time

import fire
import torch

from maesil_monai.inferers import AutocastInferer
from maesil_monai.losses import ReconstructionLoss
from maesil_monai.masking import MaskRule, draw_target
from maesil_monai.networks import build_network
from maesil_monai.training.optimizer import build_optimizer
from maesil_monai.training.run_record import hardware


def main(
    decoder: str = "self_attention",
    decode_ratio: float = 1.0,
    batch_size: int = 1,
    activation_checkpointing: bool = False,
    amp: bool = True,
    steps: int = 4,
    threads: int = 2,
    seed: int = 0,
) -> None:
    """Trains a few steps on noise (speed does not depend on the values) and prints one line."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build_network("base", decoder=decoder, activation_checkpointing=activation_checkpointing).to(device)
    optimizer = build_optimizer(network, learning_rate=1.5e-4, batch_size=batch_size)
    inferer, loss_function, rule = AutocastInferer(amp), ReconstructionLoss(8), MaskRule("total")
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch_size, 1, 128, 128, 128).to(device)
    seconds = []
    for _ in range(steps):
        drawn = rule.draw(network.grid, batch_size, generator)
        hidden, target = drawn.to(device), draw_target(drawn, decode_ratio, generator).to(device)
        began = time.perf_counter()
        pred = inferer(image, network, hidden=hidden, target=target)
        loss = loss_function(pred, {"image": image, "target": target})
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    peak = (
        torch.cuda.max_memory_allocated() if device.type == "cuda" else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )
    machine = hardware()
    median = statistics.median(seconds[1:])
    print(
        f"{decoder}, decode_ratio {decode_ratio}, batch {batch_size}, checkpointing {activation_checkpointing}, "
        f"{'bfloat16' if amp else 'float32'}: median {median:.3g} s a step of {steps - 1} "
        f"(first {seconds[0]:.1f} s), {batch_size / median:.3g} superpatches/s, peak {peak / 2**30:.2f} GiB; "
        f"torch {torch.__version__}, {threads} threads, "
        f"{machine['gpus'] or machine['processor']}"
    )


if __name__ == "__main__":
    fire.Fire(main)
