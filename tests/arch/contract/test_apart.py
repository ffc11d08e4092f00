"""Functions that lie apart: compiled once, whoever calls them, and found by a later process with what they call."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from rpusim.arch.contract.apart import needs_of
from rpusim.kernels.base.loops import compile_loop


def inner(values, twice):
    for i in range(len(values)):
        values[i] = 2 * values[i] if twice else values[i] + 1


def outer(values):
    called(values, True)
    called(values, False)


called = None


@pytest.mark.parametrize("apart", [True, False])
def test_a_caller_needs_what_it_calls_only_where_that_lies_apart(apart, tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))  # what is loaded has no code to look into

    def calls(values):
        called(values, True)
        called(values, False)

    callee = compile_loop(inner, apart=apart)
    caller = compile_loop(calls, called=callee)
    values = np.array([1.0, 3.0])
    caller(values)
    assert values.tolist() == [3.0, 7.0]
    assert [need.name for need in needs_of(caller.overloads[caller.signatures[0]])] == (
        [callee.twin.py_func.__qualname__] if apart else []
    )


def test_what_lies_apart_is_compiled_once_though_its_callers_say_different_numbers():
    callee = compile_loop(inner)
    compile_loop(outer, called=callee)(np.ones(2))
    assert len(callee.twin.signatures) == 1
    assert callee.signatures == []  # no way in for Python, as Python does not call it


def test_an_error_in_what_lies_apart_reaches_python():
    def fails(values):
        if len(values) > 1:
            raise ValueError("two are too many")

    def calls(values):
        called(values)

    caller = compile_loop(calls, called=compile_loop(fails))
    caller(np.ones(1))
    with pytest.raises(ValueError, match="two are too many"):
        caller(np.ones(2))


MODULE = """
import numpy as np
from rpusim.kernels.base.loops import compile_loop

def last(values):
    for i in range(len(values)):
        values[i] = values[i] + 1

def inner(values):
    last(values)

def outer(values):
    inner(values)

middle = compile_loop(inner, apart={apart}, last=compile_loop(last))
whole = compile_loop(outer, inner=middle)
values = np.zeros(3)
whole(values)
assert values.tolist() == [1, 1, 1]
print(sum(whole.stats.cache_hits.values()), sum(whole.stats.cache_misses.values()))
"""


@pytest.fixture(params=[True, False], ids=["apart", "within"])
def process(request, tmp_path):
    """A function that runs three loops, the last of which lies apart, in a new process; returns hits and misses."""
    (tmp_path / "chain.py").write_text(MODULE.format(apart=request.param))
    (tmp_path / "cache").mkdir()
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}

    def call():
        done = subprocess.run(
            [sys.executable, tmp_path / "chain.py"], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    return call


def test_a_second_process_loads_a_loop_with_what_it_calls(process):
    assert [process(), process()] == [["0", "1"], ["1", "0"]]


@pytest.mark.parametrize("lost", ["last", "inner"])
def test_what_is_called_may_be_lost_from_the_disk(process, tmp_path, lost):
    process()
    files = [path for path in (tmp_path / "cache").rglob("*.nb*") if path.name.startswith(f"chain.{lost}")]
    files = files or [path for path in (tmp_path / "cache").rglob("*.nb*") if lost in path.name]
    assert files
    for path in files:
        path.unlink()
    process()  # whatever was found, the numbers are right: the process itself asserts it
    assert process() == ["1", "0"]
