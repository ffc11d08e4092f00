"""Chips, networks and activity for hypothesis: small, and odd in every way that the engines have to cope with."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.engine.events import COLUMNS, Events
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import GATES, Operation, WeightLayer, Window
from rpusim.arch.parts.adc import Pool
from rpusim.arch.parts.host import Host
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule

CELLS = (
    SINGLE,
    CellLayout("transfer", arrays=2, visible=(1,), targets=((1,), ())),
    CellLayout("buffered-transfer", arrays=2, visible=(0, 1), targets=((1,), (0,)), slices="row", words=1),
    CellLayout("one-sided", arrays=2, visible=(0, 1), learning=(0, 1), targets=((0,), (1,))),
    CellLayout("mixed-precision", learning=(), slices="all", words=1),
)


class EventLog:
    """Events written by hand, row by row."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self.append = self._numbers.extend

    def take(self) -> Events:
        """The rows as columns, in the order in which they were written."""
        table = np.frombuffer(self._numbers, np.int64).reshape(-1, len(COLUMNS)).T.copy()
        return Events(**dict(zip(COLUMNS, table, strict=True)))


def chain(*sizes: int) -> Network:
    """Linear layers one after the other, nothing in between."""
    steps = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        before = f"layer{i - 1}" if i else "input"
        steps.append((WeightLayer.linear(f"layer{i}", (inputs,), outputs, bias=False), (before,)))
    return connect("chain", (sizes[0],), steps)


def images(side: int, channels: int) -> Network:
    """Two padded convolutions with pooling between them, then a linear layer."""
    window, pool = Window((3, 3), padding=(1, 1)), Window((2, 2), stride=(2, 2))
    half = side // 2
    return connect(
        "images",
        (1, side, side),
        [
            (WeightLayer.convolution("conv1", (1, side, side), channels, window), ("input",)),
            (Operation.digital("tanh", "activation", (channels, side, side), detail="tanh"), ("conv1",)),
            (Operation.digital("pool", "pool", (channels, side, side), (channels, half, half), "max", pool), ("tanh",)),
            (WeightLayer.convolution("conv2", (channels, half, half), channels, window), ("pool",)),
            (Operation.digital("flat", "flatten", (channels, half, half), (channels * half * half,)), ("conv2",)),
            (WeightLayer.linear("fc", (channels * half * half,), 10), ("flat",)),
        ],
    )


def by_channels(side: int, channels: int, each: int) -> Network:
    """A convolution of groups of ``each`` channels between two of 1 x 1, as in mobile networks."""
    window, shape, width = Window((2, 2), padding=(1, 1)), (channels * each, side, side), channels * each
    out = WeightLayer.convolution("groups", shape, width, window, bias=each > 1, groups=channels)
    return connect(
        "by channels",
        (1, side, side),
        [
            (WeightLayer.convolution("wider", (1, side, side), width, Window((1, 1))), ("input",)),
            (out, ("wider",)),
            (Operation.digital("tanh", "activation", out.shape, detail="tanh"), ("groups",)),
            (WeightLayer.convolution("narrower", out.shape, 3, Window((1, 1))), ("tanh",)),
        ],
    )


def one_convolution(side: int, channels: int) -> Network:
    """With a window of 2 x 2, over a margin."""
    layer = WeightLayer.convolution("conv", (1, side, side), channels, Window((2, 2), padding=(1, 1)))
    return connect("one convolution", (1, side, side), [(layer, ("input",))])


def branches(long_branch_last: bool) -> Network:
    """c(tanh(a2(a1(x)) + b(x))) with 16 values everywhere; the last of a2 and b does the sum."""
    line = WeightLayer.linear
    short = (line("b", (16,), 16, bias=False), ("input",))
    long = (line("a2", (16,), 16, bias=False), ("a1",))
    return connect(
        "branches",
        (16,),
        [
            (line("a1", (16,), 16, bias=False), ("input",)),
            *([short, long] if long_branch_last else [long, short]),
            (Operation.digital("sum", "add", (16,), inputs=2), ("a2", "b")),
            (Operation.digital("tanh", "activation", (16,), detail="tanh"), ("sum",)),
            (line("c", (16,), 16, bias=False), ("tanh",)),
        ],
    )


