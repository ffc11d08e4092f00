"""A step of an LSTM and a convolution by hand: each unit's picoseconds, and all energy of operations in zeptojoules.

Both run on reram-512: 64 GB/s buffers (512 b a ns) whose bits cost 67.1875 fJ, arrays that are driven for 24 ns (14 ns
and 10 ns to settle) with one converter of 1 GS/s for 16 lines, and a digital unit of 700 operations a ns. A part that
was stopped wakes for 10 ns.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor, nn

import rpusim
from rpusim.arch.account.ledger import RESTING, Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.workloads.capture.capture import capture

PRESET = Path(rpusim.__file__).resolve().parent / "arch" / "chips" / "presets" / "reram-512.yaml"
AJ = 1000
"""zJ."""
BIT, DRIVEN, CONVERTED = 67_187_500, 324_000 * AJ, 360_000 * AJ
"""zJ of the cards puma-2019/edram, gates-28nm/dac-8b (a line) and murmann-survey/adc-8b-1gs-14nm (a conversion)."""
CELL, LINE = 1920 * AJ, 1024 * AJ
"""zJ of a cell, (0.2 V)^2 / 500 kOhm for 24 ns, and of a line of 512 cells of 50 aF, from 0 V to 0.2 V."""
ADD, MULTIPLY, COMPARE, LOOK_UP = (1000 * AJ * fj for fj in (265, 565, 265, 234))
HELD, HELD_ONE = (16 * (words * 3000 + 3900) * AJ for words in (2, 1))
"""zJ of registers (gates-28nm/lane-registers, 16 b a word): two words read, or one in a table, and one written."""


class Lstm(nn.Module):
    """Two states of three inputs, no biases."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 2, batch_first=True, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.lstm(x)[0]
        return found


def done(module: nn.Module, shape: tuple[int, ...], chip: Chip, engine: str) -> Ledger:
    plan = make_plan(place(capture(module, shape), chip))
    activity = assumed_activity(plan.placement, 1, training=False)
    return Pricer(plan)(run(plan, activity, "sequential", engine), activity)


def of_operations(ledger: Ledger) -> dict[tuple[str, str], int]:
    """Return zJ by part and layer, standby and idle parts aside."""
    return {(part, layer): zj for (part, phase, layer), zj in ledger.energy.items() if phase not in RESTING}


@pytest.mark.parametrize("engine", ["compiled", "simpy"])
def test_two_steps_of_an_lstm(tmp_path: Path, engine: str) -> None:
    """Both matrices are on one tile, so that nothing travels.

    Both inputs go through the first matrix, 8 x 3: 24 ns and 8 conversions each, the first after 10 ns to wake; then 16
    operations of scale, 23 ps, and 8 numbers of 16 b into the buffer, 250 ps. Then each step takes 2 numbers out of
    the buffer, 63 ps in the 10 ns of waking, is multiplied by 8 x 2 in 32 ns, and scaled in 23 ps. What follows, for
    each of 2 states: 3 sigmoids and 2 tanh of 4 operations, 4 additions of what was given, and the rest of the rule,
    3 multiplications and 1 addition: 56 operations, 80 ps. The state goes back into the buffer in 63 ps.
    """
    text = PRESET.read_text().replace("      rows: 512\n", "      arrays: 2\n      rows: 512\n", 1)
    (tmp_path / "chip.yaml").write_text(text)
    ledger = done(Lstm(), (2, 3), Chip.load(tmp_path / "chip.yaml"), engine)
    assert [-(-bits * 1000 // 512) for bits in (2 * 16, 8 * 16)] == [63, 250]
    assert [-(-operations * 1000 // 700) for operations in (16, 56)] == [23, 80]
    given = 10_000 + 2 * 32_000 + 23 + 250
    step = 10_000 + 32_000 + 23 + 80
    assert ledger.time_ps == given + step + 63 + step
    scaled = 2 * 8 * (MULTIPLY + ADD)
    straight = COMPARE + LOOK_UP + MULTIPLY + ADD
    rule = 3 * MULTIPLY + 5 * ADD
    assert of_operations(ledger) == {
        ("buffer", "lstm.ih_l0"): 2 * (3 + 8) * 16 * BIT,
        ("input drivers", "lstm.ih_l0"): 2 * 3 * DRIVEN,
        ("array", "lstm.ih_l0"): 2 * 3 * (8 * CELL + LINE),
        ("ADC", "lstm.ih_l0"): 2 * 8 * CONVERTED,
        ("digital unit", "lstm.ih_l0"): scaled,
        ("registers", "lstm.ih_l0"): 2 * 8 * 2 * HELD,
        ("buffer", "lstm.hh_l0"): (2 * 2 + 2) * 16 * BIT,
        ("input drivers", "lstm.hh_l0"): 2 * 2 * DRIVEN,
        ("array", "lstm.hh_l0"): 2 * 2 * (8 * CELL + LINE),
        ("ADC", "lstm.hh_l0"): 2 * 8 * CONVERTED,
        ("digital unit", "lstm.hh_l0"): scaled + 2 * 2 * (5 * straight + rule),
        ("registers", "lstm.hh_l0"): 2 * 8 * 2 * HELD + 2 * 2 * (5 * (3 * HELD + HELD_ONE) + 8 * HELD),
    }


@pytest.mark.parametrize("engine", ["compiled", "simpy"])
def test_a_convolution_of_two_positions(engine: str) -> None:
    """A 3 x 3 window at two places of a 3 x 4 image, two channels out.

    10 ns to wake; each place drives 9 lines for 24 ns and converts 2 lines of one converter in 2 ns; the second one
    begins when the array is free. Behind it 2 outputs are scaled, 4 operations in 6 ps, and compared, 2 in 3 ps.
    """
    module = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.ReLU())
    ledger = done(module, (1, 3, 4), Chip.load("reram-512"), engine)
    assert [-(-operations * 1000 // 700) for operations in (4, 2)] == [6, 3]
    assert ledger.time_ps == 10_000 + 2 * (24_000 + 2_000) + 6 + 3
    assert of_operations(ledger) == {
        ("buffer", "0"): 2 * 9 * 16 * BIT,
        ("input drivers", "0"): 2 * 9 * DRIVEN,
        ("array", "0"): 2 * 9 * (2 * CELL + LINE),
        ("ADC", "0"): 2 * 2 * CONVERTED,
        ("digital unit", "0"): 2 * 2 * (MULTIPLY + ADD + COMPARE),
        ("registers", "0"): 2 * 2 * 3 * HELD,
    }
