"""The bill of parts: which physical parts a chip is made of, how many of each, and the cost card of every one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from rpusim.arch.chips import library
from rpusim.arch.chips.description import ChipDescription, TileKind
from rpusim.arch.chips.scaling import scaled
from rpusim.arch.parts.part import Card, Part
from rpusim.errors import InputError


@dataclass(frozen=True)
class BillOfParts:
    """The parts of one tile of each kind (by part name), and those that the chip has once."""

    chip: ChipDescription
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


def bill_of_parts(chip: ChipDescription) -> BillOfParts:
    """Find every card and build every part; a card that is missing, or lacks a cost, is an InputError."""

    originals: list[Card] = []

    def build(node: float | None, where: str, name: str | Card, part: str | None, make: Callable[[Card], Part]) -> Part:
        card = library.find(name, chip.cards, f"{where}.card") if isinstance(name, str) else name
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
