"""Operations on one sample: weight layers, which become arrays, and what digital units do between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.network.computed import GATES, computed, operations_of, step
from rpusim.arch.network.index_maps import IndexMap, counted
from rpusim.arch.network.moves import Moves
from rpusim.errors import InputError

_ELEMENTWISE = ("activation", "batch_norm", "dropout", "identity", "output")
MERGING = ("add", "multiply")
"""Kinds of operation that merge others value by value."""
GENERAL = ("moves", "digital", "table")
"""Kinds of operation that say themselves what they read, of one other or of several: values that only move, whatever a
digital unit computes, and rows that are read of a table."""

_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
KINDS = (
    "input",
    "linear",
    *_CONVOLUTIONS,
    "recurrent",
    *_ELEMENTWISE,
    *MERGING,
    *GENERAL,
    "pool",
    "flatten",
    "select",
    "softmax",
)
"""All kinds of operation."""


@dataclass(frozen=True)
class Window:
    """The sliding window of a convolution or a pooling; every field has one entry per axis, in positions.

    kernel:    size of the window.
    stride:    from one window to the next.
    padding:   what is added before the first row and column; how much follows the last is settled by the operation's
               output shape, so ceiling mode and uneven "same" padding need no field of their own.
    dilation:  from one place in the window to the next.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)

    def output_size(self, *sizes: int) -> tuple[int, ...]:
        """Count the output positions along each axis of an image of these sizes, rounded down.

        Padding is the same on both ends.
        """
        sides = zip(sizes, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides)

    def reach(self, axis: int, length: int, outputs: int) -> list[NDArray[np.intp]]:
        """List, for each output position along an axis, the input positions under the window.

        length: input positions along the axis; padding is not among them. outputs: output positions along it.
        """
        taps = self.dilation[axis] * np.arange(self.kernel[axis]) - self.padding[axis]
        places = (taps + self.stride[axis] * position for position in range(outputs))
        return [place[(place >= 0) & (place < length)] for place in places]

    def under(self, axis: int, tap: int, length: int, outputs: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Find what one place of the window sees along an axis.

        tap: the place in the window, from 0. length: input positions along the axis. outputs: output positions.
        Returns the output positions whose window has an input there, not padding, and the input position of each.
        """
        position = np.arange(outputs)
        place = self.stride[axis] * position + self.dilation[axis] * tap - self.padding[axis]
        inside = (place >= 0) & (place < length)
        return position[inside], place[inside]


@dataclass(frozen=True)
class Operation:
    """One step of the network on one sample.

    name:         unique in the network.
    kind:         one of `KINDS`.
    shape:        of the output for one sample: (features,), (time, features) or (channels, height, width).
    detail:       which one of the kind, such as "sigmoid" or "max".
    window:       of a convolution or a sliding pooling.
    axes:         axes of the sample over which a softmax or a mean runs, or the one along which is selected. A pooling
                  with neither window nor axes is adaptive: its windows share the last two axes of the input evenly.
    taken:        first, stop and step of a selection along its axis.
    numbers:      by name, what else torch's call was given: constants of functions, sums and products.
    functions:    what digital units compute per sample: names in `FUNCTIONS`, each with its number of elements. Of
                  weight layers only what a recurrent one does in every step (the analog side, and scale and bias after
                  the converters, are priced by the chip).
    moves:        of "moves", where each value comes from.
    waits:        of the kinds `GENERAL`, by source the axes of it along which every output reads all of it; of a source
                  without an entry an output reads the value that stands in its place.
    assumed:      what had to be assumed to price it, in words; "": nothing.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    detail: str = ""
    window: Window | None = None
    axes: tuple[int, ...] = ()
    functions: tuple[tuple[str, int], ...] = ()
    taken: tuple[int, int, int] = (0, 0, 1)
    numbers: tuple[tuple[str, float], ...] = ()
    moves: Moves | None = None
    waits: tuple[tuple[int, ...], ...] = ()
    assumed: str = ""

    @property
    def digital_ops(self) -> int:
        """Digital operations of all classes per sample of inference, on a unit without functions of its own."""
        return operations_of(self.functions)

    @property
    def pooled(self) -> int:
        """How many of the last axes a pooling slides over; 2 if it is adaptive."""
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
        parameters: int = 0,
        numbers: tuple[tuple[str, float], ...] = (),
    ) -> Operation:
        """Make a digital operation, with what it computes filled in.

        input_shape: of what it reads, for one sample.
        shape: of the output; None: that of the input.
        inputs: branches that an add or multiply merges; one is merged with a constant, or with itself (``detail``
            "square" or "double").
        parameters: numbers of a trained parameter that it reads.
        The other arguments are fields of `Operation`. Raises `InputError` for an unknown kind.
        """
        output = tuple(input_shape if shape is None else shape)
        if kind not in KINDS:
            raise InputError(f"operation {name!r} is of unknown kind {kind!r}; accepted are {', '.join(KINDS)}")
        taps = 0 if window is None else math.prod(window.kernel)
        found = computed(kind, detail, tuple(input_shape), output, taps, tuple(axes), inputs, parameters)
        functions = tuple((function, elements) for function, elements in found if elements)
        return Operation(name, kind, output, detail, window, tuple(axes), functions, taken, numbers)


