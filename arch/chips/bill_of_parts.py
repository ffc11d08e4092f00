"""The bill of parts: which physical parts a chip is made of, how many of each, and the cost card of every one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from rpusim.arch.chips import library
from rpusim.arch.chips.corner import at_low_standby
from rpusim.arch.chips.description import ChipDescription, TileKind
from rpusim.arch.chips.scaling import scaled, supply
from rpusim.arch.parts.part import Card, Part
from rpusim.arch.parts.wires import hop_seconds
from rpusim.errors import InputError

ROUTING = "routing and pads"
"""Names what a chip has around its parts, in area."""


@dataclass(frozen=True)
class BillOfParts:
    """The physical parts of a chip, with integer latencies and energies.

    chip:       what the parts were made from.
    tiles:      for each kind of tile, in the order of the chip's description, the parts of one tile by their names.
    chip_wide:  parts that the chip has once, by their names.
    originals:  cards that were scaled to another technology node, as they were before.
    """

    chip: ChipDescription
    tiles: tuple[dict[str, Part], ...]
    chip_wide: dict[str, Part]
    originals: tuple[Card, ...] = ()

    def all_parts(self) -> Iterator[Part]:
        """The parts of one tile of each kind, then those that the chip has once."""
        for parts in self.tiles:
            yield from parts.values()
        yield from self.chip_wide.values()

    def total(self, figure: str) -> dict[str, float]:
        """Add up a figure over all tiles and what the chip has once.

        figure: ``area_m2``, ``leakage_w``, ``idle_w`` or ``full_power_w``, see `Part`.
        Returns the total by part name; what tiles share is counted once. Area has an entry `ROUTING` besides, for what
        the chip's ``area_factor`` adds.
        """
        totals: dict[str, float] = {}
        for kind, parts in zip(self.chip.tiles, self.tiles, strict=True):
            for name, part in parts.items():
                copies = -(-kind.count // kind.tiles_sharing(name))
                totals[name] = totals.get(name, 0.0) + copies * getattr(part, figure)
        for name, part in self.chip_wide.items():
            totals[name] = totals.get(name, 0.0) + getattr(part, figure)
        if figure == "area_m2" and self.chip.area_factor > 1:
            totals[ROUTING] = (self.chip.area_factor - 1) * sum(totals.values())
        return totals

    @property
    def hop_seconds(self) -> float:
        """How long a message is on its way (s) from one router to the next, besides the time of its bits."""
        mesh = self.chip.mesh
        if mesh.hop_latency is not None:
            return mesh.hop_latency
        router = self.chip_wide["links"].card
        return hop_seconds(mesh.pitch(_tile_area(self.chip, self.tiles), router), router.node)

    @property
    def area_m2(self) -> float:
        """Area of the whole chip, in square metres."""
        return sum(self.total("area_m2").values())


def bill_of_parts(chip: ChipDescription) -> BillOfParts:
    """Find every card and build every part.

    Raises `InputError` if a card is missing, is for another kind of part, lacks a cost or cannot be scaled.
    """
    originals: list[Card] = []

    def built(entries: Iterable[_Entry], node: float | None, where: str) -> dict[str, Part]:
        parts: dict[str, Part] = {}
        for entry in entries:
            card = _card(entry, chip.cards, where)
            try:
                at_node = scaled(card, node) if node else card
                part = entry.build(at_low_standby(at_node) if chip.leakage == "low-standby" else at_node)
            except InputError as error:
                raise InputError(f"{where}{entry.where}: {error}") from None
            if at_node is not card:
                originals.append(card)
            if part.name in parts:
                raise InputError(
                    f"{where}support: {part.name!r} is the name of another part; a name of its own is needed"
                )
            parts[part.name] = part
        return parts

    tiles = tuple(
        built(_of_a_tile(kind, chip.cards), kind.scale_to or chip.scale_to, f"tiles.{kind.name}.")
        for kind in chip.tiles
    )
    chip_wide = built(_once_on_the_chip(chip, _tile_area(chip, tiles)), chip.scale_to, "")
    return BillOfParts(chip, tiles, chip_wide, tuple(originals))


class _Entry(NamedTuple):
    """One line of the bill: a part that is still to be built from its card."""

    where: str
    """The block of the chip's file that speaks of it, for errors."""
    card: str | Card
    """The name of a card, or the card itself, as that of a converter."""
    kind: str | None
    """The kind of part that the card has to be for; None: any, as for support circuits."""
    build: Callable[[Card], Part]


def _tile_area(chip: ChipDescription, tiles: tuple[dict[str, Part], ...]) -> float:
    """Compute the mean area (m2) of a tile of the chip, from the parts of a tile of each kind."""
    total = 0.0
    for kind, parts in zip(chip.tiles, tiles, strict=True):
        total += kind.count * sum(part.area_m2 / kind.tiles_sharing(name) for name, part in parts.items())
    return total / chip.tile_count


