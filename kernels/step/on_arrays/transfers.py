"""A mini-batch of a transfer cell in compiled loops: `rpusim.kernels.cells.tiki_taka.compiled` without Python.

Which transfers fall due, and what their read-outs are multiplied by, is known before a piece begins; what is left to do
is pulses on A, reads of its columns, and pulses on C.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import WORK_COLUMNS
from rpusim.kernels.arrays.reads import Reading
from rpusim.kernels.base.loops import Floats, Integers, Words
from rpusim.kernels.cells.base import Extra
from rpusim.kernels.cells.tiki_taka.loops import VECTOR, Collecting, Writing
from rpusim.kernels.pulses import counts
from rpusim.kernels.pulses.drivers import PULSES
from rpusim.kernels.step import col
from rpusim.kernels.step.views import counts_at, flags_at, matrix_at, numbers_at

# Injected by `compile_loop`; named here for the reader and for type checkers.
MERGING = 0
all_chunks: Any = None
apply: Any = None
apply_0: Any = None
apply_1: Any = None
apply_2: Any = None
transfer: Any = None
transfer_0: Any = None
transfer_1: Any = None
transfer_2: Any = None
send_part: Any = None
draw: Any = None
tally: Any = None
split: Any = None
ones: Any = None
chop: Any = None
follow: Any = None
largest: Any = None
fast_rates: Any = None
redraw: Any = None
WITH_REDRAWS = 1  # see `needs`

_F = np.float32
_LOGGED = len(Extra.COLUMNS)
# The columns of a cell's own rows that those of a step have too, and where they stand there.
_NAMES = ("phase", "vector", "passes", "writes", *WORK_COLUMNS, *counts.PULSE_COLUMNS)
FROM = tuple(Extra.COLUMNS.index(name) for name in _NAMES)
TO = tuple(col.ACTIVITY.index(name) for name in _NAMES)


def applied(
    stored: Floats,
    cells: Floats,
    sigma: np.float32,
    chunks: Integers,
    rows: Words,
    columns: Words,
    words: Words,
    numbers: NDArray[np.int32],
    alone: int,
    key: np.uint64,
    first: int,
    table: Integers,
) -> None:
    """Apply bits to an array of one kind, merged or one by one; arguments as for `merged.all_chunks`."""
    if MERGING:
        all_chunks(stored, cells, sigma, chunks, rows, columns, words, numbers, alone, key, first, table)
    else:
        all_chunks(stored, cells, sigma, chunks, rows, columns, words, numbers)


def apply_kind(
    kind: int,
    stored: Floats,
    cells: Floats,
    sigma: np.float32,
    chunks: Integers,
    rows: Words,
    columns: Words,
    words: Words,
    numbers: NDArray[np.int32],
    alone: int,
    key: np.uint64,
    first: int,
    table: Integers,
) -> None:
    """Do what `applied` does with the device of a kind."""
    if kind == 0:
        apply_0(stored, cells, sigma, chunks, rows, columns, words, numbers, alone, key, first, table)
    elif kind == 1:
        apply_1(stored, cells, sigma, chunks, rows, columns, words, numbers, alone, key, first, table)
    else:
        apply_2(stored, cells, sigma, chunks, rows, columns, words, numbers, alone, key, first, table)


def part_of(
    array: Integers,
    numbers: NDArray[np.float64],
    keys: NDArray[np.uint64],
    key: np.uint64,
    first: int,
    chunks: Integers,
    rows: Words,
    columns: Words,
    words: Words,
    slots: NDArray[np.int32],
    table: Integers,
    tall: int,
    wide: int,
) -> None:
    """Send a part of a mini-batch's bits to array A. key: of merged noise. first: counter of the first vector."""
    stored, cells = matrix_at(array[col.STORED], tall, wide), matrix_at(array[col.CELLS], tall, array[col.CELL_NUMBERS])
    before, fired = np.zeros((0, 0), np.float32), np.zeros(0, np.bool_)
    if WITH_REDRAWS and array[col.BEFORE]:
        before, fired = matrix_at(array[col.BEFORE], tall, wide), flags_at(array[col.FIRED], tall)
        for i in range(tall):
            bits = np.uint32(0)
            for word in range(rows.shape[1]):
                bits = np.uint32(bits | rows[0, word, i] | rows[1, word, i])
            fired[i] = bits != 0
            if fired[i]:
                for j in range(wide):
                    before[i, j] = stored[i, j]
    if len(chunks):
        sigma = _F(numbers[col.SIGMA])
        apply(
            array[col.KIND],
            stored,
            cells,
            sigma,
            chunks,
            rows,
            columns,
            words,
            slots,
            array[col.ALONE],
            key,
            first,
            table,
        )
    if WITH_REDRAWS and array[col.BEFORE]:
        apparent, noise = matrix_at(array[col.APPARENT], tall, wide), _F(numbers[col.WRITE_NOISE])
        redraw(apparent, stored, before, fired, False, noise, keys[col.REDRAW_KEY], array[col.REDRAWS])
        array[col.REDRAWS] += 1


