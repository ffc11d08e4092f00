"""Replicas of a layer: n matrices on arrays of their own, which share its vectors (RAPA).

A convolution sends many vectors through one small matrix. With n replicas each vector, that is each output position, is
done by one of them, `shares` says by which: it multiplies the vector forward, the vector's error backward, and learns
from this pair. Nothing keeps replicas alike: each has cells and converters of its own and sees its share only. What is
digital there is once: a digital bias, and the scales.

``average_every`` has them averaged every so many mini-batches: each reads its columns through its converters, and
pulses every column by what the mean of all has more, in one train; reads and pulses are maintenance before the next
mini-batch. How the columns get from array to array is not in the activity.

After Rasch, Gokmen, Rigotti & Haensch, "RAPA-ConvNets", Front. Neurosci. 13:753 (2019).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels.base import rng
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.convolution import AnalogConv1d, AnalogConv2d, AnalogConv3d
from rpusim.kernels.layers.linear import AnalogLinear
from rpusim.kernels.layers.matrix.lost import Lost
from rpusim.kernels.layers.shares import Way, shares
from rpusim.kernels.tiles.analog import AnalogConfig, AnalogTile
from rpusim.kernels.tiles.tile import ALONE, LayerConfig, Step, Tile

Tensor = torch.Tensor
_WAYS = tuple(Way)


@dataclass(frozen=True)
class Replication:
    """How many replicas a layer has, and how they share its vectors.

    number:         of replicas.
    training:       which replica does a vector in training: "random" or "in-turn".
    inference:      the same in evaluation; "one": the first replica does all.
    first_weights:  "equal": the same in all replicas; "independent": torch's first weights, drawn for each.
    average_every:  mini-batches after which replicas are averaged; 0: never.
    learning_rate:  "same": each learns at the optimizer's rate from its share, which makes them slower than one matrix
                    by their number; "times-replicas": at so many times that rate.
    """

    number: int
    training: Way = Way.RANDOM
    inference: Way = Way.RANDOM
    first_weights: str = "equal"
    average_every: int = 0
    learning_rate: str = "same"

    def __post_init__(self) -> None:
        checks.integer("number", self.number, low=1)
        object.__setattr__(self, "training", checks.choose(Way, "training", self.training))
        object.__setattr__(self, "inference", checks.choose(Way, "inference", self.inference))
        if self.training is Way.ONE:
            raise InputError("training: got 'one', with which no other replica would learn; accepted: random, in-turn")
        checks.one_of("first_weights", self.first_weights, ("equal", "independent"))
        checks.one_of("learning_rate", self.learning_rate, ("same", "times-replicas"))
        checks.integer("average_every", self.average_every, low=0)

    @property
    def faster(self) -> int:
        """What the optimizer's rate is multiplied by."""
        return self.number if self.learning_rate == "times-replicas" else 1


class _Gathered(ActivityLog):
    """Take the rows of the tiles of all replicas, and hand them on as those of one layer, in the order of its vectors.

    A tile counts the vectors of its own share; here they get the numbers that they have in the layer's call.

    log: where the rows go. grid: tiles of a replica.
    """

    def __init__(self, log: ActivityLog, grid: int) -> None:
        super().__init__()
        self._log, self._grid = log, grid
        self.share: NDArray[np.int64] | None = None
        """Numbers of the vectors that the replica at work does; None: nothing is gathered."""
        self._rows: dict[tuple[int, int], list[tuple[int, dict[str, Any]]]] = {}
        self._after: list[tuple[int, dict[str, Any]]] = []

    @property
    def whole(self) -> ActivityLog:
        """The log of the whole run."""
        return self._log.whole

    def append(self, length: int, **columns: ArrayLike) -> None:
        """Take rows of a tile; outside of `gathering` they go on as they are."""
        if self.share is None:
            self._log.append(length, **columns)
            return
        vector = np.broadcast_to(np.asarray(columns["vector"], np.int64), (length,))
        own: dict[str, Any] = {**columns, "vector": np.where(vector >= 0, self.share[vector], vector).astype(np.int32)}
        phase, tile = columns["phase"], columns["tile"]
        if isinstance(phase, int) and phase <= Phase.UPDATE:
            self._rows.setdefault((int(phase), int(tile) % self._grid), []).append((length, own))
        else:
            self._after.append((length, own))

    def flush(self) -> None:
        """Hand on what was gathered: blocks of a replica one after the other, then what was done besides."""
        self.share = None
        for parts in self._rows.values():
            total = sum(length for length, _ in parts)
            columns = {
                name: np.concatenate([np.broadcast_to(np.asarray(of[name]), (length,)) for length, of in parts])
                for name in parts[0][1]
            }
            order = np.argsort(columns["vector"], kind="stable")
            together = {name: values[order] for name, values in columns.items()}
            together |= {name: parts[0][1][name] for name in ("layer", "phase")}
            self._log.append(total, **together)
        for length, own in self._after:
            self._log.append(length, **own)
        self._rows, self._after = {}, []