def _once_on_the_chip(chip: ChipDescription, tile_area: float) -> Iterator[_Entry]:
    make = partial(chip.mesh.build, tiles=chip.tile_count, tile_area=tile_area, supply=supply)
    yield _Entry("mesh", chip.mesh.card, "links", make)
    if chip.global_buffer:
        yield _Entry("global_buffer", chip.global_buffer.card, "buffer", chip.global_buffer.build)
    if chip.memory:
        yield _Entry("memory", chip.memory.card, "DRAM", chip.memory.build)
    if chip.host:
        yield _Entry("host", chip.host.card, "host link", chip.host.build)
    if chip.between and chip.chips > 1:
        yield _Entry("between", chip.between.card, "chip link", partial(chip.between.build, chips=chip.chips))
    for support in chip.support:
        yield _Entry(f"support.{support.name}", support.card, None, support.build)


def _of_a_tile(kind: TileKind, own: dict[str, Card]) -> Iterator[_Entry]:
    """The parts of one tile; where it only infers, columns are driven and rows are read, else both are both."""
    array, adc, arrays = kind.array, kind.adc, kind.array.arrays
    pulses, writing, read = kind.pulses, kind.programming, kind.read_seconds
    write_width = writing.width if writing else None
    lines = (array.rows + array.columns) * arrays
    if kind.trains:
        driven, driven_at_once = lines, max(array.rows, array.columns) * arrays
        sides: tuple[int, ...] = (array.rows, array.columns * array.lines_of_a_column)
        read_out, read_at_once = sum(sides) * arrays, max(sides) * arrays
    else:
        driven = driven_at_once = array.columns * arrays
        read_out = read_at_once = (array.rows + array.unit_lines) * arrays
        sides = (array.rows,)

    make = partial(array.build, read_seconds=read, pulse_seconds=pulses.width if pulses else None, programming=writing)
    yield _Entry("array", array.cell, "array", partial(_stacked, make, kind.tiers))
    make = partial(kind.inputs.build, lines=driven, busy_lines=driven_at_once, drive_seconds=read)
    yield _Entry("inputs", kind.inputs.card, "input drivers", make)
    yield _Entry("adc", _converter(kind, own), "ADC", partial(adc.build, sides=sides, arrays=arrays))
    yield _Entry("digital", kind.digital.card, "digital unit", kind.digital.build)
    if registers := kind.digital.registers:
        lanes, cycle = kind.digital.lanes, kind.digital.lanes / kind.digital.rate
        make = partial(registers.build, lanes=lanes, operation=cycle, word_bits=kind.digital.word_bits)
        yield _Entry("digital.registers", registers.card, "registers", make)
    if kind.matrix:
        yield _Entry("matrix", kind.matrix.card, "matrix unit", kind.matrix.build)
    yield _Entry("buffer", kind.buffer.card, "buffer", kind.buffer.build)
    if held := kind.sample_and_hold:
        make = partial(held.build, lines=read_out, busy_lines=read_at_once, hold_seconds=read)
        yield _Entry("sample_and_hold", held.card, "sample-and-hold", make)
    if mux := kind.mux:
        make = partial(mux.build, lines=read_out, converters=max(adc.per_side(sides, arrays)), rate=adc.rate)
        yield _Entry("mux", mux.card, "multiplexer", make)
    if pulses:
        make = partial(pulses.build, lines=lines, write_width=write_width)
        yield _Entry("pulses", pulses.card, "pulse drivers", make)
    elif writing:
        assert writing.card is not None, "a tile without pulses needs drivers to write its weights"
        yield _Entry("programming", writing.card, "pulse drivers", partial(writing.drivers, lines=lines))
    for support in kind.support:
        yield _Entry(f"support.{support.name}", support.card, None, support.build)


def _stacked(make: Callable[[Card], Part], tiers: int, card: Card) -> Part:
    """Put as many arrays on one another as a tile has tiers; those of one tier are busy at a time."""
    part = make(card)
    return replace(part, units=part.units * tiers, stacked=tiers)


def _converter(kind: TileKind, own: dict[str, Card]) -> Card:
    where = f"tiles.{kind.name}.adc."
    try:
        return kind.adc.converter(lambda name: library.find(name, own, "card"))
    except InputError as error:
        raise InputError(f"{where}{error}") from None


def _card(entry: _Entry, own: dict[str, Card], where: str) -> Card:
    """The card of a part, from the chip's own cards or the library; it has to be for that kind of part."""
    place = f"{where}{entry.where}.card"
    card = library.find(entry.card, own, place) if isinstance(entry.card, str) else entry.card
    if entry.kind is not None and card.part != entry.kind:
        raise InputError(
            f"{place}: card {card.name} is for the part {card.part!r}, but one for {entry.kind!r} is needed"
        )
    return card
