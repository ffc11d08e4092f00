"""Training with outer products in the arrays, beside the same chip without: PANTHER's claim.

An example goes forward and backward through one full matrix of 128 x 128 weights, which then learns from it. The chip
with outer products sends pulses. The one without reads its weights, adds the gradient digitally, and writes them, by
the serial times and energies of the authors' simulator (puma-simulator, include/mlpPanther/constants_panther.py: 328
and 351 us / 32, and 208 and 676 nJ / 32 for a whole crossbar). A matrix has the two ALUs that are its share of a tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rpusim.arch.account.ledger import RESTING
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.arch.mapping.assumed_activity import FIRING_PROBABILITY
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.workloads.studies.published.case import Simulated
from rpusim.workloads.studies.published.timed import one_tile

LINES, SLICES, SLOTS = 128, 8, 240
SERIAL_SECONDS = 10.25e-6 + 351e-6 / 32
"""Of reading and of writing all weights, row by row; all slices at once."""
SERIAL_JOULES = (208e-9 + 676e-9) / 32 * SLICES
"""Of reading and of writing the crossbars of all slices."""
COUNTED = (
    "array",
    "ADC",
    "input drivers",
    "sample-and-hold",
    "pulse drivers",
    "shift-and-add",
    "digital unit",
    "buffer",
)
"""Parts that work for one matrix alone; registers and memories are shared with the others, and wait as long."""


@dataclass(frozen=True)
class Example:
    """What one example takes; joules are those of parts at work."""

    seconds: float
    joules: float


def panther() -> Simulated:
    """Find ratios of time and energy of an example, and area and power of the chip."""

    @cache
    def total(figure: str) -> float:
        return sum(bill_of_parts(Chip.load("panther-2020")).total(figure).values())

    return {
        "panther/time": lambda: without().seconds / outer_product().seconds,
        "panther/energy": lambda: without().joules / outer_product().joules,
        "panther/area": lambda: total("area_m2") * 1e6,
        "panther/power": lambda: total("full_power_w"),
    }


@cache
def outer_product() -> Example:
    """Learn by an outer product of pulses: half of the bits of the inputs are set, and half of the pulses sent."""
    cells = LINES * SLICES
    rows = {"row_pulses": cells * SLOTS // 2, "column_pulses": LINES * SLOTS // 2}
    met = round(cells * LINES * SLOTS * (2 * FIRING_PROBABILITY) ** 2)
    return _example(CellLayout("bit-sliced"), slots=SLOTS, coincidences_up=met, **rows)


@cache
def without() -> Example:
    """Read the weights, multiply and add for each of them, and write them."""
    weights = LINES * LINES
    digital = _example(CellLayout("digital", learning=(), words=1), multiplies=weights, adds=weights)
    return Example(digital.seconds + SERIAL_SECONDS, digital.joules + SERIAL_JOULES)


def _example(cell: CellLayout, **learned: int) -> Example:
    """Time an example forwards, backwards and in the update ``learned``, and add up the parts at work."""
    chip = one_tile("panther-2020")
    tile = chip.tiles[0]
    digital, many = tile.digital, tile.array.arrays
    share = digital.model_copy(update={"lanes": digital.lanes // many, "rate": digital.rate / many})
    chip = chip.model_copy(update={"tiles": (tile.model_copy(update={"digital": share}),)})
    layer = WeightLayer.linear("fc", (LINES,), LINES, bias=False)
    plan = make_plan(place(connect("one", (LINES,), [(layer, ("input",))]), chip, cell=cell))
    busy = {"active_rows": LINES, "active_columns": LINES}
    rows = [
        Activity.rows(phase=Phase.FORWARD, passes=1, **busy),
        Activity.rows(phase=Phase.BACKWARD, passes=1, **busy),
        Activity.rows(phase=Phase.UPDATE, **busy, **learned),
    ]
    activity = Activity.concatenate(rows)
    events = run(plan, activity, "sequential")
    energy = Pricer(plan)(events, activity).energy
    joules = sum(zj for (part, phase, _), zj in energy.items() if part in COUNTED and phase not in RESTING)
    return Example(float(events.end.max()) / PICOSECONDS_PER_SECOND, joules / ZEPTOJOULES_PER_JOULE)
