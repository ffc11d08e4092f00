"""The loop over mini-batches: forward, loss, backward, update, in one compiled function.

A table of instructions says what is computed (`program`), others what the layers, tiles and arrays are (`tables`). The
arithmetic and the random numbers are those of `rpusim.kernels.mvm`, `rpusim.kernels.pulses` and `rpusim.kernels.cells`,
whose compiled loops are called; a mini-batch gives the rows of activity that its layers would have written.
"""

from __future__ import annotations

from collections.abc import Set
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from rpusim.kernels.arrays import leakage
from rpusim.kernels.base.loops import Floats, Integers, compile_loop
from rpusim.kernels.base.rng import Integer
from rpusim.kernels.cells.tiki_taka import loops
from rpusim.kernels.cells.tiki_taka.compiled import transfer_loop
from rpusim.kernels.layers import patches
from rpusim.kernels.mvm.compiled import block_of, largest
from rpusim.kernels.mvm.whole import products, reading
from rpusim.kernels.pulses import compiled, drivers, wear, write_noise
from rpusim.kernels.step import col
from rpusim.kernels.step.between import functions, windows
from rpusim.kernels.step.between.families import loops_of, sorting_of
from rpusim.kernels.step.col import Piece, Room, Tables
from rpusim.kernels.step.needs import Needs
from rpusim.kernels.step.on_arrays import arrays, converted, decay, flipped, passes, transfers, updates
from rpusim.kernels.step.program import (
    ADD,
    ADDS,
    AVERAGE,
    CHOSEN,
    CLASSIFY,
    FLIPPED,
    FUNCTION,
    IMAGES,
    LARGEST,
    LAYER,
    MERGE,
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
    SOURCE,
    WHICH,
)
from rpusim.kernels.step.views import add_to, part, uncounted

# Injected by `compile_loop`; named here for the reader and for type checkers.
apply: Any = None
pass_back: Any = None
learn_classes: Any = None
largest_under: Any = None
largest_back: Any = None
average_under: Any = None
layer_forward: Any = None
layer_backward: Any = None
flipped_forward: Any = None
flipped_backward: Any = None
layer_update: Any = None
elapse: Any = None
forward_pass: Any = None
backward_pass: Any = None
of_family: Any = None
learn_digitally: Any = None
WITH_FUNCTIONS = WITH_LARGEST = WITH_AVERAGE = WITH_SUMS = WITH_LEAKS = WITH_FLIPS = 1  # see `needs`

_F = np.float32


def _forward_pass(tables: Tables, room: Room, classes: Integers, piece: Piece, step: Integer) -> np.float32:
    """Compute all values of a mini-batch, whose samples are there; returns the loss, with its gradient in place."""
    memory, loss = room.memory, _F(0)
    for k in range(len(tables.program)):
        given = tables.program[k]
        op, size = given[OP], given[SIZE]
        source = memory[given[SOURCE] : given[SOURCE] + size]
        if WITH_FLIPS and op == LAYER and given[FLIPPED]:
            flipped_forward(given, tables.layers[given[WHICH]], tables, room, piece, step)
        elif op == LAYER:
            layer_forward(given, tables.layers[given[WHICH]], tables, room, piece, step)
        elif WITH_FUNCTIONS and op == FUNCTION:
            out = memory[given[OUT] : given[OUT] + size]
            apply(given[WHICH], tables.parameters[k, 0], tables.parameters[k, 1], source, out)
        elif (WITH_LARGEST or WITH_AVERAGE) and op in (LARGEST, AVERAGE):
            images, outputs = given[IMAGES], given[OUTPUTS]
            out = part(memory, given[OUT], images, outputs)
            if WITH_AVERAGE and op == AVERAGE:
                average_under(source.reshape((images, given[PIXELS])), given[SIZES_AT:], out, False)
            elif WITH_LARGEST:
                chosen = room.chosen[given[CHOSEN] : given[CHOSEN] + images * outputs].reshape((images, outputs))
                largest_under(source.reshape((images, given[PIXELS])), given[SIZES_AT:], out, chosen)
        elif WITH_SUMS and op == ADD:
            out, other = memory[given[OUT] : given[OUT] + size], memory[given[OTHER] : given[OTHER] + size]
            for n in range(size):
                out[n] = source[n] + other[n]
        elif op == CLASSIFY:
            samples = len(classes)
            shape = samples, size // samples
            gradient = memory[given[OF_SOURCE] : given[OF_SOURCE] + size]
            loss = learn_classes(source.reshape(shape), classes, gradient.reshape(shape), room.y)
        else:
            of_family(given, tables.parameters[k, 0], tables.parameters[k, 1], tables, room, piece, False)
    return loss


