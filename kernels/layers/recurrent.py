"""Recurrent layers: matrices for the input and for the state on arrays, gates and states in digital units.

Every time step is one vector through each of the two. The input's matrix gets all steps at once, sample by sample; the
state's waits for the step before, so it gets one step of all samples after the other. Errors come back through time, to
the first step, not into the state before it. An update sends one sample after the other, each in the order of time.

Gates and their order are torch's: i, f, g, o of the LSTM; r, z, n of the GRU, whose n multiplies r after the matrix.
On cross-point arrays: Gokmen, Rasch & Haensch, "Training LSTM networks with resistive cross-point devices", Front.
Neurosci. 12:745 (2018).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.several import add_matrices
from rpusim.kernels.tiles.tile import LayerConfig, Step

Tensor = torch.Tensor
State = tuple[Tensor, ...]
Rule = Callable[[Tensor, Tensor, State], State]
"""Turns what the two matrices give and the state before into the state after; the first of a state is the output."""


def _tanh(given: Tensor, recurrent: Tensor, state: State) -> State:
    return (torch.tanh(given + recurrent),)


def _relu(given: Tensor, recurrent: Tensor, state: State) -> State:
    return (torch.relu(given + recurrent),)


def _lstm(given: Tensor, recurrent: Tensor, state: State) -> State:
    i, f, g, o = (given + recurrent).chunk(4, dim=1)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru(given: Tensor, recurrent: Tensor, state: State) -> State:
    r, z, n = given.chunk(3, dim=1)
    hr, hz, hn = recurrent.chunk(3, dim=1)
    z = torch.sigmoid(z + hz)
    n = torch.tanh(n + torch.sigmoid(r + hr) * hn)
    return (n + z * (state[0] - n),)


_KINDS: dict[str, tuple[int, int, Rule]] = {
    "tanh": (1, 1, _tanh),
    "relu": (1, 1, _relu),
    "lstm": (4, 2, _lstm),
    "gru": (3, 1, _gru),
}
"""By kind: matrices of hidden_size rows on top of each other, tensors of a state, and the rule."""


class Recurrent(torch.nn.Module):
    """Share what layers and single steps have in common: sizes, gates and the rule of a step."""

    kind: ClassVar[str] = ""

    def __init__(self, input_size: int, hidden_size: int, bias: bool, nonlinearity: str = "tanh") -> None:
        super().__init__()
        checks.integer("input_size", input_size, low=1)
        checks.integer("hidden_size", hidden_size, low=1)
        checks.flag("bias", bias)
        checks.one_of("nonlinearity", nonlinearity, ("tanh", "relu"))
        self.input_size, self.hidden_size, self.bias, self.nonlinearity = input_size, hidden_size, bias, nonlinearity
        self._gates, self._count, self._rule = _KINDS[self.kind or nonlinearity]

    def _set_weights(self, layer: torch.nn.Module) -> None:
        """Take the weights of a torch layer, whose names are weight_NAME and bias_NAME."""
        for name, matrix in self.named_children():
            weight, bias = getattr(layer, f"weight_{name}"), getattr(layer, f"bias_{name}", None)
            cast(AnalogLayer, matrix).set_weights(weight, bias)
            cast(AnalogLayer, matrix).learn_as(weight, bias)

    def _check(self, states: State, expected: list[tuple[int, ...]]) -> None:
        if [tuple(state.shape) for state in states] != expected:
            given = " and ".join(str(tuple(state.shape)) for state in states)
            wanted = " and ".join(map(str, expected))
            raise InputError(f"{type(self).__name__}: states of shape {given} were given; accepted is {wanted}")

    def __getattr__(self, name: str) -> Any:
        """Weights by torch's names, such as ``weight_ih_l0``."""
        kind, _, matrix = name.partition("_")
        if kind in ("weight", "bias") and matrix in self.__dict__.get("_modules", {}):
            return getattr(self.get_submodule(matrix), kind)
        return super().__getattr__(name)

    @staticmethod
    def matrices(layer: torch.nn.Module) -> tuple[str, ...]:
        """Name the matrices that stand in for those of a torch layer."""
        own = (name for name, _ in layer.named_parameters(recurse=False))
        return tuple(name.removeprefix("weight_") for name in own if name.startswith("weight_"))


