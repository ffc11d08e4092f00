"""Signal to noise of each layer on arrays, in decibels: 10 log10 of the clean signal's power over that of its error.

Powers are sums of squares over all outputs of a layer's product W x, of all its vectors; a digital bias is not among
them. There are three ratios for a layer:

    output   W' x' beside W x: errors of all layers before it, too, as inputs x' are those that come on the chip    (1)
    alone    W' x beside W x: the layer itself, from clean inputs                                                   (2)
    weights  |W|^2 / |W' - W|^2: what the cells hold beside what was to be written                                  (3)

where ' is with all that the chip does to it. An ADC of step D alone gives an error of power D^2 / 12 (Bennett, Bell
System Technical Journal 27:446, 1948), so (2) is 6.02 dB a bit and a constant. Errors of weights that are independent
of one another, of power s^2, give (3) = |W|^2 / (N s^2) for N weights, and (2) is the same for independent inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from rpusim.kernels.inference.tile import InferenceTile
from rpusim.kernels.layers import AnalogLayer
from rpusim.workloads.results import intervals

Heard = dict[str, list[tuple[Tensor, Tensor]]]
"""By layer, for every time it multiplied: vectors (vectors, columns) and outputs (vectors, rows)."""
POWERS = ("output", "alone", "weights")
"""The three ratios."""


def layers_of(model: nn.Module) -> dict[str, AnalogLayer]:
    """Find the layers on arrays that are programmed, by their names."""
    return {
        name: part
        for name, part in model.named_modules()
        if isinstance(part, AnalogLayer) and any(isinstance(each, InferenceTile) for each in part.tiles)
    }


@contextmanager
def listening(model: nn.Module, given: Heard | None = None) -> Iterator[Heard]:
    """Hear what each layer of a model multiplies meanwhile.

    given: what layers are to multiply, in place of what comes to them; None: that.
    """
    heard: Heard = {name: [] for name in layers_of(model)}

    def ear(name: str, product: Any) -> Any:
        def multiplied(x: Tensor, *more: Any, **named: Any) -> Tensor:
            if given is not None and len(heard[name]) < len(given[name]):
                x = given[name][len(heard[name])][0]
            y: Tensor = product(x, *more, **named)
            heard[name].append((x, y))
            return y

        return multiplied

    try:
        for name, layer in layers_of(model).items():
            vars(layer)["analog_forward"] = ear(name, layer.analog_forward)
        yield heard
    finally:
        for layer in layers_of(model).values():
            vars(layer).pop("analog_forward", None)


def powers(clean: Heard, other: Heard) -> dict[str, tuple[float, float]]:
    """Sum up squares of clean outputs, and of how far others are off them, by layer.

    A layer that was called another number of times, or of another size, gives no figure.
    """
    found = {}
    for name, calls in clean.items():
        beside = other[name]
        same = len(calls) == len(beside) > 0 and all(
            a.shape == b.shape for (_, a), (_, b) in zip(calls, beside, strict=True)
        )
        if same:
            pairs = [(a.double(), b.double()) for (_, a), (_, b) in zip(calls, beside, strict=True)]
            signal = math.fsum(float((a * a).sum()) for a, _ in pairs)
            found[name] = signal, math.fsum(float(((b - a) ** 2).sum()) for a, b in pairs)
    return found


def of_weights(model: nn.Module) -> dict[str, tuple[float, float]]:
    """Sum up squares of the weights, and of how far off them the cells hold them now, drift compensated, by layer."""
    found = {}
    for name, layer in layers_of(model).items():
        signal = error = 0.0
        for tile in layer.tiles:
            assert isinstance(tile, InferenceTile)
            factor = (tile.scale * tile.mapping).double()[:, None]
            clean = tile.stored.double() * factor
            held = tile.held.double() * factor * tile.factor.double()[:, None]
            signal += float((clean * clean).sum())
            error += float(((held - clean) ** 2).sum())
        found[name] = signal, error
    return found


def decibels(signal: float, error: float) -> float:
    """Return 10 log10(signal / error); infinite without an error, and no number without a signal."""
    if signal <= 0.0:
        return math.nan
    return math.inf if error <= 0.0 else 10.0 * math.log10(signal / error)


def rows(draws: Sequence[Mapping[str, Mapping[str, tuple[float, float]]]]) -> list[dict[str, Any]]:
    """Make a row for each layer: by ratio, mean and 95 % interval over the draws, in decibels.

    draws: of each draw, by ratio (`POWERS`) and layer, the powers of signal and error.
    """
    found = []
    for name in draws[0]["weights"]:
        row: dict[str, Any] = {"layer": name}
        for ratio in POWERS:
            values = [decibels(*draw[ratio][name]) for draw in draws if name in draw[ratio]]
            if len(values) != len(draws) or any(math.isnan(value) for value in values):
                continue
            finite = all(map(math.isfinite, values))
            mean, low, high = intervals.of_mean(values) if finite else (max(values), min(values), max(values))
            row[f"{ratio}_dB"] = {"mean": mean, "low": low, "high": high}
        found.append(row)
    return found