def residual(side: int, channels: int, blocks: int) -> Network:
    """Convolutions with a sum around each, of which every second one is strided and its other branch pooled."""
    window, smaller = Window((3, 3), padding=(1, 1)), Window((2, 2), stride=(2, 2))
    shape = (channels, side, side)
    steps: list[tuple[Operation, Sequence[str]]] = [
        (WeightLayer.convolution("stem", (1, side, side), channels, window), ("input",))
    ]
    x = "stem"
    for block in range(blocks):
        before, skip = shape, x
        if block % 2 and shape[1] > 1:
            shape = (channels, *smaller.output_size(*shape[1:]))
            steps.append((WeightLayer.convolution(f"conv{block}", before, channels, smaller), (x,)))
            skip = f"pool{block}"
            steps.append((Operation.digital(skip, "pool", before, shape, "max", smaller), (x,)))
        else:
            steps.append((WeightLayer.convolution(f"conv{block}", before, channels, window), (x,)))
        steps.append((Operation.digital(f"sum{block}", "add", shape, inputs=2), (f"conv{block}", skip)))
        x = f"relu{block}"
        steps.append((Operation.digital(x, "activation", shape, detail="relu"), (f"sum{block}",)))
    flat = channels * shape[1] * shape[2]
    steps.append((Operation.digital("flat", "flatten", shape, (flat,)), (x,)))
    steps.append((WeightLayer.linear("fc", (flat,), 3), ("flat",)))
    return connect("residual", (1, side, side), steps)


def gated(side: int, channels: int) -> Network:
    """A convolution whose channels are scaled by what two small layers make of their means, and added to themselves."""
    window, shape = Window((3, 3), padding=(1, 1)), (channels, side, side)
    one = Window((1, 1))
    return connect(
        "gated",
        (1, side, side),
        [
            (WeightLayer.convolution("conv", (1, side, side), channels, window), ("input",)),
            (Operation.digital("mean", "pool", shape, (channels, 1, 1), "average", axes=(1, 2)), ("conv",)),
            (WeightLayer.convolution("squeeze", (channels, 1, 1), 2, one), ("mean",)),
            (WeightLayer.convolution("gate", (2, 1, 1), channels, one), ("squeeze",)),
            (Operation.digital("product", "multiply", shape, inputs=2), ("conv", "gate")),
            (Operation.digital("sum", "add", shape, inputs=2), ("product", "conv")),
            (WeightLayer.convolution("last", shape, 2, Window((2, 2))), ("sum",)),
        ],
    )


def sequences(steps: int, state: int, rule: str, last: bool) -> Network:
    """A recurrent layer behind a linear one, then a linear layer that reads every step or the last one."""
    rows, out = GATES[rule] * state, (steps, state)
    read = (
        [(Operation.digital("last", "select", out, out[1:], axes=(0,), taken=(steps - 1, steps, 1)), ("hh",))]
        if last
        else []
    )
    return connect(
        f"{rule} of {steps} steps",
        (steps, 12),
        [
            (WeightLayer.linear("before", (steps, 12), 9, bias=False), ("input",)),
            (WeightLayer.linear("ih", (steps, 9), rows), ("before",)),
            (WeightLayer.recurrent("hh", (steps, rows), rule), ("ih",)),
            *read,
            (WeightLayer.linear("out", out[1:] if last else out, 5), ("last" if last else "hh",)),
        ],
    )


def around(width: int, depth: int) -> Network:
    """Linear layers with a sum around each, beginning with the sample and ending with a sum that nobody reads."""
    steps: list[tuple[Operation, Sequence[str]]] = []
    x = "input"
    for block in range(depth):
        steps.append((WeightLayer.linear(f"linear{block}", (3, width), width), (x,)))
        steps.append((Operation.digital(f"sum{block}", "add", (3, width), inputs=2), (f"linear{block}", x)))
        steps.append((Operation.digital(f"tanh{block}", "activation", (3, width), detail="tanh"), (f"sum{block}",)))
        x = f"tanh{block}"
    return connect("around", (3, width), steps)


def again(width: int, times: int) -> Network:
    """One layer gone through several times, with a sum around it, between two others."""
    steps: list[tuple[Operation, Sequence[str]]] = [(WeightLayer.linear("first", (2, 5), width), ("input",))]
    x = "first"
    for number in range(times):
        layer = WeightLayer.linear(f"again{number}", (2, width), width, bias=False, parameter="again.weight")
        steps.append((layer, (x,)))
        steps.append((Operation.digital(f"sum{number}", "add", (2, width), inputs=2), (f"again{number}", x)))
        x = f"sum{number}"
    return connect("again", (2, 5), [*steps, (WeightLayer.linear("last", (2, width), 3), (x,))])


