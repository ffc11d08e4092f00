"""Operations on one sample: weight layers, which become arrays, and what digital units do between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.parts.digital_operations import OPS_PER_ELEMENT
from rpusim.errors import InputError, nearest

IndexMap = NDArray[np.int32]
"""Numbers of vectors in the place of values."""


GATES = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}
"""Rows of a recurrent matrix for every element of the state."""

_ELEMENTWISE = ("activation", "batch_norm", "dropout", "identity", "output")
MERGING = ("add", "multiply")
_FREE = ("input", "flatten", "select", "dropout", "identity", "output")
_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
KINDS = (
    "input",
    "linear",
    *_CONVOLUTIONS,
    "recurrent",
    *_ELEMENTWISE,
    *MERGING,
    "pool",
    "flatten",
    "select",
    "softmax",
)


@dataclass(frozen=True)
class Window:
    """The sliding window of a convolution or a pooling; every field has one entry per axis, in positions.

    ``padding`` is what is added before the first row and column; how much follows the last is settled by the
    operation's output shape, so ceiling mode and uneven "same" padding need no field of their own.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)

    def output_size(self, *sizes: int) -> tuple[int, ...]:
        """Output positions over an image of this size with equal padding on both ends, rounded down."""
        sides = zip(sizes, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides)

    def reach(self, axis: int, length: int, outputs: int) -> list[NDArray[np.intp]]:
        """For each output position along an axis, the input positions (of ``length``) under the window."""
        taps = self.dilation[axis] * np.arange(self.kernel[axis]) - self.padding[axis]
        places = (taps + self.stride[axis] * position for position in range(outputs))
        return [place[(place >= 0) & (place < length)] for place in places]

    def under(self, axis: int, tap: int, length: int, outputs: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Along an axis, for one place in the window: output positions that see an input there, and which."""
        position = np.arange(outputs)
        place = self.stride[axis] * position + self.dilation[axis] * tap - self.padding[axis]
        inside = (place >= 0) & (place < length)
        return position[inside], place[inside]


@dataclass(frozen=True)
class Operation:
    """One step of the network on one sample.

    kind:         one of `KINDS`.
    shape:        of the output for one sample: (features,), (time, features) or (channels, height, width).
    detail:       which one of the kind, such as "sigmoid" or "max".
    window:       of a convolution or a sliding pooling.
    axes:         axes of the sample over which a softmax or a mean runs, or the one along which is selected. A pooling
                  with neither window nor axes is adaptive: its windows share the last two axes of the input evenly.
    taken:        first, stop and step of a selection along its axis.
    digital_ops:  digital operations per sample, see `OPS_PER_ELEMENT`; 0 for weight layers (the analog side and
                  scale and bias after the converters are priced by the chip).
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    detail: str = ""
    window: Window | None = None
    axes: tuple[int, ...] = ()
    digital_ops: int = 0
    taken: tuple[int, int, int] = (0, 0, 1)

    @property
    def pooled(self) -> int:
        """How many of the last axes a pooling slides over."""
        return 2 if self.window is None else len(self.window.kernel)

    @staticmethod
    def digital(
        name: str,
        kind: str,
        input_shape: Sequence[int],
        shape: Sequence[int] | None = None,
        detail: str = "",
        window: Window | None = None,
        axes: Sequence[int] = (),
        inputs: int = 1,
        taken: tuple[int, int, int] = (0, 0, 1),
    ) -> Operation:
        """A digital operation with its cost filled in; ``shape`` (of the output) defaults to the input's.

        ``inputs`` is the number of branches that an add or multiply merges (at least one pair, for constants).
        """
        output = tuple(input_shape if shape is None else shape)
        elements = math.prod(output)
        if kind == "pool":
            elements *= 1 if window is None else math.prod(window.kernel)
            if axes:
                elements = math.prod(input_shape)
            elif window is None:
                reach = zip(input_shape[-2:], output[-2:], strict=True)
                elements = math.prod(output[:-2]) * math.prod(sum(map(len, shares(n, m))) for n, m in reach)
        elif kind in MERGING:
            elements *= max(inputs - 1, 1)
        if kind not in KINDS:
            raise InputError(f"operation {name!r} is of unknown kind {kind!r}{nearest(kind, KINDS)}")
        key = detail if kind == "activation" and detail in OPS_PER_ELEMENT else "none" if kind in _FREE else kind
        digital_ops = elements * OPS_PER_ELEMENT[key].operations
        return Operation(name, kind, output, detail, window, tuple(axes), digital_ops, taken)


@dataclass(frozen=True)
class WeightLayer(Operation):
    """A matrix product with trained weights: one cross-point array, before it is split over tiles.

    rows, columns:  of the weight matrix: outputs x inputs per vector, the bias column NOT counted.
    bias:           whether each output adds a trained bias.
    parameter:      full name of the torch weight, such as "features.0.weight"; equal for layers that share it.
    groups:         so many equal parts of the rows read inputs of their own (``columns`` each).

    A recurrent layer multiplies its own output of the step before. Its operation reads what the input's matrix made of
    every step, in as many rows, which is not multiplied but added at its homes, where ``detail``, the rule, makes the
    output of `gates` rows each; the rows of one output are taken to lie in one block.
    """

    rows: int = 0
    columns: int = 0
    bias: bool = True
    parameter: str = ""
    groups: int = 1

    @staticmethod
    def linear(name: str, input_shape: Sequence[int], rows: int, bias: bool = True, parameter: str = "") -> WeightLayer:
        """A fully connected layer on the last axis; every other position of the input is a vector of its own."""
        *places, columns = input_shape
        parameter = parameter or f"{name}.weight"
        return WeightLayer(name, "linear", (*places, rows), rows=rows, columns=columns, bias=bias, parameter=parameter)

    @staticmethod
    def convolution(
        name: str,
        input_shape: Sequence[int],
        rows: int,
        window: Window,
        bias: bool = True,
        parameter: str = "",
        shape: Sequence[int] | None = None,
        groups: int = 1,
    ) -> WeightLayer:
        """Over (channels, one to three axes); ``shape`` only where padding differs at the two ends."""
        channels, *sizes = input_shape
        return WeightLayer(
            name,
            f"conv{len(sizes)}d",
            (rows, *window.output_size(*sizes)) if shape is None else tuple(shape),
            window=window,
            rows=rows,
            columns=channels // groups * math.prod(window.kernel),
            bias=bias,
            parameter=parameter or f"{name}.weight",
            groups=groups,
        )

    @staticmethod
    def recurrent(
        name: str, given_shape: Sequence[int], rule: str, bias: bool = True, parameter: str = ""
    ) -> WeightLayer:
        """Over (steps, rows) of what the input's matrix gives; ``rule``: one of `GATES`."""
        steps, rows = given_shape
        state = rows // GATES[rule]
        return WeightLayer(
            name,
            "recurrent",
            (steps, state),
            rule,
            digital_ops=steps * state * OPS_PER_ELEMENT[f"recurrent {rule}"].operations,
            rows=rows,
            columns=state,
            bias=bias,
            parameter=parameter or f"{name}.weight",
        )

    @property
    def is_recurrent(self) -> bool:
        return self.kind == "recurrent"

    @property
    def gates(self) -> int:
        """Rows that make one output."""
        return GATES[self.detail] if self.is_recurrent else 1

    @property
    def outputs(self) -> int:
        """Values per position."""
        return self.rows // self.gates

    @property
    def vectors(self) -> int:
        """Output positions, and so vectors through the array, per sample; 1 for a plain linear layer."""
        return math.prod(self.shape) // self.outputs

    def readers(self, shape: Sequence[int], turns: int = 1) -> NDArray[np.bool_]:
        """Which values of an input of this ``shape`` its vectors read, by turn (vector modulo ``turns``).

        (turns, *shape), with 1 in place of the axis that every vector reads as a whole.
        """
        if self.window is None:
            places = np.arange(self.vectors).reshape(*shape[:-1], 1) % turns
            return places == np.arange(turns).reshape(-1, *[1] * len(shape))
        turn = np.arange(self.vectors).reshape(self.shape[1:]) % turns
        read = np.zeros((turns, 1, *shape[1:]), np.bool_)
        for tap in np.ndindex(self.window.kernel):
            sides = [self.window.under(i, at, shape[i + 1], self.shape[i + 1]) for i, at in enumerate(tap)]
            read[:, 0][turn[np.ix_(*(output for output, _ in sides))], *np.ix_(*(place for _, place in sides))] = True
        return read

    def completed(self, index_map: IndexMap, read: NDArray[np.bool_]) -> IndexMap:
        """How many positions each of its vectors completes of the values that are ``read`` of an `Network.arriving`."""
        alike = index_map.ndim > 1 and index_map.strides[0] == 0 and read.shape[0] == 1  # in all channels
        times = len(index_map) if alike else 1
        index_map = index_map[:1] if alike else index_map
        there = (index_map >= 0) & read
        values = times * np.bincount(index_map[there], minlength=self.vectors)
        return (-(-values // self.outputs)).astype(np.int32)

    @property
    def unread(self) -> int:
        """So many of the first vectors of a sample have errors that do not go back: nobody gave the first state."""
        return int(self.is_recurrent)

    @property
    def weights(self) -> int:
        """Trained numbers, biases included."""
        return self.rows * (self.columns + self.bias)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per sample and pass, the bias counted as an input that is always 1."""
        return self.weights * self.vectors


def shares(length: int, outputs: int) -> list[NDArray[np.intp]]:
    """Input positions under each window of an adaptive pooling, as torch shares them."""
    return [np.arange(i * length // outputs, -(-(i + 1) * length // outputs)) for i in range(outputs)]


def fits(operation: Operation, source: tuple[int, ...]) -> bool:
    """Whether the operation can read this shape."""
    if isinstance(operation, WeightLayer) and operation.kind == "linear":
        return operation.shape == (*source[:-1], operation.rows) and source[-1] == operation.columns
    if isinstance(operation, WeightLayer) and operation.is_recurrent:
        return source == (operation.vectors, operation.rows) and operation.columns == operation.outputs
    if isinstance(operation, WeightLayer):
        if operation.window is None or not len(source) == len(operation.shape) == len(operation.window.kernel) + 1:
            return False
        inputs = source[0] * math.prod(operation.window.kernel)
        whole = operation.rows % operation.groups == source[0] % operation.groups == 0
        return whole and operation.shape[0] == operation.rows and inputs == operation.columns * operation.groups
    if operation.kind in ("linear", "recurrent", *_CONVOLUTIONS):
        return False
    if operation.kind == "flatten":
        return math.prod(operation.shape) == math.prod(source)
    if operation.kind == "select":
        axis = operation.axes[0]
        left = math.prod(source) // source[axis] * len(range(*operation.taken))
        return max(operation.taken[:2]) <= source[axis] and math.prod(operation.shape) == left
    if operation.kind == "pool" and operation.axes:
        kept = [size for axis, size in enumerate(source) if axis not in operation.axes]
        return math.prod(kept) == math.prod(operation.shape)
    if operation.kind == "pool":
        axes = operation.pooled
        return len(source) >= axes and operation.shape[:-axes] == source[:-axes]
    if operation.kind in MERGING:
        sizes = zip(reversed(source), reversed(operation.shape), strict=False)
        return len(source) <= len(operation.shape) and all(size in (1, full) for size, full in sizes)
    return operation.shape == source
