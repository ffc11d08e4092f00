"""The kernels at both ends of a multiplication compile for a GPU, also where there is none to run them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="needs Triton: make test-gpu")

_COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from rpusim.kernels.triton import converters

F, I, POINTER = "fp32", "i32", "*fp32"
FLAGS = ("ROUNDS", "STOCHASTIC", "CLIPS", "NOISY", "LOSES")
TYPES = {"nonzero": "*i32", "todo": "*i64", "keys": "*i64", "wanted": "*i1", "clipped": "*i32", "decay": "*fp64"}
TYPES |= dict.fromkeys(("inputs", "outputs", "first", "round_number", "vectors"), I)
TYPES |= dict.fromkeys(("step", "bound", "sigma", "left", "scale"), F)

for name, constants in (
    ("_look", {"wants_sums": True, "BLOCK": 64}),
    ("_follow", {}),
    ("_drive", dict.fromkeys(FLAGS, True) | {"BLOCK": 64}),
    ("_read", dict.fromkeys((*FLAGS, "BY_LINE", "TEST_LOW"), True) | {"BLOCK": 64}),
):
    kernel = getattr(converters, name)
    names = kernel.arg_names
    signature = {each: "constexpr" if each in constants else TYPES.get(each, POINTER) for each in names}
    source = ASTSource(kernel, signature, {(names.index(each),): value for each, value in constants.items()})
    code = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": False}).asm["ptx"]
    assert "fma" not in code and "div.full" not in code and "div.approx" not in code, name
    print(name)
"""


def test_they_compile_without_fused_sums_and_with_divisions_that_are_rounded_correctly():
    surroundings = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", _COMPILE],
        capture_output=True, text=True, env=surroundings | {"PYTHONPATH": paths}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["_look", "_follow", "_drive", "_read"]
