"""A line as a ladder: closed forms beside the solved circuit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rpusim.arch.contract import ladder

LOADS = st.floats(-9, 0).map(lambda power: 10.0**power)
CELLS = st.integers(1, 120)
quick = settings(max_examples=40, deadline=None)


def conductances(cells: int) -> NDArray[np.float64]:
    """What currents flow between the nodes of a ladder whose pieces of wire conduct 1: (cells, cells)."""
    matrix = 2.0 * np.eye(cells) - np.eye(cells, k=1) - np.eye(cells, k=-1)
    matrix[-1, -1] = 1.0
    return matrix


@quick
@given(load=LOADS, cells=CELLS)
def test_the_profile_is_that_of_the_solved_circuit(load: float, cells: int) -> None:
    feed = np.zeros(cells)
    feed[0] = 1.0
    solved = np.linalg.solve(conductances(cells) + load * np.eye(cells), feed)
    assert ladder.profile(load, cells, np.arange(1, cells + 1)) == pytest.approx(solved, rel=1e-9)
    assert ladder.end(load, cells) == pytest.approx(solved[-1], rel=1e-9)


@quick
@given(load=LOADS, cells=CELLS, part=st.floats(0, 1))
def test_potentials_are_those_of_the_solved_circuit_also_of_a_part_of_the_line(
    load: float, cells: int, part: float
) -> None:
    used = 1 + int(part * (cells - 1))
    solved = np.linalg.inv(conductances(cells) + load * np.eye(cells)) * load
    assert ladder.potentials(load, cells, used) == pytest.approx(solved[:used, :used], rel=1e-8, abs=1e-14)


@quick
@given(load=LOADS, cells=CELLS)
def test_a_current_comes_out_as_a_voltage_goes_in(load: float, cells: int) -> None:
    """Reciprocity: cells that are all driven with 1 leave of it what the profile says."""
    left = 1.0 - ladder.potentials(load, cells, cells).sum(1)
    assert left == pytest.approx(ladder.profile(load, cells, np.arange(1, cells + 1)), rel=1e-8)


def test_a_short_line_loses_in_proportion_to_its_square() -> None:
    """Small loads: the far end of n cells loses r / R n (n + 1) / 2, as each piece carries all that follows."""
    assert 1.0 - ladder.end(1e-9, 100) == pytest.approx(1e-9 * 100 * 101 / 2, rel=1e-5)


def test_without_a_load_nothing_is_lost() -> None:
    assert ladder.profile(0.0, 9, [1, 9]).tolist() == [1.0, 1.0]
    assert not ladder.potentials(0.0, 9, 5).any()


def test_a_heavy_load_leaves_nothing_far_away_and_stays_finite() -> None:
    profile = ladder.profile(1.0, 65536, [1, 10, 65536])
    assert profile[0] == pytest.approx((3 - 5**0.5) / 2) and profile[2] == 0.0
    assert np.isfinite(ladder.potentials(1.0, 65536, 50)).all()


@quick
@given(cells=CELLS)
def test_the_slowest_time_constant_is_that_of_the_circuit(cells: int) -> None:
    resistance, capacitance = 0.3, 2e-16
    rates = np.linalg.eigvalsh(conductances(cells)) / (resistance * capacitance)
    assert ladder.slowest(resistance, capacitance, cells) == pytest.approx(1.0 / rates[0], rel=1e-6)


@pytest.mark.parametrize("bits", [1, 5, 9, 16])
@pytest.mark.parametrize("cells", [3, 30, 128])
def test_after_settling_the_far_end_is_within_half_a_step_and_not_long_before(cells: int, bits: int) -> None:
    """A step of 1 at the near end: the rest decays in the modes of the circuit, of which the slowest is the last."""
    rates, modes = np.linalg.eigh(conductances(cells))
    time = ladder.settling(1.0, 1.0, cells, bits)

    def missing(at: float) -> float:
        return float((modes @ (np.exp(-rates * at) * (modes.T @ np.ones(cells))))[-1])

    assert missing(time) <= 2.0 ** -(bits + 1) * (1 + 1e-9)
    assert missing(0.9 * time) > 2.0 ** -(bits + 1)


def test_a_long_line_settles_as_a_distributed_line_does() -> None:
    """tau = 4 / pi^2 of all resistance times all capacitance."""
    assert ladder.slowest(0.1, 1e-16, 4096) == pytest.approx(4 / np.pi**2 * 409.6 * 4.096e-13, rel=1e-3)


@quick
@given(load=st.floats(1e-4, 0.1), cells=st.integers(2, 40), width=st.floats(0.1, 100.0))
def test_delay_leaves_the_area_of_a_pulse_as_it_is(load: float, cells: int, width: float) -> None:
    """Capacitors at every cell bend a pulse and make it late, but volts times seconds are width x equation 2.

    C dV/dt = -G V + b u(t), by small implicit steps until all is discharged; time in units of the slowest constant.
    """
    conductance = np.diag(np.full(cells, 2.0 + load)) - np.eye(cells, k=1) - np.eye(cells, k=-1)
    conductance[-1, -1] -= 1.0  # after the last cell there is no wire
    fed = np.zeros(cells)
    fed[0] = 1.0
    constant = 1.0 / np.linalg.eigvalsh(conductance)[0]
    step = min(width, 1.0) * constant / 20
    advance = np.linalg.inv(np.eye(cells) / step + conductance)
    voltage, area = np.zeros(cells), np.zeros(cells)
    pulse = round(width * constant / step)
    for time in range(pulse + 40_000):
        voltage = advance @ (voltage / step + fed * (time < pulse))
        area += voltage * step
        if time >= pulse and voltage.max() < 1e-9:
            break
    assert area == pytest.approx(pulse * step * ladder.profile(load, cells, np.arange(1, cells + 1)), rel=1e-3)