def _backward_pass(tables: Tables, room: Room, piece: Piece, step: Integer) -> None:
    """Compute the gradients of all values that somebody wants, from the last one back."""
    memory = room.memory
    for k in range(len(tables.program) - 1, -1, -1):
        given = tables.program[k]
        op, size, adds = given[OP], given[SIZE], given[ADDS] != 0
        if op == LAYER:
            if WITH_FLIPS and given[OF_OUT] >= 0 and given[FLIPPED]:
                flipped_backward(given, tables.layers[given[WHICH]], tables, room, piece, step)
            elif given[OF_OUT] >= 0:
                layer_backward(given, tables.layers[given[WHICH]], tables, room, piece, step)
            continue
        if op >= MERGE:
            if given[OF_OUT] >= 0:
                of_family(given, tables.parameters[k, 0], tables.parameters[k, 1], tables, room, piece, True)
            continue
        if op == CLASSIFY or (given[OF_SOURCE] < 0 and op != ADD):
            continue
        gradient = memory[given[OF_SOURCE] : given[OF_SOURCE] + size]
        if WITH_FUNCTIONS and op == FUNCTION:
            source, out = memory[given[SOURCE] : given[SOURCE] + size], memory[given[OUT] : given[OUT] + size]
            of_out, a, b = (
                memory[given[OF_OUT] : given[OF_OUT] + size],
                tables.parameters[k, 0],
                tables.parameters[k, 1],
            )
            found = np.empty(size, np.float32) if adds else gradient
            pass_back(given[WHICH], a, b, source, out, of_out, found)
            if adds:
                add_to(gradient, found)
        elif (WITH_LARGEST or WITH_AVERAGE) and op in (LARGEST, AVERAGE):
            images, outputs = given[IMAGES], given[OUTPUTS]
            of_out = part(memory, given[OF_OUT], images, outputs)
            found = np.empty(size, np.float32) if adds else gradient
            of_images = found.reshape((images, given[PIXELS]))
            if WITH_AVERAGE and op == AVERAGE:
                average_under(of_images, given[SIZES_AT:], of_out, True)
            elif WITH_LARGEST:
                chosen = room.chosen[given[CHOSEN] : given[CHOSEN] + images * outputs].reshape((images, outputs))
                largest_back(of_out, chosen, of_images)
            if adds:
                add_to(gradient, found)
        elif WITH_SUMS and op == ADD:
            of_out = memory[given[OF_OUT] : given[OF_OUT] + size]
            for of_source, more in ((given[OF_SOURCE], adds), (given[OF_OTHER], given[OTHER_ADDS] != 0)):
                if of_source >= 0:
                    each = memory[of_source : of_source + size]
                    for n in range(size):
                        each[n] = each[n] + of_out[n] if more else of_out[n]


