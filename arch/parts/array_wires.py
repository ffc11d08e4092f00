"""The wires of a cross-point array: what drops along them, and how long they take to settle.

A chip file says ``wires`` of an array: resistance and capacitance from cell to cell with their source, or ``ideal``,
which leaves them out. Where it says nothing they follow from the pitch of the cells, the root of the card's area:

    width       half the pitch, but at most 200 nm                        an assumption                     (1)
    resistance  rho pitch / (aspect width^2)      per cell, of `COPPER`   DNN+NeuroSim V2.1, Param.cpp      (2)
    capacitance that of the card; without one, 0.2 fF per um of pitch     an assumption                     (3)

Of both, rows and columns alike. Where a card lumps the array and says no resistance of a cell, nothing follows, and the
result says that drops are left out. From resistance and capacitance follow, by `rpusim.arch.contract.ladder`,

    loss        1 - f t^2                  of a weight at the far corner, all inputs at full scale          (4)
    pulse       f + t - 1                  step at the far corner over that at the near one                 (5)
    settling    of a driven line, and of a read line after it, to half a step of the converter              (6)

with f and t the voltages at the far ends of a driven and of a read line. A read lasts at least for equation 6. Where
(4) of the full scale is less than a tenth of the converter's step and of its noise, no read can show it, and the
numbers leave it out; so they do with steps if (5) is above 0.999. The equations behind the numbers are in
`rpusim.kernels.mvm.wires`. Not modelled: resistance of drivers and switches, inductance, coupling between lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

from rpusim.arch.contract import ladder
from rpusim.arch.contract.quantity import Farads, Ohms
from rpusim.arch.contract.sourced import Sourced
from rpusim.arch.parts.part import Card
from rpusim.errors import InputError

IDEAL: Literal["ideal"] = "ideal"
"""What a file says of wires that are left out."""

COPPER = (
    (200e-9, 2.10, 2.42e-8),
    (100e-9, 2.30, 2.73e-8),
    (50e-9, 2.34, 3.91e-8),
    (40e-9, 1.90, 4.03e-8),
    (32e-9, 1.90, 4.51e-8),
    (22e-9, 2.00, 5.41e-8),
    (14e-9, 2.10, 7.43e-8),
)
"""Width (m), height over width, and resistivity (Ohm m) of wires, from DNN+NeuroSim V2.1, Training_pytorch/NeuroSIM/
Param.cpp. The resistivity of narrow copper grows as electrons scatter at its surfaces and grains."""
RESISTANCE_SOURCE = (
    "assumption: wires half as wide as the pitch of the cells, the root of their area, and at most 200 nm; resistivity "
    "and height of copper wires from DNN+NeuroSim V2.1 (Param.cpp)"
)
CAPACITANCE_PER_METRE = 0.2e-9
CAPACITANCE_SOURCE = "assumption: 0.2 fF per um of wire, at the pitch of the cells"
NEGLIGIBLE = 0.1
"""The share of a converter's step, and of its noise, below which no read can show what is lost."""
FULL_STEP = 0.999
"""The share of a step from which on all steps count as whole; devices vary by some hundred times what is missing."""


