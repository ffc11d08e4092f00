"""The matrix unit of a tile: products of activations with activations, as in attention, which no array holds.

Modelled as a grid of digital multiply-accumulate units with a rate of its own: a product of an (m, k) with a (k, n)
matrix is m n k operations, at ``rate``, each for the card's energy, whatever its shape; so the grid is taken to be
filled always. One product at a time. Not modelled: what moves between the tile's buffer and the unit while it
multiplies. On tiles without such a unit the digital unit multiplies and adds.
"""

from __future__ import annotations

from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, OperationsPerSecond
from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.parts.part import Card, Part


class MatrixUnit(Sourced):
    """A unit for products of activations.

    rate:   multiply-accumulates per second, of all of it.
    lanes:  multiply-accumulate units of the grid.
    card:   name of the cost card of one of them, of the part "matrix unit", with the energy of a ``mac``.
    """

    rate: OperationsPerSecond
    lanes: Count
    card: str

    def build(self, card: Card) -> Part:
        """Price it. Raises `InputError` if the card lacks the energy of a multiply-accumulate."""
        actions = {"mac": card.action("mac", self.lanes / self.rate)}
        return Part("matrix unit", self.lanes, card, actions, busy_units=self.lanes)

    def picoseconds(self, macs: int) -> int:
        """Compute how long the unit is busy with some multiply-accumulates, rounded up."""
        return -(-macs * PICOSECONDS_PER_SECOND // round(self.rate))
