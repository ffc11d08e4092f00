"""Attention by hand: when each unit does what, in picoseconds, and what that takes, in zeptojoules."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

import rpusim
from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.workloads.capture.capture import capture

FJ = 10**6
ADD, MULTIPLY, DIVIDE, COMPARE, EXPONENTIAL, MAC = 265, 565, 1080, 265, 1064, 830
"""fJ of the cards puma-2019/alu and puma-2019/mac."""
PRESET = Path(rpusim.__file__).resolve().parent / "arch" / "chips" / "presets" / "reram-512.yaml"


class OneHead(nn.Module):
    """Attention of one head of four numbers over three places."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(4, 12, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (each[:, None] for each in self.qkv(x).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v)[:, 0]


@pytest.fixture
def with_matrix_unit(tmp_path: Path) -> Chip:
    matrix = '    matrix: {rate: 64 Gop/s, lanes: 64, card: puma-2019/mac, source: "assumption: 8 x 8"}\n'
    (tmp_path / "chip.yaml").write_text(PRESET.read_text().replace("    buffer:\n", matrix + "    buffer:\n", 1))
    return Chip.load(tmp_path / "chip.yaml")


def done(chip: Chip, training: bool = False, engine: str = "compiled") -> tuple[Events, Ledger]:
    plan = make_plan(place(capture(OneHead(), (3, 4)), chip))
    activity = assumed_activity(plan.placement, 1, training)
    events = run(plan, activity, "sequential", engine)
    return events, Pricer(plan)(events, activity)


SCALED = 3 * 12 * (MULTIPLY + ADD)
"""Of every converted output: its scale and its offset."""
SOFTMAX = 9 * MULTIPLY + 9 * (COMPARE + 2 * ADD + EXPONENTIAL + MULTIPLY) + 3 * DIVIDE
"""Of 3 x 3 scores: their scale, then largest, difference, exponential, sum and product; one over each of 3 sums."""


@pytest.mark.parametrize("engine", ["compiled", "simpy"])
def test_products_and_softmax_follow_the_last_vector(with_matrix_unit: Chip, engine: str) -> None:
    """10 ns to wake; each of 3 vectors holds the array for 24 ns and 12 conversions of 1 ns, and is scaled while the
    next one is driven: 24 operations at 700 a ns. Then 3 x 3 scores of 4 products and 3 x 4 sums of 3, 2 x 36 products
    at 64 a ns; then the softmax: 9 + 9 multiplications, 18 additions, 9 comparisons, 9 exponentials of 3 cycles and 3
    divisions, 75 cycles.
    """
    events, ledger = done(with_matrix_unit, engine=engine)
    assert [-(-24_000 // 700), 72_000 // 64, -(-75_000 // 700)] == [35, 1125, 108]
    assert ledger.time_ps == 10_000 + 3 * 36_000 + 35 + 1125 + 108
    (products,) = (events.op == Op.MULTIPLY).nonzero()[0]
    assert (events.start[products], events.end[products]) == (118_035, 119_160)
    assert (events.amount[products], events.vector[products]) == (72, 2)
    assert ledger.energy["matrix unit", "forward", "qkv"] == 72 * MAC * FJ
    assert ledger.energy["digital unit", "forward", "qkv"] == (SCALED + SOFTMAX) * FJ


def test_without_a_matrix_unit_the_digital_unit_multiplies_and_adds() -> None:
    """72 products are 144 cycles more: 219 at 700 a ns."""
    events, ledger = done(Chip.load("reram-512"))
    assert not (events.op == Op.MULTIPLY).any()
    assert ledger.time_ps == 118_035 + -(-219_000 // 700)
    assert ledger.energy["digital unit", "forward", "qkv"] == (SCALED + SOFTMAX + 72 * (MULTIPLY + ADD)) * FJ


def test_the_way_back_has_two_products_for_each_and_reads_what_was_kept(with_matrix_unit: Chip) -> None:
    """Kept: q, k, v (36 numbers), 9 results of the softmax and 12 outputs for the loss, of 16 bits."""
    events, ledger = done(with_matrix_unit, training=True)
    assert ledger.energy["matrix unit", "backward", "qkv"] == 2 * 72 * MAC * FJ
    stored = events.amount[(events.op == Op.STORE) & (events.phase == 0)].sum()
    fetched = events.amount[(events.op == Op.FETCH) & (events.phase == 1)].sum()
    assert stored == fetched == (36 + 9 + 12) * 16
