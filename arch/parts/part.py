"""What every physical part of a chip has: actions with a latency and an energy, an area, a leakage, and a cost card.

A part's configuration (how many bits, which rate) is a pydantic model in the part's own file; `build` there turns it
and a `Card` into a `Part`, in which each action's cost is a plain integer and nothing is left to look up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rpusim.arch.contract.quantity import (
    BitsPerSecond,
    Farads,
    JoulesOrZero,
    Metres,
    Ohms,
    SamplesPerSecond,
    SquareMetresOrZero,
    Volts,
    WattsOrZero,
    picoseconds,
    zeptojoules,
)
from rpusim.arch.contract.sourced import Count, Frozen, Sourced
from rpusim.arch.parts.cmos_cell import CmosCell
from rpusim.errors import InputError

__all__ = ["Action", "Card", "Electrical", "Frozen", "Part", "Sourced"]


class Electrical(Frozen):
    """The circuit of one resistive cell, from which the energies of an array follow (see `crossbar`)."""

    resistance: Ohms = Field(description="mean resistance of a cell")
    read_voltage: Volts = Field(description="on a driven line while an output line integrates")
    pulse_voltage: Volts = Field(description="across a cell where two update pulses coincide; half of it on each line")
    line_capacitance: Farads = Field(description="of a line, per cell that it crosses")


class Card(Sourced):
    """Say what one unit of a part costs, with the technology node and the source of the figures.

    Energy is given in exactly one of four ways: ``energy`` per action, the ``power`` while busy
    (energy = power x busy time), for a resistive cell its ``electrical`` circuit, or for a capacitor cell its ``cmos``
    circuit, from which area and leakage follow as well.
    A zero is refused unless ``zero_because`` says why it is one.

    name:             by which chips refer to it; that of the library's cards is file/card.
    part:             the kind of part that it is for, such as "ADC".
    unit:             what one unit is.
    node:             technology node of the figures, in metres.
    basis:            how well they are known.
    energy:           joules, by action.
    power:            watts while busy.
    electrical:       the circuit of a resistive cell.
    cmos:             the circuit of a capacitor cell.
    area:             square metres.
    leakage:          watts, always.
    zero_because:     by field or action, why a cost is zero.
    cycles:           of a digital unit's lane: clock cycles of an operation, by class.
    rated_bits:       resolution of the converter that the figures were taken from; they hold for no other.
    rated_rate:       conversions per second of that converter.
    rated_bandwidth:  bits per second that one memory bank, router or link carries.
    """

    name: str
    part: str
    unit: str = Field(description="what one unit is: one ADC, one line, one cell, one bank")
    node: Metres
    basis: Literal["published", "derived", "assumption"]
    energy: dict[str, JoulesOrZero] = {}
    power: WattsOrZero | None = None
    electrical: Electrical | None = None
    cmos: CmosCell | None = None
    area: SquareMetresOrZero
    leakage: WattsOrZero
    zero_because: dict[str, str] = {}
    cycles: dict[str, Count] = {}
    rated_bits: Annotated[int, Field(ge=1, le=64)] | None = None
    rated_rate: SamplesPerSecond | None = None
    rated_bandwidth: BitsPerSecond | None = None

    def numbers(self, where: str) -> Iterator[dict[str, Any]]:
        """List every number as `Sourced.numbers` does; the source of a card's number also says how well it is known."""
        for row in super().numbers(where):
            yield {**row, "source": f"{row['source']} ({self.basis})"}

    @model_validator(mode="before")
    @classmethod
    def _of_the_circuit(cls, fields: Any) -> Any:
        """Fill in the area and the leakage that follow from a capacitor cell's circuit."""
        if not isinstance(fields, dict) or not isinstance(fields.get("cmos"), dict):
            return fields
        given = [name for name in ("area", "leakage") if name in fields]
        if given:
            raise ValueError(f"{given[0]} follows from cmos, the circuit of the cell; leave it out")
        cell = CmosCell.model_validate(fields["cmos"])
        return {**fields, "area": f"{cell.area:.15g} m2", "leakage": f"{cell.standby:.15g} W"}

    @model_validator(mode="after")
    def _complete(self) -> Card:
        ways = bool(self.energy), self.power is not None, self.electrical is not None, self.cmos is not None
        if sum(ways) != 1:
            raise ValueError(
                "a card's energy is given in exactly one way: energy (per action), power (while busy), electrical or "
                "cmos"
            )
        costs: dict[str, float] = {"area": self.area, "leakage": self.leakage, **self.energy}
        if self.power is not None:
            costs["power"] = self.power
        for name, value in costs.items():
            if value == 0 and name not in self.zero_because:
                raise ValueError(f"{name} is zero; a zero cost must be explained under zero_because.{name}")
        return self

    def action(self, name: str, seconds: float) -> Action:
        """Price one action of one unit.

        name: of the action, such as "convert".
        seconds: how long it keeps the unit busy.
        Raises `InputError` if the card has neither an energy of that name nor a power.
        """
        if self.power is not None:
            joules = self.power * seconds
        elif name in self.energy:
            joules = self.energy[name]
        else:
            raise InputError(
                f"card {self.name}: energy.{name} is missing; the chip does this action, so the card must price it"
            )
        return Action(picoseconds(seconds), zeptojoules(joules))

    def check_bandwidth(self, units: int, bandwidth: float) -> None:
        """Raise `InputError` if ``units`` of what the card describes do not reach ``bandwidth`` (b/s) together."""
        if self.rated_bandwidth is None or units * self.rated_bandwidth < bandwidth:
            raise InputError(
                f"a bandwidth of {bandwidth:g} b/s was given, but {units} x card {self.name} carry "
                f"{units * (self.rated_bandwidth or 0):g} b/s (rated_bandwidth); more of them are needed"
            )


@dataclass(frozen=True)
class Action:
    """What one unit of a part does at a time.

    latency_ps:  how long it keeps the unit busy, in picoseconds.
    energy_zj:   what it takes from the supply, in zeptojoules.
    """

    latency_ps: int
    energy_zj: int


@dataclass(frozen=True)
class Part:
    """The units of one kind in one tile (or on the chip), with the cost of each action of one unit.

    name:        by which results refer to it; unique within the tile.
    units:       how many of what the card describes there are.
    card:        where the costs come from.
    actions:     what one unit does, by name.
    busy_units:  how many of the units can be busy at the same time (a converter shared by both sides counts once).
    """

    name: str
    units: int
    card: Card
    actions: dict[str, Action]
    busy_units: int

    @property
    def area_m2(self) -> float:
        """Area of all units, in square metres."""
        return self.units * self.card.area

    @property
    def leakage_w(self) -> float:
        """Power of all units in standby, in watts."""
        return self.units * self.card.leakage

    @property
    def full_power_w(self) -> float:
        """Power with every unit busy that can be, at its most expensive action, leakage included, in watts."""
        if self.card.power is not None:
            return self.busy_units * self.card.power + self.leakage_w
        rates = [a.energy_zj * 1e-21 / (a.latency_ps * 1e-12) for a in self.actions.values() if a.latency_ps]
        return self.busy_units * max(rates, default=0.0) + self.leakage_w
