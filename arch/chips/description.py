"""What a chip file says: tiles of cross-point arrays with their circuits, a mesh between them, memories, a link.

Physical parts, with their costs, are made of it by `bill_of_parts`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from rpusim.arch.contract.quantity import Metres
from rpusim.arch.contract.sourced import Sourced
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
from rpusim.arch.parts.part import Card
from rpusim.arch.parts.programming import Programming
from rpusim.arch.parts.pulses import Pulses
from rpusim.arch.parts.support import ChipSupport, Support


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


class ChipDescription(Sourced):
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
    def _kinds_differ(self) -> ChipDescription:
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
