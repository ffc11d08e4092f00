"""Blocks that take turns: a draw of programming for every load, none for what stays, and the age that it is given."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.kernels import IOParameters
from rpusim.kernels.inference import InferenceConfig, InferenceTile, SingleDevice, StateIndependent
from rpusim.kernels.inference.loads import Loads
from rpusim.kernels.tiles.tile import Step

SIGMA, RANGE = 0.5e-6, 20e-6
"""Siemens: standard deviation of programming, and range of a device."""
NOISE = StateIndependent(g_max=60e-6, program_std=SIGMA, drift_scale=0.0, read_scale=0.0)
DEVICE = SingleDevice(g_min=20e-6, g_max=40e-6)
CONFIG = InferenceConfig(
    NOISE, DEVICE, None, forward=IOParameters(is_perfect=True), weight_scaling_omega=0.0, verifications=0.0
)


def tile(config: InferenceConfig = CONFIG, loads: Loads | None = None, **options: Any) -> InferenceTile:
    """A programmed tile of 6 x 5 weights between -1 and 1, both of which occur."""
    made = InferenceTile(6, 5, config, **options)
    weights = torch.rand(6, 5, generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0
    weights[0, 0], weights[1, 0] = -1.0, 1.0
    made.set_weights(weights)
    made.loads = loads
    made.eval().program()
    return made


def loads(vectors: int = 1, age: float | None = 0.0, together: int = 0, layer: Any = None) -> Loads:
    return Loads(layer or SimpleNamespace(at_work=0), (vectors,), (together,), (True,), (age or 0.0,), (age,))


def test_reads_of_a_reloaded_block_vary_as_programming_does_and_those_of_a_resident_one_do_not() -> None:
    """A weight is (g - g_min) 2 / range - 1, so the variance of one column's answer is (2 sigma / range)^2."""
    samples, one = 4000, torch.eye(5)[2].expand(4000, 5)
    variance = tile(loads=loads()).forward(one).var(0)
    expected = (2.0 * SIGMA / RANGE) ** 2
    assert float(variance.mean()) == pytest.approx(expected, rel=4 * (2 / (6 * samples)) ** 0.5)  # 4 sigma of the mean
    assert float(tile().forward(one).var(0).max()) == 0.0


def test_devices_of_one_load_are_independent_of_those_of_the_next() -> None:
    answers = tile(loads=loads()).forward(torch.eye(5)[0].expand(4000, 5))
    noise = answers - answers.mean(0)
    correlation = (noise[1:] * noise[:-1]).mean(0) / noise.var(0)
    assert float(correlation.abs().max()) < 4.5 / 4000**0.5


@pytest.mark.parametrize("parts", [[12], [3, 9], [3, 3, 3, 3]])
def test_a_sample_gets_the_same_weights_however_samples_come_in_calls(parts: list[int]) -> None:
    """Three vectors of a sample see one load."""
    x = torch.randn(12, 5, generator=torch.Generator().manual_seed(2))
    at_once, made = tile(loads=loads(3)).forward(x), tile(loads=loads(3))
    assert torch.allclose(torch.cat([made.forward(part) for part in torch.split(x, parts)]), at_once, atol=1e-6)
    assert made.samples == 4
    same = tile(loads=loads(3)).forward(torch.ones(12, 5)).reshape(4, 3, 6)
    assert torch.allclose(same, same[:, :1], atol=1e-6) and not torch.allclose(same[0], same[1], atol=1e-4)


def test_vectors_that_stand_apart_or_come_step_by_step_see_the_load_of_their_sample() -> None:
    """Four samples of three vectors: by sample, position by position, and in a sequence of three steps."""
    x = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(3))
    by_sample = tile(loads=loads(3)).forward(x.reshape(12, 5)).reshape(4, 3, 6)
    apart = tile(loads=loads(3, together=1)).forward(x.transpose(0, 1).reshape(12, 5)).reshape(3, 4, 6)
    assert torch.allclose(apart.transpose(0, 1), by_sample, atol=1e-6)
    log = ActivityLog()
    made = tile(loads=loads(3), log=log)
    steps = torch.stack([made.forward(x[:, step].contiguous(), Step(step, 3)) for step in range(3)], 1)
    assert torch.allclose(steps, by_sample, atol=1e-6) and made.samples == 4
    rows = log.take()
    loaded = rows.select(rows.phase == Phase.MAINTENANCE)
    assert loaded.vector.tolist() == [0, 3, 6, 9] and loaded.writes.tolist() == [30] * 4


def test_a_weight_that_is_written_for_one_of_two_uses_keeps_its_load_for_the_other() -> None:
    layer = SimpleNamespace(at_work=0)
    made = tile(loads=Loads(layer, (1, 1), (0, 0), (False, True), (0.0, 0.0), (0.0, 0.0)))
    x, found = torch.eye(5), []
    for call in range(6):
        layer.at_work = call
        found.append(made.forward(x[:1]))
    for sample in (1, 2):  # the first use finds what the sample before has left
        assert torch.equal(found[2 * sample], found[2 * sample - 1])
        assert not torch.equal(found[2 * sample], found[2 * sample + 1])


def test_a_load_has_drifted_by_its_age_and_not_by_the_time_since_programming() -> None:
    """g ((t + t0) / t0)^-nu with the same exponent for all."""
    drifting = StateIndependent(
        g_max=60e-6, t_0=1e-3, program_std=0.0, nu_mean=0.1, nu_std=0.0, read_scale=0.0, drift_scale=1.0
    )
    config = InferenceConfig(drifting, DEVICE, None, forward=IOParameters(is_perfect=True), weight_scaling_omega=0.0)
    made = tile(config, loads(age=3e-3))
    fresh = tile(config).forward(torch.eye(5))
    made.drift(1e6)
    found = made.forward(torch.eye(5))
    as_conductance = lambda y: (y + 1.0) * RANGE / 2.0 + 20e-6  # noqa: E731
    assert torch.allclose(as_conductance(found), as_conductance(fresh) * 4.0**-0.1, rtol=1e-4)
    assert made.age == 3e-3


def test_cells_without_errors_are_read_to_the_bit_as_those_that_stay() -> None:
    exact = InferenceConfig(None, DEVICE, None, forward=IOParameters(), weight_scaling_omega=0.0)
    x = torch.randn(40, 5, generator=torch.Generator().manual_seed(2))
    assert torch.equal(tile(exact, loads(4)).forward(x), tile(exact).forward(x))


def test_a_copy_and_a_restored_tile_go_on_with_the_next_load() -> None:
    made = tile(loads=loads())
    made.forward(torch.eye(5))
    again, restored = copy.deepcopy(made), tile(loads=loads())
    restored.load_state_dict(made.state_dict())
    expected = made.forward(torch.eye(5))
    assert torch.equal(again.forward(torch.eye(5)), expected) and torch.equal(restored.forward(torch.eye(5)), expected)