def run(
    tables: Tables,
    room: Room,
    images: Floats,
    classes: Integers,
    batch: int,
    rate: float,
    piece: Piece,
    step: Integer,
    losses: Floats,
    between: float,
) -> tuple[int, int, int]:
    """Train mini-batches one after the other.

    images: (samples, numbers), classes: (samples x positions,), of all mini-batches. batch: samples of each. rate:
    learning rate.
    piece: receives the rows of activity, and says which transfers fall due. step: number of the first mini-batch.
    losses: (mini-batches,), filled with their mean losses. between: seconds that pass from each to the next.
    Returns how it ended (see `col.DONE`), after how many whole mini-batches, and at which layer.
    """
    tables, room, piece, images, classes = uncounted((tables, room, piece, images, classes))
    positions = len(classes) // max(1, len(images))
    for number in range(len(losses)):
        if WITH_LEAKS and number > 0 and between != 0.0:
            elapse(tables, between)
        low, piece.at[1] = number * batch, number
        samples = room.memory[: batch * images.shape[1]].reshape((batch, images.shape[1]))
        for b in range(batch):
            for k in range(images.shape[1]):
                samples[b, k] = images[low + b, k]
        right = classes[low * positions : (low + batch) * positions]
        losses[number] = forward_pass(tables, room, right, piece, step + number)
        if not np.isfinite(losses[number]):
            return col.LOSS_NOT_FINITE, number, -1
        backward_pass(tables, room, piece, step + number)
        learn_digitally(tables, room, rate)
        for which in tables.order:
            given, layer = tables.updates[which], tables.layers[which]
            ended = layer_update(given, layer, tables, room, piece, rate, number, step + number)
            if ended != col.DONE:
                return ended, number, which
    return col.DONE, len(losses), -1


class Kinds(NamedTuple):
    """Say which devices the arrays of a network are made of.

    pulsed:  of arrays that take the pulses of an update, as `rpusim.kernels.pulses.compiled.send_loop` takes them.
    fast:    of arrays whose pulses are transferred to others, without whether only up pulses count.
    slow:    of arrays that these are transferred to, without whether pulses are merged.
    """

    pulsed: tuple[tuple[Any, int, bool], ...]
    fast: tuple[tuple[Any, int, bool], ...]
    slow: tuple[tuple[Any, int], ...]


def _numbered(name: str, made: list[Any]) -> dict[str, Any]:
    """Name loops of different kinds, as many as there may be; the last one stands for those that are missing."""
    return {f"{name}_{number}": made[min(number, len(made) - 1)] for number in range(col.KINDS)}