def tied(width: int, code: int, turned_first: bool) -> Network:
    """An encoder and a decoder with its weight transposed, twice over; or first the one that is transposed."""
    steps: list[tuple[Operation, Sequence[str]]] = []
    x = "input"
    for number in range(4):
        turned = (number % 2 == 0) == turned_first
        inputs, rows = (code, width) if number % 2 else (width, code)
        layer = WeightLayer.linear(f"layer{number}", (2, inputs), rows, parameter="coder.weight")
        steps.append((replace(layer, turned=turned, bias=turned or width % 2 == 0), (x,)))
        steps.append((Operation.digital(f"tanh{number}", "activation", (2, rows), detail="tanh"), (f"layer{number}",)))
        x = f"tanh{number}"
    return connect("tied", (2, width), steps)


def between_margins(stride: int, kernel: int, margin: int) -> Network:
    """A convolution whose windows may see nothing but margin, or leave positions out, behind another one."""
    window = Window((kernel, kernel), (stride, stride), (margin, margin))
    side = (3 + 2 * margin - kernel) // stride + 1
    return connect(
        "between margins",
        (1, 3, 3),
        [
            (WeightLayer.convolution("conv1", (1, 3, 3), 2, Window((1, 1))), ("input",)),
            (WeightLayer.convolution("conv2", (2, 3, 3), 3, window), ("conv1",)),
            (Operation.digital("flat", "flatten", (3, side, side), (3 * side * side,)), ("conv2",)),
            (WeightLayer.linear("fc", (3 * side * side,), 4), ("flat",)),
        ],
    )


def changed(chip: Chip, **blocks: Any) -> Chip:
    """A chip whose (first) tile has some fields of its blocks replaced."""
    kind = chip.tiles[0]
    updates = {
        name: None if fields is None else getattr(kind, name).model_copy(update=fields)
        for name, fields in blocks.items()
    }
    return chip.model_copy(update={"tiles": (kind.model_copy(update={**updates, "count": 3000}),)})


def with_outside(chip: Chip, parts: frozenset[str]) -> Chip:
    """The chip with a global buffer, DRAM or host link of a chip that has them."""
    donor = Chip.load("neurosim-vgg8")
    host = Host(
        bandwidth="12 GB/s", latency="1 ns", links=4, card="puma-2019/hypertransport", source="made up for tests"
    )
    given = {"global_buffer": donor.global_buffer, "memory": donor.memory, "host": host}
    return chip.model_copy(update={name: part if name in parts else None for name, part in given.items()})


def far(chip: Chip, latency: float | None, in_flight: int, copies: bool = False) -> Chip:
    """The chip with links, DRAM and host link of this latency (s); None: of its own. Routers may copy messages."""
    chip = chip.model_copy(update={"mesh": chip.mesh.model_copy(update={"multicast": copies})})
    if latency is None:
        return chip
    ways = {"mesh": {"hop_latency": latency}, "memory": {"latency": latency}, "host": {"latency": latency}}
    found = {name: getattr(chip, name) for name in ways}
    return chip.model_copy(
        update={
            name: part and part.model_copy(update={**ways[name], "in_flight": in_flight})
            for name, part in found.items()
        }
    )


