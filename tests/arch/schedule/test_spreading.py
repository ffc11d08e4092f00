"""Messages that reach several tiles as a tree of the mesh."""

from __future__ import annotations

from collections import Counter

import pytest
from generated import works
from hypothesis import Phase as Stage
from hypothesis import given, settings

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.messages import Branch, trees
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.errors import InputError

WITHOUT_SHRINKING = (Stage.explicit, Stage.reuse, Stage.generate)


def with_copies(chip: Chip, copies: bool) -> Chip:
    return chip.model_copy(update={"mesh": chip.mesh.model_copy(update={"multicast": copies, "columns": 8})})


def fan(readers: int) -> Network:
    """A layer of 16 outputs that so many layers read."""
    steps: list[tuple[Operation, tuple[str, ...]]] = [(WeightLayer.linear("first", (16,), 16, bias=False), ("input",))]
    steps += [(WeightLayer.linear(f"reader{i}", (16,), 16, bias=False), ("first",)) for i in range(readers)]
    steps.append((Operation.digital("sum", "add", (16,), inputs=readers), tuple(f"reader{i}" for i in range(readers))))
    return connect("fan", (16,), steps)


def sent(plan: Plan, events: Events) -> Counter[str]:
    """Bits by the name of the port or link, of what the first layer sends."""
    bits = Counter[str]()
    chosen = (events.op == Op.SEND) & (events.layer == 0)
    for station, amount in zip(events.station[chosen].tolist(), events.amount[chosen].tolist(), strict=True):
        bits[plan.stations[station]] += amount
    return bits


@pytest.mark.parametrize("readers", [2, 3, 7])
def test_each_link_of_the_tree_carries_a_message_once(readers: int) -> None:
    """Readers are the next tiles of a row: unicast sends reader i over i links, all of them from one port."""
    chip = Chip.load("rpu-2016")
    bits = 16 * chip.tiles[0].digital.word_bits + chip.mesh.header_bits
    for copies in (False, True):
        plan = make_plan(place(fan(readers), with_copies(Chip.load("rpu-2016"), copies)))
        found = sent(plan, run(plan, assumed_activity(plan.placement, 1, False), "layer-pipelined"))
        times = [1 if copies else readers - at for at in range(readers)]
        links = {f"link (0,{at})-(0,{at + 1})": bits * number for at, number in enumerate(times)}
        assert found == {"port of tile 0": bits * times[0], **links}


def test_copies_are_on_their_way_together() -> None:
    """Unicast: reader i is sent its message when the one before has it. A tree: all have it when the farthest has."""
    arrived = []
    for copies in (False, True):
        plan = make_plan(place(fan(7), with_copies(Chip.load("rpu-2016"), copies)))
        events = run(plan, assumed_activity(plan.placement, 1, False), "layer-pipelined")
        stored = (events.op == Op.STORE) & (events.layer == 0)
        arrived.append(events.end[stored].max() - events.end[(events.op == Op.DIGITAL) & (events.layer == 0)].max())
    hop = plan.station_latency[plan.stations.index("link (0,0)-(0,1)")]
    one = (events.end - events.start)[(events.op == Op.SEND) & (events.layer == 0)][0]
    store = (events.end - events.start)[stored][0]
    assert arrived[1] == 8 * (one + hop) + store  # the port, then seven links
    assert arrived[0] == sum((1 + way) * (one + hop) + store for way in range(1, 8))


@given(works())
@settings(max_examples=60, deadline=None, phases=WITHOUT_SHRINKING)
def test_a_tree_carries_nowhere_more_than_single_messages_and_brings_every_reader_the_same(
    work: tuple[Plan, Activity, Schedule],
) -> None:
    """The placement with and without copies: bits by station, of ports and links and of buffers."""
    before, activity, schedule = work
    found = []
    for copies in (False, True):
        mesh = before.placement.chip.mesh.model_copy(update={"multicast": copies})
        chip = before.placement.chip.model_copy(update={"mesh": mesh})
        made = before.placement
        copied = {layer.layer.name: layer.replicas for layer in made.layers}
        plan = make_plan(place(made.network, chip, made.bias, made.cell, copied, made.drawn, made.fit))
        try:
            events = run(plan, activity, schedule)
        except InputError:  # a buffer too small for one window
            return
        of_op = {op: Counter[str]() for op in (Op.SEND, Op.STORE)}
        for op, bits in of_op.items():
            chosen = events.op == op
            for station, amount in zip(events.station[chosen].tolist(), events.amount[chosen].tolist(), strict=True):
                bits[plan.stations[station]] += amount
        found.append(of_op)
    single, tree = found
    assert tree[Op.STORE] == single[Op.STORE]
    assert all(bits <= single[Op.SEND][name] for name, bits in tree[Op.SEND].items())


@given(works())
@settings(max_examples=40, deadline=None, phases=WITHOUT_SHRINKING)
def test_ways_of_a_cast_are_a_tree(work: tuple[Plan, Activity, Schedule]) -> None:
    """No station twice, and as many ends as messages."""
    for layer in work[0].layers:
        for home in range(len(layer.placed.row_homes)):
            messages = [message for way in layer.outputs for message in way[home]]
            ends = 0
            for tree in trees(messages):
                stations = [hop.station for hop, _ in tree.links()]
                assert len(stations) == len(set(stations))
                ends += _ends(tree)
            assert ends == len(messages)


def _ends(tree: Branch) -> int:
    return len(tree.ends) + sum(_ends(branch) for branch in tree.branches)
