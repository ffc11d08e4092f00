"""The main flow: one network, one test set, and what each cause adds to its error; then its layers' signal to noise.

the network -> per draw { per cause { the same weights; periphery and cells as far as the cause; test } } -> rows.

Draws differ in all noise, in what programming leaves and in drift; the network is the same in all of them. So their
intervals say how sure a figure is for this network; other networks that were trained alike may differ by more.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from rpusim.errors import InputError
from rpusim.kernels.inference import drift, program
from rpusim.kernels.inference.compensation import Compensation
from rpusim.kernels.inference.tile import InferenceTile
from rpusim.kernels.tiles.tile import Tile
from rpusim.workloads.results import intervals
from rpusim.workloads.waterfall import signal_to_noise
from rpusim.workloads.waterfall.borrowed import borrowed
from rpusim.workloads.waterfall.causes import (
    CAUSES,
    COMPENSATION,
    FLOATING_POINT,
    Cause,
    periphery,
)

DRAWS = 5
"""Draws of noise, programming and drift, unless said otherwise."""
MOST_LOOKED_AT = 100
"""Samples of the test set on which layers are looked at."""
RETRAINING = Cause("retraining", "the weights that were trained for the cells, multiplied exactly")
ORDER = (
    "Each cause is added to all those above it, with the same random numbers; in another order the same causes would "
    "have other shares of the same sum."
)
Watch = Callable[[float], None]


def divide(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    seconds: float,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    batch: int = 100,
    before: float | None = None,
    watch: Watch = lambda fraction: None,
) -> dict[str, Any]:
    """Divide a network's error by causes, and find the signal to noise of its layers.

    model:    on arrays that are programmed; afterwards it is as it was.
    x, y:     the test set: samples, and their classes.
    seconds:  after programming.
    draws:    of noise, programming and drift; at least 1.
    seed:     of the first draw; the next ones have the next seeds.
    batch:    samples at once.
    before:   test error in floating point before the network was trained for its cells; None: it was not.
    watch:    told which fraction is done.

    Returns the document's ``waterfall``. InputError if the model has arrays that learn by pulses, or none that are
    programmed.
    """
    _check(model)
    with borrowed(model) as tiles, torch.no_grad():
        stages = _Stages(model, tiles)
        errors: dict[str, list[float]] = {cause.name: [] for cause in stages.causes}
        looked = []
        for number in range(draws):
            for cause in stages.causes:
                if number and cause is FLOATING_POINT:
                    errors[cause.name].append(errors[cause.name][0])
                elif cause in stages.absent:
                    errors[cause.name].append(errors[stages.before(cause).name][-1])
                else:
                    stages.set(cause, seconds, seed + number)
                    errors[cause.name].append(_error(model, x, y, batch))
            looked.append(_looked_at(stages, x[:MOST_LOOKED_AT], seconds, seed + number))
            watch((number + 1) / draws)
    causes = _rows([cause for cause in stages.causes if cause not in stages.absent], errors)
    if before is not None:
        first = replace(FLOATING_POINT, meaning="weights before they were trained for the cells, multiplied exactly")
        causes = [_row(first, [before], None), _row(RETRAINING, errors[FLOATING_POINT.name], before), *causes[1:]]
    return {
        "seconds_since_programming": seconds,
        "draws": draws,
        "samples": len(y),
        "causes": causes,
        "absent": [cause.name for cause in stages.absent],
        "order": ORDER,
        "layers": signal_to_noise.rows(looked),
        "layer_samples": min(len(y), MOST_LOOKED_AT),
    }


def _check(model: nn.Module) -> None:
    """Refuse a model with arrays that learn by pulses, or without any that are programmed and stay so."""
    tiles = [part for part in model.modules() if isinstance(part, Tile)]
    if not tiles or not all(isinstance(tile, InferenceTile) for tile in tiles):
        raise InputError(
            f"waterfall: {type(model).__name__} has {'arrays that learn by pulses' if tiles else 'no arrays'}; "
            "accepted: a network whose cells are programmed, such as rpusim.place(module, chip, shape, "
            "device='inference-pcm') returns, or an experiment with inference"
        )
    if any(isinstance(tile, InferenceTile) and tile.loads is not None for tile in tiles):
        raise InputError(
            "waterfall: weights take turns on arrays (fit: reload) and are programmed for every sample, so that "
            "programming and drift cannot be told apart; accepted: weights that stay (fit: as-is, pack or grow)"
        )


class _Stages:
    """A model, and the ways to have it with some of the causes.

    tiles:   its arrays.

    Attributes: causes, all that the model may have; absent, those of which it has nothing.
    """

    def __init__(self, model: nn.Module, tiles: list[InferenceTile]) -> None:
        self.model, self._tiles = model, tiles
        self._state = copy.deepcopy(model.state_dict())
        self._whole = [tile.forward_io for tile in tiles]
        self._configs = [tile.config for tile in tiles]
        self.causes = CAUSES if any(config.compensation for config in self._configs) else CAUSES[:-1]
        self.absent = [cause for cause in self.causes if self._is_absent(cause)]

    def before(self, cause: Cause) -> Cause:
        """Return the cause before another."""
        return self.causes[self.causes.index(cause) - 1]

    def _is_absent(self, cause: Cause) -> bool:
        if cause is FLOATING_POINT or cause is COMPENSATION:
            return False
        if cause.programmed:
            return all(config.noise is None for config in self._configs)
        earlier = self.before(cause)
        return all(periphery(io, cause) == periphery(io, earlier) for io in self._whole)

    def set(self, cause: Cause, seconds: float, seed: int) -> None:
        """Have the model with a cause and all before it.

        seconds: after programming. seed: of all random numbers.
        """
        self.model.load_state_dict(self._state)
        for tile, io, config in zip(self._tiles, self._whole, self._configs, strict=True):
            wanted: Compensation | None = config.compensation if cause.compensated else None
            tile.config = replace(config, compensation=wanted, modify_in_evaluation=False)
            tile.read_through(periphery(io, cause))
            tile.begin_anew(seed)
        if cause.programmed:
            program(self.model)
        if cause.drifted:
            drift(self.model, seconds)


def _error(model: nn.Module, x: Tensor, y: Tensor, batch: int) -> float:
    """Return the fraction of samples that are classified wrongly."""
    pairs = zip(torch.split(x, batch), torch.split(y, batch), strict=True)
    return sum(int((model(part).argmax(dim=-1) != of).sum()) for part, of in pairs) / y.numel()


def _looked_at(stages: _Stages, x: Tensor, seconds: float, seed: int) -> Mapping[str, Any]:
    """Return the powers of signal and error of every layer, by ratio, with all causes."""
    model = stages.model
    stages.set(FLOATING_POINT, seconds, seed)
    with signal_to_noise.listening(model) as clean:
        model(x)
    stages.set(stages.causes[-1], seconds, seed)
    of_weights = signal_to_noise.of_weights(model)
    with signal_to_noise.listening(model) as whole:
        model(x)
    with signal_to_noise.listening(model, clean) as alone:
        model(x)
    return {
        "output": signal_to_noise.powers(clean, whole),
        "alone": signal_to_noise.powers(clean, alone),
        "weights": of_weights,
    }


def _rows(causes: Sequence[Cause], errors: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """Make a row for each cause: the error with it and all before it, and what it adds."""
    rows, last = [], None
    for cause in causes:
        rows.append(_row(cause, errors[cause.name], last))
        last = errors[cause.name]
    return rows


def _row(cause: Cause, errors: Sequence[float], before: Sequence[float] | float | None) -> dict[str, Any]:
    """Make a row: errors of the draws, and of those before, or one error before; None: it is the first."""
    mean, low, high = intervals.of_mean(errors)
    row: dict[str, Any] = {"cause": cause.name, "meaning": cause.meaning, "test_error": mean, "low": low, "high": high}
    if before is not None:
        earlier = [before] * len(errors) if isinstance(before, float) else before
        mean, low, high = intervals.of_mean([b - a for a, b in zip(earlier, errors, strict=True)])
        row |= {"added": mean, "added_low": low, "added_high": high}
    return row