chips = st.builds(
    lambda name, rows, columns, lines, shared, pool, hold, capacity, outside, latency, in_flight, gating, copies: far(
        with_outside(
            changed(
                Chip.load(name),
                array={"rows": rows, "columns": columns},
                adc={"lines_per_adc": lines, "shared_between_sides": shared or pool is not None, "pool": pool},
                buffer={"capacity": capacity},
                **({} if hold else {"sample_and_hold": None}),
            ),
            outside,
        ),
        latency,
        in_flight,
        copies,
    ).model_copy(update={"gating": gating}),
    st.sampled_from(["rpu-2016", "reram-512"]),
    st.integers(8, 64),
    st.integers(8, 64),
    st.integers(1, 32),
    st.booleans(),
    st.one_of(
        st.none(),
        st.none(),
        st.builds(Pool, tiles=st.integers(1, 8), banks=st.integers(1, 3), source=st.just("made up")),
    ),
    st.booleans(),
    st.sampled_from([512, 4_096, 1_000_000]),
    st.frozensets(st.sampled_from(["global_buffer", "memory", "host"])),
    st.sampled_from([None, None, 0.0, 1e-9, 100e-9, 1e-6]),
    st.sampled_from([1, 2, 5, 32]),
    st.sampled_from(["none", "idle", "tile"]),
    st.booleans(),
)
recurrent = st.builds(sequences, st.integers(1, 4), st.integers(2, 40), st.sampled_from(sorted(GATES)), st.booleans())
networks = st.one_of(
    st.lists(st.integers(1, 100), min_size=2, max_size=4).map(lambda sizes: chain(*sizes)),
    st.builds(images, st.sampled_from([4, 6]), st.integers(1, 6)),
    st.booleans().map(branches),
    sums := st.one_of(
        st.builds(residual, st.sampled_from([3, 4]), st.integers(1, 6), st.integers(1, 3)),
        st.builds(gated, st.sampled_from([2, 3]), st.integers(1, 20)),
        st.builds(around, st.integers(1, 80), st.integers(1, 3)),
        st.builds(again, st.integers(1, 80), st.integers(2, 3)),
        st.builds(tied, st.integers(1, 80), st.integers(1, 80), st.booleans()),
    ),
    st.builds(by_channels, st.integers(1, 2), st.integers(1, 12), st.integers(1, 2)),
    st.builds(between_margins, st.integers(1, 4), st.integers(1, 2), st.integers(0, 2)),
    recurrent,
)


lone_arrays = st.one_of(
    st.builds(chain, st.integers(1, 8), st.integers(1, 8)),
    st.builds(one_convolution, st.integers(2, 5), st.integers(1, 8)),
)
"""One layer that one array of any of these chips holds."""


@st.composite
def works(
    draw: st.DrawFn,
    networks: st.SearchStrategy[Network] = networks,
    cells: Sequence[CellLayout] = CELLS,
    most: int = 3,
    fits: Sequence[str] = ("as-is", "pack", "pack", "grow", "chips 3", "pack,chips 2", "reload"),
) -> tuple[Plan, Activity, Schedule]:
    """A plan, activity for it, and a schedule that takes it; at ``most`` so many replicas of a layer."""
    network, chip = draw(networks), draw(chips)
    training, cell = draw(st.booleans()), draw(st.sampled_from(cells))
    replicas = draw(copies(network, most))
    fit = draw(st.sampled_from(fits))
    if fit == "reload" and not training and cell == SINGLE:
        replicas = {}
        chip = with_tiles(chip, draw(st.integers(*turns_on(network, chip))))
    elif "chips" in fit:
        chip = with_tiles(chip, -(-place(network, chip, cell=cell, replicas=replicas).tiles_used // 2))
    fit = "as-is" if fit == "reload" and (training or cell != SINGLE) else fit
    placement = place(network, chip, cell=cell, replicas=replicas, fit=fit)
    activity = scattered(
        replicated(placement, assumed_activity(one_replica(placement), draw(st.integers(1, 3)), training)),
        placement,
        draw(st.integers(0, 99)),
    )
    if training and draw(st.booleans()):
        activity = one_mini_batch(activity, placement)
    if training:
        frozen = draw(st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(range(len(network.layers))))))
        activity = without_learning(activity, network, frozen)
    pipelined = st.sampled_from(["sequential", "minibatch-pipelined", "asynchronous"])
    streams = st.sampled_from(["sequential", "layer-pipelined"])
    schedule = draw(pipelined if activity.trains else st.just("sequential") if placement.reloads else streams)
    return make_plan(placement), activity, schedule


def with_tiles(chip: Chip, number: int) -> Chip:
    """The chip with so many (first) tiles."""
    return chip.model_copy(update={"tiles": (chip.tiles[0].model_copy(update={"count": number}), *chip.tiles[1:])})


def turns_on(network: Network, chip: Chip) -> tuple[int, int]:
    """How few tiles of one array do, and how many hold all: between these, blocks take turns, or come in rounds."""
    sizes = [(len(placed.blocks), placed.layer.is_recurrent) for placed in place(network, chip).holders]
    return max((blocks for blocks, recurrent in sizes if recurrent), default=1), sum(blocks for blocks, _ in sizes)


