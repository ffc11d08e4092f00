"""A network that is trained in software, programmed into cells, and trained on in its last layer (Yao et al. 2020).

Of five layers as the paper counts (two convolutions, two poolings, one fully connected), on scikit-learn's digits.
"""

from __future__ import annotations

from functools import cache
from statistics import fmean

import numpy as np
import torch
from torch import nn

from rpusim.kernels import AnalogConfig, AnalogSGD, ConstantStep, UpdateParameters
from rpusim.kernels.inference import InferenceConfig, ReRamWan2022, drift, program
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.pulses.trains import Execution
from rpusim.kernels.tiles.presets import TRAINING_IO
from rpusim.workloads.data.digits import load
from rpusim.workloads.runs.process import RandomNumbers, one_thread

Tensor = torch.Tensor
SEEDS = (0, 1, 2)
RATE, EPOCHS, BATCH = 0.1, 20, 10
"""Of the training in software: at 0.5, as elsewhere, it does not learn."""
RATE_ON_CELLS = 0.05
STATES = 32


@cache
def accuracies() -> tuple[float, float]:
    """Find the accuracies in percent after the transfer, and after a pass through the data on the last layer's cells.

    Means over the seeds.
    """
    found = [_of_one(seed) for seed in SEEDS]
    return fmean(one for one, _ in found), fmean(one for _, one in found)


def _of_one(seed: int) -> tuple[float, float]:
    digits = load("digits")
    x, y, test_x, test_y = map(torch.tensor, (digits.train_x, digits.train_y, digits.test_x, digits.test_y))
    drawn = np.random.default_rng((seed, 2020))
    with one_thread(), RandomNumbers(seed).drawn():
        features, last = _network()
        _learn(nn.Sequential(features, last), x, y, drawn)
        cells = InferenceConfig(forward=TRAINING_IO, noise=ReRamWan2022())
        transferred = convert(nn.Sequential(features, last), cells, seed=seed).eval()
        program(transferred)
        drift(transferred, 1.0)
        before = _right(transferred, test_x, test_y)
        on_cells = _learn_on_cells(transferred.get_submodule("0"), last, x, y, drawn, seed)
        return before, _right(nn.Sequential(transferred.get_submodule("0"), on_cells), test_x, test_y)


def _network() -> tuple[nn.Sequential, nn.Sequential]:
    """Make the convolutions, and the last layer."""
    one = (nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    two = (nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*one, *two, nn.Flatten()), nn.Sequential(nn.Linear(48, 10), nn.LogSoftmax(1))


def _learn(model: nn.Module, x: Tensor, y: Tensor, drawn: np.random.Generator) -> None:
    """Train in software; drawn: the order of the samples."""
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    for _ in range(EPOCHS):
        for chosen in torch.split(torch.from_numpy(drawn.permutation(len(y))), BATCH):
            optimizer.zero_grad()
            nn.functional.nll_loss(model(x[chosen]), y[chosen]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def _learn_on_cells(
    features: nn.Module, last: nn.Module, x: Tensor, y: Tensor, drawn: np.random.Generator, seed: int
) -> nn.Module:
    """Write the last layer into cells of 32 states, and train it by pulses from each sample once."""
    cell = ConstantStep(dw_min=2 / STATES, w_max=1.0, w_min=-1.0)
    trains = UpdateParameters(execution=Execution.EXACT)
    config = AnalogConfig(cell, trains, forward=TRAINING_IO, backward=TRAINING_IO, weight_scaling_omega=0.6)
    layer = convert(last, config, seed=seed)
    optimizer = AnalogSGD(layer, RATE_ON_CELLS)
    with torch.no_grad():
        given = features(x)
    for sample in drawn.permutation(len(y)):
        optimizer.zero_grad()
        nn.functional.nll_loss(layer(given[sample, None]), y[sample, None]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return layer.eval()


def _right(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the percentage of samples that are classified rightly."""
    with torch.no_grad():
        return 100 * float((model(x).argmax(1) == y).double().mean())
