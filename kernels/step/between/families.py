"""Instructions of the families that a network has, forward and backward, and what learns in them.

A family that a network does not have is not compiled for it: a function that does nothing stands in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from rpusim.kernels.base.loops import Floats, Integers, compile_loop
from rpusim.kernels.step.between import branches, norms, recurrence, slopes, smooth
from rpusim.kernels.step.col import Piece, Room, Tables
from rpusim.kernels.step.program import (
    ADDS,
    AFFINE,
    CELL,
    GATHER,
    HOW_MANY,
    MASK,
    MERGE,
    NORM,
    OF_OTHER,
    OF_OUT,
    OF_SOURCE,
    OP,
    OTHER,
    OTHER_ADDS,
    OUT,
    OUTPUTS,
    PIXELS,
    SIZE,
    SIZES_AT,
    SLOPE,
    SMOOTH,
    SORTED_ERRORS,
    SORTED_VECTORS,
    SOURCE,
    STEPS,
    USES,
    WHICH,
)
from rpusim.kernels.step.views import numbers_at, part, places_at

# Injected by `compile_loop`; named here for the reader and for type checkers.
of_branches: Any = None
of_norms: Any = None
of_cells: Any = None
of_functions: Any = None
of_slopes: Any = None
bend: Any = None
bend_back: Any = None
apply: Any = None
pass_back: Any = None
merge: Any = None
merge_back: Any = None
affine: Any = None
scale: Any = None
select: Any = None
select_back: Any = None
moments: Any = None
keep: Any = None
normalise: Any = None
normalise_back: Any = None
descend: Any = None
step_forward: Any = None
step_backward: Any = None
by_sample: Any = None

FAMILIES = {
    "branches": (MERGE, AFFINE, GATHER, MASK),
    "norms": (NORM,),
    "cells": (CELL,),
    "smooth": (SMOOTH,),
    "slopes": (SLOPE,),
}
"""Families of instructions, and what belongs to each."""
_F = np.float32
_KEPT_OF = recurrence.KEPT_OF
_0 = _F(0)
_WEIGHTED = branches.WEIGHTED
# Columns of a norm's instruction, and of a step's.
_OVER_BATCH, _GROUPS, _EACH, _COUNT = norms.OVER_BATCH, norms.GROUPS, norms.EACH, norms.COUNT
_SPREAD = norms.SPREAD
_STATISTICS, _OF_FACTORS, _OF_OFFSETS = norms.STATISTICS, norms.OF_FACTORS, norms.OF_OFFSETS
_FACTORS, _OFFSETS, _FROM_BATCH, _TRACKED = norms.FACTORS, norms.OFFSETS, norms.FROM_BATCH, norms.TRACKED
_RUNNING_MEAN, _RUNNING_VARIANCE, _LEARN = norms.RUNNING_MEAN, norms.RUNNING_VARIANCE, norms.FACTORS_LEARN
_STEP, _STEPS, _UNITS, _CARRIED = recurrence.STEP, recurrence.STEPS, recurrence.UNITS, recurrence.CARRIED
_STATE, _OF_STATE, _STATE_WANTED = recurrence.STATE, recurrence.OF_STATE, recurrence.STATE_WANTED
_BEFORE, _OF_BEFORE = recurrence.BEFORE, recurrence.OF_BEFORE
_KEPT, _KEPT_BEFORE, _GRU = recurrence.KEPT, recurrence.KEPT_BEFORE, recurrence.GRU


def do(given: Integers, a: np.float32, b: np.float32, tables: Tables, room: Room, piece: Piece, back: bool) -> None:
    """Do an instruction of any family, or go ``back`` through it. a, b: its numbers."""
    if given[OP] == NORM:
        of_norms(given, a, tables, room, back)
    elif given[OP] == CELL:
        of_cells(given, room.memory, back)
    elif given[OP] == SMOOTH:
        of_functions(given, a, room.memory, back)
    elif given[OP] == SLOPE:
        of_slopes(given, tables, room.memory, back)
    else:
        of_branches(given, a, b, tables, room, piece, back)


def do_branch(
    given: Integers, a: np.float32, b: np.float32, tables: Tables, room: Room, piece: Piece, back: bool
) -> None:
    """Do an instruction of `branches`, or go ``back`` through it."""
    op, size, memory, adds = given[OP], given[SIZE], room.memory, given[ADDS] != 0
    source = memory[given[SOURCE] : given[SOURCE] + size]
    if op == GATHER:
        samples, outputs = given[HOW_MANY], given[OUTPUTS]
        places = tables.places[given[SIZES_AT] : given[SIZES_AT] + outputs]
        if back:
            if given[OF_SOURCE] >= 0:
                found = part(memory, given[OF_SOURCE], samples, given[PIXELS])
                select_back(part(memory, given[OF_OUT], samples, outputs), places, found, adds)
        else:
            select(source.reshape((samples, given[PIXELS])), places, part(memory, given[OUT], samples, outputs))
        return
    out, of_out, of_source = memory[:0], memory[:0], memory[:0]
    if back:
        of_out = memory[given[OF_OUT] : given[OF_OUT] + size]
        if given[OF_SOURCE] >= 0:
            of_source = memory[given[OF_SOURCE] : given[OF_SOURCE] + size]
    else:
        out = memory[given[OUT] : given[OUT] + size]
    if op == MERGE:
        other = memory[given[OTHER] : given[OTHER] + size]
        if back:
            merge_back(given[WHICH], a, False, source, other, of_out, adds, of_source)
            if given[OF_OTHER] >= 0:
                of_other = memory[given[OF_OTHER] : given[OF_OTHER] + size]
                merge_back(given[WHICH], b, True, source, other, of_out, given[OTHER_ADDS] != 0, of_other)
        else:
            merge(given[WHICH], a, b, source, other, out)
    elif op == MASK:
        mask = piece.masks[piece.at[1], given[SIZES_AT] : given[SIZES_AT] + size]
        if back:
            scale(mask, of_out, of_source, adds)
        else:
            scale(mask, source, out, False)
    elif back:
        merge_back(_WEIGHTED, a, False, of_out, of_out, of_out, adds, of_source)
    else:
        affine(a, b, source, out)


def do_function(given: Integers, a: np.float32, memory: Floats, back: bool) -> None:
    """Do an instruction of `smooth`, or go ``back`` through it."""
    size = given[SIZE]
    source, out = memory[given[SOURCE] : given[SOURCE] + size], memory[given[OUT] : given[OUT] + size]
    if not back:
        apply(given[WHICH], a, source, out)
    elif given[OF_SOURCE] >= 0:
        of_out, found = memory[given[OF_OUT] : given[OF_OUT] + size], memory[given[OF_SOURCE] : given[OF_SOURCE] + size]
        pass_back(given[WHICH], a, source, out, of_out, given[ADDS] != 0, found)


def do_slope(given: Integers, tables: Tables, memory: Floats, back: bool) -> None:
    """Do an instruction of `slopes`, or go ``back`` through it."""
    size, own = given[SIZE], given[SIZES_AT:]
    count, spread = own[_COUNT], own[_SPREAD]
    factors, x = numbers_at(tables.norms[given[WHICH], _FACTORS], count), memory[given[SOURCE] : given[SOURCE] + size]
    if not back:
        bend(x, factors, spread, memory[given[OUT] : given[OUT] + size])
        return
    of_y, of_x, wanted = memory[given[OF_OUT] : given[OF_OUT] + size], memory[:0], given[OF_SOURCE] >= 0
    if wanted:
        of_x = memory[given[OF_SOURCE] : given[OF_SOURCE] + size]
    of_factors = memory[own[_OF_FACTORS] : own[_OF_FACTORS] + count]
    bend_back(x, factors, spread, of_y, of_factors, wanted, given[ADDS] != 0, of_x)


def do_norm(given: Integers, epsilon: np.float32, tables: Tables, room: Room, back: bool) -> None:
    """Do an instruction of `norms`, or go ``back`` through it."""
    memory, own, norm = room.memory, given[SIZES_AT:], tables.norms[given[WHICH]]
    samples, groups, each, count = given[HOW_MANY], own[_GROUPS], own[_EACH], own[_COUNT]
    shape, size = (samples, groups, each), given[SIZE]
    x = memory[given[SOURCE] : given[SOURCE] + size].reshape(shape)
    number = groups if own[_OVER_BATCH] else samples * groups
    mean = memory[own[_STATISTICS] : own[_STATISTICS] + number]
    inverse = memory[own[_STATISTICS] + number : own[_STATISTICS] + 2 * number]
    factors = offsets = memory[:0]
    if norm[_FACTORS]:
        factors = numbers_at(norm[_FACTORS], count)
    if norm[_OFFSETS]:
        offsets = numbers_at(norm[_OFFSETS], count)
    fixed = norm[_FROM_BATCH] == 0
    if back:
        of_x = x
        if given[OF_SOURCE] >= 0:
            of_x = memory[given[OF_SOURCE] : given[OF_SOURCE] + size].reshape(shape)
        of_y = memory[given[OF_OUT] : given[OF_OUT] + size].reshape(shape)
        of_factors = memory[own[_OF_FACTORS] : own[_OF_FACTORS] + count]
        of_offsets = memory[own[_OF_OFFSETS] : own[_OF_OFFSETS] + count]
        wanted, adds = given[OF_SOURCE] >= 0, given[ADDS] != 0
        normalise_back(x, own, mean, inverse, fixed, factors, of_y, of_factors, of_offsets, wanted, adds, of_x)
        return
    if fixed:
        running, spread = numbers_at(norm[_RUNNING_MEAN], groups), numbers_at(norm[_RUNNING_VARIANCE], groups)
        for g in range(groups):
            mean[g], inverse[g] = running[g], _F(1) / np.sqrt(spread[g] + epsilon)
    else:
        moments(x, own[_OVER_BATCH] != 0, groups, epsilon, mean, inverse)
        if norm[_RUNNING_MEAN]:
            running, spread = numbers_at(norm[_RUNNING_MEAN], groups), numbers_at(norm[_RUNNING_VARIANCE], groups)
            tracked, momentum = places_at(norm[_TRACKED], 1), tables.norm_numbers[given[WHICH]]
            keep(mean, inverse, epsilon, samples * each, momentum, tracked, running, spread)
    normalise(x, own, mean, inverse, factors, offsets, memory[given[OUT] : given[OUT] + size].reshape(shape))


def learn_digitally(tables: Tables, room: Room, rate: float) -> None:
    """Let factors and offsets of all norms learn, after which their gradients are 0."""
    for n in range(len(tables.norms)):
        for which in range(2):
            begin, count = tables.norms_at[n, which], tables.norms_at[n, 2]
            gradient = room.memory[begin : begin + count]
            learns = tables.norms[n, _FACTORS + which] != 0 and tables.norms[n, _LEARN + which] != 0
            if learns:
                descend(numbers_at(tables.norms[n, _FACTORS + which], count), gradient, _F(rate))
            for k in range(count):
                gradient[k] = _0


def do_step(given: Integers, memory: Floats, back: bool) -> None:
    """Do a step of a recurrent layer for all samples, or go ``back`` through it."""
    own, rule = given[SIZES_AT:], given[WHICH]
    samples, steps, units, t = given[HOW_MANY], own[_STEPS], own[_UNITS], own[_STEP]
    rows, each = given[SIZE] // (samples * steps), _KEPT_OF[rule]
    for b in range(samples):
        at, low = (b * steps + t) * rows, b * units
        products = memory[given[OTHER] + b * rows : given[OTHER] + (b + 1) * rows]
        before, state = memory[own[_BEFORE] + low :][:units], memory[own[_STATE] + low :][:units]
        kept, old = part(memory, own[_KEPT] + each * low, each, units), part(memory, 0, 0, units)
        if own[_KEPT_BEFORE] >= 0:
            old = part(memory, own[_KEPT_BEFORE] + each * low, each, units)
        if back:
            of_state = np.empty(units, np.float32)
            of_out, later = memory[given[OF_OUT] + (b * steps + t) * units :], memory[own[_OF_STATE] + low :]
            for k in range(units):
                of_state[k] = of_out[k] + later[k] if own[_STATE_WANTED] else of_out[k]
            of_before = memory[:0]
            if own[_OF_BEFORE] >= 0 and rule == _GRU:
                of_before = memory[own[_OF_BEFORE] + low :][:units]
            of_given = memory[given[OF_SOURCE] + at :][:rows]
            of_products = memory[given[OF_OTHER] + b * rows :][:rows]
            carried = memory[own[_CARRIED] + low :][:units]
            step_backward(
                rule, products, before, old, kept, state, of_state, carried, t == 0, t == steps - 1, of_given,
                of_products, of_before,
            )  # fmt: skip
        else:
            out = memory[given[OUT] + (b * steps + t) * units :][:units]
            step_forward(rule, memory[given[SOURCE] + at :][:rows], products, before, old, kept, state, out)


def sort_by_sample(given: Integers, errors: bool, at: int, wide: int, memory: Floats) -> int:
    """Put the vectors of an update, or their ``errors``, in the order of samples; returns where they begin then.

    given: the update. at: where they begin, wide: numbers of each.
    """
    to: int = given[SORTED_ERRORS] if errors else given[SORTED_VECTORS]
    if to < 0:
        return at
    vectors, uses, steps = given[HOW_MANY], given[USES], given[STEPS]
    samples = vectors // (uses * steps)
    by_sample(part(memory, at, vectors, wide), uses, steps, samples, part(memory, to, vectors, wide))
    return to


def loops_of(present: Iterable[str]) -> dict[str, Any]:
    """Compile what networks of some families need, by the names that the step's loop has for them.

    present: names of `FAMILIES`.
    """
    families = frozenset(present)
    if not families:
        return {"between": _nothing_between, "learn_between": _nothing_learns}
    made: dict[str, Any] = {"of_branches": _no_branch, "of_norms": _no_norm, "of_cells": _no_step}
    made |= {"of_functions": _no_function, "of_slopes": _no_slope}
    if "branches" in families:
        names = ("merge", "merge_back", "affine", "scale", "select", "select_back")
        of_each = {name: compile_loop(getattr(branches, name)) for name in names}
        made["of_branches"] = compile_loop(do_branch, **of_each)
    if "norms" in families:
        of_norm = ("moments", "keep", "normalise", "normalise_back")
        made["of_norms"] = compile_loop(do_norm, **{name: compile_loop(getattr(norms, name)) for name in of_norm})
    if "smooth" in families:
        of_each = {name: compile_loop(getattr(smooth, name), fastmath={"contract"}) for name in ("apply", "pass_back")}
        made["of_functions"] = compile_loop(do_function, **of_each)
    if "slopes" in families:
        of_each = {name: compile_loop(getattr(slopes, name)) for name in ("bend", "bend_back")}
        made["of_slopes"] = compile_loop(do_slope, **of_each)
    if "cells" in families:
        steps = {
            "step_forward": compile_loop(recurrence.forward, fastmath={"contract"}),
            "step_backward": compile_loop(recurrence.backward, fastmath={"contract"}),
        }
        made["of_cells"] = compile_loop(do_step, **steps)
    learn: Any = _nothing_learns
    if families & {"norms", "slopes"}:
        learn = compile_loop(learn_digitally, descend=compile_loop(norms.learn))
    return {"between": compile_loop(do, **made), "learn_between": learn}


def sorting_of(present: Iterable[str]) -> Any:
    """Compile what puts vectors in the order of samples, for networks that have steps."""
    if "cells" not in frozenset(present):
        return _as_they_lie
    return compile_loop(sort_by_sample, by_sample=compile_loop(recurrence.by_sample))


def _nothing_between(given: Any, a: Any, b: Any, tables: Any, room: Any, piece: Any, back: Any) -> None:
    """Stand for `do` where a network has none of these families."""


def _no_branch(given: Any, a: Any, b: Any, tables: Any, room: Any, piece: Any, back: Any) -> None:
    """Stand for `do_branch`."""


def _no_norm(given: Any, epsilon: Any, tables: Any, room: Any, back: Any) -> None:
    """Stand for `do_norm`."""


def _no_step(given: Any, memory: Any, back: Any) -> None:
    """Stand for `do_step`."""


def _no_function(given: Any, a: Any, memory: Any, back: Any) -> None:
    """Stand for `do_function`."""


def _no_slope(given: Any, tables: Any, memory: Any, back: Any) -> None:
    """Stand for `do_slope`."""


def _nothing_learns(tables: Any, room: Any, rate: Any) -> None:
    """Stand for `learn_digitally`."""


def _as_they_lie(given: Any, errors: Any, at: Any, wide: Any, memory: Any) -> Any:
    """Stand for `sort_by_sample`."""
    return at
