"""What `rpusim bench` times: networks, and regimes, which say how many pulses a sample sends.

How long a step takes depends on its pulses: an update that nobody hears of takes none. So every network is timed on
random images at a low rate, whose pulses are few, and as it is trained to learn: with the recipe of the experiment
fcn-digits, and with that of Gokmen & Vlasov 2016, whose trains have a fixed length, 10 or 31 slots.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from rpusim.errors import InputError, nearest
from rpusim.workloads.benchmarks.aihwkit_peer import Characters
from rpusim.workloads.data.kinds import load
from rpusim.workloads.zoo import networks

SEED = 1
"""Seed of weights, devices and samples."""
CHARACTERS, HIDDEN, STEPS = 32, 64, 16
"""Of lstm2-64: how many characters there are, units of a layer, and characters of a sample."""
_SAMPLES = 1400
"""How many samples there are of random images and of text; about as many as of digits to learn."""


@dataclass(frozen=True)
class Regime:
    """Say what is learned, and by how many pulses.

    rate:    learning rate of a single sample; that of a mini-batch follows by the square-root rule.
    digits:  whether images are handwritten digits, enlarged to 28 x 28; else random, a fifth of the pixels lit.
    update:  what of the preset's update is replaced; these are the names of the peer, too.
    words:   what it is, for people.
    """

    rate: float
    digits: bool
    words: str
    update: dict[str, Any] = field(default_factory=dict)

    def rate_of(self, batch: int) -> float:
        """Return the learning rate of a mini-batch."""
        return self.rate / math.sqrt(batch)


def _fixed(slots: int) -> dict[str, Any]:
    return {"desired_bl": slots, "update_management": False, "update_bl_management": False}


REGIMES = {
    "sparse": Regime(0.01, False, "random images at a rate of 0.01; trains are as short as they can be"),
    "digits": Regime(0.1, True, "digits at a rate of 0.1, as in the experiment fcn-digits", {"desired_bl": 31}),
    "2016-bl10": Regime(0.01, True, "digits at a rate of 0.01 as in Gokmen & Vlasov 2016, trains of 10", _fixed(10)),
    "2016-bl31": Regime(0.01, True, "the same with trains of 31 slots", _fixed(31)),
}


@dataclass(frozen=True)
class Case:
    """What is timed: a network, a preset of the kernel, a regime, samples of a mini-batch, and threads."""

    network: str
    preset: str
    batch: int
    threads: int
    regime: str = "sparse"

    def __str__(self) -> str:
        return f"{self.network} {self.preset} {self.regime} batch {self.batch} threads {self.threads}"

    @property
    def rate(self) -> float:
        return REGIMES[self.regime].rate_of(self.batch)


def lstm2_64() -> nn.Module:
    """Build a character model of two layers of 64; arrays 256 x 33 and 256 x 65, twice 256 x 65, 32 x 65."""
    return Characters(CHARACTERS, HIDDEN)


OWN: dict[str, Callable[[], nn.Module]] = {"lstm2-64": lstm2_64}
"""Networks that are timed and not among those of `rpusim.workloads.zoo.networks`."""


def module(network: str) -> nn.Module:
    """Build a network by name, with its first weights; InputError: there is none."""
    torch.manual_seed(SEED)
    return OWN[network]() if network in OWN else networks.build(network)[0]


def samples(network: str, regime: str) -> tuple[Tensor, Tensor]:
    """Make what a network learns: samples, and their classes; of text, the next characters.

    InputError: there is no such regime, or the network does not read digits.
    """
    if regime not in REGIMES:
        raise InputError(f"regime: {regime!r} is unknown{nearest(regime, REGIMES)}")
    if network in OWN:
        return text()
    _, shape = networks.build(network)
    if not REGIMES[regime].digits:
        return images(_SAMPLES, shape)
    found = load("digits" if math.prod(shape) == 64 else "digits-28").shaped(shape)
    return torch.tensor(found.train_x), torch.tensor(found.train_y)


def images(number: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Draw random images of which a fifth of the pixels are lit, as in MNIST, and their classes of ten."""
    generator = torch.Generator().manual_seed(SEED)
    pixels = torch.rand(number, *shape, generator=generator)
    lit = torch.rand(number, *shape, generator=generator) < 0.2
    return pixels * lit, torch.randint(0, 10, (number,), generator=generator)


def text() -> tuple[Tensor, Tensor]:
    """Draw samples of a text that can be learned: after every character come some others far more often than the rest.

    Returns one-hot characters (samples, STEPS, CHARACTERS), and the next ones (samples, STEPS).
    """
    generator = torch.Generator().manual_seed(SEED)
    chances = torch.softmax(3.0 * torch.randn(CHARACTERS, CHARACTERS, generator=generator), 1)
    written = torch.zeros(_SAMPLES, STEPS + 1, dtype=torch.long)
    written[:, 0] = torch.randint(0, CHARACTERS, (_SAMPLES,), generator=generator)
    for step in range(STEPS):
        written[:, step + 1] = torch.multinomial(chances[written[:, step]], 1, generator=generator)[:, 0]
    return torch.nn.functional.one_hot(written[:, :-1], CHARACTERS).float(), written[:, 1:].contiguous()


def described(network: nn.Module) -> list[tuple[str, list[Any], dict[str, Any]]]:
    """Describe a network layer by layer, each by class name and arguments, to be built again elsewhere."""
    if isinstance(network, Characters):
        return [("Characters", [CHARACTERS, HIDDEN], {})]
    return [_described(layer) for layer in network.children()]


def _described(layer: nn.Module) -> tuple[str, list[Any], dict[str, Any]]:
    options: dict[str, Any] = {}
    given: list[Any] = []
    if isinstance(layer, nn.Linear):
        given = [layer.in_features, layer.out_features]
    elif isinstance(layer, nn.Conv2d):
        given = [layer.in_channels, layer.out_channels, layer.kernel_size]
        options = {"stride": layer.stride, "padding": layer.padding}
    elif isinstance(layer, nn.MaxPool2d):
        given = [layer.kernel_size]
    elif isinstance(layer, nn.LogSoftmax):
        options = {"dim": layer.dim}
    return type(layer).__name__, given, options
