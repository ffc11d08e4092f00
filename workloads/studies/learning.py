"""Which algorithms learn on a strongly asymmetric device: handwritten digits, ten ways to train, several seeds.

The task: the network 64-256-128-10 of `networks` (sigmoid layers) on scikit-learn's digits, 1437 to learn and 360 to
test, in mini-batches of 10, for 20 epochs; learning rates are halved every 8. A seed settles initial weights, order of
samples, cells and every noise; which digits are test digits never changes.

The algorithms, the device that they share, and what to expect of each are in `algorithms`.

The comparison is that of Gokmen & Haensch, Front. Neurosci. 14:103 (2020) and of Rasch, Carta, Fagbohungbe & Gokmen,
Nat. Commun. 15:7133 (2024), both on MNIST; device, data and settings are chosen here. Measured with seeds 0 to 4: test
error in percent, mean and standard deviation over the seeds of the mean of the last 5 epochs, and the mean after the
last one; pulses per weight that gradients sent, and that transfers (or the writes of mixed precision) sent:

    algorithm        error    +-   last   pulses transfer
    floating-point     3.4   0.6    3.2        0      0.0
    symmetric          2.8   0.6    2.8      291      0.0
    sgd               83.6   5.4   81.3      663      0.0
    zero-shift        20.6   4.8   25.7     1777      0.0
    tiki-taka          3.4   0.6    2.8     5771    233.1
    ttv2               3.6   0.6    4.3     7534    109.5
    c-ttv2             3.4   0.4    2.8    40759    173.0
    agad               3.1   0.6    2.7    41558    156.2
    hamiltonian        4.2   0.4    4.4     9623   1576.9
    mixed-precision    3.2   0.5    3.1        0     45.6

    python -m rpusim.workloads.studies.learning [--seeds 5] [--epochs 20] [--only agad] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError, nearest
from rpusim.kernels.layers.convert import convert
from rpusim.workloads.data import digits
from rpusim.workloads.runs.process import RandomNumbers, one_thread
from rpusim.workloads.runs.step_of import study_of
from rpusim.workloads.studies.algorithms import ALGORITHMS, Algorithm
from rpusim.workloads.zoo import networks

EPOCHS, BATCH, HALVE_EVERY = 20, 10, 8
"""How long is trained, in mini-batches of how many samples; epochs after which the learning rate is halved."""
LAST = 5
"""How many epochs at the end the test error is averaged over."""


@dataclass(frozen=True)
class Outcome:
    """What one run came to.

    algorithm:       its name, or "own".
    seed:            of everything but the split of the data.
    errors:          fraction of the test digits classified wrongly after each epoch, with all noise.
    gradient_pulses: pulses per weight that gradients sent, over the whole run.
    transfer_pulses: pulses per weight that transfers sent (of mixed precision: all of them).
    """

    algorithm: str
    seed: int
    errors: tuple[float, ...]
    gradient_pulses: float
    transfer_pulses: float

    @property
    def final(self) -> float:
        """Test error after the last epoch."""
        return self.errors[-1]

    @property
    def error(self) -> float:
        """Mean test error of the last epochs."""
        return statistics.fmean(self.errors[-LAST:])


def run(
    algorithm: str | Algorithm,
    seed: int,
    *,
    epochs: int = EPOCHS,
    network: str | Callable[[], nn.Module] = "fcn-digits",
    watch: Callable[[int, float], None] = lambda epoch, error: None,
) -> Outcome:
    """Train once.

    algorithm:  one of `ALGORITHMS`, or your own.
    seed:       of initial weights, order of samples, cells and every noise; at least 0.
    epochs:     at least 1.
    network:    of the zoo, or what builds one for 64 inputs.
    watch:      called with the number of each epoch that is done and its test error.

    The same arguments give the same outcome to the last bit. Raises InputError for what is unknown or out of range.
    """
    if isinstance(algorithm, str) and algorithm not in ALGORITHMS:
        raise InputError(f"algorithm: {algorithm!r} is unknown{nearest(algorithm, ALGORITHMS)}")
    checks.integer("seed", seed, low=0)
    checks.integer("epochs", epochs, low=1)
    chosen = ALGORITHMS[algorithm] if isinstance(algorithm, str) else algorithm
    with one_thread(), RandomNumbers(seed).drawn():
        errors, pulses = _train(chosen, seed, epochs, network, watch)
    name = algorithm if isinstance(algorithm, str) else "own"
    return Outcome(name, seed, tuple(errors), pulses[Phase.UPDATE], pulses[Phase.TRANSFER])


def _train(
    algorithm: Algorithm,
    seed: int,
    epochs: int,
    network: str | Callable[[], nn.Module],
    watch: Callable[[int, float], None],
) -> tuple[list[float], dict[Phase, float]]:
    """Train, and return the test error after each epoch and the pulses per weight of each phase."""
    samples = digits.load("digits").shaped((64,))
    x, y = torch.tensor(samples.train_x), torch.tensor(samples.train_y)
    test_x, test_y = torch.tensor(samples.test_x), torch.tensor(samples.test_y)
    model = networks.build(network)[0] if isinstance(network, str) else network()
    weights = sum(parameter.numel() for parameter in model.parameters())
    log, pulses = ActivityLog(), dict.fromkeys(Phase, 0.0)
    config, errors = algorithm.config, []
    on_arrays = None if config is None else convert(model, config, seed=seed, log=log)
    training = study_of(model, on_arrays, x.shape[1:], BATCH, algorithm.rate, log)
    model, optimizer = training.model, training.optimizer
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = algorithm.rate * 0.5 ** (epoch // HALVE_EVERY)
        order = torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(len(y)))
        training.learn_all(x[order], y[order], BATCH)
        with torch.no_grad():
            errors.append(float((model(test_x).argmax(1) != test_y).double().mean()))
        rows = log.take()
        for phase in pulses:
            of_phase = rows.phase == phase
            pulses[phase] += int((rows.coincidences_up + rows.coincidences_down)[of_phase].sum()) / weights
        watch(epoch + 1, errors[-1])
    return errors, pulses


HEADER = f"{'algorithm':16} {'error':>5} {'+-':>5} {'last':>6} {'pulses':>8} {'transfer':>8}"


def line(outcomes: Sequence[Outcome]) -> str:
    """Write a line of the table: mean and standard deviation over the seeds in percent, means of the rest."""
    errors = [100 * outcome.error for outcome in outcomes]
    spread = statistics.stdev(errors) if len(errors) > 1 else 0.0
    last, pulses, transfer = (
        statistics.fmean(each)
        for each in zip(*((100 * o.final, o.gradient_pulses, o.transfer_pulses) for o in outcomes), strict=True)
    )
    name, error = outcomes[0].algorithm, statistics.fmean(errors)
    return f"{name:16} {error:>5.1f} {spread:>5.1f} {last:>6.1f} {pulses:>8.0f} {transfer:>8.1f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table line by line, or one JSON document of all outcomes."""
    parser = argparse.ArgumentParser(
        "python -m rpusim.workloads.studies.learning", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many, from --first-seed on")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--only", action="append", choices=list(ALGORITHMS), help="an algorithm; may be repeated")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    given = parser.parse_args(arguments)
    outcomes: list[Outcome] = []
    if not given.json:
        print(HEADER, flush=True)
    for name in given.only or ALGORITHMS:
        seeds = range(given.first_seed, given.first_seed + given.seeds)
        outcomes += (here := [run(name, seed, epochs=given.epochs) for seed in seeds])
        if not given.json:
            print(line(here), flush=True)
    if given.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes]))


if __name__ == "__main__":
    main()