class Replicated(AnalogLayer):
    """Stand before a kind of layer, whose matrix it has n times; arguments are those of the kind.

    replication:  see the class.

    Reads of its weights give the mean of the replicas; writes write all of them. A gradient is that of all vectors, as
    if they were one matrix; each replica is sent its own part of it.

    InputError: the arrays do not learn by pulses, or cannot do what is asked for.
    """

    def __init__(self, *arguments: Any, replication: Replication, **options: Any) -> None:
        checks.instance("replication", replication, Replication)
        self.__dict__["_copies"] = []
        super().__init__(*arguments, **options)
        check_replication(self.config, replication)
        self.replication = replication
        grid, log = list(self._grid), options.get("log")
        self._copies: list[list[Tile]] = [
            [self._another(tile, number * len(grid) + place, options) for place, tile in enumerate(grid)]
            if number
            else grid
            for number in range(replication.number)
        ]
        self.tiles = torch.nn.ModuleList([tile for copy in self._copies for tile in copy])
        self._gathered: _Gathered | None = None
        self._positions, self._first_call = 0, 0
        self._noted = array("q")
        """By call: vectors of a sample, and the way in which they were shared."""
        self._mini_batches, self._due = 0, False
        weight, bias = AnalogLayer.get_weights(self)
        self.set_weights(weight, bias)
        self.log = log

    def _another(self, tile: Tile, number: int, options: Mapping[str, Any]) -> Tile:
        """Make the tile of another replica."""
        named = {"seed": self._seed, "layer": self.layer, "tile": number, "place": tile.place, "path": self.path}
        return self.config.tile(tile.rows, tile.columns, **named)

    @classmethod
    def of(cls, module: Any, config: LayerConfig, **options: Any) -> Any:
        """Make a layer that stands in for a torch layer, with its weights; options as for the kind."""
        made: Replicated = super().of(module, config, **options)  # type: ignore[misc]
        if made.replication.first_weights == "independent":
            for number in range(1, made.replication.number):
                seed = rng.key(made._seed, made.layer, rng.Purpose.REPLICAS, number) % 2**63
                with torch.random.fork_rng(devices=[]), torch.no_grad():
                    torch.manual_seed(seed)
                    drawn: Any = object.__new__(type(module))
                    drawn.__dict__.update(module.__dict__)
                    drawn._parameters = {
                        name: None if each is None else torch.nn.Parameter(torch.empty_like(each, device="cpu"))
                        for name, each in module._parameters.items()
                    }
                    drawn.reset_parameters()
                with made._at(number):
                    AnalogLayer.set_weights(made, drawn.weight, drawn.bias if made.bias_column else None)
        return made

    # --- which replica ------------------------------------------------------------------------------------------------

    @contextmanager
    def _at(self, number: int, share: NDArray[np.int64] | None = None) -> Iterator[None]:
        """Have the layer be its replica ``number`` for a while, with the vectors of a share."""
        before, own = self._grid, vars(self)
        own["_grid"] = self._copies[number]
        if self._gathered is not None:
            self._gathered.share = share
        try:
            yield
        finally:
            own["_grid"] = before
            if self._gathered is not None:
                self._gathered.share = None

    @property
    def _number(self) -> int:
        return len(self._copies)

    def shares_of(self, call: int, vectors: int) -> NDArray[np.int64]:
        """Say which replica does each of so many vectors of a call of the layer: (vectors,)."""
        at = call - self._first_call
        noted = self._noted[at] if 0 <= at < len(self._noted) else _note(vectors, self.replication.training)
        positions, way = divmod(noted, len(_WAYS))
        if positions < 1 or vectors % positions:
            positions = vectors
        return shares((self._seed, self.layer), call, vectors // max(positions, 1), positions, self._number, _WAYS[way])

    def _begin(self, call: int) -> None:
        """Note how the vectors of a call are shared, as its errors come back in the same way; average what is due."""
        at = call - self._first_call
        if at < 0:
            self._first_call, self._noted, at = call, array("q"), 0
        self._noted.extend([0] * (at + 1 - len(self._noted)))
        way = self.replication.training if self.training else self.replication.inference
        self._noted[at] = _note(self._positions, way)
        if self._due and self.training:
            self._due = False
            self.average()

    def _each(self, replica: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Go through the replicas that have vectors: the layer is each of them in turn.

        replica: (vectors,) of each. Yields the numbers of its vectors, as an array and as a tensor to index with.
        """
        order = np.argsort(replica, kind="stable")
        ends = np.cumsum(np.bincount(replica, minlength=self._number))
        try:
            for number, share in enumerate(np.split(order, ends[:-1])):
                if len(share):
                    with self._at(number, share):
                        yield share, torch.from_numpy(share).to(self.scale.device)
        finally:
            if self._gathered is not None:
                self._gathered.flush()

    # --- the layer ----------------------------------------------------------------------------------------------------

    def vectors_of(self, x: Tensor) -> Tensor:
        vectors: Tensor = super().vectors_of(x)  # type: ignore[safe-super]
        self._positions = len(vectors) // max(len(x), 1)
        return vectors

    def input_of(self, vectors: Tensor, shape: torch.Size) -> Tensor:
        found: Tensor = super().input_of(vectors, shape)  # type: ignore[safe-super]
        return found

    def analog_forward(self, x: Tensor, step: Step = ALONE, phase: Phase = Phase.FORWARD) -> Tensor:
        call = int(self.at_work) if isinstance(self.at_work, int) else self.calls
        self._begin(call)
        y = x.new_empty(len(x), self.rows)
        for _, share in self._each(self.shares_of(call, len(x))):
            y[share] = super().analog_forward(x[share], step, phase)
        return y

    def analog_backward(
        self,
        d: Tensor,
        step: Step = ALONE,
        clipped: Iterable[Tensor | None] = (),
        phase: Phase = Phase.BACKWARD,
    ) -> Tensor:
        call = int(self.at_work) if isinstance(self.at_work, int) else self.calls
        z = d.new_empty(len(d), self.columns * self.groups)
        for _, share in self._each(self.shares_of(call, len(d))):
            z[share] = super().analog_backward(d[share], step, (), phase)
        return z

    def send(self, x: Tensor, d: Tensor, rate: float, measured: bool = False) -> None:
        calls = np.broadcast_to(np.asarray(self.at_work), (len(x),))
        starts = np.flatnonzero(np.r_[True, calls[1:] != calls[:-1]]) if len(x) else np.zeros(0, np.int64)
        ends = np.r_[starts[1:], len(x)]
        replica = [self.shares_of(int(calls[a]), int(b - a)) for a, b in zip(starts, ends, strict=True)]
        for _, share in self._each(np.concatenate([np.zeros(0, np.int64), *replica])):
            super().send(x[share], d[share], rate * self.replication.faster, measured)

    def end_mini_batch(self) -> None:
        for tile in self.tiles:
            tile.end_mini_batch()  # type: ignore[operator]
        self._mini_batches += 1
        every = self.replication.average_every
        self._due = self._due or bool(every and self._mini_batches % every == 0)

    def average(self) -> None:
        """Move all replicas towards their mean, by one train of pulses a column, as read through their converters."""
        for tiles in zip(*self._copies, strict=True):
            learning = [tile for tile in tiles if isinstance(tile, AnalogTile)]
            seen = [tile.read_columns() for tile in learning]
            mean = torch.stack(seen).mean(0)
            for tile, own in zip(learning, seen, strict=True):
                tile.move_columns(mean - own, adds=2, multiplies=1)

    # --- weights ------------------------------------------------------------------------------------------------------

    def set_weights(self, weight: Tensor, bias: Tensor | None = None) -> None:
        if not self._copies:
            super().set_weights(weight, bias)
            return
        lost = list[Lost]()
        for number in range(self._number):
            with self._at(number):
                super().set_weights(weight, bias)
                lost.append(self.lost)
        self.lost = max(lost, key=lambda each: each.share)

    def get_weights(self, replica: int | None = None) -> tuple[Tensor, Tensor | None]:
        """Read the logical weights (outputs, inputs) and bias (outputs,), exactly.

        replica: of which replica; None: the mean of all.
        """
        if not self._copies:
            return super().get_weights()
        found = []
        for number in range(self._number) if replica is None else (replica,):
            with self._at(number):
                found.append(super().get_weights())
        biases = [bias for _, bias in found if bias is not None]
        return torch.stack([weight for weight, _ in found]).mean(0), torch.stack(biases).mean(0) if biases else None

    def similarity(self) -> float:
        """Compute how alike the replicas' filters are: the mean cosine between two replicas' weights of one output.

        Biases are left out. 1: equal up to a factor; about 0: of independent first weights.
        """
        filters = torch.stack([self.get_weights(number)[0] for number in range(self._number)]).double()
        unit = filters / filters.norm(dim=2, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
        together, number = unit.sum(0).square().sum(1), self._number
        return float(((together - number) / (number * (number - 1))).mean()) if number > 1 else 1.0

    # --- logs and files -----------------------------------------------------------------------------------------------

    @property
    def log(self) -> ActivityLog | None:
        """Where the tiles of all replicas write what they did."""
        return None if self._gathered is None else self._gathered._log

    @log.setter
    def log(self, log: ActivityLog | None) -> None:
        self._gathered = None if log is None else _Gathered(log, len(self._grid))
        for tile in self.tiles:
            tile.log = self._gathered  # type: ignore[assignment]

    def used_outside(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return None

    def get_extra_state(self) -> dict[str, Any]:
        """Give the counters by which shares are drawn and replicas averaged, which travel with `state_dict`."""
        return {"calls": self.calls, "mini_batches": self._mini_batches, "due": self._due}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.calls, self._mini_batches, self._due = state["calls"], state["mini_batches"], state["due"]
        self._first_call, self._noted = self.calls, array("q")


def _note(positions: int, way: Way) -> int:
    return positions * len(_WAYS) + _WAYS.index(way)


def check_replication(config: LayerConfig, replication: Replication) -> None:
    """Refuse arrays that cannot have replicas, or not such: InputError. config: of the layer. replication: wanted."""
    if not isinstance(config, AnalogConfig) or config.input_range is not None:
        raise InputError(
            "replicas: were given for arrays that only infer, or whose input range is learned; accepted: arrays that "
            "learn by pulses (AnalogConfig) without an input_range"
        )
    if replication.first_weights == "independent" and config.weight_scaling_omega:
        raise InputError(
            "first_weights: got 'independent' with weight_scaling_omega, but replicas have one digital scale; "
            "accepted: equal, or weights that are not scaled"
        )
    if replication.average_every and not config.averages:
        raise InputError(
            f"average_every: got {replication.average_every} for cells of kind {config.cell.kind}; accepted: 0, or "
            "cells of kind single with a pulsed device, whose columns can be read and pulsed"
        )


class ReplicatedLinear(Replicated, AnalogLinear):
    """`AnalogLinear` with replicas, for inputs of several positions."""


class ReplicatedConv1d(Replicated, AnalogConv1d):
    """`AnalogConv1d` with replicas."""


class ReplicatedConv2d(Replicated, AnalogConv2d):
    """`AnalogConv2d` with replicas."""


class ReplicatedConv3d(Replicated, AnalogConv3d):
    """`AnalogConv3d` with replicas."""


REPLICATED: dict[type[AnalogLayer], type[Replicated]] = {
    AnalogLinear: ReplicatedLinear,
    AnalogConv1d: ReplicatedConv1d,
    AnalogConv2d: ReplicatedConv2d,
    AnalogConv3d: ReplicatedConv3d,
}
"""Kinds of layers that can have replicas, and what they are then."""
