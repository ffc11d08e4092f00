"""How a network ages on phase-change memory: error on handwritten digits from a second to a year after programming.

The task: the network lenet-digits of `networks` (two convolutions, two linear layers) on scikit-learn's digits, 1437 to
learn and 360 to test. It is trained in floating point, with momentum, in mini-batches of 10 for 20 epochs, and put on
arrays of `CONFIG`: phase-change memory (`kernels.inference.noise.pcm`), pairs of devices up to 25 microsiemens, weights
scaled to the range of the array, digital biases; DAC of 7 bits, ADC of 9, output noise 0.06, noise and bound
management.

    floating-point   the digital network, for comparison: it does not age
    converted        its weights programmed as they are
    hardware-aware   trained for 10 more epochs with additive weight noise of 20 % of the largest weight and clipping at
                     2.5 standard deviations, then programmed; forward through the arrays' periphery, backward exact

each with drift compensated by one factor per tile, measured through the noisy periphery, and without. Both see the same
cells: compensation is all that differs. A seed settles initial weights, order of samples and every noise; which digits
are test digits never changes. Measured with seeds 0 to 4: test error in percent, mean over the seeds,

    variant          drift       1 second 1 minute   1 hour    1 day   1 week  1 month   1 year
    floating-point                    0.9      0.9      0.9      0.9      0.9      0.9      0.9
    converted        as it is         1.0      1.1      1.9      3.6      6.9      9.9     21.9
    converted        compensated      1.1      1.2      1.2      1.2      1.0      1.5      1.8
    hardware-aware   as it is         0.7      0.7      0.9      1.3      1.6      2.8      6.2
    hardware-aware   compensated      0.7      0.7      0.7      0.9      0.7      0.7      1.0

The comparison is that of Joshi et al., Nat. Commun. 11:2473 (2020), there with larger networks; data and settings are
chosen here. Noise of 10 %, and noise as phase-change memory has it, were tried on seeds 0 to 2.

    python -m rpusim.workloads.studies.aging [--seeds 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import nn

from rpusim.arch.contract import checks
from rpusim.kernels.inference import AddNormal, GaussianClip, InferenceConfig, drift
from rpusim.kernels.layers.convert import convert
from rpusim.workloads.data import digits
from rpusim.workloads.runs.process import RandomNumbers, one_thread
from rpusim.workloads.zoo import networks

NETWORK, BATCH, MOMENTUM = "lenet-digits", 10, 0.9
EPOCHS, RATE = 20, 0.05
RETRAINING_EPOCHS, RETRAINING_RATE = 10, 0.02
"""Learning rates are halved twice, after each third of the epochs."""

CONFIG = InferenceConfig(analog_bias=False, weight_scaling_omega=1.0)
TRAINING = replace(CONFIG, modifiers=(AddNormal(0.2),), clip=GaussianClip(2.5))

TIMES: dict[str, float] = {
    "1 second": 1.0,
    "1 minute": 60.0,
    "1 hour": 3600.0,
    "1 day": 86400.0,
    "1 week": 7 * 86400.0,
    "1 month": 30 * 86400.0,
    "1 year": 365 * 86400.0,
}


@dataclass(frozen=True)
class Outcome:
    """How one variant of one seed ages.

    variant:      floating-point, converted or hardware-aware.
    compensated:  whether drift is.
    seed:         of everything but the split of the data.
    errors:       fraction of the test digits classified wrongly at each of `TIMES` after programming.
    """

    variant: str
    compensated: bool
    seed: int
    errors: tuple[float, ...]


def run(seed: int, *, epochs: int = EPOCHS, retraining_epochs: int = RETRAINING_EPOCHS) -> list[Outcome]:
    """Train, convert, program and test all variants of one seed.

    seed:              of initial weights, order of samples and every noise; at least 0.
    epochs:            in floating point.
    retraining_epochs: more of them with noise, of the hardware-aware variant.

    The same arguments give the same outcomes to the last bit. Raises InputError for numbers out of range.
    """
    checks.integer("seed", seed, low=0)
    checks.integer("epochs", epochs, low=1)
    checks.integer("retraining_epochs", retraining_epochs, low=1)
    with one_thread(), RandomNumbers(seed).drawn():
        return list(_variants(seed, epochs, retraining_epochs))


def _variants(seed: int, epochs: int, retraining_epochs: int) -> Iterator[Outcome]:
    digits = Digits(seed)
    digital = networks.build(NETWORK)[0]
    digits.teach(digital, epochs, RATE)
    yield Outcome("floating-point", False, seed, (digits.error(digital),) * len(TIMES))
    converted = convert(digital, CONFIG, seed=seed)
    aware = convert(digital, TRAINING, seed=seed)
    digits.teach(aware, retraining_epochs, RETRAINING_RATE, first_epoch=epochs)
    for variant, model, config in (("converted", converted, CONFIG), ("hardware-aware", aware, TRAINING)):
        for compensated in (False, True):
            chip = convert(digital, config if compensated else replace(config, compensation=None), seed=seed)
            chip.load_state_dict(model.state_dict())
            yield Outcome(variant, compensated, seed, tuple(_errors(chip, digits)))


def _errors(chip: nn.Module, digits: Digits) -> Iterator[float]:
    for seconds in TIMES.values():
        drift(chip, seconds)
        yield digits.error(chip)


class Digits:
    """The handwritten digits, and how a network learns them and is tested on them; seed: of the order of samples."""

    def __init__(self, seed: int) -> None:
        samples = digits.load("digits")
        self._seed = seed
        self._x, self._y = torch.tensor(samples.train_x), torch.tensor(samples.train_y)
        self._test_x, self._test_y = torch.tensor(samples.test_x), torch.tensor(samples.test_y)

    def teach(self, model: nn.Module, epochs: int, rate: float, first_epoch: int = 0) -> None:
        """Train a model by stochastic gradient descent with momentum, in place.

        rate: learning rate of the first epochs. first_epoch: number of the first epoch, for the order of the samples.
        """
        optimizer = torch.optim.SGD(model.parameters(), rate, momentum=MOMENTUM)
        loss = nn.NLLLoss()
        model.train()
        for epoch in range(epochs):
            optimizer.param_groups[0]["lr"] = rate * 0.5 ** (3 * epoch // epochs)
            order = np.random.default_rng((self._seed, first_epoch + epoch)).permutation(len(self._y))
            for batch in torch.split(torch.from_numpy(order), BATCH):
                optimizer.zero_grad()
                loss(model(self._x[batch]), self._y[batch]).backward()
                optimizer.step()

    @torch.no_grad()
    def error(self, model: nn.Module) -> float:
        """Return the fraction of the test digits that a model classifies wrongly, with all noise."""
        return float((model.eval()(self._test_x).argmax(1) != self._test_y).double().mean())


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Write a line for every variant: mean error in percent over the seeds at each time."""
    yield f"{'variant':16} {'drift':11}" + "".join(f" {time:>8}" for time in TIMES)
    for variant, compensated in dict.fromkeys((o.variant, o.compensated) for o in outcomes):
        errors = [o.errors for o in outcomes if (o.variant, o.compensated) == (variant, compensated)]
        means = "".join(f" {100 * statistics.fmean(at):>8.1f}" for at in zip(*errors, strict=True))
        words = "" if variant == "floating-point" else "compensated" if compensated else "as it is"
        yield f"{variant:16} {words:11}{means}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or one JSON document of all outcomes."""
    parser = argparse.ArgumentParser(
        "python -m rpusim.workloads.studies.aging", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0 on")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    given = parser.parse_args(arguments)
    outcomes = [outcome for seed in range(given.seeds) for outcome in run(seed)]
    if given.json:
        print(json.dumps([{**asdict(outcome), "seconds": list(TIMES.values())} for outcome in outcomes]))
    else:
        print("\n".join(table(outcomes)))


if __name__ == "__main__":
    main()