class AnalogRecurrent(Recurrent):
    """Share what `AnalogRNN`, `AnalogLSTM` and `AnalogGRU` have in common; they are called as torch's.

    The matrices are ``ih_l0`` (the input's), ``hh_l0`` (the state's), with ``proj_size`` also ``hr_l0``, then those of
    ``_l0_reverse`` if bidirectional, then those of ``_l1`` and so on; options as for `add_matrices`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        config: LayerConfig,
        *,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        nonlinearity: str = "tanh",
        proj_size: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, nonlinearity)
        checks.integer("num_layers", num_layers, low=1)
        checks.number("dropout", dropout, low=0.0, high=1.0)
        checks.integer("proj_size", proj_size, low=0)
        if proj_size and (self.kind != "lstm" or proj_size >= hidden_size):
            raise InputError(f"proj_size: {proj_size} was given; accepted is a number below hidden_size, of an LSTM")
        self.num_layers, self.batch_first, self.dropout = num_layers, batch_first, dropout
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._suffixes = ("", "_reverse") if bidirectional else ("",)
        self._outputs = proj_size or hidden_size
        rows, sizes = self._gates * hidden_size, {}
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else self._outputs * len(self._suffixes)
            for suffix in self._suffixes:
                sizes[f"ih_l{layer}{suffix}"] = (inputs, rows, bias)
                sizes[f"hh_l{layer}{suffix}"] = (self._outputs, rows, bias)
                if proj_size:
                    sizes[f"hr_l{layer}{suffix}"] = (hidden_size, proj_size, False)
        add_matrices(self, sizes, config, start=hidden_size**-0.5, **options)

    @classmethod
    def of(cls, module: Any, config: LayerConfig, **options: Any) -> AnalogRecurrent:
        """Make a layer that stands in for a torch layer, with its weights; options as for `add_matrices`."""
        own = {"nonlinearity": module.nonlinearity} if isinstance(module, torch.nn.RNN) else {}
        analog = cls(
            module.input_size,
            module.hidden_size,
            config,
            num_layers=module.num_layers,
            bias=module.bias,
            batch_first=module.batch_first,
            dropout=module.dropout,
            bidirectional=module.bidirectional,
            proj_size=module.proj_size,
            **own,
            **options,
        )
        analog._set_weights(module)
        return analog

    def flatten_parameters(self) -> None:
        """Do nothing, as torch's own does without a GPU: models call it."""

    def forward(self, input: Tensor | PackedSequence, hx: Any = None) -> tuple[Any, Any]:
        """Run a sequence, unbatched, batched or packed; returns (output, h), of an LSTM (output, (h, c)), as torch's.

        hx: the state before the first step; None: zeros. InputError: shapes do not fit.
        """
        if isinstance(input, PackedSequence):
            sizes = input.batch_sizes.tolist()
            states = self._begin(hx, sizes[0], input.data, input.sorted_indices)
            data, states = self._layers(input.data, sizes, states)
            if input.unsorted_indices is not None:
                states = tuple(s.index_select(1, input.unsorted_indices) for s in states)
            packed = PackedSequence(data, input.batch_sizes, input.sorted_indices, input.unsorted_indices)
            return packed, states if self._count == 2 else states[0]
        single = input.dim() == 2
        if single:
            given = (hx if self._count == 2 else (hx,)) if hx is not None else None
            hx = None if given is None else tuple(state.unsqueeze(1) for state in given)
            input = input.unsqueeze(1)
        elif self.batch_first:
            input = input.transpose(0, 1)
        if input.dim() != 3 or input.shape[2] != self.input_size or not input.shape[0]:
            raise InputError(
                f"{type(self).__name__}: an input of shape {tuple(input.shape)} was given; "
                f"accepted is (steps, samples, {self.input_size})"
            )
        steps, samples = input.shape[:2]
        data, states = self._layers(input.flatten(0, 1), [samples] * steps, self._begin(hx, samples, input))
        output = data.reshape(steps, samples, data.shape[1])
        if single:
            output, states = output.squeeze(1), tuple(state.squeeze(1) for state in states)
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, states if self._count == 2 else states[0]

    def _begin(self, hx: Any, samples: int, like: Tensor, order: Tensor | None = None) -> State:
        """Make the states before the first step, each (layers x directions, samples, size)."""
        count = self.num_layers * len(self._suffixes)
        sizes = (self._outputs, self.hidden_size)[: self._count]
        if hx is None:
            return tuple(like.new_zeros(count, samples, size) for size in sizes)
        states = tuple(hx) if isinstance(hx, tuple | list) else (hx,)
        self._check(states, [(count, samples, size) for size in sizes])
        return states if order is None else tuple(state.index_select(1, order) for state in states)

    def _layers(self, data: Tensor, sizes: list[int], states: State) -> tuple[Tensor, State]:
        """Run all layers on ``data``: samples of step 0, of step 1, ...; ``sizes``: how many samples a step has."""
        ends: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                data = functional.dropout(data, self.dropout, self.training)
            outputs = []
            for suffix in self._suffixes:
                begin = tuple(state[len(ends)] for state in states)
                output, end = self._run(f"l{layer}{suffix}", data, sizes, begin, backwards=suffix != "")
                outputs.append(output)
                ends.append(end)
            data = torch.cat(outputs, 1)
        return data, tuple(torch.stack(each) for each in zip(*ends, strict=True))

    def _run(self, name: str, data: Tensor, sizes: list[int], begin: State, backwards: bool) -> tuple[Tensor, State]:
        """Run one layer in one direction; samples that end early keep their state, backwards they join late."""
        place = np.concatenate([np.arange(size) for size in sizes])
        by_sample = torch.from_numpy(np.argsort(place, kind="stable")).to(data.device)
        given = self.get_submodule(f"ih_{name}")(data[by_sample])[by_sample.argsort()].split(sizes)
        recurrent = self.get_submodule(f"hh_{name}")
        project = self.get_submodule(f"hr_{name}") if self.proj_size else None
        steps = list(range(len(sizes)))[:: -1 if backwards else 1]
        state = tuple(s[: sizes[steps[0]]] for s in begin)
        outputs, ended = [], []
        for number, step in enumerate(steps):
            at = Step(number, len(steps))
            now, samples = len(state[0]), sizes[step]
            if samples < now:
                ended.append(tuple(s[samples:] for s in state))
                state = tuple(s[:samples] for s in state)
            elif samples > now:
                state = tuple(torch.cat([s, b[now:samples]]) for s, b in zip(state, begin, strict=True))
            state = self._rule(given[step], recurrent(state[0], at), state)
            if project is not None:
                state = (project(state[0], at), *state[1:])
            outputs.append(state[0])
        if ended:
            state = tuple(torch.cat(parts) for parts in zip(state, *reversed(ended), strict=True))
        return torch.cat(outputs[:: -1 if backwards else 1]), state


