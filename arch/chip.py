"""A chip as data: tiles of cross-point arrays with their circuits, a mesh between them, and a cost card for every part.

A chip is a YAML file (the ones that ship are in ``chips/``); `load` reads and checks it, `bill_of_parts` turns it
into the parts of one tile of each kind, with integer latencies and energies, areas and leakage. Orientation: ``rows``
are outputs and ``columns`` inputs of ``y = W x``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from rpusim.arch import cards
from rpusim.arch.configuration import find_yaml, parse, read_yaml, shipped
from rpusim.arch.operations import OPS_PER_ELEMENT
from rpusim.arch.parts.adc import Adcs, SampleAndHold
from rpusim.arch.parts.buffer import Buffer
from rpusim.arch.parts.crossbar import Crossbar
from rpusim.arch.parts.digital import Digital
from rpusim.arch.parts.global_buffer import GlobalBuffer
from rpusim.arch.parts.host import Host
from rpusim.arch.parts.inputs import Inputs
from rpusim.arch.parts.link import Mesh
from rpusim.arch.parts.memory import Memory
from rpusim.arch.parts.mux import Mux
from rpusim.arch.parts.part import Card, Part, Sourced
from rpusim.arch.parts.programming import Programming
from rpusim.arch.parts.pulses import Pulses
from rpusim.arch.parts.scaling import scaled
from rpusim.arch.parts.support import ChipSupport, Support
from rpusim.arch.quantity import Metres
from rpusim.errors import InputError

FOLDER = Path(__file__).parent / "chips"


class TileKind(Sourced):
    """``count`` equal tiles; without ``pulses`` they only infer, and have no drivers and converters for backward.

    ``programming`` says how weights are written into them; without it that is not counted. ``scale_to`` is for this
    kind what it is for the chip.
    """

    name: str
    count: Annotated[int, Field(ge=1)]
    array: Crossbar
    inputs: Inputs
    sample_and_hold: SampleAndHold | None = None
    mux: Mux | None = None
    adc: Adcs
    pulses: Pulses | None = None
    programming: Programming | None = None
    digital: Digital
    buffer: Buffer
    support: tuple[Support, ...] = ()
    scale_to: Metres | None = None

    @model_validator(mode="after")
    def _one_kind_of_driver(self) -> TileKind:
        if self.programming and self.pulses and self.programming.card is not None:
            raise ValueError(
                f"programming.card: got {self.programming.card!r}, but a tile with pulses writes weights by the same "
                f"drivers (card {self.pulses.card}); leave it out"
            )
        if self.programming and not self.pulses and self.programming.card is None:
            raise ValueError("programming.card is missing; a tile without pulses needs drivers to write its weights")
        return self

    @model_validator(mode="after")
    def _something_to_choose(self) -> TileKind:
        if self.mux and self.adc.lines_per_adc == 1:
            raise ValueError("mux was given, but with adc.lines_per_adc 1 every line has a converter; leave it out")
        return self

    @property
    def trains(self) -> bool:
        return self.pulses is not None

    def tiles_sharing(self, part: str) -> int:
        """How many neighbouring tiles share what a bill of parts has under that name."""
        pools = {"digital unit": self.digital.tiles_per_unit, "ADC": self.adc.pool.tiles if self.adc.pool else 1}
        return pools.get(part, 1)

    @property
    def read_seconds(self) -> float:
        """How long one pass (one bit of it, if bit-serial) holds the array."""
        return self.inputs.drive_seconds(self.array.integration)


class Chip(Sourced):
    """The whole chip. ``cards`` are cost cards of its own, beside those of the library.

    ``global_buffer``, ``memory`` (off-chip DRAM) and ``host`` (its link) may be left out: then nothing is kept there.
    With ``scale_to`` cards of digital circuits are scaled to that technology node (see `scaling`), else none is.
    """

    name: str
    title: str
    tiles: Annotated[tuple[TileKind, ...], Field(min_length=1)]
    mesh: Mesh
    global_buffer: GlobalBuffer | None = None
    memory: Memory | None = None
    host: Host | None = None
    support: tuple[ChipSupport, ...] = ()
    scale_to: Metres | None = None
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
        path = find_yaml(name, FOLDER, "chip: no preset")
        chip = parse(Chip, read_yaml(path), path.name)
        try:
            bill_of_parts(chip)  # every card found and complete, or an error here and now
        except InputError as error:
            raise InputError(f"{path.name}: {error}") from None
        return chip

    def provenance(self) -> Iterator[dict[str, Any]]:
        """Every number of the chip, its digital units and its cards: {field, value, unit, source}.

        Of a card that was scaled to another node there are both: the original, and the one that is used.
        """
        yield from self.numbers("chip")
        for name, count in OPS_PER_ELEMENT.items():
            row = {"value": count.operations, "unit": "operations per element", "source": count.source}
            yield {"field": f"digital_operations.{name}", **row}
        bill = bill_of_parts(self)
        used = {card.name: card for card in (*bill.originals, *(part.card for part in bill.all_parts()))}
        for name in sorted(used):
            yield from used[name].numbers(f"cards.{name}")


def presets() -> list[str]:
    """Names of the chips that ship."""
    return shipped(FOLDER)


@dataclass(frozen=True)
class BillOfParts:
    """The parts of one tile of each kind (by part name), and those that the chip has once."""

    chip: Chip
    tiles: tuple[dict[str, Part], ...]
    chip_wide: dict[str, Part]
    originals: tuple[Card, ...] = ()
    """Cards that were scaled, as they were before."""

    def all_parts(self) -> Iterator[Part]:
        for parts in self.tiles:
            yield from parts.values()
        yield from self.chip_wide.values()

    def total(self, figure: str) -> dict[str, float]:
        """``area_m2``, ``leakage_w`` or ``full_power_w`` of the whole chip, by part name."""
        totals: dict[str, float] = {}
        for kind, parts in zip(self.chip.tiles, self.tiles, strict=True):
            for name, part in parts.items():
                copies = -(-kind.count // kind.tiles_sharing(name))
                totals[name] = totals.get(name, 0.0) + copies * getattr(part, figure)
        for name, part in self.chip_wide.items():
            totals[name] = totals.get(name, 0.0) + getattr(part, figure)
        return totals

    @property
    def area_m2(self) -> float:
        """Of the whole chip."""
        return sum(self.total("area_m2").values())


def bill_of_parts(chip: Chip) -> BillOfParts:
    """Find every card and build every part; a card that is missing, or lacks a cost, is an InputError."""

    originals: list[Card] = []

    def build(node: float | None, where: str, name: str | Card, part: str | None, make: Callable[[Card], Part]) -> Part:
        card = cards.find(name, chip.cards, f"{where}.card") if isinstance(name, str) else name
        if part is not None and card.part != part:
            raise InputError(
                f"{where}.card: card {card.name} is for the part {card.part!r}, but one for {part!r} is needed"
            )
        try:
            fitting = scaled(card, node) if node else card
            if fitting is not card:
                originals.append(card)
            return make(fitting)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None

    tiles = tuple(_tile_parts(kind, partial(build, kind.scale_to or chip.scale_to)) for kind in chip.tiles)
    build_once = partial(build, chip.scale_to)
    chip_wide = [build_once("mesh", chip.mesh.card, "links", lambda card: chip.mesh.build(card, chip.tile_count))]
    if chip.global_buffer:
        chip_wide.append(build_once("global_buffer", chip.global_buffer.card, "buffer", chip.global_buffer.build))
    if chip.memory:
        chip_wide.append(build_once("memory", chip.memory.card, "DRAM", chip.memory.build))
    if chip.host:
        chip_wide.append(build_once("host", chip.host.card, "host link", chip.host.build))
    chip_wide += [build_once(f"support.{s.name}", s.card, None, s.build) for s in chip.support]
    return BillOfParts(chip, tiles, _by_name(chip_wide, "support"), tuple(originals))


def _tile_parts(kind: TileKind, build: Callable[..., Part]) -> dict[str, Part]:
    array, arrays = kind.array, kind.array.arrays
    where = f"tiles.{kind.name}"
    both = array.rows + array.columns if kind.trains else 0
    longest = max(array.rows, array.columns)
    driven, read_out = (both, both) if kind.trains else (array.columns, array.rows)
    at_once = (longest, longest) if kind.trains else (array.columns, array.rows)
    pulse_seconds = kind.pulses.width if kind.pulses else None
    writing = kind.programming
    write_width = writing.width if writing else None
    read = kind.read_seconds
    read_sides = (array.rows, array.columns) if kind.trains else (array.rows,)

    try:
        converter = kind.adc.found_or_estimated
    except InputError as error:
        raise InputError(f"{where}.adc.{error}") from None

    parts = [
        build(f"{where}.array", array.cell, "array", lambda card: array.build(card, read, pulse_seconds, writing)),
        build(
            f"{where}.inputs",
            kind.inputs.card,
            "input drivers",
            lambda card: kind.inputs.build(card, driven * arrays, at_once[0] * arrays, read),
        ),
        build(f"{where}.adc", converter, "ADC", lambda card: kind.adc.build(card, read_sides, arrays)),
        build(f"{where}.digital", kind.digital.card, "digital unit", kind.digital.build),
        build(f"{where}.buffer", kind.buffer.card, "buffer", kind.buffer.build),
    ]
    if held := kind.sample_and_hold:
        made = build(
            f"{where}.sample_and_hold",
            held.card,
            "sample-and-hold",
            lambda card: held.build(card, read_out * arrays, at_once[1] * arrays, read),
        )
        parts.append(made)
    if mux := kind.mux:
        busy = next(part.busy_units for part in parts if part.name == "ADC")
        made = build(
            f"{where}.mux",
            mux.card,
            "multiplexer",
            lambda card: mux.build(card, read_out * arrays, busy, kind.adc.rate),
        )
        parts.append(made)
    lines = (array.rows + array.columns) * arrays
    if pulses := kind.pulses:
        made = build(
            f"{where}.pulses", pulses.card, "pulse drivers", lambda card: pulses.build(card, lines, write_width)
        )
        parts.append(made)
    elif writing:
        made = build(f"{where}.programming", writing.card, "pulse drivers", lambda card: writing.drivers(card, lines))
        parts.append(made)
    parts += [build(f"{where}.support.{s.name}", s.card, None, s.build) for s in kind.support]
    return _by_name(parts, f"{where}.support")


def _by_name(parts: list[Part], where: str) -> dict[str, Part]:
    named: dict[str, Part] = {}
    for part in parts:
        if part.name in named:
            raise InputError(f"{where}: {part.name!r} is the name of another part; a name of its own is needed")
        named[part.name] = part
    return named
