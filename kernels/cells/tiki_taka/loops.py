"""Transfers in compiled loops: read a column of A, collect it in a buffer, send it to a column of C.

`compiled` says which. One call runs many transfers in their order; each one is what `TransferCell.transfer` does
with columns, to the bit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import WORK_COLUMNS, Phase
from rpusim.kernels.arrays.reads import Reading
from rpusim.kernels.base.loops import Floats, Integers, Words, popcount
from rpusim.kernels.base.rng import nb_bits, nb_line_words, nb_normal, nb_step_words, nb_uniform
from rpusim.kernels.cells.base import Extra
from rpusim.kernels.devices.variation import BOUND_MAX, BOUND_MIN, UP
from rpusim.kernels.pulses.drivers import AFTER_WORD, FIRST_WORD, START, STOP

# Injected by `compile_loop`; named here for the reader and for type checkers.
step: Any = None
read: Any = None
DOWN = STRIDE = 0
gains: Any = None
read_slice: Any = None
collect: Any = None
send: Any = None
redraw: Any = None

Numbers = float | NDArray[np.float64]
"""A number, or one for each of several transfers."""

_F = np.float32
_ZERO, _ONE = np.uint32(0), np.uint32(1)
_TRANSFER = int(Phase.TRANSFER)

# Columns of the log, in the order of `Extra.COLUMNS`.
PHASE, OF_VECTOR, PASSES, WRITTEN = map(Extra.COLUMNS.index, ("phase", "vector", "passes", "writes"))
ADDS, MULTIPLIES, DIVIDES, COMPARES, RANDOMS = map(Extra.COLUMNS.index, WORK_COLUMNS)
SLOTS, COINCIDENCES_UP, COINCIDENCES_DOWN = map(Extra.COLUMNS.index, ("slots", "coincidences_up", "coincidences_down"))
ACTIVE_ROWS, ACTIVE_COLUMNS, ROW_PULSES, COLUMN_PULSES = map(
    Extra.COLUMNS.index, ("active_rows", "active_columns", "row_pulses", "column_pulses")
)
# Columns of a table of transfers: after which vector, of which column, reads before; see `transfer.Turn` for the flags.
VECTOR, COLUMN, COUNT, FRESH, WRITES = range(5)


class Collecting(NamedTuple):
    """Say what becomes of a read-out: it is sent to C at once, or as whole pulses out of a buffer.

    The equations are those of `buffered`, `chopped` and `dynamic`.

    adds, multiplies, divides, compares, randoms:  digital operations of a transfer, by class.
    rate:         learning rate of a write out of the buffer.
    buffered:     whether there is a buffer; else what follows has no meaning.
    kept:         whether the buffer keeps what it holds from read to read.
    forget:       whether a write leaves ``momentum`` times the buffer; else each pulse takes ``spent`` away.
    threshold:    what the buffer has to hold for a pulse.
    most:         the most pulses of a write.
    momentum, spent:  see ``forget``.
    limit:        the most that stays in the buffer where pulses were sent; 0: no limit.
    referred:     whether a reference is subtracted first (AGAD).
    old, new:     weights of the mean so far and of the read-out in the running mean.
    stays:        what is left of the buffer when the next read-out comes.
    """

    adds: int
    multiplies: int
    divides: int
    compares: int
    randoms: int
    rate: float = 0.0
    buffered: bool = False
    kept: bool = True
    forget: bool = True
    threshold: np.float32 = _F(1)
    most: np.float32 = _F(1)
    momentum: np.float32 = _F(0)
    spent: np.float32 = _F(1)
    limit: np.float32 = _F(0)
    referred: bool = False
    old: np.float32 = _F(0)
    new: np.float32 = _F(0)
    stays: np.float32 = _F(1)


class Writing(NamedTuple):
    """Say how C is pulsed.

    granularity:  expected size of a step of C.
    desired_bl, update_management, update_bl_management, fixed_bl, um_grad_scale:  the rule of the pulse trains, as
                  `rpusim.kernels.pulses.trains.train_gains` takes it after the maxima of x and d.
    sigma:        cycle-to-cycle noise of a step, relative.
    write_noise:  standard deviation of the apparent weight around the persistent one.
    """

    granularity: float
    desired_bl: int
    update_management: bool
    update_bl_management: bool
    fixed_bl: bool
    um_grad_scale: float
    sigma: np.float32
    write_noise: np.float32


def due(vectors: int, start: int, period: int, slices: int, first: int, reads: int, unwritten: int) -> Integers:
    """List the transfers that fall due in a mini-batch: a table (transfers, 5) with the columns `VECTOR` to `WRITES`.

    vectors:    of the mini-batch. start: vectors that came before it.
    period:     vectors from one transfer to the next; 0: there are none.
    slices:     columns of the array. first: the one that is read next.
    reads:      reads that came before.
    unwritten:  how many of the transfers do not write to C.
    """
    skipped = period - 1 - start % period if period > 0 else vectors
    events = np.zeros((max(0, (vectors - skipped + period - 1) // max(period, 1)), 5), np.int64)
    for e in range(len(events)):
        events[e, VECTOR], events[e, COLUMN], events[e, COUNT] = skipped + e * period, (first + e) % slices, reads + e
        events[e, WRITES] = e >= unwritten
    return events


def follow(mean: float, share: float, values: NDArray[np.float64]) -> float:
    """Replace ``values`` (vectors,), in place, by a running mean that starts at ``mean``; returns its end.

    share: weight of a new value. Values that are not positive leave the mean as it is.
    """
    for b in range(len(values)):
        if mean <= 0.0:
            mean = values[b]
        elif values[b] > 0.0:
            mean = (1.0 - share) * mean + share * values[b]
        values[b] = mean
    return mean


def chop(
    x: Floats,
    d: Floats,
    events: Integers,
    on_columns: Floats,
    on_rows: Floats,
    fresh: NDArray[np.bool_],
    cycle: int,
    period: int,
    chance: float,
    row_chance: float,
    key: np.uint64,
    row_key: np.uint64,
    x_signed: Floats,
    d_signed: Floats,
    signs: Floats,
) -> None:
    """Put the signs of choppers on the vectors and on what ``events`` read, and flip them as `chopped` tells.

    x, d:                 the vectors of a mini-batch (vectors, columns) and (vectors, rows).
    events:               its transfers, as `due` lists them; ``FRESH`` is filled in here.
    on_columns, on_rows:  the choppers, +1 or -1, as they are now; changed here.
    fresh:                columns that have flipped since they were read, changed here; empty if nobody asks.
    cycle:                number of the first event's cycle through all columns.
    period:               every how many cycles a column flips; 0: not regularly.
    chance, row_chance:   probability that a column flips after it was read, a row after each cycle.
    key, row_key:         keys of these random numbers.
    x_signed, d_signed:   filled with the vectors times the choppers, as the lines are driven.
    signs:                (events, rows), filled with the sign of every position that an event reads.
    """
    done, width = 0, len(on_columns)
    for e in range(len(events) + 1):
        stop = events[e, VECTOR] + 1 if e < len(events) else len(x)
        for b in range(done, stop):
            for j in range(width):
                x_signed[b, j] = x[b, j] * on_columns[j]
            for r in range(len(on_rows)):
                d_signed[b, r] = d[b, r] * on_rows[r]
        done = stop
        if e == len(events):
            break
        column = events[e, COLUMN]
        for r in range(len(on_rows)):
            signs[e, r] = on_rows[r] * on_columns[column]
        word_a, word_b = nb_step_words(key, cycle)
        a, c = nb_line_words(word_a, word_b, 0, 0)
        flips = (period > 0 and cycle % period + 1 == period) or nb_uniform(nb_bits(a, c, column)) < chance
        on_columns[column] = -on_columns[column] if flips else on_columns[column]
        if len(fresh):
            events[e, FRESH], fresh[column] = fresh[column], flips
        if column == width - 1:
            word_a, word_b = nb_step_words(row_key, cycle)
            a, c = nb_line_words(word_a, word_b, 0, 0)
            for r in range(len(on_rows)):
                on_rows[r] = -on_rows[r] if nb_uniform(nb_bits(a, c, r)) < row_chance else on_rows[r]
            cycle += 1


def split(columns: Words, later: Words, slots: Integers, chunks: Integers, events: Integers) -> None:
    """Move the bits of each event's column that belong to vectors after the event from ``columns`` to ``later``.

    columns, later:  pulse bits (2 signs, words, columns), changed here.
    slots:           pulse slots of every vector.
    chunks:          as `drivers.draw` returns them.
    events:          transfers, as `due` lists them; no two of the same column.
    """
    ends = np.zeros(len(slots), np.int64)
    for n in range(len(chunks)):
        end = 32 * chunks[n, FIRST_WORD]
        for b in range(chunks[n, START], chunks[n, STOP]):
            end += slots[b]
            ends[b] = end
    for e in range(len(events)):
        end, j = ends[events[e, VECTOR]], events[e, COLUMN]
        for word in range(end >> 5, columns.shape[1]):
            keep = np.uint32(np.uint32(_ONE << np.uint32(end & 31)) - _ONE) if word == end >> 5 else _ZERO
            for side in range(2):
                bits = columns[side, word, j]
                columns[side, word, j] = np.uint32(bits & keep)
                later[side, word, j] = np.uint32(bits & ~keep)


def ones(columns: Words, chunks: Integers) -> Integers:
    """Count how often columns fire in each chunk; arguments as for `split`."""
    found = np.zeros(len(chunks), np.int64)
    for n in range(len(chunks)):
        for word in range(chunks[n, FIRST_WORD], chunks[n, AFTER_WORD]):
            total = _ZERO
            for j in range(columns.shape[2]):
                total = np.uint32(total + popcount(columns[0, word, j]) + popcount(columns[1, word, j]))
            found[n] += np.int64(total)
    return found


def collect_column(
    values: Floats, gain: np.float32, signs: Floats, held: Floats, how: Collecting, column: int, number: Floats
) -> bool:
    """Add a read-out to the buffer and take whole pulses out of it: equations 1 to 3 of `buffered` and `chopped`.

    values:  the read-out (rows,). gain, signs (rows,): what it is multiplied by.
    held:    the buffer (rows, columns), changed here.
    number:  filled with the numbers of pulses (rows,). Returns whether any of them is not 0.
    """
    busy = False
    for r in range(len(values)):
        omega = _F(_F(values[r] * gain) * signs[r])
        omega = _F(held[r, column] * how.stays) + omega if how.kept else omega
        pulses = np.trunc(_F(omega / how.threshold))
        pulses = how.most if pulses > how.most else pulses
        pulses = -how.most if pulses < -how.most else pulses
        left = omega * how.momentum if how.forget else omega - pulses * how.spent
        if how.limit > 0 and not how.forget:
            left = how.limit if left > how.limit else left
            left = -how.limit if left < -how.limit else left
        held[r, column] = left if pulses != 0 else omega
        number[r] = pulses
        busy |= pulses != 0
    return busy


def send_column(
    lines: Floats,
    column: int,
    rate: float,
    how: Writing,
    keys: NDArray[np.uint64],
    update: int,
    weights: Floats,
    cells: Floats,
    taken: NDArray[np.int32],
    row: Integers,
) -> None:
    """Pulse one column of an array: the update with one pair, ``lines`` and the unit vector of the column.

    lines:    values on the rows (rows,).
    rate:     learning rate.
    keys:     keys of the bits and noises of the array, as `drivers.draw` takes them.
    update:   which update of the array this is.
    weights:  (rows, columns), changed here. cells: the parameters of all cells (rows, columns x parameters).
    taken:    pulses that every cell has taken (rows, columns), counted here; empty if nobody counts them.
    row:      a row of the log, whose columns of pulses are filled here.
    """
    largest = _F(0)
    for value in lines:
        largest = max(largest, abs(value))
    slots, gain_d, gain_x = gains(
        abs(rate) / how.granularity,
        1.0,
        float(largest),
        how.desired_bl,
        how.update_management,
        how.update_bl_management,
        how.fixed_bl,
        how.um_grad_scale,
    )
    if slots == 0:
        return
    gain_d, gain_x, flip = _F(gain_d), _F(gain_x), rate < 0
    active, fires = np.zeros(len(lines), np.bool_), np.empty(len(lines), np.bool_)
    row_words, column_words = nb_step_words(keys[2], update), nb_step_words(keys[3], update)
    noise_words = nb_step_words(keys[4], update)
    cell = column * STRIDE
    lowest, highest = BOUND_MIN + cell, BOUND_MAX + cell
    row[SLOTS] = slots
    for k in range(slots):
        a, c = nb_line_words(column_words[0], column_words[1], 0, k)
        hit = nb_uniform(nb_bits(a, c, column)) < gain_x
        row[COLUMN_PULSES] += hit
        a, c = nb_line_words(row_words[0], row_words[1], 0, k)
        for r in range(len(lines)):
            fires[r] = nb_uniform(nb_bits(a, c, r)) < gain_d * abs(lines[r])
        for r in range(len(lines)):
            if not fires[r]:
                continue
            active[r] = True
            row[ROW_PULSES] += 1
            if not hit:
                continue
            down, noise, weight = (lines[r] < 0) == flip, _F(0), weights[r, column]
            row[COINCIDENCES_DOWN if down else COINCIDENCES_UP] += 1
            if len(taken):
                taken[r, column] += 1
            if how.sigma > 0:
                a, c = nb_line_words(noise_words[0], noise_words[1], r, k)
                noise = how.sigma * nb_normal(nb_bits(a, c, column))
            of_step = read(cells[r], cell + (DOWN if down else UP))
            size = _F(step(weight, noise, *of_step))
            moved = weight - size if down else weight + size
            moved = cells[r, lowest] if moved < cells[r, lowest] else moved
            weights[r, column] = cells[r, highest] if moved > cells[r, highest] else moved
    row[ACTIVE_ROWS], row[ACTIVE_COLUMNS] = active.sum(), row[COLUMN_PULSES] > 0


def redraw_column(
    before: Floats, column: int, sigma: np.float32, key: np.uint64, number: int, weights: Floats, apparent: Floats
) -> int:
    """Draw the apparent weights of a column anew where the persistent ones have changed; returns how many did.

    before:    the persistent weights of the column (rows,) as they were.
    sigma:     write noise; where it is 0, ``weights`` and ``apparent`` are the same array.
    key:       key of the noise. number: which drawing this is.
    weights, apparent:  persistent and apparent weights (rows, columns); the latter are changed here.
    """
    writes = 0
    words = nb_step_words(key, number)
    for r in range(len(before)):
        if weights[r, column] == before[r]:
            continue
        earlier = apparent[r, column]
        if sigma > 0:
            a, c = nb_line_words(words[0], words[1], r, 0)
            apparent[r, column] = weights[r, column] + nb_normal(nb_bits(a, c, column)) * sigma
            writes += apparent[r, column] != earlier
        else:
            writes += 1
    return writes


def transfers(
    events: Integers,
    rates: NDArray[np.float64],
    signs: Floats,
    source: Floats,
    reading: Reading,
    collecting: Collecting,
    buffer: Floats,
    mean: Floats,
    past: Floats,
    writing: Writing,
    weights: Floats,
    apparent: Floats,
    cells: Floats,
    keys: NDArray[np.uint64],
    updates: int,
    redraws: int,
    taken: NDArray[np.int32],
    log: Integers,
) -> int:
    """Run transfers in order: read a column of A, collect it, send it to C. Returns how often C was pulsed.

    events:              transfers, as `due` lists them.
    rates, signs:        for every event its gain and the signs of its positions, see `transfer.Turn`.
    source:              what reads see of A (rows, columns). reading: what the periphery makes of it.
    collecting:          what becomes of a read-out.
    buffer, mean, past:  digital memories (rows, columns), changed here; empty if the cell has none.
    writing:             how C is pulsed.
    weights, apparent:   persistent and apparent weights of C (rows, columns), changed here.
    cells:               parameters of C's cells.
    keys:                those that `drivers.draw` takes, and that of write noise.
    updates, redraws:    C's counters at the start.
    taken:               pulses of C's cells, counted here; empty if nobody counts them.
    log:                 rows (events, columns) of `Extra.COLUMNS`, filled here.
    """
    length, sent = len(weights), 0
    values, number, before = np.empty(length, np.float32), np.empty(length, np.float32), np.empty(length, np.float32)
    for e in range(len(events)):
        column, busy = events[e, COLUMN], True
        log[e, PHASE], log[e, OF_VECTOR], log[e, PASSES] = _TRANSFER, events[e, VECTOR], 1
        log[e, ADDS], log[e, MULTIPLIES], log[e, DIVIDES] = collecting.adds, collecting.multiplies, collecting.divides
        log[e, COMPARES], log[e, RANDOMS] = collecting.compares, collecting.randoms
        for r in range(length):
            values[r] = source[r, column]
        read_slice(
            values, reading.levels[column] if len(reading.levels) else reading.level, reading.share, reading.step,
            reading.bound, reading.sigma, reading.scale, reading.key, events[e, COUNT], values,
        )  # fmt: skip
        if collecting.referred:
            for r in range(length):
                past[r, column] = mean[r, column] if events[e, FRESH] else past[r, column]
                mean[r, column] = _F(mean[r, column] * collecting.old) + _F(values[r] * collecting.new)
                values[r] = values[r] - past[r, column]
        if collecting.buffered:
            busy = collect(values, _F(rates[e]), signs[e], buffer, collecting, column, number)
        else:
            number[:] = values
        if busy and events[e, WRITES]:
            for r in range(length):
                before[r], number[r] = weights[r, column], -number[r]
            rate = collecting.rate if collecting.buffered else rates[e]
            send(number, column, rate, writing, keys, updates + sent, weights, cells, taken, log[e])
            log[e, WRITTEN] = redraw(before, column, writing.write_noise, keys[6], redraws + sent, weights, apparent)
            sent += 1
    return sent