def transferred(
    kind: int,
    events: Integers,
    gains: NDArray[np.float64],
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
    """Do what `loops.transfers` does with the device of a kind."""
    if kind == 0:
        sent = transfer_0(
            events, gains, signs, source, reading, collecting, buffer, mean, past, writing, weights, apparent, cells,
            keys, updates, redraws, taken, log,
        )  # fmt: skip
    elif kind == 1:
        sent = transfer_1(
            events, gains, signs, source, reading, collecting, buffer, mean, past, writing, weights, apparent, cells,
            keys, updates, redraws, taken, log,
        )  # fmt: skip
    else:
        sent = transfer_2(
            events, gains, signs, source, reading, collecting, buffer, mean, past, writing, weights, apparent, cells,
            keys, updates, redraws, taken, log,
        )  # fmt: skip
    number: int = sent
    return number


def rates_of_fast(x: Floats, d: Floats, numbers: NDArray[np.float64], rate: float, usual: float) -> NDArray[np.float64]:
    """Find the learning rate of A for every vector: ``usual``, or what follows the largest values, see `chopped`.

    numbers: of the transfers, whose running means go on. rate: the learning rate.
    """
    vectors = len(x)
    rates = np.full(vectors, usual)
    if numbers[col.SHARE] > 0.0:
        of_x, of_d = np.empty(vectors), np.empty(vectors)
        for b in range(vectors):
            top_x, _ = largest(x[b])
            top_d, _ = largest(d[b])
            of_x[b], of_d[b] = top_x, top_d
        share = numbers[col.SHARE] / vectors
        numbers[col.LARGEST_X] = follow(numbers[col.LARGEST_X], share, of_x)
        numbers[col.LARGEST_D] = follow(numbers[col.LARGEST_D], share, of_d)
        for b in range(vectors):
            product = of_x[b] * of_d[b]
            if numbers[col.SCALED_RATE] > 0.0:
                rates[b] = (numbers[col.SCALED_RATE] / product if product > 0.0 else numbers[col.SCALED_RATE]) * usual
            else:
                rates[b] = rate
    return rates


def learn(
    index: int,
    tables: col.Tables,
    piece: col.Piece,
    x: Floats,
    d: Floats,
    rate: float,
    first_vector: int,
    table: Integers,
) -> tuple[int, Integers]:
    """Let a transfer cell learn from the pairs x (vectors, columns), d (vectors, rows) of a mini-batch.

    index: of the tile. first_vector: how many vectors of the piece came before. table: `UpdateCounts.table`, filled.
    Returns what `drivers.draw` does first, and the rows of its log (transfers, columns of `Extra.COLUMNS`).
    """
    vectors, tall, wide = len(x), d.shape[1], x.shape[1]
    own, of_own, own_keys = tables.transfers[index], tables.transfer_numbers[index], tables.transfer_keys[index]
    at = tables.tiles[index, col.FIRST_ARRAY]
    fast, of_fast, fast_keys = tables.arrays[at], tables.array_numbers[at], tables.array_keys[at]
    slow, of_slow, slow_keys = tables.arrays[at + 1], tables.array_numbers[at + 1], tables.array_keys[at + 1]
    begin = end = own[col.NEXT_EVENT]
    while end < own[col.AFTER_EVENT] and piece.events[end, VECTOR] < first_vector + vectors:
        end += 1
    own[col.NEXT_EVENT] = end
    events, gains = piece.events[begin:end].copy(), piece.gains[begin:end]
    for e in range(len(events)):
        events[e, VECTOR] -= first_vector
    signs, x_signed, d_signed = np.ones((len(events), tall), np.float32), x, d
    if own[col.ON_COLUMNS]:
        x_signed, d_signed = np.empty((vectors, wide), np.float32), np.empty((vectors, tall), np.float32)
        fresh = np.zeros(0, np.bool_)
        if own[col.FRESH]:
            fresh = flags_at(own[col.FRESH], wide)
        chop(
            x, d, events, numbers_at(own[col.ON_COLUMNS], wide), numbers_at(own[col.ON_ROWS], tall), fresh,
            own[col.TURN] // own[col.SLICES], own[col.FLIPS_EVERY], of_own[col.CHANCE], of_own[col.ROW_CHANCE],
            own_keys[col.CHOP_KEY], own_keys[col.ROW_CHOP_KEY], x_signed, d_signed, signs,
        )  # fmt: skip
    own[col.TURN] += len(events)

    rates = fast_rates(x, d, of_own, rate, rate * of_fast[col.RATE_FACTOR] + of_fast[col.OWN_RATE])
    rule = (
        fast[col.BL],
        fast[col.MANAGED] != 0,
        fast[col.BL_MANAGED] != 0,
        fast[col.FIXED_BL] != 0,
        of_fast[col.GRAD_SCALE],
    )
    first = fast[col.UPDATES]
    total, chunks, rows, columns, words, slots = draw(
        x_signed, d_signed, np.abs(rates) / of_fast[col.GRANULARITY], rule, _F(of_fast[col.STEP_D]),
        _F(of_fast[col.STEP_X]), fast[col.ROUNDED] != 0, fast_keys[col.PULSE_KEYS : col.REDRAW_KEY], first,
        rates[0] < 0,
        fast[col.LIMIT], fast[col.ALONE], table,
    )  # fmt: skip
    log = np.zeros((len(events), _LOGGED), np.int64)
    if total < 0:
        return total, log
    fast[col.UPDATES] += vectors
    if fast[col.TAKEN] and total:
        tally(counts_at(fast[col.TAKEN], tall, wide), rows, columns, False)
    levels = share = np.zeros(0, np.float32)
    if own[col.LEVELS]:
        levels, share = numbers_at(own[col.LEVELS], wide), numbers_at(own[col.LEVEL_SHARE], tall)
    reading = Reading(
        _F(of_own[col.LEVEL]), levels, share, _F(of_own[col.READ_STEP]), _F(of_own[col.READ_BOUND]),
        _F(of_own[col.READ_SIGMA]), _F(of_own[col.READ_SCALE]), own_keys[col.READ_KEY],
    )  # fmt: skip
    collecting = Collecting(
        own[col.ADDS], own[col.MULTIPLIES], own[col.DIVIDES], own[col.COMPARES], own[col.RANDOMS], of_own[col.RATE],
        own[col.BUFFERED] != 0, own[col.KEPT] != 0, own[col.FORGET] != 0, _F(of_own[col.THRESHOLD]),
        _F(of_own[col.MOST]), _F(of_own[col.MOMENTUM]), _F(of_own[col.SPENT]), _F(of_own[col.CAP]),
        own[col.REFERRED] != 0, _F(of_own[col.OLD]), _F(of_own[col.NEW]), _F(of_own[col.STAYS]),
    )  # fmt: skip
    writing = Writing(
        of_own[col.SLOW_GRANULARITY], own[col.SLOW_BL], own[col.SLOW_MANAGED] != 0, own[col.SLOW_BL_MANAGED] != 0,
        own[col.SLOW_FIXED_BL] != 0, of_own[col.SLOW_GRAD_SCALE], _F(of_slow[col.SIGMA]), _F(of_slow[col.WRITE_NOISE]),
    )  # fmt: skip
    none, taken = np.zeros((0, 0), np.float32), np.zeros((0, 0), np.int32)
    buffer = matrix_at(own[col.BUFFER], tall, wide) if own[col.BUFFER] else none
    mean = matrix_at(own[col.MEAN], tall, wide) if own[col.MEAN] else none
    past = matrix_at(own[col.PAST], tall, wide) if own[col.PAST] else none
    if slow[col.TAKEN]:
        taken = counts_at(slow[col.TAKEN], tall, wide)
    source, stored = matrix_at(fast[col.APPARENT], tall, wide), matrix_at(slow[col.STORED], tall, wide)
    apparent, cells = (
        matrix_at(slow[col.APPARENT], tall, wide),
        matrix_at(slow[col.CELLS], tall, slow[col.CELL_NUMBERS]),
    )

    pulses, fired = chunks[:, PULSES].copy(), np.zeros(len(chunks), np.int64)
    left, start, part = True, 0, 0
    while left or start < len(events):
        of_part = events[start : start + own[col.SLICES]]
        left, later = False, columns
        for e in range(len(of_part)):
            left |= of_part[e, VECTOR] < vectors - 1
        if left and part == 0:
            fired = np.maximum(ones(columns, chunks), 1)
        if left:
            later = np.zeros_like(columns)
            split(columns, later, table[counts.SLOTS], chunks, of_part)
        if left or part:
            now = ones(columns, chunks)
            for n in range(len(chunks)):
                chunks[n, PULSES] = -(-pulses[n] * now[n] // fired[n])
        key = fast_keys[5] if part == 0 else fast_keys[col.PART_KEYS + part - 1]
        send_part(fast, of_fast, fast_keys, key, first, chunks, rows, columns, words, slots, table, tall, wide)
        stop = start + len(of_part)
        if stop > start:
            sent = transfer(
                slow[col.KIND], of_part, gains[start:stop], signs[start:stop], source, reading, collecting, buffer,
                mean, past, writing, stored, apparent, cells, slow_keys[col.PULSE_KEYS : col.DIFFUSION_KEY],
                slow[col.UPDATES], slow[col.REDRAWS], taken, log[start:stop],
            )  # fmt: skip
            slow[col.UPDATES] += sent
            slow[col.REDRAWS] += sent if slow[col.BEFORE] else 0
        columns, start, part = later, stop, part + 1
    return total, log


def show(index: int, tables: col.Tables) -> None:
    """Compute what reads see of both arrays of a tile together, where that is more than C."""
    own, numbers, tile = tables.transfers[index], tables.transfer_numbers[index], tables.tiles[index]
    if own[col.VISIBLE] == 0:
        return
    tall, wide, at = tile[col.TALL], tile[col.WIDE], tile[col.FIRST_ARRAY]
    seen, fast = matrix_at(own[col.VISIBLE], tall, wide), matrix_at(tables.arrays[at, col.APPARENT], tall, wide)
    slow, of_fast, of_slow = (
        matrix_at(tables.arrays[at + 1, col.APPARENT], tall, wide),
        numbers[col.OF_FAST],
        numbers[col.OF_SLOW],
    )
    for i in range(tall):
        for j in range(wide):
            seen[i, j] = _F(of_slow) * slow[i, j]
    if of_fast != 0.0 and own[col.ON_COLUMNS]:
        on_columns, on_rows = numbers_at(own[col.ON_COLUMNS], wide), numbers_at(own[col.ON_ROWS], tall)
        for i in range(tall):
            for j in range(wide):
                seen[i, j] += _F(of_fast) * (fast[i, j] * on_rows[i] * on_columns[j])
    elif of_fast != 0.0:
        for i in range(tall):
            for j in range(wide):
                seen[i, j] += _F(of_fast) * fast[i, j]
