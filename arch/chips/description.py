"""What a chip file says: tiles of cross-point arrays with their circuits, a mesh between them, memories, a link.

The classes here are the blocks of the file and are checked when it is read; the blocks of single parts are beside what
the parts do, in `rpusim.arch.parts`. `bill_of_parts` makes physical parts, with their costs, of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rpusim.arch.contract.quantity import Metres
from rpusim.arch.contract.sourced import Count, Several, Sourced
from rpusim.arch.parts.adc import Adcs, SampleAndHold
from rpusim.arch.parts.array_wires import ArrayWires, Drop, drop
from rpusim.arch.parts.buffer import Buffer
from rpusim.arch.parts.chip_link import ChipLink
from rpusim.arch.parts.conversion import Conversion, of_a_slice
from rpusim.arch.parts.crossbar import Crossbar
from rpusim.arch.parts.digital import Digital
from rpusim.arch.parts.global_buffer import GlobalBuffer
from rpusim.arch.parts.host import Host
from rpusim.arch.parts.inputs import Inputs
from rpusim.arch.parts.link import Mesh
from rpusim.arch.parts.matrix import MatrixUnit
from rpusim.arch.parts.memory import Memory
from rpusim.arch.parts.mux import Mux
from rpusim.arch.parts.part import Card
from rpusim.arch.parts.programming import Programming
from rpusim.arch.parts.pulses import Pulses
from rpusim.arch.parts.support import ChipSupport, Support
from rpusim.errors import InputError


class TileKind(Sourced):
    """A number of equal tiles, each of one or more arrays with circuits around them.

    name:             by which errors and results refer to the kind.
    count:            tiles of this kind on the chip.
    array:            the cross-point arrays of one tile.
    tiers:            how many such sets of arrays lie on one another, with drivers and converters once for all: one
                      array of a stack works at a time.
    inputs:           drivers of the lines that carry a vector into an array.
    sample_and_hold:  holds a vector's outputs, so that the array is free while they are converted; None: it is not.
    mux:              switches between lines and the converter they share; None: part of the converter's card.
    adc:              converters of the output lines.
    pulses:           drivers of update pulses; None: the tile only infers and cannot go backward.
    programming:      how weights are written into the arrays; None: the chip does not say, see `writing`.
    digital:          the unit that adds, scales and computes activations.
    matrix:           a unit for products of activations; None: the digital unit multiplies and adds.
    buffer:           where inputs wait for an array, and results for the mesh.
    support:          circuits that are busy whenever something else is.
    scale_to:         technology node (m) of this kind's digital circuits, in place of the chip's; None: the chip's.
    """

    name: str
    count: Count
    array: Crossbar
    tiers: Count = 1
    inputs: Inputs
    sample_and_hold: SampleAndHold | None = None
    mux: Mux | None = None
    adc: Adcs
    pulses: Pulses | None = None
    programming: Programming | None = None
    digital: Digital
    matrix: MatrixUnit | None = None
    buffer: Buffer
    support: Annotated[tuple[Support, ...], Several] = ()
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

    @model_validator(mode="after")
    def _full_scale(self) -> TileKind:
        sliced = self.array.cells_per_weight > 1
        if self.adc.bound is None and not sliced:
            raise ValueError("adc.bound is missing; every number and every cost has to be given")
        if self.adc.slice_bound is not None and not sliced:
            raise ValueError(
                f"adc.slice_bound: got {self.adc.slice_bound:g}, but array.cells_per_weight is 1, so no slice is read; "
                "use adc.bound"
            )
        return self

    @property
    def places(self) -> int:
        """Arrays of one tile, of all tiers."""
        return self.array.arrays * self.tiers

    @property
    def trains(self) -> bool:
        """Whether the tile has what backward passes and updates need."""
        return self.pulses is not None

    @property
    def turns(self) -> bool:
        """Whether its arrays can be read from their rows to their columns, each slice of a weight for itself."""
        return self.trains

    def writing(self, chip: str = "", need: str = "") -> Programming:
        """How cells of this kind are written, for whoever has to write some.

        chip: name of the chip, for the error.
        need: why cells have to be written, for the error, such as "its unit cells are reset".
        Raises `InputError` if the chip does not say.
        """
        if self.programming is None:
            raise InputError(
                f"chip: tiles {self.name!r}{chip and f' of {chip}'} do not say how they are written"
                f"{need and f', but {need}'}; a programming block is needed"
            )
        return self.programming

    def tiles_sharing(self, part: str) -> int:
        """How many neighbouring tiles share one unit of a part, given by its name in the bill of parts; usually 1."""
        lanes, converters = self.digital.tiles_per_unit, self.adc.pool.tiles if self.adc.pool else 1
        pools = {"digital unit": lanes, "registers": lanes, "ADC": converters}
        return pools.get(part, 1)

    @property
    def slice_conversion(self) -> Conversion:
        """What one conversion of a slice covers, on a tile that cuts weights over cells."""
        return of_a_slice(self.inputs, self.array, self.adc)

    @property
    def read_seconds(self) -> float:
        """How long one pass (one bit of it, if bit-serial) holds the array, in seconds; its wires settle meanwhile."""
        wires, settling = self._wires, 0.0
        if wires is not None:
            settling = wires.settling(*self._crossed, self.adc.bits)
        return self.inputs.drive_seconds(max(self.array.integration, settling))

    @property
    def _wires(self) -> ArrayWires | None:
        """The wires of its arrays, where they are modelled and complete."""
        wires = self.array.wires
        return wires if isinstance(wires, ArrayWires) and wires.is_complete else None

    @property
    def _crossed(self) -> tuple[int, int]:
        """Cells that a driven and a read line cross, forwards."""
        return self.array.rows + self.array.unit_lines, self.array.columns

    @property
    def drop(self) -> Drop | None:
        """What the wires of its arrays do to reads and pulses; None: nothing is modelled of them."""
        array, adc, wires = self.array, self.adc, self._wires
        if wires is None:
            return None
        if array.cells_per_weight > 1:
            bound, step = self.slice_conversion.full_scale, self.slice_conversion.step
        else:
            assert adc.bound is not None, "a chip that reads whole weights has a bound"
            bound, step = adc.bound, 2 * adc.bound / adc.steps
        return drop(wires, *self._crossed, adc.bits, step, adc.noise, bound, self.trains)


class ChipDescription(Sourced):
    """The whole chip.

    name:           by which results refer to it.
    title:          one line for people.
    tiles:          the kinds of tile that it has; tiles are numbered through all kinds in this order.
    mesh:           routers and links between the tiles.
    global_buffer:  on-chip memory that all tiles share; None: there is none.
    memory:         off-chip DRAM; None: there is none.
    host:           link to the host computer; None: inputs and results are not counted on their way there.
    between:        what joins it to others of its kind; None: `rpusim.arch.parts.chip_link.UCIE`, where there are some.
    chips:          how many equal chips it is in truth, in a row; tiles and ``support`` are those of all of them.
    support:        circuits that the chip has once and that are always busy.
    scale_to:       technology node (m) to which the cards of digital circuits are scaled, see `scaling`; None: not.
    gating:         what is stopped while it is not at work. "none": nothing, every part of a tile with weights is on.
                    "idle": each analog or mixed part for itself; it leaks on, and wakes before it is needed again.
                    "tile": besides, tiles on which nothing is at work are cut off, their buffers aside.
    leakage:        "as-published": cards leak as their sources say, each at its own corner. "low-standby": digital
                    circuits and memories are brought to one corner, see `corner`.
    area_factor:    area of the chip over that of its parts: routing, pads, and what no card has.
    cards:          cost cards of its own, by name, beside those of the library.
    """

    name: str
    title: str
    tiles: Annotated[tuple[TileKind, ...], Several, Field(min_length=1, max_length=1000)]
    mesh: Mesh
    global_buffer: GlobalBuffer | None = None
    memory: Memory | None = None
    host: Host | None = None
    between: ChipLink | None = None
    chips: Count = 1
    support: Annotated[tuple[ChipSupport, ...], Several] = ()
    scale_to: Metres | None = None
    gating: Literal["none", "idle", "tile"] = "none"
    leakage: Literal["as-published", "low-standby"] = "as-published"
    area_factor: Annotated[float, Field(ge=1, le=100)] = 1.0
    cards: dict[str, Card] = {}

    @model_validator(mode="before")
    @classmethod
    def _name_cards(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and isinstance(fields.get("cards"), dict):
            named = {k: {"name": k, **v} if isinstance(v, dict) else v for k, v in fields["cards"].items()}
            return {**fields, "cards": named}
        return fields

    @model_validator(mode="after")
    def _kinds_differ(self) -> ChipDescription:
        names = [kind.name for kind in self.tiles]
        if len(set(names)) < len(names):
            raise ValueError(f"tiles: two kinds of tile have the same name (given: {', '.join(names)})")
        return self

    @model_validator(mode="after")
    def _equal_chips(self) -> ChipDescription:
        if self.chips > 1 and (self.between is None or any(kind.count % self.chips for kind in self.tiles)):
            raise ValueError(
                f"chips: got {self.chips}; several need a link between them, and tiles of every kind in equal numbers"
            )
        return self

    def of_chip(self, tile: int) -> tuple[int, int]:
        """Find on which of several chips a tile is, and its number among those of that chip."""
        first = before = 0
        for kind in self.tiles:
            each = kind.count // self.chips
            if tile < first + kind.count:
                return (tile - first) // each, before + (tile - first) % each
            first, before = first + kind.count, before + each
        raise AssertionError(f"no tile {tile}")

    @property
    def tile_count(self) -> int:
        """Tiles of all kinds together."""
        return sum(kind.count for kind in self.tiles)

    @property
    def trains(self) -> bool:
        """Whether every tile has what backward passes and updates need."""
        return all(kind.trains for kind in self.tiles)
