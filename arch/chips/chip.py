"""A chip as data: tiles of cross-point arrays with their circuits, a mesh between them, and a cost card for every part.

A chip is a YAML file (the ones that ship are in ``presets/``); `Chip.load` reads and checks it, `bill_of_parts` turns
it into the parts of one tile of each kind, with integer latencies and energies, areas and leakage. Orientation:
``rows`` are outputs and ``columns`` inputs of ``y = W x``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rpusim.arch.chips import library
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.description import ChipDescription, TileKind
from rpusim.arch.contract.configuration import find_yaml, parse, read_yaml, shipped
from rpusim.arch.contract.quantity import ZEPTOJOULES_PER_JOULE
from rpusim.arch.parts.array_wires import IDEAL, complete
from rpusim.arch.parts.digital_operations import FUNCTIONS
from rpusim.arch.parts.wires import ENERGY_SOURCE, LATENCY_SOURCE
from rpusim.errors import InputError

FOLDER = Path(__file__).parent / "presets"


class Chip(ChipDescription):
    """A chip as it can be used: every card that it names has been found, and has all its costs.

    Its fields are those of `ChipDescription`; make one with `load`.
    """

    @staticmethod
    def load(name: str | Path) -> Chip:
        """Load the chip that ships under ``name``, or the one in the YAML file at that path.

        Raises `InputError` if there is none, if a block of the file is wrong, or if a cost is missing.
        """
        path = find_yaml(name, FOLDER, "chip: no preset")
        chip = parse(Chip, read_yaml(path), path.name)
        try:
            bill_of_parts(chip)  # every card found and complete, or an error here and now
            chip = chip.model_copy(update={"tiles": tuple(_with_wires(chip, kind) for kind in chip.tiles)})
        except InputError as error:
            raise InputError(f"{path.name}: {error}") from None
        return chip

    def provenance(self) -> Iterator[dict[str, Any]]:
        """List every number of the chip, its digital units and its cards: {field, value, unit, source}.

        A card that was scaled to another node is listed twice: as it was, and as it is used.
        """
        yield from self.numbers("chip")
        for name, function in FUNCTIONS.items():
            for way in ("forward", "backward", "training", "batch"):
                for kind, number in getattr(function, way).by_class.items():
                    row = {"value": number, "unit": "operations per element", "source": function.source}
                    yield {"field": f"digital_functions.{name}.{way}.{kind}", **row}
        for tiles in self.tiles:
            source = tiles.digital.sources.get("functions", tiles.digital.source)
            for name, work in tiles.digital.functions.items():
                for kind, number in work.items():
                    where = f"chip.tiles.{tiles.name}.digital.functions.{name}.{kind}"
                    yield {"field": where, "value": number, "unit": "operations per element", "source": source}
        bill = bill_of_parts(self)
        if self.mesh.hop_latency is None:
            row = {"value": bill.hop_seconds, "unit": "s", "source": LATENCY_SOURCE}
            yield {"field": "chip.mesh.hop_latency", **row}
        if self.mesh.wire_energy is None:
            joules = bill.chip_wide["links"].actions["wire"].energy_zj / ZEPTOJOULES_PER_JOULE
            yield {"field": "chip.mesh.wire_energy", "value": joules, "unit": "J", "source": ENERGY_SOURCE}
        used = {card.name: card for card in (*bill.originals, *(part.card for part in bill.all_parts()))}
        for name in sorted(used):
            yield from used[name].numbers(f"cards.{name}")
        stated = {row["field"]: row for part in bill.all_parts() for row in part.assumed()}
        yield from stated.values()


def _with_wires(chip: Chip, kind: TileKind) -> TileKind:
    """Fill in what the file leaves out of the wires of a kind's arrays, see `rpusim.arch.parts.array_wires`."""
    array, where = kind.array, f"tiles.{kind.name}.array"
    if array.wires == IDEAL:
        return kind
    card = library.find(array.cell, chip.cards, f"{where}.card")
    try:
        wires = complete(array.wires, card, (array.rows + array.unit_lines) * array.columns)
    except InputError as error:
        raise InputError(f"{where}.wires.{error}") from None
    return kind.model_copy(update={"array": array.model_copy(update={"wires": wires})})


def presets() -> list[str]:
    """List the names of the chips that ship."""
    return shipped(FOLDER)