def copies(network: Network, most: int) -> st.SearchStrategy[dict[str, int]]:
    """How many replicas each layer has, at ``most`` so many, as all that use its weight; a recurrent layer has one."""
    most_of = {layer.parameter: 1 if layer.is_recurrent else min(layer.vectors, most) for layer in network.layers}
    drawn = st.fixed_dictionaries({weight: st.integers(1, number) for weight, number in most_of.items()})
    return drawn.map(lambda each: {layer.name: each[layer.parameter] for layer in network.layers})


def without_learning(activity: Activity, network: Network, frozen: frozenset[int]) -> Activity:
    """The same rows, less those of what frozen layers would learn, and of errors that nobody needs.

    Errors go back through a layer where anything before it learns; through a recurrent layer also where it does.
    """
    learns, going_back = {i for i in range(len(network.layers)) if i not in frozen}, set[int]()
    needed = set[int]()
    for index, layer in enumerate(network.layers):
        if any(producer in learns or producer in needed for producer in network.layers_before(index)):
            needed.add(index)
        if index in needed or (layer.is_recurrent and index in learns):
            going_back.add(index)
    back, learning = (np.isin(activity.layer, sorted(layers)) for layers in (going_back, learns))
    kept = np.where(activity.phase == Phase.BACKWARD, back, (activity.phase < Phase.BACKWARD) | learning)
    return activity.select(kept)


def one_replica(placement: Placement) -> Placement:
    return place(placement.network, placement.chip, placement.bias, placement.cell, fit=placement.fit)


def replicated(placement: Placement, activity: Activity) -> Activity:
    """The same rows, each on the blocks of the replica whose turn it is."""
    layers = placement.layers
    grid = np.array([placed.grid for placed in layers])[activity.layer]
    replicas = np.array([placed.replicas for placed in layers])[activity.layer]
    tile = activity.tile + activity.vector % replicas * grid
    return Activity(**{**vars(activity), "tile": tile.astype(np.int32)})


def one_mini_batch(activity: Activity, placement: Placement) -> Activity:
    """All samples as one mini-batch, where every step had one."""
    vectors = np.array([placed.layer.vectors for placed in placement.layers])[activity.layer]
    replicas = np.array([placed.replicas for placed in placement.layers])[activity.layer]
    grid = np.array([placed.grid for placed in placement.layers])[activity.layer]
    vector = activity.vector + activity.step * vectors
    tile = activity.tile % grid + vector % replicas * grid
    columns = {"step": 0 * activity.step, "vector": vector.astype(np.int32), "tile": tile.astype(np.int32)}
    return Activity(**{**vars(activity), **columns})


def scattered(activity: Activity, placement: Placement, seed: int) -> Activity:
    """The same rows with random passes (some skipped, some retried) and slots (some none); and transfers, if any."""
    rng = np.random.default_rng(seed)
    columns = {name: getattr(activity, name) for name in ("step", "layer", "tile", "phase", "vector")}
    columns |= {name: getattr(activity, name) for name in ("active_rows", "active_columns", "writes")}
    if placement.cell != SINGLE:
        due = np.flatnonzero((activity.phase == Phase.UPDATE) & (rng.random(len(activity)) < 0.5))
        columns = {name: np.concatenate([c, c[due]]) for name, c in columns.items()}
        columns["phase"][len(activity) :] = rng.choice([Phase.TRANSFER, Phase.MAINTENANCE], len(due))
        columns["array"] = np.zeros_like(columns["tile"])
        sources = [array for array, targets in enumerate(placement.cell.targets) if targets]
        columns["array"][len(activity) :] = rng.choice(sources, len(due))
    phase, number = columns["phase"], len(columns["phase"])
    passes = np.where(phase != Phase.UPDATE, rng.choice([0, 1, 1, 1, 2, 4], number), 0)
    pulsed = phase >= (Phase.UPDATE if placement.cell.learning else Phase.TRANSFER)
    slots = np.where(pulsed & (columns["writes"] == 0), rng.integers(0, 32, number), 0)
    pulses = {"row_pulses": slots * columns["active_rows"], "column_pulses": slots * columns["active_columns"]}
    met = slots * columns["active_rows"].astype(np.int64) * columns["active_columns"]
    operations = rng.integers(0, 3, number) * 10
    asked = {"adds": operations, "multiplies": operations // 10}
    return Activity.rows(**columns, **pulses, **asked, passes=passes, slots=slots, coincidences_up=met)