class AnalogRNN(AnalogRecurrent):
    """Compute h = tanh(W_ih x + W_hh h), or relu; stands in for torch.nn.RNN."""


class AnalogLSTM(AnalogRecurrent):
    """Long short-term memory; stands in for torch.nn.LSTM."""

    kind = "lstm"


class AnalogGRU(AnalogRecurrent):
    """Gated recurrent unit; stands in for torch.nn.GRU."""

    kind = "gru"


class AnalogRecurrentCell(Recurrent):
    """Share what single steps have in common; they are called as torch's. The matrices are ``ih`` and ``hh``."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        config: LayerConfig,
        *,
        bias: bool = True,
        nonlinearity: str = "tanh",
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, nonlinearity)
        rows = self._gates * hidden_size
        sizes = {"ih": (input_size, rows, bias), "hh": (hidden_size, rows, bias)}
        add_matrices(self, sizes, config, start=hidden_size**-0.5, **options)

    @classmethod
    def of(cls, module: Any, config: LayerConfig, **options: Any) -> AnalogRecurrentCell:
        """Make a cell that stands in for a torch cell, with its weights; options as for `add_matrices`."""
        own = {"nonlinearity": module.nonlinearity} if isinstance(module, torch.nn.RNNCell) else {}
        analog = cls(module.input_size, module.hidden_size, config, bias=module.bias, **own, **options)
        analog._set_weights(module)
        return analog

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Make one step: x (samples, input_size) or (input_size,) -> the state after it: h, or (h, c) of an LSTM.

        hx: the state before; None: zeros. InputError: shapes do not fit.
        """
        single = input.dim() == 1
        x = input.unsqueeze(0) if single else input
        if hx is None:
            state: State = (x.new_zeros(len(x), self.hidden_size),) * self._count
        else:
            given = tuple(hx) if isinstance(hx, tuple | list) else (hx,)
            self._check(given, [(*input.shape[:-1], self.hidden_size)] * self._count)
            state = tuple(s.unsqueeze(0) for s in given) if single else given
        state = self._rule(self.get_submodule("ih")(x), self.get_submodule("hh")(state[0]), state)
        if single:
            state = tuple(s.squeeze(0) for s in state)
        return state if self._count == 2 else state[0]


class AnalogRNNCell(AnalogRecurrentCell):
    """One step of an `AnalogRNN`; stands in for torch.nn.RNNCell."""


class AnalogLSTMCell(AnalogRecurrentCell):
    """One step of an `AnalogLSTM`; stands in for torch.nn.LSTMCell."""

    kind = "lstm"


class AnalogGRUCell(AnalogRecurrentCell):
    """One step of an `AnalogGRU`; stands in for torch.nn.GRUCell."""

    kind = "gru"
