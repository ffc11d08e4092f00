"""What every physical part of a chip has: actions with a latency and an energy, an area, a leakage, and a cost card.

A part's configuration (how many bits, which rate) is a pydantic model in the part's own file; `build` there turns it
and a `Card` into a `Part`, in which each action's cost is a plain integer and nothing is left to look up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rpusim.arch.contract.digital_work import CLASSES
from rpusim.arch.contract.quantity import (
    AREA,
    ENERGY,
    POWER,
    TIME,
    BitsPerSecond,
    Farads,
    JoulesOrZero,
    Metres,
    Ohms,
    SamplesPerSecond,
    Seconds,
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

MIXED = ("ADC", "sample-and-hold", "input drivers", "multiplexer", "pulse drivers")
"""Parts with analog circuits, which draw power while they are on and wait unless their cards say otherwise."""
IDLE_SHARE = 0.2
"""What a unit of a mixed part draws while it waits, over what it draws at work, where its card does not say."""
IDLE_SOURCE = (
    "assumption: a fifth of the power at work, which the estimators of the field take for a converter that waits "
    "(accelergy-adc-plug-in)"
)
WAKE = 10e-9
"""Seconds until a unit works that was stopped, where its card does not say."""
WAKE_SOURCE = "assumption: 10 ns, until bias currents and references have settled"


class Electrical(Frozen):
    """The circuit of one resistive cell, from which the energies of an array follow (see `crossbar`)."""

    resistance: Ohms = Field(description="mean resistance of a cell")
    read_voltage: Volts = Field(description="on a driven line while an output line integrates")
    pulse_voltage: Volts = Field(description="across a cell where two update pulses coincide; half of it on each line")
    line_capacitance: Farads = Field(description="of a line, per cell that it crosses")


_ONE_PRICE = "assumption: the card has one price for digital operations, which is taken for every class, a cycle each"


def _spread(by_action: Any) -> Any:
    """Give what is said of ``operation`` to every class of operations that has nothing of its own."""
    if not isinstance(by_action, dict) or "operation" not in by_action:
        return by_action
    others = {name: value for name, value in by_action.items() if name != "operation"}
    return dict.fromkeys(CLASSES, by_action["operation"]) | others


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
    leakage:          watts, as long as there is a supply.
    idle:             watts beside leakage while the unit is on and waits: bias currents, references, clocks. None: of
                      an analog or mixed part see `Part.idle_w`, of any other part nothing (its clock stops).
    wake:             seconds that a unit which was stopped takes until it works; None: `WAKE`.
    ranges:           by field or action, between which values a figure is thought to lie, such as "1 nW to 5 nW".
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
    idle: WattsOrZero | None = None
    wake: Seconds | None = None
    ranges: dict[str, str] = {}
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

    @model_validator(mode="before")
    @classmethod
    def _for_every_class(cls, fields: Any) -> Any:
        """Let one price, ``energy.operation``, stand for digital operations of every class, with a cycle for each."""
        energy = fields.get("energy") if isinstance(fields, dict) else None
        if not isinstance(energy, dict) or not isinstance(energy.get("operation"), str):
            return fields
        said = {f"energy.{name}": _ONE_PRICE for name in CLASSES} | {"cycles": _ONE_PRICE}
        spread = {name: _spread(fields[name]) for name in ("energy", "zero_because", "ranges") if name in fields}
        cycles, sources = fields.get("cycles", {}), fields.get("sources", {})
        if not isinstance(cycles, dict) or not isinstance(sources, dict):
            return fields
        own = {name: source for name, source in sources.items() if name != "energy.operation"}
        return {**fields, **spread, "cycles": dict.fromkeys(CLASSES, 1) | cycles, "sources": said | own}

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
        if self.idle is not None:
            costs["idle"] = self.idle
        for name, value in costs.items():
            if value == 0 and name not in self.zero_because:
                raise ValueError(f"{name} is zero; a zero cost must be explained under zero_because.{name}")
        return self

    @model_validator(mode="after")
    def _ranges_hold(self) -> Card:
        for name in self.ranges:
            value = self.energy.get(name, getattr(self, name, None))
            low, high = self.range(name)
            if not isinstance(value, float) or not low <= value <= high or low == high:
                raise ValueError(
                    f"ranges.{name}: got {self.ranges[name]!r}, but a range is two quantities, such as '1 nW to 5 nW', "
                    f"and the card's own {name} lies between them"
                )
        return self

    def range(self, name: str) -> tuple[float, float]:
        """Read the range of a figure, in SI units; (nan, nan) if it is no range.

        name: of the field or action; one of ``ranges``.
        """
        dimension = ENERGY if name in self.energy else {"area": AREA, "wake": TIME}.get(name, POWER)
        ends = self.ranges[name].split(" to ")
        try:
            low, high = (dimension.parse(end) for end in ends)
        except ValueError:
            return float("nan"), float("nan")
        return low, high

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
    stacked:     how many of the units lie on one another, on the area of one.
    """

    name: str
    units: int
    card: Card
    actions: dict[str, Action]
    busy_units: int
    stacked: int = 1

    @property
    def area_m2(self) -> float:
        """Area of all units, in square metres."""
        return self.units * self.card.area / self.stacked

    @property
    def leakage_w(self) -> float:
        """Leakage of all units, in watts."""
        return self.units * self.card.leakage

    @property
    def idle_w(self) -> float:
        """Power of all units that are on and wait, beside their leakage, in watts.

        It is that of the card; of a mixed part (`MIXED`) whose card does not say, `IDLE_SHARE` of the power at work.
        """
        if self.card.idle is not None:
            return self.units * self.card.idle
        return self.units * IDLE_SHARE * self._power_at_work if self.name in MIXED else 0.0

    @property
    def wake_ps(self) -> int:
        """Time (ps) until a unit that was stopped works."""
        return picoseconds(WAKE if self.card.wake is None else self.card.wake)

    @property
    def _power_at_work(self) -> float:
        """Power of one unit at its most expensive action, leakage aside, in watts."""
        if self.card.power is not None:
            return self.card.power
        rates = [a.energy_zj * 1e-21 / (a.latency_ps * 1e-12) for a in self.actions.values() if a.latency_ps]
        return max(rates, default=0.0)

    def assumed(self) -> Iterator[dict[str, Any]]:
        """List what is assumed of the part as its card does not say it, like `Card.numbers`."""
        if self.name in MIXED and self.card.idle is None:
            watts = self.idle_w / self.units
            yield {"field": f"cards.{self.card.name}.idle", "value": watts, "unit": "W", "source": IDLE_SOURCE}
        if self.idle_w and self.card.wake is None:
            yield {"field": f"cards.{self.card.name}.wake", "value": WAKE, "unit": "s", "source": WAKE_SOURCE}

    @property
    def full_power_w(self) -> float:
        """Power with every unit busy that can be, at its most expensive action, leakage included, in watts."""
        return self.busy_units * self._power_at_work + self.leakage_w
