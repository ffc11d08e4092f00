"""The digital unit beside the arrays: scale and bias of every converted output, partial sums, activations, pooling.

Modelled as ``lanes`` equal lanes with a clock of ``rate`` / ``lanes``. Work is counted in operations by class (`Work`);
the card of a lane says how many cycles an operation of each class takes, and what energy. A lane is either one
arithmetic unit, which does one operation at a time, or it is ``pipelined``: each class has a stage of its own, elements
follow each other through the stages, and the class with the most work sets the pace; the energy is the same. Not
modelled: instruction fetch, and the time until a pipeline is full. Operands in registers: `registers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rpusim.arch.contract.digital_work import CLASSES, Work
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, OperationsPerSecond
from rpusim.arch.contract.sourced import MOST, Count, Sourced
from rpusim.arch.parts.digital_operations import FUNCTIONS
from rpusim.arch.parts.part import Card, Part
from rpusim.arch.parts.registers import Registers
from rpusim.errors import InputError, nearest

Times = Annotated[int, Field(ge=0, le=MOST)]
_SHORT = "operations_per_output"


class Digital(Sourced):
    """A digital unit, of one tile or of several neighbouring ones.

    rate:            cycles per second, of all lanes together: operations of one cycle, or elements through pipelines.
    lanes:           equal lanes that share the work.
    pipelined:       whether each lane has a stage for every class.
    tiles_per_unit:  neighbouring tiles that share one unit.
    per_output:      operations by class on every converted value, such as its scale and its bias; a file may say
                     ``operations_per_output: n`` for one multiplication and n - 1 additions.
    functions:       operations by class of an element of functions that the unit computes in its own way, by name; of
                     all others those of `FUNCTIONS`. Backward passes are the table's always.
    shift_adds:      who puts an output together from the conversions of its bits and slices: the ``digital unit``, one
                     addition for each conversion but the first, or ``other circuits``, which the chip lists under
                     support.
    word_bits:       width of a result wherever it is stored or sent.
    card:            name of the cost card of one lane.
    registers:       of the lanes, whose words are counted operation by operation; None: as far as the card has them.
    """

    rate: OperationsPerSecond
    lanes: Count
    pipelined: bool = False
    tiles_per_unit: Count
    per_output: dict[str, Times]
    functions: dict[str, dict[str, Times]] = {}
    word_bits: Annotated[int, Field(ge=1, le=64)]
    card: str
    shift_adds: Literal["digital unit", "other circuits"] = "digital unit"
    registers: Registers | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_class(cls, fields: object) -> object:
        """Let ``operations_per_output: n`` stand for one multiplication and n - 1 additions."""
        if not isinstance(fields, dict) or "operations_per_output" not in fields:
            return fields
        number, others = fields["operations_per_output"], {k: v for k, v in fields.items() if k != _SHORT}
        if "per_output" in fields or isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MOST:
            raise ValueError(
                f"{_SHORT} was given ({number!r}); accepted is either per_output, by class, such as "
                "{multiply: 1, add: 1}, or here a whole number: one multiplication, the others additions"
            )
        if isinstance(others.get("sources"), dict) and _SHORT in others["sources"]:
            others["sources"] = {"per_output" if k == _SHORT else k: v for k, v in others["sources"].items()}
        return {**others, "per_output": {"multiply": 1, "add": number - 1} if number else {}}

    @model_validator(mode="after")
    def _known(self) -> Digital:
        for name in self.functions:
            if name not in FUNCTIONS:
                raise ValueError(f"functions.{name}: is no function of a digital unit{nearest(name, FUNCTIONS)}")
        of_functions = ((f"functions.{name}", work) for name, work in self.functions.items())
        for where, work in (("per_output", self.per_output), *of_functions):
            for name in work:
                if name not in CLASSES:
                    raise ValueError(f"{where}.{name}: is no class of operations; accepted are {', '.join(CLASSES)}")
        return self

    @property
    def of_an_output(self) -> Work:
        """What is done with every converted value."""
        return Work(**self.per_output)

    def forward(self, function: str) -> Work:
        """What an element of a function takes in the forward pass, by its name in `FUNCTIONS`."""
        own = self.functions.get(function)
        return FUNCTIONS[function].forward if own is None else Work(**own)

    def build(self, card: Card) -> Part:
        """Price the lanes of one unit: an action for each class of operations.

        Raises `InputError` if the card lacks the energy or the cycles of a class.
        """
        cycles = self.cycles(card)
        actions = {name: card.action(name, cycles[name] * self.lanes / self.rate) for name in CLASSES}
        return Part("digital unit", self.lanes, card, actions, busy_units=self.lanes)

    @staticmethod
    def cycles(card: Card) -> Mapping[str, int]:
        """Return the cycles of an operation of each class on a lane; `InputError` if the card lacks some."""
        missing = [name for name in CLASSES if name not in card.cycles]
        if missing:
            raise InputError(
                f"card {card.name}: cycles.{missing[0]} is missing; accepted are cycles of a lane for each of "
                f"{', '.join(CLASSES)}"
            )
        return card.cycles

    def picoseconds(self, counts: tuple[int, ...], cycles: Mapping[str, int]) -> int:
        """Compute how long the unit is busy with some work, rounded up, all lanes sharing it.

        counts: operations of each class, in the order of `CLASSES`. cycles: of the card.
        """
        each = [number * cycles[name] for name, number in zip(CLASSES, counts, strict=True)]
        needed = max(each) if self.pipelined else sum(each)
        return -(-needed * PICOSECONDS_PER_SECOND // round(self.rate))
