"""The cross-point array: rows x columns of cells that multiply, and learn, in place.

Orientation is that of ``y = W x``: columns are the lines of x, rows the lines of y. In the backward pass rows are
driven and columns are read.

Modelled for a resistive cell (card with ``electrical``) of mean resistance R, on lines of C = line capacitance per cell
x cells crossed:

    read         V_read^2 / R * t      per driven cell and pass; every line at full duty: an upper bound for PWM
    read_line    C V_read^2            per driven line
    coincidence  V_pulse^2 / R * width         per cell where a row and a column pulse meet
    half_select  (V_pulse / 2)^2 / R * width   per cell that sees only one of the two pulses
    pulse_line   C (V_pulse / 2)^2     per line and pulse
    write        V^2 / R * width, or V I * width   per cell and pulse that programs it (see `programming`)
    write_line   C V^2                 per line and programming pulse, at the programming voltage

A capacitor cell (card with ``cmos``, see `cmos_cell`) is read through its transistor, and pulsed by lines that switch
its gates from ground to the supply; a cell that sees one of two pulses does nothing. It is programmed by the pulses
that train it. A card with ``power`` instead lumps the whole array while it is read (ISAAC's table does); such an array
cannot be pulsed. Wires are in `array_wires`: what drops on them changes the numbers and not the energy, which is
that of the full voltage. Not modelled here: dependence on the stored conductances and on PWM duty, sneak paths.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from rpusim.arch.contract.quantity import Seconds, picoseconds, zeptojoules
from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.parts.array_wires import IDEAL, ArrayWires
from rpusim.arch.parts.cmos_cell import CmosCell
from rpusim.arch.parts.part import Action, Card, Part
from rpusim.arch.parts.programming import Programming
from rpusim.errors import InputError, shown, written

MOST_LINES = 1 << 16
"""The most rows, or columns, of one array: some fifteen times the largest that is proposed."""
Lines = Annotated[int, Field(ge=1, le=MOST_LINES)]
"""The type of a number of rows or columns."""
MOST_BITS = 32
"""The widest weight, in bits of all its cells together."""


class Crossbar(Sourced):
    """The equal arrays of one tile.

    rows:              output lines of one array.
    columns:           input lines of one array.
    cell:              name of the cost card of one cell.
    integration:       seconds for which outputs integrate at least, for one vector (for one bit of it, if bit-serial).
                       Where the wires need longer to settle, that counts.
    wires:             resistance and capacitance of the lines, see `array_wires`; "ideal" leaves them out. None: as
                       pitch and card say.
    arrays:            arrays of the tile.
    cells_per_weight:  neighbouring rows that hold slices of one weight.
    cell_bits:         bits that one cell holds of a weight that is cut over several; None: weights are not cut.
    encoding:          what those cells hold: ``signed`` digits, so that each is a pair of devices or can be read in
                       both directions; digits of the weight plus half its range (``offset``), which are never negative,
                       with a unit line that counts the inputs; or the same ``flipped``, which holds the complements of
                       those slices whose sums could be beyond the converter's range.
    slice_columns:     what the slices of a weight have of a column. ``shared``: one line, so that backwards the rows of
                       each slice are driven for themselves, one slice after the other. ``own``: a line for each slice,
                       with converters of its own, as if each had an array of its own; all are read at once. One driver
                       per column drives all of them.
    """

    rows: Lines
    columns: Lines
    cell: str
    integration: Seconds
    wires: ArrayWires | Literal["ideal"] | None = None
    arrays: Count = 1
    cells_per_weight: Count = 1
    cell_bits: Annotated[int, Field(ge=1, le=MOST_BITS)] | None = None
    encoding: Literal["signed", "offset", "flipped"] = "signed"
    slice_columns: Literal["shared", "own"] = "shared"

    @field_validator("wires", mode="before")
    @classmethod
    def _wires_or_ideal(cls, given: Any) -> Any:
        if given is not None and given != IDEAL and not isinstance(given, dict | ArrayWires):
            raise ValueError(
                f"got {shown(written(given))}, but a mapping of resistance and source is needed, or the word {IDEAL!r}"
            )
        return given

    @model_validator(mode="before")
    @classmethod
    def _assume_cell_bits(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or fields.get("cell_bits") is not None:
            return fields
        number = fields.get("cells_per_weight")
        if not isinstance(number, int) or isinstance(number, bool) or not 1 < number <= MOST_BITS:
            return fields
        bits, sources = min(2, MOST_BITS // number), fields.get("sources", {})
        if not isinstance(sources, dict):
            return fields
        assumed = f"assumption: {bits} bits per cell, as the file does not say; ISAAC (ISCA 2016) has 2"
        return {**fields, "cell_bits": bits, "sources": {"cell_bits": assumed, **sources}}

    @model_validator(mode="after")
    def _whole_weights(self) -> Crossbar:
        if self.cells_per_weight == 1:
            of_slices = (
                ("cell_bits", self.cell_bits),
                ("encoding", self.encoding),
                ("slice_columns", self.slice_columns),
            )
            for name, given in of_slices:
                if given not in (None, "signed", "shared"):
                    raise ValueError(
                        f"{name}: got {given!r}, but cells_per_weight is 1, so no weight is cut; leave it out"
                    )
        elif self.cells_per_weight * (self.cell_bits or 1) > MOST_BITS:
            raise ValueError(
                f"cells_per_weight: got {self.cells_per_weight} cells of {self.cell_bits or 1} bits, but a weight has "
                f"at most {MOST_BITS} bits"
            )
        if self.cells_per_weight > self.rows:
            raise ValueError(
                f"cells_per_weight: got {self.cells_per_weight}, but the cells of a weight lie on rows of their own, "
                f"and rows is {self.rows}"
            )
        return self

    @property
    def top_level(self) -> int:
        """The highest level of a cell that holds a slice: 2^cell_bits - 1."""
        return int((1 << (self.cell_bits or 1)) - 1)

    @property
    def unit_lines(self) -> int:
        """Rows that every array has beside ``rows``: the unit line of a code without signs, read with every vector."""
        return 0 if self.encoding == "signed" else 1

    @property
    def slice_turns(self) -> int:
        """How often lines are driven backwards, for one digit of the input: for all slices, or for each of them."""
        return 1 if self.slice_columns == "own" else self.cells_per_weight

    @property
    def lines_of_a_column(self) -> int:
        """Lines that are read backwards for every column, at a time."""
        return self.cells_per_weight // self.slice_turns

    @property
    def weight_rows(self) -> int:
        """Outputs that one array can hold: weights sliced over several cells take as many rows."""
        return self.rows // self.cells_per_weight

    def build(
        self, card: Card, read_seconds: float, pulse_seconds: float | None, programming: Programming | None
    ) -> Part:
        """Price the arrays of a tile: reading, updating and writing cells, and charging lines, per cell they cross.

        card: cost of one cell, or of a whole array.
        read_seconds: how long a pass holds the array (of one bit, if inputs are bit-serial).
        pulse_seconds: width of an update pulse; None on a chip that cannot update.
        programming: how cells are written; None if the chip does not say.
        Raises `InputError` if the card lumps an array into one power but the chip sends pulses to it.
        """
        cells = (self.rows + self.unit_lines) * self.columns
        if card.power is not None and (pulse_seconds is not None or programming):
            raise InputError(
                f"card {card.name} lumps an array that is read into one power, but this chip also sends pulses to it; "
                "a card with electrical, or with energy for coincidence and half_select (and write), is needed"
            )
        if card.cmos is not None:
            capacitors = self._capacitors(card.cmos, read_seconds, pulse_seconds, programming)
            return Part("array", self.arrays * cells, card, capacitors, busy_units=self.arrays * cells)
        if card.electrical is None:
            actions = {"read": card.action("read", read_seconds)}
            if pulse_seconds is not None:
                actions |= {name: card.action(name, pulse_seconds) for name in ("coincidence", "half_select")}
            if programming:
                actions["write"] = card.action("write", programming.width)
            return Part("array", self.arrays, card, actions, busy_units=self.arrays)
        e = card.electrical
        read_ps = picoseconds(read_seconds)
        actions = {
            "read": Action(read_ps, zeptojoules(e.read_voltage**2 / e.resistance * read_seconds)),
            "read_line_per_cell": Action(read_ps, zeptojoules(e.line_capacitance * e.read_voltage**2)),
        }
        if pulse_seconds is not None:
            pulse_ps, half = picoseconds(pulse_seconds), e.pulse_voltage / 2
            actions |= {
                "coincidence": Action(pulse_ps, zeptojoules(e.pulse_voltage**2 / e.resistance * pulse_seconds)),
                "half_select": Action(pulse_ps, zeptojoules(half**2 / e.resistance * pulse_seconds)),
                "pulse_line_per_cell": Action(pulse_ps, zeptojoules(e.line_capacitance * half**2)),
            }
        if programming:
            square, ps = programming.voltage**2, programming.pulse_ps
            power = square / e.resistance if programming.current is None else programming.voltage * programming.current
            actions |= {
                "write": Action(ps, zeptojoules(power * programming.width)),
                "write_line_per_cell": Action(ps, zeptojoules(e.line_capacitance * square)),
            }
        return Part("array", self.arrays * cells, card, actions, busy_units=self.arrays * cells)

    def _capacitors(
        self, cell: CmosCell, read_seconds: float, pulse_seconds: float | None, programming: Programming | None
    ) -> dict[str, Action]:
        """The actions of an array of capacitor cells."""
        read_ps, switched = picoseconds(read_seconds), zeptojoules(cell.line_capacitance * cell.supply**2)
        actions = {
            "read": Action(read_ps, zeptojoules(cell.read(read_seconds))),
            "read_line_per_cell": Action(read_ps, zeptojoules(cell.line_capacitance * cell.read_voltage**2)),
        }
        if pulse_seconds is not None:
            pulse_ps = picoseconds(pulse_seconds)
            actions["coincidence"] = Action(pulse_ps, zeptojoules(cell.coincidence(pulse_seconds)))
            actions["pulse_line_per_cell"] = Action(pulse_ps, switched)
        if programming:
            ps = programming.pulse_ps
            actions["write"] = Action(ps, zeptojoules(cell.coincidence(programming.width)))
            actions["write_line_per_cell"] = Action(ps, switched)
        return actions
