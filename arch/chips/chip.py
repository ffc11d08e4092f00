"""A chip as data: tiles of cross-point arrays with their circuits, a mesh between them, and a cost card for every part.

A chip is a YAML file (the ones that ship are in ``presets/``); `Chip.load` reads and checks it, `bill_of_parts` turns
it into the parts of one tile of each kind, with integer latencies and energies, areas and leakage. Orientation:
``rows`` are outputs and ``columns`` inputs of ``y = W x``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rpusim.arch.chips import library
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.description import ChipDescription, TileKind
from rpusim.arch.contract import dotted
from rpusim.arch.contract.configuration import find_yaml, parse, read_yaml, shipped
from rpusim.arch.contract.quantity import ZEPTOJOULES_PER_JOULE
from rpusim.arch.parts.array_wires import IDEAL, complete
from rpusim.arch.parts.digital_operations import FUNCTIONS
from rpusim.arch.parts.wires import ENERGY_SOURCE, LATENCY_SOURCE
from rpusim.errors import InputError, shown, written

FOLDER = Path(__file__).parent / "presets"
GIVEN = "changed by the user"
"""The source of a field that was changed after the file had been read."""
SCALED = "assumption: the card of the converter before its bits or rate were changed, scaled by a survey"


class Chip(ChipDescription):
    """A chip as it can be used: every card that it names has been found, and has all its costs.

    Its fields are those of `ChipDescription`; make one with `load`.
    """

    @staticmethod
    def load(name: str | Path, changes: Mapping[str, Any] | None = None) -> Chip:
        """Load the chip that ships under ``name``, or the one in the YAML file at that path.

        changes: fields to change, by dotted path (see `dotted`), with values as a file has them: {"tiles.0.adc.bits":
                 6}. They become part of the chip's name.

        Raises `InputError` if there is none, if a block of the file is wrong, or if a cost is missing.
        """
        path = find_yaml(name, FOLDER, "chip: no preset")
        fields, where = read_yaml(path), path.name
        if changes:
            fields = _changed(fields, changes)
            where = f"{where} with {shown(listed(changes))}"
        chip = parse(Chip, fields, where)
        try:
            bill_of_parts(chip)  # every card found and complete, or an error here and now
            chip = chip.model_copy(update={"tiles": tuple(_with_wires(chip, kind) for kind in chip.tiles)})
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
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


GivenChip = str | Path | Chip | dict[str, Any]
"""A chip as a user names it: a preset, a YAML file, a `Chip`, or a mapping of ``like``, which is one of the first two,
and of fields that are changed in it, by dotted path: {"like": "reram-512", "tiles.0.adc.bits": 6}."""


def load_chip(given: GivenChip) -> Chip:
    """Return the chip that a user names, see `GivenChip`; raises `InputError` if there is none, or it is wrong."""
    if isinstance(given, Chip):
        return given
    if not isinstance(given, dict):
        return Chip.load(given)
    changes = dict(given)
    like = changes.pop("like", None)
    if not isinstance(like, str | Path) or not all(isinstance(path, str) for path in changes):
        raise InputError(
            f"chip: got {shown(written(given))}, but a mapping needs 'like', such as {{like: reram-512, "
            "tiles.0.adc.bits: 6}"
        )
    return Chip.load(like, changes)


def _changed(fields: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Change fields of a chip's file, by path; converters that have become others have their cards scaled.

    A converter's card holds for its bits and rate alone. Where these were changed and the card was not, the card is
    scaled to them, which its source says.
    """
    made = dotted.changed(fields, changes, GIVEN)
    if "name" not in changes and isinstance(fields.get("name"), str):
        made["name"] = f"{fields['name']} with {listed(changes)}"
    before, after = fields.get("tiles"), made.get("tiles")
    for i in range(len(after) if isinstance(before, list) and isinstance(after, list) else 0):
        was, now = (dotted.get(tiles, (str(i), "adc")) for tiles in (before, after))
        if not isinstance(was, dict) or not isinstance(now, dict) or not isinstance(now.get("card"), str):
            continue
        if was.get("card") == now["card"] and any(was.get(name) != now.get(name) for name in ("bits", "rate")):
            made = dotted.changed(made, {f"tiles.{i}.adc.card": {"scaled": now["card"]}}, SCALED)
    return made


def listed(changes: Mapping[str, Any]) -> str:
    """Name changed fields on one line: "tiles.0.adc.bits=6, gating=none"."""
    return ", ".join(f"{path}={value}" for path, value in changes.items())


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
