"""The disk cache of compiled loops: a second process compiles nothing, and different steps never share an entry."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from rpusim.kernels.base import loops, rng
from rpusim.kernels.base.loops import by_identity
from rpusim.kernels.devices.models import constant_step as constant_step_file
from rpusim.kernels.devices.models.constant_step import constant_step
from rpusim.kernels.devices.models.linear_step import additive_step, multiplicative_step
from rpusim.kernels.pulses import merged, merged_vector, one_by_one, wear
from rpusim.kernels.pulses.cell_numbers import names_of

PROGRAM = """
import torch
from rpusim.kernels import AnalogTile, preset
from rpusim.kernels.pulses import compiled
tile = AnalogTile(4, 3, preset("ecram").config)
tile.update(torch.ones(1, 3), torch.ones(1, 4), 0.1)
stats = compiled.send_loop(tile.config.device.step, 2, False, True, False).stats
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
        loops.compile_loop(one_by_one.coincide, **names_of(step, number))
        for step, number in ((constant_step, 1), (additive_step, 2), (multiplicative_step, 2))
    ]
    compiled.append(loops.compile_loop(one_by_one.coincide, parallel=True, **names_of(constant_step, 1)))
    assert len({loop.py_func.__qualname__ for loop in compiled}) == 4


HELPERS = """
from typing import NamedTuple
from rpusim.kernels.base.loops import inlined
from base import LIMIT

class Numbers(NamedTuple):
    {fields}: float

TWICE = 2 * LIMIT

@inlined
def inner(value):
    return value + {added}

def helper(value):
    return inner(value) * TWICE
"""
LOOP = """
from helpers import Numbers

def template(values, numbers: Numbers):
    for i in range(len(values)):
        values[i] = helper(values[i])
"""


@pytest.mark.parametrize("changed", ["LIMIT = 4", "added", "fields", "base"])
def test_an_edit_of_anything_that_a_loop_reaches_gives_it_another_name(tmp_path, changed):
    """A constant two files away, a function that a function calls, the order of a named tuple; not what it ignores."""

    def name(limit="LIMIT = 3", added="1", fields="first: float; second", other=""):
        folder = tmp_path / f"try{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "base.py").write_text(f"{limit}\n{other}")
        (folder / "helpers.py").write_text(HELPERS.format(added=added, fields=fields))
        (folder / "loop.py").write_text(LOOP)
        made = {}
        for module in ("base", "helpers", "loop"):
            place = importlib.util.spec_from_file_location(module, folder / f"{module}.py")
            made[module] = sys.modules[module] = importlib.util.module_from_spec(place)
            place.loader.exec_module(made[module])
        for module in made:
            del sys.modules[module]
        compiled = loops.compile_loop(made["loop"].template, helper=made["helpers"].helper)
        values = np.ones(2)
        compiled(values, made["helpers"].Numbers(1.0, 2.0))
        return compiled.py_func.__qualname__, values[0]

    plain, value = name()
    assert value == 12.0 and name()[0] == plain
    if changed == "LIMIT = 4":
        assert name(limit=changed)[0] != plain and name(limit=changed)[1] == 16.0
    elif changed == "added":
        assert name(added="2")[0] != plain
    elif changed == "fields":
        assert name(fields="second: float; first")[0] != plain
    else:
        assert name(other="UNUSED = 5")[0] == plain


def test_a_loop_notices_edits_of_what_it_reaches_in_this_package(monkeypatch):
    """The fallback of merged pulses uses scratch of another file, and each cell the step of the device."""
    names = names_of(constant_step, 1) | {"SMOOTH": 0, "RELATIVE": 1}

    def name():
        return merged.stages(False, **names)["merged_words"].py_func.__qualname__

    plain, files = name(), loops._file
    for module in (merged_vector, constant_step_file, rng):
        edited = module.__file__
        monkeypatch.setattr(loops, "_file", lambda path, edited=edited: files(path) + "edited" * (path == edited))
        assert name() != plain, edited
    monkeypatch.setattr(loops, "_file", lambda path: files(path) + "edited" * (path == wear.__file__))
    assert name() == plain


def test_a_step_that_was_typed_in_is_known_by_its_code():
    """A notebook has no files: what is edited there is another step all the same."""

    def name(text):
        scope = {"__name__": "__main__"}
        exec(text, scope)
        return loops.compile_loop(one_by_one.coincide, **names_of(scope["step"], 1)).py_func.__qualname__

    one = "def step(weight, noise, size):\n    return size + size * noise"
    assert name(one) == name(one) != name(one.replace("+", "-"))


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