class ArrayWires(Sourced):
    """The wires of an array, rows and columns alike.

    resistance:       ohms of a line from one cell to the next.
    capacitance:      farads of a line per cell that it crosses. None: as the card of the cell says, or see the module.
    cell_resistance:  ohms of the mean cell. None: as the card of the cell says.
    pulses_drop:      whether pulses of an update draw current through cells, and so drop. None: unless the card of the
                      cell says that pulses switch gates (``cmos``).
    """

    resistance: Ohms
    capacitance: Farads | None = None
    cell_resistance: Ohms | None = None
    pulses_drop: bool | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything is known; `complete` fills in what a file leaves out."""
        return None not in (self.capacitance, self.cell_resistance, self.pulses_drop)

    @property
    def load(self) -> float:
        """Resistance of the wire from cell to cell over that of a cell."""
        assert self.cell_resistance is not None, "wires of a chip that was loaded are complete"
        return self.resistance / self.cell_resistance

    def settling(self, driven_cells: int, read_cells: int, bits: int) -> float:
        """Compute equation 6, in seconds; cells that a driven and a read line cross, bits of the converter."""
        assert self.capacitance is not None, "wires of a chip that was loaded are complete"
        lines = (driven_cells, read_cells)
        return sum(ladder.settling(self.resistance, self.capacitance, cells, bits) for cells in lines)


@dataclass(frozen=True)
class Drop:
    """Say what wires do to an array.

    load:        resistance of the wire from cell to cell over that of a cell.
    loss:        equation 4.
    pulse:       equation 5; 1 where pulses draw no current.
    settling:    equation 6, in seconds.
    reads, steps:  whether the numbers take loss and pulse into account.
    """

    load: float
    loss: float
    pulse: float
    settling: float
    reads: bool
    steps: bool


def drop(
    wires: ArrayWires, driven: int, read: int, bits: int, step: float, noise: float, bound: float, learns: bool
) -> Drop:
    """Compute what wires do to an array, for reads forwards.

    driven, read:       cells that a driven line and a read line cross.
    bits:               of the converter. step, noise, bound: its step, noise and full scale, in one unit.
    learns:             whether the array takes pulses of updates.
    """
    f, t = ladder.end(wires.load, driven), ladder.end(wires.load, read)
    loss = 1.0 - f * t * t
    pulse = max(f + t - 1.0, 0.0) if learns and wires.pulses_drop else 1.0
    shows = loss * bound > NEGLIGIBLE * (min(step, noise) if noise > 0.0 else step)
    return Drop(wires.load, loss, pulse, wires.settling(driven, read, bits), shows, pulse < FULL_STEP)


def complete(wires: ArrayWires | None, card: Card, cells: int) -> ArrayWires | None:
    """Fill in what a file leaves out.

    wires:  as the file has them; None: it says nothing.
    card:   of the array. cells: of an array, if its card lumps them.

    Returns None if neither says what a cell conducts. InputError: wires were given, but nothing says this, or a piece
    of wire resists more than a cell.
    """
    circuit, cmos = card.electrical, card.cmos
    resistance = circuit.resistance if circuit else cmos.read_resistance if cmos else None
    if wires is None and resistance is None:
        return None
    pitch = sqrt(card.area if circuit or cmos else card.area / cells)
    found = circuit.line_capacitance if circuit else cmos.line_capacitance if cmos else None
    drops, taken = cmos is None, f"card {card.name}"
    if wires is None:
        if pitch == 0.0:
            return None  # a card whose area is counted elsewhere
        wires = ArrayWires(resistance=_text(of_copper(pitch)), source=RESISTANCE_SOURCE)  # type: ignore[arg-type]
    fields: dict[str, object] = {}
    sources = dict(wires.sources)
    if wires.cell_resistance is None and resistance is not None:
        fields["cell_resistance"], sources["cell_resistance"] = resistance, taken
    if wires.capacitance is None:
        fields["capacitance"] = CAPACITANCE_PER_METRE * pitch if found is None else found
        sources["capacitance"] = CAPACITANCE_SOURCE if found is None else taken
    if wires.pulses_drop is None:
        fields["pulses_drop"], sources["pulses_drop"] = drops, taken
    found_wires = wires.model_copy(update={**fields, "sources": sources})
    if found_wires.cell_resistance is None:
        raise InputError(
            f"cell_resistance is missing: card {card.name} lumps the array and says nothing of its cells; accepted: "
            "the mean resistance of a cell, or wires: ideal"
        )
    if found_wires.load > 1.0:
        raise InputError(
            f"resistance: got {wires.resistance:g} Ohm from cell to cell, but cells have "
            f"{found_wires.cell_resistance:g} Ohm; accepted: at most as much as a cell"
        )
    return found_wires


def of_copper(pitch: float) -> float:
    """Compute equations 1 and 2: ohms of a wire over a ``pitch`` in metres."""
    width, aspect, resistivity = next((wire for wire in COPPER if wire[0] <= pitch / 2), COPPER[-1])
    return resistivity * pitch / (aspect * width**2)


def _text(ohms: float) -> str:
    """Write a resistance as a file has it."""
    return f"{ohms:.15g} Ohm"
