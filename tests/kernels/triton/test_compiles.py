"""Kernels of pulses compile for GPUs, also where there is none: what the interpreter takes a compiler may refuse.

In a process of its own, because the interpreter takes the place of the compiler where it is asked for.
"""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="needs Triton: make test-gpu")

COMPILE = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from rpusim.kernels.devices import PULSED
from rpusim.kernels.devices.variation import parameters_per_step
from rpusim.kernels.triton import devices, drivers, exact

FLOATS = "weights cells x d gain_x gain_d values gain".split()
LONGS, WORDS = "slots table".split(), "taken row_trains column_trains bad noise_words rounding_d rounding_x".split()
KINDS = dict.fromkeys(FLOATS, "*fp32") | dict.fromkeys(LONGS, "*i64") | dict.fromkeys(WORDS, "*i32")
KINDS |= {"settings": "*fp64", "rounding": "*i32", "firing": "*i32", "out": "*i32"}
KINDS |= dict.fromkeys("vectors rows columns words length offset".split(), "i32")
KINDS |= dict.fromkeys("sigma step step_d step_x".split(), "fp32")


def check(kernel, **constants):
    signature = {name: KINDS.get(name, "constexpr") for name in kernel.arg_names}
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    source = ASTSource(kernel, signature, constexprs=places)
    done = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"enable_fp_fusion": False})
    assert "fma.rn.f32" not in done.asm["ptx"]


of_cells = dict(NOISY=True, FLIP=False, ONLY_UP=False, WEAR=True, ROWS=16, COLUMNS=32)
for kind, make in PULSED.items():
    device = make()
    number = parameters_per_step(device.sample(2, 2, (1,)).pulse)
    made = devices.translated(device.step, number)
    of_device = dict(STEP=made.step, READ=made.read, CHOOSE=made.choose, PARAMETERS=number, **of_cells)
    check(exact._coincide, **of_device)
check(exact._counted, **of_device, ROUND_D=2, ROUND_X=1, MEAN=True)
check(exact._counted, **of_device, ROUND_D=0, ROUND_X=0, MEAN=False)
check(drivers._plan, UM=True, UBLM=True, LINES=256, LAST=9)
check(drivers._fire, ROUND=2, LINES=256)
check(drivers._count, FLIP=False, LINES=64)
print("compiled")
"""


def test_kernels_of_pulses_and_the_steps_of_all_devices_compile_without_fused_products(tmp_path):
    pytest.importorskip("triton.backends.nvidia", reason="this Triton has no compiler for NVIDIA GPUs")
    names = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", COMPILE], env=names, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "compiled"