@cache
def loop_of(kinds: Kinds, needs: Needs, parallel: bool, families: Set[str] = frozenset()) -> Any:
    """Compile `run` for a network whose devices are of these kinds.

    parallel: large loops on all threads. families: what it has between its layers, of `between.families.FAMILIES`.
    """
    names: dict[str, Any] = needs._asdict()
    others = loops_of(families)
    redraw = compile_loop(write_noise._redraw, parallel)
    moving = _transfers(kinds, redraw, parallel, names) if kinds.fast else {}
    small = {"columns_of": compile_loop(passes.some_columns), "scaled": compile_loop(passes.scale_vectors)}
    places = {
        "gather": compile_loop(patches._gather, parallel),
        "scatter": compile_loop(patches._scatter, parallel),
        "with_biases": compile_loop(passes.with_biases),
    }
    errors = compile_loop(passes.errors_of, **small)
    stages = reading.stages(parallel, needs.WITH_WIRES, needs.WITH_PARTS)
    parts = {"in_parts": compile_loop(converted.in_parts, by_parts=stages.pop("by_parts"))} if needs.WITH_PARTS else {}
    read = compile_loop(passes.read_tile, block=block_of, **stages, **parts, **names)
    write = compile_loop(passes.write_rows, WITH_PARTS=needs.WITH_PARTS)
    grid = {"read": read, "write": write, "errors_from": errors, **small}
    both = {
        "through": compile_loop(passes.through_tiles, **grid, **names),
        "back_through": compile_loop(passes.back_through_tiles, **grid, **names),
    }
    made = {**both, **places, **names}
    flips = {
        name: compile_loop(getattr(flipped, name), **both) if needs.WITH_FLIPS else None
        for name in ("flipped_forward", "flipped_backward")
    }
    forward = compile_loop(
        _forward_pass,
        of_family=others["between"],
        layer_forward=compile_loop(passes.layer_forward, **made),
        apply=compile_loop(functions.apply, fastmath={"contract"}, WITH_RARE=needs.WITH_RARE),
        learn_classes=compile_loop(functions.learn_classes),
        largest_under=compile_loop(windows.largest),
        average_under=compile_loop(windows.average),
        flipped_forward=flips["flipped_forward"],
        **names,
    )
    backward = compile_loop(
        _backward_pass,
        of_family=others["between"],
        layer_backward=compile_loop(passes.layer_backward, **made),
        pass_back=compile_loop(functions.pass_back, fastmath={"contract"}, WITH_RARE=needs.WITH_RARE),
        largest_back=compile_loop(windows.largest_back),
        average_under=compile_loop(windows.average),
        flipped_backward=flips["flipped_backward"],
        **names,
    )
    resting = compile_loop(
        updates.rest_tile,
        rest=compile_loop(
            arrays.rest,
            redraw=redraw,
            approach=compile_loop(decay.approach, counted=False),
            keep_within=compile_loop(decay.keep_within, counted=False),
            **names,
        ),
        **({"show": moving["show"]} if moving else {}),
        **names,
    )
    tile = compile_loop(
        updates.update_tile,
        rest_tile=resting,
        exact=compile_loop(
            arrays.exact, descend=compile_loop(products.descend, parallel, {"contract"}), largest=largest
        ),
        pulse=compile_loop(arrays.pulse, redraw=redraw, **_numbered("send", _sends(kinds, parallel)), **names)
        if kinds.pulsed
        else None,
        **({"learn": moving["learn"]} if moving else {}),
        **names,
    )
    update = compile_loop(
        updates.layer_update,
        tile_update=tile,
        rest_tile=resting,
        errors_from=errors,
        by_sample=sorting_of(families),
        silence=compile_loop(updates.silence_columns),
        **small,
    )
    passing = compile_loop(arrays.elapse, leak=compile_loop(leakage._leak, parallel, series=leakage._series))
    names["learn_digitally"] = others["learn_between"]
    return compile_loop(run, forward_pass=forward, backward_pass=backward, layer_update=update, elapse=passing, **names)


def _sends(kinds: Kinds, parallel: bool) -> list[Any]:
    return [
        compiled.send_loop(step, parameters, False, merging, parallel) for step, parameters, merging in kinds.pulsed
    ]


def _transfers(kinds: Kinds, redraw: Any, parallel: bool, names: dict[str, Any]) -> dict[str, Any]:
    """Compile what transfer cells do, by the names that `update_tile` has for it."""
    applied = [
        compile_loop(
            transfers.applied,
            all_chunks=compiled.loop_of(step, parameters, False, merging, parallel),
            MERGING=int(merging),
        )
        for step, parameters, merging in kinds.fast
    ]
    apply = compile_loop(transfers.apply_kind, **_numbered("apply", applied))
    moved = [transfer_loop(step, parameters) for step, parameters in kinds.slow]
    learn = compile_loop(
        transfers.learn,
        draw=drivers.DRAW.variant(0),
        tally=compile_loop(wear.tally, parallel),
        split=compile_loop(loops.split),
        ones=compile_loop(loops.ones),
        chop=compile_loop(loops.chop),
        fast_rates=compile_loop(transfers.rates_of_fast, follow=compile_loop(loops.follow), largest=largest),
        send_part=compile_loop(transfers.part_of, apply=apply, redraw=redraw, **names),
        transfer=compile_loop(transfers.transferred, **_numbered("transfer", moved)),
    )
    return {"learn": learn, "show": compile_loop(transfers.show)}
