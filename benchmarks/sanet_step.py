"""How near a training step of SANet comes to what the processor's matrix products allow.

    python benchmarks/sanet_step.py                      # paper preset, 64³ and 128³, batch 2
    python benchmarks/sanet_step.py --grids 64 --steps 3 --recompute

One step is forward, backward and Adam's update. Its floating-point operations are counted by torch; the rate of a
plain float32 matrix product is measured before and after each step, in the same process, so that other work on the
machine slows both alike. Budget: 1.5 times operations ÷ rate. Prints Markdown.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.flop_counter import FlopCounterMode

from pefuse.machine import allowed_cores
from pefuse.models.sanet import SANet, SANetConfig

MATRIX = 3072
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last_3d}


@dataclass(frozen=True, kw_only=True)
class Measured:
    seconds: float  # of one step, median
    gflop: float
    gemm_gflop_s: float  # median of the rates around the steps
    ratio: float  # step ÷ (operations ÷ rate), median over the steps


def gemm_rate() -> float:
    """Operations a second of a float32 matrix product."""
    a, b = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    return 2 * MATRIX**3 / seconds(lambda: a @ b)


def seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def training_step(grid: int, *, batch: int, layout: torch.memory_format, recompute: bool) -> Callable[[], None]:
    torch.manual_seed(0)
    model = SANet(SANetConfig.paper(recompute=recompute)).train().to(memory_format=layout)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    scans: Tensor = torch.randn(batch, 1, grid, grid, grid).contiguous(memory_format=layout)
    labels = torch.arange(batch) % 2

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        binary_cross_entropy_with_logits(model(scans).logit, labels.float()).backward()
        optimiser.step()

    return step


def measure(step: Callable[[], None], *, steps: int) -> Measured:
    with FlopCounterMode(display=False) as counter:  # also warms up
        step()
    flop = counter.get_total_flops()
    gemm_rate()
    times, rates = [], [gemm_rate()]
    for _ in range(steps):
        times.append(seconds(step))
        rates.append(gemm_rate())
    around = [(before + after) / 2 for before, after in itertools.pairwise(rates)]
    return Measured(
        seconds=statistics.median(times),
        gflop=flop / 1e9,
        gemm_gflop_s=statistics.median(rates) / 1e9,
        ratio=statistics.median(took * rate / flop for took, rate in zip(times, around, strict=True)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grids", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2, help="measured after one to warm up")
    parser.add_argument(
        "--recompute", action="store_true", help="forget activations: less memory, more operations"
    )
    parser.add_argument("--threads", type=int, default=allowed_cores())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    print(
        f"SANet, paper preset, training step, batch {options.batch}, float32, {options.threads} cores, ",
        end="",
    )
    print(f"torch {torch.__version__}, {datetime.date.today().isoformat()}\n")
    print("| grid | layout | step, s | GFLOP | product, GFLOP/s | step ÷ ideal (budget 1.5) | peak GiB |")
    print("|---|---|---|---|---|---|---|")
    for grid in options.grids:
        for name in options.layouts:
            step = training_step(grid, batch=options.batch, layout=LAYOUTS[name], recompute=options.recompute)
            result = measure(step, steps=options.steps)
            peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # of the run so far
            print(
                f"| {grid}³ | {name} | {result.seconds:.2f} | {result.gflop:.0f} | {result.gemm_gflop_s:.0f} "
                f"| {result.ratio:.2f} | {peak_gib:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
