"""The register file of a digital unit's lane: where operands wait, and results until something else is done with them.

Every operation reads its operands there and writes its result: an addition reads two words and writes one. That is
counted on a chip that says which registers its lanes have; where the card of a lane counts them, or nothing is said,
they cost nothing besides. They keep pace with the lanes and take no time of their own. Not modelled: forwarding, which
saves accesses, and spilling to the tile's buffer, which adds some.
"""

from __future__ import annotations

from rpusim.arch.contract.sourced import Sourced
from rpusim.arch.parts.part import Card, Part
from rpusim.errors import InputError

READ = {
    "add": 2,
    "multiply": 2,
    "divide": 2,
    "compare": 2,
    "exponential": 1,
    "look_up": 1,
    "square_root": 1,
    "random": 0,
}
"""Words that an operation of each class reads; each operation writes one."""


class Registers(Sourced):
    """Registers of a digital unit, one file for each of its lanes.

    card: name of the cost card of one file, of the part "registers", with the energy of a bit that is read or written.
    """

    card: str

    def build(self, card: Card, lanes: int, operation: float, word_bits: int) -> Part:
        """Price the files of one unit: ``read`` and ``write`` of a bit.

        Args:
            card: of one file.
            lanes: how many files there are.
            operation: seconds that a lane takes for an operation of one cycle.
            word_bits: width of a word.

        Raises:
            InputError: the card gives a power, or lacks an energy.
        """
        if card.power is not None:
            raise InputError(f"card {card.name}: registers need energy.read and energy.write of a bit, not a power")
        actions = {name: card.action(name, operation / word_bits) for name in ("read", "write")}
        return Part("registers", lanes, card, actions, busy_units=lanes)
