"""The disk cache of compiled loops: a second process compiles nothing, and different steps never share an entry."""

import os
import subprocess
import sys

import numpy as np

from rpusim.kernels.base import loops
from rpusim.kernels.base.loops import by_identity
from rpusim.kernels.devices.models.constant_step import constant_step
from rpusim.kernels.devices.models.linear_step import additive_step, multiplicative_step
from rpusim.kernels.pulses import one_by_one

PROGRAM = """
import torch
from rpusim.kernels import AnalogTile, preset
from rpusim.kernels.pulses import compiled
tile = AnalogTile(4, 3, preset("ecram").config)
tile.update(torch.ones(1, 3), torch.ones(1, 4), 0.1)
stats = compiled.send_loop(tile.config.device.step, 2, False, False, False).stats
print(sum(stats.cache_misses.values()), sum(stats.cache_hits.values()))
"""


def test_a_second_process_finds_the_loop_of_a_device_compiled(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [
        subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout.split() == ["1", "0"]
    assert runs[1].stdout.split() == ["0", "1"]


def test_loops_of_different_steps_have_different_names():
    compiled = [
        loops.compile_loop(one_by_one.coincide, step=step, PARAMETERS=number)
        for step, number in ((constant_step, 1), (additive_step, 2), (multiplicative_step, 2))
    ]
    compiled.append(loops.compile_loop(one_by_one.coincide, parallel=True, step=constant_step, PARAMETERS=1))
    assert len({loop.py_func.__qualname__ for loop in compiled}) == 4


def test_a_loop_runs_in_parallel_only_above_its_threshold():
    def template(values):
        for i in loops.numba.prange(len(values)):
            values[i] += 1

    loop = loops.Loop(template, threshold=10)
    values = np.zeros(3)
    loop(values, work=10)
    assert loop._serial is not None and loop._parallel is None and values.tolist() == [1, 1, 1]


def test_what_follows_from_a_configuration_is_worked_out_once_per_object():
    calls = []

    @by_identity
    def doubled(numbers):
        calls.append(numbers)
        return [2 * number for number in numbers]

    one, other = [1, 2], [1, 2]
    assert doubled(one) is doubled(one) and doubled(one) == [2, 4]
    assert doubled(other) is not doubled(one) and len(calls) == 2