@dataclass(frozen=True)
class WeightLayer(Operation):
    """A matrix product with trained weights: one cross-point array, before it is split over tiles.

    rows, columns:  of the weight matrix: outputs x inputs per vector, the bias column NOT counted.
    bias:           whether each output adds a trained bias.
    parameter:      full name of the torch weight, such as "features.0.weight"; equal for layers that share it: uses of
                    one weight, one after the other.
    bias_parameter: the same of its bias, if there is one; "": of its own.
    groups:         equal parts of the rows, each of which reads inputs of its own (``columns`` each).
    turned:         whether the weight, as torch has it, is used transposed: an array of ``columns`` x ``rows`` is read
                    from its rows to its columns, the way in which errors go back through it otherwise.
    order:          axes of the parameter as they make the matrix, rows first, where a function multiplies by it; ():
                    as torch's layers have them.
    together:       vectors of a sample that follow one another in a batch, where samples do not stand first; 0: all.
    begun:          whether a recurrent layer's first state is what others compute, to which its errors go back.
    frozen:         whether neither the weight nor its bias learns.

    A recurrent layer multiplies only its own output of the step before. What the input's matrix, a linear layer of its
    own, made of every step is what this operation reads: it has as many values as the layer has rows, and is added to
    the products where these are added up. There ``detail``, the rule (one of `GATES`), makes one output of each group
    of `gates` rows; the rows of one output are taken to lie in one block.
    """

    rows: int = 0
    columns: int = 0
    bias: bool = True
    parameter: str = ""
    groups: int = 1
    bias_parameter: str = ""
    turned: bool = False
    begun: bool = False
    order: tuple[int, ...] = ()
    together: int = 0
    frozen: bool = False

    @staticmethod
    def linear(name: str, input_shape: Sequence[int], rows: int, bias: bool = True, parameter: str = "") -> WeightLayer:
        """Make a fully connected layer on the last axis; every other position of the input is a vector of its own.

        input_shape: of one sample. rows: outputs. parameter: ``name.weight`` if it is not given.
        """
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
        """Make a convolution.

        input_shape: of one sample: (channels, one to three axes). rows: output channels. parameter: ``name.weight`` if
        it is not given. shape: of the output; only needed where padding differs at the two ends. groups: parts of the
        channels that are convolved by themselves.
        """
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
        """Make a recurrent layer.

        given_shape: (steps, rows) of what the input's matrix gives. rule: one of `GATES`. parameter: ``name.weight`` if
        it is not given.
        """
        steps, rows = given_shape
        state = rows // GATES[rule]
        return WeightLayer(
            name,
            "recurrent",
            (steps, state),
            rule,
            functions=step(rule, steps * state),
            rows=rows,
            columns=state,
            bias=bias,
            parameter=parameter or f"{name}.weight",
        )

    @property
    def is_recurrent(self) -> bool:
        """Whether its vectors wait for one another, each for the output of the step before."""
        return self.kind == "recurrent"

    @property
    def gates(self) -> int:
        """Rows that make one output: more than 1 in recurrent layers only."""
        return GATES[self.detail] if self.is_recurrent else 1

    @property
    def outputs(self) -> int:
        """Values of one output position."""
        return self.rows // self.gates

    @property
    def vectors(self) -> int:
        """Output positions, and so vectors through the array, per sample; 1 for a plain linear layer."""
        return math.prod(self.shape) // self.outputs

    def readers(self, shape: Sequence[int], turns: int = 1) -> NDArray[np.bool_]:
        """Find which values of an input its vectors read.

        shape: of the input. turns: vectors are told apart by their number modulo this.
        Returns (turns, *shape), with 1 in place of the axis that every vector reads as a whole.
        """
        if self.window is None:
            places = np.arange(self.vectors).reshape(*shape[:-1], 1) % turns
            return np.equal(places, np.arange(turns).reshape(-1, *[1] * len(shape)))
        turn = np.arange(self.vectors).reshape(self.shape[1:]) % turns
        read = np.zeros((turns, 1, *shape[1:]), np.bool_)
        for tap in np.ndindex(self.window.kernel):
            sides = [self.window.under(i, at, shape[i + 1], self.shape[i + 1]) for i, at in enumerate(tap)]
            read[:, 0][turn[np.ix_(*(output for output, _ in sides))], *np.ix_(*(place for _, place in sides))] = True
        return read

    def completed(self, index_map: IndexMap, read: NDArray[np.bool_]) -> IndexMap:
        """Count the positions that each vector of this layer completes.

        index_map: for every value before a later layer, the vector that completes it, see `Network.arriving`.
        read: which of these values count, in a shape that is broadcast to the map's.
        Returns one number per vector: its values over those of a position, rounded up.
        """
        values = counted(index_map, read, self.vectors)
        return (-(-values // self.outputs)).astype(np.int32)

    @property
    def unread(self) -> int:
        """How many of a sample's first vectors send no errors back: 1 if recurrent, unless its first state learns."""
        return int(self.is_recurrent and not self.begun)

    @property
    def weights(self) -> int:
        """Trained numbers, biases included."""
        return self.rows * (self.columns + self.bias)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per sample and pass, the bias counted as an input that is always 1."""
        return self.weights * self.vectors


def fits(operation: Operation, source: tuple[int, ...]) -> bool:
    """Whether an operation can read an output of the shape ``source``."""
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
    if operation.kind in GENERAL:
        return True
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
