"""What wires do to a chip's reads and updates, for a document; see `rpusim.arch.parts.array_wires`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract import ladder
from rpusim.arch.mapping.placement import Block, Placement

IDEAL, UNKNOWN, MODELLED, NEGLIGIBLE = "ideal", "unknown", "modelled", "negligible"
"""Words for ``model``: left out as the chip says so; left out as nothing is known of the cells; part of the numbers;
computed, but less than any read can show."""


def document(placement: Placement) -> list[dict[str, Any]]:
    """Make the document's ``wires``, one row for each kind of tile that holds weights.

    Each row has ``tiles`` (their name), ``model`` (see `IDEAL`) and ``source``. Where something is computed it also has
    ``resistance_Ohm``, ``cell_resistance_Ohm`` and ``capacitance_F`` from one cell to the next; ``loss``, of a weight
    in the far corner of the array with all inputs at full scale, and ``loss_used``, of the farthest weight in use;
    where the tiles learn ``step`` and ``step_used``, what is left of a step there; ``settling_s``, beside the file's
    own ``integration_s``, of which the longer counts, and ``read_s``, how long a read takes with it.
    """
    rows = []
    for number, kind in enumerate(placement.chip.tiles):
        blocks = [block for placed in placement.holders for block in placed.blocks if block.kind == number]
        if blocks:
            rows.append({"tiles": kind.name, **_of_kind(kind, blocks)})
    return rows


def _of_kind(kind: TileKind, blocks: list[Block]) -> dict[str, Any]:
    array, wires, drop = kind.array, kind.array.wires, kind.drop
    if wires is None:
        return {"model": UNKNOWN, "source": f"card {array.cell} lumps the array and says nothing of its cells"}
    if isinstance(wires, str) or drop is None:
        return {"model": IDEAL, "source": array.sources.get("wires", array.source)}
    seen = list(_at_the_ends(kind, drop.load, blocks))
    row: dict[str, Any] = {
        "model": MODELLED if drop.reads or drop.steps else NEGLIGIBLE,
        "source": wires.source,
        "resistance_Ohm": wires.resistance,
        "cell_resistance_Ohm": wires.cell_resistance,
        "capacitance_F": wires.capacitance,
        "loss": drop.loss,
        "loss_used": max(1.0 - across * along**2 for across, along in seen),
        "settling_s": drop.settling,
        "integration_s": array.integration,
        "read_s": kind.read_seconds,
    }
    if kind.trains:
        least = min(across + along - 1.0 for across, along in seen) if wires.pulses_drop else 1.0
        row |= {"step": drop.pulse, "step_used": max(least, 0.0)}
    return row


def _at_the_ends(kind: TileKind, load: float, blocks: list[Block]) -> Iterator[tuple[float, float]]:
    """Find what of a voltage is left at the farthest weight of each block: along its driven and its read line."""
    driven, read = kind.array.rows + kind.array.unit_lines, kind.array.columns
    for block in blocks:
        rows, columns = (first + own for first, own in zip(block.corner, (block.rows, block.columns), strict=True))
        across = ladder.profile(load, driven, [rows * kind.array.cells_per_weight])
        along = ladder.profile(load, read, [columns])
        yield float(across[0]), float(along[0])
