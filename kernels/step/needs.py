"""What of the step's loops a network needs: what it never calls is not compiled, which halves its first step."""

from __future__ import annotations

from typing import NamedTuple

from rpusim.kernels.base.loops import Integers
from rpusim.kernels.step import col, program
from rpusim.kernels.step.between import functions


class Needs(NamedTuple):
    """Say, 1 or 0, what there is in a network; the fields are names in the templates of `rpusim.kernels.step`.

    WITH_RARE:       functions beside the common ones.
    WITH_FUNCTIONS, WITH_LARGEST, WITH_AVERAGE, WITH_SUMS:  instructions of these kinds.
    WITH_FLIPS:      weights that are used transposed.
    WITH_WINDOWS:    convolutions.
    WITH_PERFECT, WITH_PERIPHERY, WITH_PARTS:  directions of tiles without a periphery, with one that converts once, and
                     with one that converts many times for a product.
    WITH_WIRES:      tiles whose wires matter.
    WITH_EXACT, WITH_PULSES, WITH_TRANSFERS:  tiles that learn in these ways.
    WITH_REST:       arrays that diffuse or decay.
    WITH_REDRAWS:    arrays with write noise.
    WITH_LEAKS:      arrays whose cells leak.
    """

    WITH_RARE: int
    WITH_FUNCTIONS: int
    WITH_LARGEST: int
    WITH_AVERAGE: int
    WITH_SUMS: int
    WITH_FLIPS: int
    WITH_WINDOWS: int
    WITH_PERFECT: int
    WITH_PERIPHERY: int
    WITH_PARTS: int
    WITH_WIRES: int
    WITH_EXACT: int
    WITH_PULSES: int
    WITH_TRANSFERS: int
    WITH_REST: int
    WITH_REDRAWS: int
    WITH_LEAKS: int


def needs_of(instructions: Integers, layers: Integers, tiles: Integers, arrays: Integers) -> Needs:
    """Find what is needed, from the tables of a step as `col.Tables` has them."""
    common = len(functions.COMMON)
    operations = set(instructions[:, program.OP].tolist())
    cells = set(tiles[:, col.CELL].tolist())
    sides = tiles[:, col.PERIPHERY : col.PERIPHERY + 2 * col.SIDE].reshape(-1, col.SIDE)
    return Needs(
        WITH_RARE=int((instructions[instructions[:, program.OP] == program.FUNCTION, program.WHICH] >= common).any()),
        WITH_FUNCTIONS=int(program.FUNCTION in operations),
        WITH_LARGEST=int(program.LARGEST in operations),
        WITH_AVERAGE=int(program.AVERAGE in operations),
        WITH_SUMS=int(program.ADD in operations),
        WITH_FLIPS=int((instructions[instructions[:, program.OP] == program.LAYER, program.FLIPPED] > 0).any()),
        WITH_WINDOWS=int(layers[:, col.IS_WINDOW].any()),
        WITH_PERFECT=int(sides[:, col.PERFECT].any()),
        WITH_PERIPHERY=int(((sides[:, col.PERFECT] == 0) & (sides[:, col.PARTS] == 0)).any()),
        WITH_PARTS=int((sides[:, col.PARTS] > 0).any()),
        WITH_WIRES=int(sides[:, col.GAINS].any()),
        WITH_EXACT=int(col.EXACT in cells),
        WITH_PULSES=int(col.PULSED in cells),
        WITH_TRANSFERS=int(col.TRANSFERRED in cells),
        WITH_REST=int(arrays[:, [col.DIFFUSION, col.DECAY]].any()),
        WITH_REDRAWS=int(arrays[:, col.BEFORE].any()),
        WITH_LEAKS=int(arrays[:, col.RETENTION].any()),
    )
