"""A chip as data: tiles of cross-point arrays with their circuits, a mesh between them, and a cost card for every part.

A chip is a YAML file (the ones that ship are in ``chips/``); `load` reads and checks it, `bill_of_parts` turns it
into the parts of one tile of each kind, with integer latencies and energies, areas and leakage. Orientation: ``rows``
are outputs and ``columns`` inputs of ``y = W x``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from rpusim.arch import cards
from rpusim.arch.configuration import parse, read_yaml
from rpusim.arch.parts.adc import Adcs, SampleAndHold
from rpusim.arch.parts.buffer import Buffer
from rpusim.arch.parts.crossbar import Crossbar
from rpusim.arch.parts.digital import Digital
from rpusim.arch.parts.inputs import Inputs
from rpusim.arch.parts.link import Mesh
from rpusim.arch.parts.part import Card, Part, Sourced
from rpusim.arch.parts.pulses import Pulses
from rpusim.arch.parts.support import Support
from rpusim.errors import InputError, nearest

FOLDER = Path(__file__).parent / "chips"


class TileKind(Sourced):
    """``count`` equal tiles; without ``pulses`` they only infer, and have no drivers and converters for backward."""

    name: str
    count: Annotated[int, Field(ge=1)]
    array: Crossbar
    inputs: Inputs
    sample_and_hold: SampleAndHold | None = None
    adc: Adcs
    pulses: Pulses | None = None
    digital: Digital
    buffer: Buffer
    support: tuple[Support, ...] = ()

    @property
    def trains(self) -> bool:
        return self.pulses is not None

    @property
    def read_seconds(self) -> float:
        """How long one pass (one bit of it, if bit-serial) holds the array."""
        return self.inputs.drive_seconds(self.array.integration)


class Chip(Sourced):
    """The whole chip. ``cards`` are cost cards of its own, beside those of the library."""

    name: str
    title: str
    tiles: Annotated[tuple[TileKind, ...], Field(min_length=1)]
    mesh: Mesh
    support: tuple[Support, ...] = ()
    cards: dict[str, Card] = {}

    @model_validator(mode="before")
    @classmethod
    def _name_cards(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and isinstance(fields.get("cards"), dict):
            named = {k: {"name": k, **v} if isinstance(v, dict) else v for k, v in fields["cards"].items()}
            return {**fields, "cards": named}
        return fields

    @model_validator(mode="after")
    def _kinds_differ(self) -> Chip:
        names = [kind.name for kind in self.tiles]
        if len(set(names)) < len(names):
            raise ValueError(f"tiles: two kinds of tile have the same name (given: {', '.join(names)})")
        return self

    @property
    def tile_count(self) -> int:
        return sum(kind.count for kind in self.tiles)

    @property
    def trains(self) -> bool:
        return all(kind.trains for kind in self.tiles)

    @staticmethod
    def load(name: str | Path) -> Chip:
        """The chip that ships under ``name``, or the one in the YAML file at that path."""
        path = Path(name)
        if path.suffix not in (".yaml", ".yml"):
            if str(name) not in presets():
                raise InputError(
                    f"chip: no preset is named {str(name)!r}{nearest(str(name), presets())}, or give a .yaml file"
                )
            path = FOLDER / f"{name}.yaml"
        chip = parse(Chip, read_yaml(path), path.name)
        try:
            bill_of_parts(chip)  # every card found and complete, or an error here and now
        except InputError as error:
            raise InputError(f"{path.name}: {error}") from None
        return chip

    def provenance(self) -> Iterator[dict[str, Any]]:
        """Every number of the chip and of the cards it uses: {field, value, unit, source}."""
        yield from self.numbers("chip")
        bill = bill_of_parts(self)
        used = {part.card.name: part.card for part in bill.all_parts()}
        for name in sorted(used):
            yield from used[name].numbers(f"cards.{name}")


def presets() -> list[str]:
    """Names of the chips that ship."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@dataclass(frozen=True)
class BillOfParts:
    """The parts of one tile of each kind (by part name), and those that the chip has once."""

    chip: Chip
    tiles: tuple[dict[str, Part], ...]
    chip_wide: dict[str, Part]

    def all_parts(self) -> Iterator[Part]:
        for parts in self.tiles:
            yield from parts.values()
        yield from self.chip_wide.values()

    def total(self, figure: str) -> dict[str, float]:
        """``area_m2``, ``leakage_w`` or ``full_power_w`` of the whole chip, by part name."""
        totals: dict[str, float] = {}
        for kind, parts in zip(self.chip.tiles, self.tiles, strict=True):
            for name, part in parts.items():
                copies = kind.count / kind.digital.tiles_per_unit if name == "digital unit" else kind.count
                totals[name] = totals.get(name, 0.0) + copies * getattr(part, figure)
        for name, part in self.chip_wide.items():
            totals[name] = totals.get(name, 0.0) + getattr(part, figure)
        return totals


def bill_of_parts(chip: Chip) -> BillOfParts:
    """Find every card and build every part; a card that is missing, or lacks a cost, is an InputError."""

    def card(name: str, where: str) -> Card:
        return cards.find(name, chip.cards, where)

    tiles = tuple(_tile_parts(kind, card) for kind in chip.tiles)
    chip_wide = {"links": chip.mesh.build(card(chip.mesh.card, "mesh.card"), chip.tile_count)}
    for support in chip.support:
        chip_wide[support.name] = support.build(card(support.card, f"support.{support.name}.card"))
    return BillOfParts(chip, tiles, chip_wide)


def _tile_parts(kind: TileKind, card: Any) -> dict[str, Part]:
    array, arrays = kind.array, kind.array.arrays
    where = f"tiles.{kind.name}"
    both = array.rows + array.columns if kind.trains else 0
    longest = max(array.rows, array.columns)
    pulse_seconds = kind.pulses.width if kind.pulses else None
    read = kind.read_seconds
    read_sides = (array.rows, array.columns) if kind.trains else (array.rows,)

    parts = [
        array.build(card(array.cell, f"{where}.array.cell"), read, pulse_seconds),
        kind.inputs.build(
            card(kind.inputs.card, f"{where}.inputs.card"),
            (both or array.columns) * arrays,
            (longest if kind.trains else array.columns) * arrays,
            read,
        ),
        kind.adc.build(card(kind.adc.card, f"{where}.adc.card"), read_sides, arrays),
        kind.digital.build(card(kind.digital.card, f"{where}.digital.card")),
        kind.buffer.build(card(kind.buffer.card, f"{where}.buffer.card")),
    ]
    if kind.sample_and_hold:
        held = card(kind.sample_and_hold.card, f"{where}.sample_and_hold.card")
        lines = both or array.rows
        busy = longest if kind.trains else array.rows
        parts.append(kind.sample_and_hold.build(held, lines * arrays, busy * arrays, read))
    if kind.pulses:
        parts.append(kind.pulses.build(card(kind.pulses.card, f"{where}.pulses.card"), both * arrays))
    parts += [s.build(card(s.card, f"{where}.support.{s.name}.card")) for s in kind.support]
    return {part.name: part for part in parts}
