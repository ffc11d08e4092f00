"""Which functions of the digital unit an operation between the arrays is made of, and how many elements of each.

What an element of a function takes is in one table, `rpusim.arch.parts.digital_operations.FUNCTIONS`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.parts.digital_operations import FUNCTIONS

GATES = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}
"""By the rule of a recurrent layer: rows of its matrix for every element of the state."""
_ACTIVATIONS_OF_A_STEP = {"tanh": {"tanh": 1}, "relu": {"relu": 1}, "lstm": {"sigmoid": 3, "tanh": 2}}
_ACTIVATIONS_OF_A_STEP |= {"gru": {"sigmoid": 2, "tanh": 1}}
UNKNOWN_ACTIVATION = "sigmoid"
"""What an activation counts as that has no line of its own in the table."""

Shape = tuple[int, ...]
Functions = Iterator[tuple[str, int]]
"""Names of functions, each with its elements per sample."""


def operations_of(functions: Iterable[tuple[str, int]]) -> int:
    """Count the operations of all classes that the forward pass of functions takes, on a unit that has none of its own.

    functions: names in `FUNCTIONS`, each with its number of elements.
    """
    return sum(elements * FUNCTIONS[name].forward.total for name, elements in functions)


def step(rule: str, elements: int) -> tuple[tuple[str, int], ...]:
    """List the functions of all steps of a recurrent layer; ``elements``: of its state, over all steps of a sample."""
    activations = _ACTIVATIONS_OF_A_STEP[rule].items()
    return (f"{rule} step", elements), *((name, number * elements) for name, number in activations)


def computed(
    kind: str,
    detail: str,
    source: Shape,
    output: Shape,
    taps: int,
    axes: Shape,
    inputs: int,
    parameters: int,
) -> Functions:
    """Yield the functions that an operation is made of.

    Args:
        kind, detail: of the operation, see `Operation`.
        source: shape of what it reads, for one sample.
        output: shape of its output.
        taps: values under the window of a sliding pooling; 0: it does not slide.
        axes: of a softmax or a mean.
        inputs: how many branches it merges.
        parameters: numbers of a trained parameter that it reads.
    """
    elements = math.prod(output)
    if kind == "activation":
        yield detail if detail in FUNCTIONS else UNKNOWN_ACTIVATION, elements
    elif kind == "softmax":
        yield from _softmax(detail or "softmax", output, axes)
    elif kind == "batch_norm":
        yield "batch_norm", elements
        yield "batch_norm channel", output[0]
    elif kind == "dropout":
        yield "dropout", elements
    elif kind in ("add", "multiply"):
        yield _merged(kind, detail, inputs), elements * max(inputs - 1, 1)
        if parameters:
            yield "parameter", elements
            yield "parameter that learns", parameters
    elif kind == "pool":
        yield from _pool(detail, source, output, taps, axes)
    elif kind == "output":
        yield "loss", elements
        yield "loss of a sample", 1


def _softmax(detail: str, output: Shape, axes: Shape) -> Functions:
    yield detail, math.prod(output)
    summed = {axis % len(output) for axis in axes}
    sums = math.prod(size for axis, size in enumerate(output) if axis not in summed)
    yield {"softmax": "softmax divisor"}.get(detail, "log_softmax logarithm"), sums


def _merged(kind: str, detail: str, inputs: int) -> str:
    """Name the function that merges branches, or one branch with a constant or itself."""
    if detail in ("square", "double"):
        return detail
    if kind == "add":
        of_two = "subtract" if detail in ("sub", "rsub") else "add"
        return of_two if inputs > 1 else "offset"
    if inputs > 1:
        return "divide" if detail == "div" else "multiply"
    return "quotient" if detail == "div" else "scale"


def _pool(detail: str, source: Shape, output: Shape, taps: int, axes: Shape) -> Functions:
    """Yield what a pool computes: of n values n - 1 additions or comparisons, padding included, and one factor."""
    results = math.prod(output)
    if axes:
        values = math.prod(source)
    elif taps:
        values = results * taps
    else:
        reach = zip(source[-2:], output[-2:], strict=True)
        values = math.prod(output[:-2]) * math.prod(sum(map(len, shares(n, m))) for n, m in reach)
    if detail == "max":
        yield "of a maximum", values - results
        yield "maximum", results * max(-(-values // max(results, 1)) - 1, 0).bit_length()
        yield "to the maximum", values
    else:
        yield "of a sum", values - results
        yield "mean", results
    yield "overlap", max(values - math.prod(source), 0)


def shares(length: int, outputs: int) -> list[NDArray[np.intp]]:
    """List the input positions under each window of an adaptive pooling, as torch shares them.

    length: input positions along an axis. outputs: windows along it.
    """
    return [np.arange(i * length // outputs, -(-(i + 1) * length // outputs)) for i in range(outputs)]
