"""What would make it faster: the same work on chips with one thing changed, each timed and priced anew.

Changed is how many units there are, or how long a pulse lasts, never what a card is rated for: twice the converters
have half the lines each, twice the digital rate comes from twice the lanes, twice the bandwidth from twice the banks
(and so capacity) and routers. Nothing is extrapolated; every figure comes from the engine and the same cost cards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.description import TileKind
from rpusim.arch.mapping.placement import Placement, place

NOTICED = 0.005
"""A smaller change of speed, area or energy is called none."""


@dataclass(frozen=True)
class Outcome:
    """What one change brings.

    change:        what was changed, in words.
    speedup:       time before over time after.
    area_ratio:    area after over area before.
    energy_ratio:  energy after over energy before.
    """

    change: str
    speedup: float
    area_ratio: float
    energy_ratio: float

    @property
    def sentence(self) -> str:
        """A sentence such as "2x ADCs: 1.7x faster, +12% area, 0.9x energy"."""
        if abs(self.speedup - 1) < NOTICED:
            speed = "no faster"
        else:
            speed = f"{_short(self.speedup)}x faster" if self.speedup > 1 else f"{_short(1 / self.speedup)}x slower"
        grown = self.area_ratio - 1
        area = "same area" if abs(grown) < NOTICED else f"{grown:+.0%} area"
        same = abs(self.energy_ratio - 1) < NOTICED
        return f"{self.change}: {speed}, {area}, {'same' if same else f'{_short(self.energy_ratio)}x'} energy"

    def document(self) -> dict[str, Any]:
        """Return the ratios by name, with the sentence."""
        return {**vars(self), "sentence": self.sentence}


def changes(chip: Chip) -> Iterator[tuple[str, Chip]]:
    """List what can be changed about a chip: in words, and as the changed chip."""
    if any(kind.adc.lines_per_adc > 1 for kind in chip.tiles):
        yield "2x ADCs", _with_tiles(chip, adc=lambda adc: {"lines_per_adc": -(-adc.lines_per_adc // 2)})
    twice = _with_tiles(chip, digital=lambda digital: {"rate": 2 * digital.rate, "lanes": 2 * digital.lanes})
    yield "2x digital units", twice
    banks = _with_tiles(
        chip, buffer=lambda b: {"banks": 2 * b.banks, "bandwidth": 2 * b.bandwidth, "capacity": 2 * b.capacity}
    )
    mesh = chip.mesh.model_copy(update={"lanes": 2 * chip.mesh.lanes, "bandwidth": 2 * chip.mesh.bandwidth})
    yield "2x buffer and link bandwidth", banks.model_copy(update={"mesh": mesh})
    if chip.trains:
        yield "pulses half as long", _with_tiles(chip, pulses=lambda pulses: {"width": pulses.width / 2})


def compared(placement: Placement, before: Ledger, account: Callable[[Placement], Ledger]) -> list[Outcome]:
    """Compare a chip with each of its `changes`.

    placement:  where the network lies on the chip as it is.
    before:     time and energy there.
    account:    times and prices the same work for the placement on a changed chip.

    Returns the outcomes, fastest first; that of shorter pulses only if they help.
    """
    found, area = [], bill_of_parts(placement.chip).area_m2
    for name, chip in changes(placement.chip):
        after = account(_on(placement, chip))
        outcome = Outcome(
            name,
            before.time_ps / after.time_ps,
            bill_of_parts(chip).area_m2 / area,
            after.total_zj / before.total_zj,
        )
        if chip.tiles[0].pulses == placement.chip.tiles[0].pulses or outcome.speedup >= 1 + NOTICED:
            found.append(outcome)
    return sorted(found, key=lambda outcome: (-outcome.speedup, outcome.area_ratio))


def _on(placement: Placement, chip: Chip) -> Placement:
    """Place the same network in the same way on a chip with the same arrays."""
    replicas = {placed.layer.name: placed.replicas for placed in placement.layers}
    fit = replace(placement.fit, chips=1)  # the chip is that of all of them
    return place(placement.network, chip, placement.bias, placement.cell, replicas, placement.drawn, fit)


def _with_tiles(chip: Chip, **change: Callable[[Any], dict[str, Any]]) -> Chip:
    """Return the chip with fields of one block of every kind of tile replaced."""

    def changed(kind: TileKind) -> TileKind:
        blocks = {name: (getattr(kind, name), fields) for name, fields in change.items()}
        return kind.model_copy(
            update={name: block and block.model_copy(update=fields(block)) for name, (block, fields) in blocks.items()}
        )

    return chip.model_copy(update={"tiles": tuple(changed(kind) for kind in chip.tiles)})


def _short(ratio: float) -> str:
    """Write a ratio with at most two decimals; none from 10 on."""
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2f}".rstrip("0").rstrip(".")
