"""Work out how full buffers are and how many converters work, which events do not say themselves.

A tile's buffer takes in results for the layers on it (a STORE), and holds them until they have been used for the last
time: in inference by the last window that sees them, in training by the update, as if those that wait elsewhere
meanwhile (`storage`) had stayed. Parts of a sum of branches are held until they are summed. Not counted: the network's
input where it is taken to be there, partial sums, what a recurrent layer sends itself, and the digital memory of unit
cells. Bits of a recurrent layer and of another one on the same tile are not told apart: there, the account may go below
what came in.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.account.prices import drives_columns
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import NO_ROW, PART, WAITING, Events, Op
from rpusim.arch.schedule.plan import LayerPlan, Plan
from rpusim.arch.schedule.storage import Arrived, arrived
from rpusim.arch.schedule.work import Todo


def converters(plan: Plan, activity: Activity, events: Events) -> Integers:
    """Count the converters that work during each event.

    Args:
        plan: of the chip and network.
        activity: the rows that the events come from.
        events: of the work.

    Returns:
        (events,) number of converters; 0 for all but conversions.
    """
    chosen = np.flatnonzero(events.op == Op.CONVERT)
    kinds = plan.placement.chip.tiles
    turned = plan.turned[(plan.first_block[events.layer] + events.tile)[chosen]]
    columns = drives_columns(events.phase[chosen], turned, plan.placement.cell)
    kind = np.array(plan.station_kinds)[events.station[chosen]]
    cycles = np.array([k.inputs.cycles for k in kinds])[kind]
    shared_by = np.array([k.adc.lines_per_adc for k in kinds])[kind]
    turns = np.array([k.array.slice_turns for k in kinds])[kind]  # of slices that are driven for themselves
    cycles = cycles * np.where(columns, 1, turns)
    lines = events.amount[chosen] // (activity.passes[events.row[chosen]] * cycles)
    unit_lines = np.array([k.array.unit_lines for k in kinds])[kind]  # rows that are read besides, a turn later
    lines = lines - np.where(columns, unit_lines, 0)
    found = np.zeros(len(events), np.int64)
    found[chosen] = -(-lines // shared_by)
    return found


def kept_bits(plan: Plan, activity: Activity, events: Events) -> Integers:
    """Work out by how much each event, when it ends, changes the bits kept in the buffer of its tile.

    Args:
        plan: of the chip and network.
        activity: the rows that the events come from.
        events: of the work.

    Returns:
        (events,) bits, positive for what comes in and negative for what goes.
    """
    change = np.zeros(len(events), np.int64)
    trains = bool(np.any(events.phase == Phase.UPDATE))
    waiting = events.row == WAITING  # for the way back, at the homes of a layer
    buffers = (np.array(plan.station_parts) == "buffer")[events.station]
    at_home = waiting & buffers
    change[at_home] = np.where(events.op == Op.STORE, events.amount, -events.amount)[at_home]
    _parts(change, events, buffers & (events.row == PART))
    todo = Todo(plan, activity) if plan.placement.drawn else None
    stored = (events.op == Op.STORE) & (events.row == NO_ROW)
    step = activity.mini_batch
    for layer in plan.layers:
        sample = _samples(layer, activity, step) if todo is None else _samples_of(todo, layer, activity, step)
        for phase, source, come in _arrivals(plan, layer, todo):
            frees = layer.frees[0][1] if phase == Phase.FORWARD and not trains else ()
            arriving = stored & (events.phase == phase) & (events.layer == source)
            for buffer, per_sample in come.items():
                mine = arriving & (events.station == buffer)
                change[mine] = events.amount[mine]
                if isinstance(per_sample, int):
                    _release(change, events, layer, buffer, per_sample, frees, sample)
                else:
                    _release_drawn(change, events, layer, buffer, per_sample, bool(frees), sample)
    return change


def _parts(change: Integers, events: Events, waiting: NDArray[np.bool_]) -> None:
    """Fill in what parts of sums take up from when they come until they are taken.

    Replicas on one tile that all take the same broadcast values are sent them once, and free them in equal shares.

    Args:
        change: (events,) bits, which are changed in place.
        events: of the work.
        waiting: (events,) whether each stores or takes such parts in a buffer.
    """
    for buffer in np.unique(events.station[waiting]):
        mine = waiting & (events.station == buffer)
        come, gone = mine & (events.op == Op.STORE), np.flatnonzero(mine & (events.op == Op.FETCH))
        change[come] = events.amount[come]
        taken, stored = np.cumsum(events.amount[gone]), int(events.amount[come].sum())
        change[gone] = -np.diff(stored * taken // max(int(taken[-1:].sum()), 1), prepend=0)


def _arrivals(plan: Plan, layer: LayerPlan, todo: Todo | None) -> Iterator[tuple[Phase, int, Arrived]]:
    """Yield what comes to a layer: phase, layer that sends it, and bits per sample by the buffer that it comes to.

    todo: tells which replica does which vector; None: they take turns, and every sample brings as much.
    """
    network = plan.placement.network
    if giver := plan.giver(layer.index):
        found = arrived(giver[0], [giver[1], giver[0].echo], todo)
        yield Phase.FORWARD, giver[0].index, found
    own = {block.buffer for block in layer.blocks}
    for stage in (layer.index, *(made.number for made in layer.sums)):
        for reader in network.successors(stage):
            source = plan.layers[network.home(reader)]
            if reader == source.index:
                ways = [source.gradients, *([source.errors] if source.echo else [])]
            else:
                errors = next(dict(made.errors) for made in source.sums if made.number == reader)
                ways = [errors[stage]]
            back = arrived(source, ways, todo)
            yield Phase.BACKWARD, source.index, {buffer: bits for buffer, bits in back.items() if buffer in own}
    back = arrived(layer, [layer.errors, *([layer.gradients] if layer.echo else [])], todo)
    yield Phase.BACKWARD, layer.index, {buffer: bits for buffer, bits in back.items() if buffer in own}


def _release_drawn(
    change: Integers,
    events: Events,
    layer: LayerPlan,
    buffer: int,
    per_sample: Integers,
    inference: bool,
    samples: Integers,
) -> None:
    """Take bits out of a buffer again, where replicas share vectors by chance: with each vector done there, as much.

    per_sample: (samples,) bits. inference: whether reading frees them; else learning does. The rest as in `_release`.
    """
    users = _users(events, layer, buffer, inference)
    if not len(users) or not per_sample.any():
        return
    sample = samples[events.row[users]]
    order = np.lexsort((events.start[users], sample))
    users, sample = users[order], sample[order]
    starts = np.flatnonzero(np.r_[True, sample[1:] != sample[:-1]])
    each = np.diff(np.r_[starts, len(users)])
    number = np.arange(len(users)) - np.repeat(starts, each)
    before = np.cumsum(per_sample) - per_sample
    freed = before[sample] + per_sample[sample] * (number + 1) // np.repeat(each, each)
    freed[-1] = per_sample.sum()  # with those of samples of which nothing is done here
    np.subtract.at(change, users, np.diff(np.r_[0, freed]))


def _users(events: Events, layer: LayerPlan, buffer: int, inference: bool) -> Integers:
    """Find the events in which vectors are used on the tile of a buffer for the last time, in order of time."""
    block = next(b for b in layer.blocks if b.buffer == buffer)
    op, phase = (Op.DRIVE, Phase.FORWARD) if inference else (Op.PULSE, Phase.UPDATE)
    used = (events.op == op) & (events.phase == phase) & (events.layer == layer.index)
    arrays = [array.array for array in block.arrays]
    users = np.flatnonzero(used & (events.amount > 0) & np.isin(events.station, arrays))
    if not len(users):
        return users
    users = users[np.unique(events.row[users], return_index=True)[1]]  # of arrays that work together the first
    return users[np.argsort(events.start[users], kind="stable")]


def _samples(layer: LayerPlan, activity: Activity, step: Integers) -> Integers:
    """Return the sample that each row of activity belongs to, counted through; rows of other layers mean nothing.

    step: of each row, counted from 0.
    """
    of_step = activity.vector // layer.placed.layer.vectors
    samples = np.zeros(int(step.max(initial=-1)) + 1, np.int64)
    mine = (activity.layer == layer.index) & (activity.phase <= Phase.UPDATE)
    np.maximum.at(samples, step[mine], of_step[mine] + 1)
    return (np.cumsum(samples) - samples)[step] + of_step


def _samples_of(todo: Todo, layer: LayerPlan, activity: Activity, step: Integers) -> Integers:
    """Return the same, counted as ``todo`` does."""
    return np.asarray(todo.first[step] + activity.vector // layer.placed.layer.vectors, np.int64)


def _release(
    change: Integers,
    events: Events,
    layer: LayerPlan,
    buffer: int,
    per_sample: int,
    frees: tuple[int, ...],
    samples: Integers,
) -> None:
    """Take the bits of every sample out of a buffer again, with the vectors that the layer uses on its tile.

    Args:
        change: (events,) bits, which are changed in place.
        events: of the work.
        layer: that uses the bits.
        buffer: station of the buffer.
        per_sample: bits.
        frees: positions that each vector is the last to read; if empty, a sample's updates free it in equal shares.
        samples: (rows of activity,) the sample of each.
    """
    users = _users(events, layer, buffer, bool(frees))
    if not len(users) or not per_sample:
        return
    vectors = layer.placed.layer.vectors
    share = np.cumsum(frees or np.ones(vectors, np.int64))
    position = events.vector[users] % vectors
    position[position >= vectors - layer.placed.replicas] = vectors - 1  # the last one of the sample here
    read = per_sample * share[position] // int(share[-1])
    freed = per_sample * samples[events.row[users]] + read
    freed = np.maximum.accumulate(freed)
    np.subtract.at(change, users, np.diff(np.concatenate([[0], freed])))
