"""What coupling costs this machine: CPU seconds of a training with and without its clock.

The network 64-256-128-10 on the chip cmos-rpu-2017 learns digits in mini-batches of one by the compiled step, three
times over: the kernel alone, its activity thrown away; with everything timed and priced; and with the time passing in
every cell as well.

    python -m rpusim.workloads.benchmarks.coupling [--mini-batches 1024] [--batch 1]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
import torch

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import EMPTY, Activity, ActivityLog
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.workloads.capture.capture import capture_modes
from rpusim.workloads.cells import training_cells
from rpusim.workloads.clock.coupling import Coupling
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.data.kinds import load
from rpusim.workloads.runs import settings
from rpusim.workloads.runs.analog_twin import analog_twin
from rpusim.workloads.runs.step_of import step_of
from rpusim.workloads.zoo import networks

CASES = ("kernel alone", "timed", "timed, and leaking")
"""Activity thrown away; timed and priced; and the time passing in every cell as well."""
ROUNDS = 4
"""Each case has its turn so many times; the fastest counts, as others may be at work on the machine."""


def seconds(case: str, mini_batches: int, batch: int) -> float:
    """Measure the CPU seconds of a mini-batch of ``batch`` samples, on average over ``mini_batches``.

    As many as a piece has come before (they compile, and are not counted). case: one of `CASES`.
    """
    torch.manual_seed(0)
    base = settings.load("fcn-digits")
    module, shape = networks.build(base.network)
    chip = Chip.load("cmos-rpu-2017")
    retention = 1.0 if case == CASES[2] else 0.0
    cells = training_cells.build({"model": "chip", "retention": retention}, chip)
    network, _ = capture_modes(module, shape, base.network)
    placement = place(network, chip, base.bias, cells.layout)
    log = ActivityLog()
    model = analog_twin(module, placement, base.management, cells, 0, log)
    meter = Meter(make_plan(placement), "sequential", management=base.management)

    def thrown_away() -> Activity:
        log.take()
        return EMPTY

    coupling = Coupling(model, meter, thrown_away if case == CASES[0] else log.take)
    piece = coupling.piece(batch)
    samples = load(base.data).shaped(shape)
    x, y = torch.tensor(samples.train_x), torch.tensor(samples.train_y)
    order = np.random.default_rng(0).integers(0, len(y), (mini_batches + piece, batch))
    step, began = step_of(network, model, log), 0.0
    for number in range(0, len(order), piece):
        if number == piece:
            began = time.process_time()
        chosen = torch.from_numpy(order[number : number + piece].ravel())
        coupling.learn(step, x[chosen], y[chosen], batch, 0.1)
        coupling.settle()
    return (time.process_time() - began) / mini_batches


def main(arguments: Sequence[str] | None = None) -> None:
    """Print CPU time per mini-batch, and how much more it is than that of the kernel."""
    parser = argparse.ArgumentParser("python -m rpusim.workloads.benchmarks.coupling")
    parser.add_argument("--mini-batches", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    best = dict.fromkeys(CASES, float("inf"))
    for _ in range(ROUNDS):
        for case in CASES:
            best[case] = min(best[case], seconds(case, given.mini_batches, given.batch))
    for case, took in best.items():
        print(f"{case:20} {took * 1e6:8.0f} us of CPU per mini-batch, {took / best[CASES[0]]:.2f}x", flush=True)


if __name__ == "__main__":
    main()
