"""Neither bytes nor the user's settings depend on how many threads there are; a forked process goes on alone."""

import os
import subprocess
import sys

import pytest
import torch

from rpusim.kernels.base.threads import on_one_thread, part_by_part
from rpusim.kernels.mvm.periphery import product

STEP = """
import multiprocessing, torch, rpusim
def step():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(512, 512), torch.nn.Tanh(), torch.nn.Linear(512, 10))
    model = rpusim.place(net, "reram-512", (512,))
    optimizer = rpusim.AnalogSGD(model, lr=0.05)
    torch.nn.functional.cross_entropy(model(torch.rand(64, 512)), torch.arange(64) % 10).backward()
    optimizer.step()
    return model[0].get_weights()[0].double().sum().item()
"""


def outcome(code: str, **environment: str) -> str:
    """What a new process prints; it fails where it fails or hangs."""
    kept = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    kept |= {"PYTHONPATH": os.pathsep.join(sys.path), **environment}
    done = subprocess.run([sys.executable, "-c", code], env=kept, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def threads():
    """Set torch's number of threads for a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_a_training_step_leaves_the_number_of_torchs_threads_that_the_user_set():
    told = "step()\nprint(torch.get_num_threads())"
    assert outcome(f"{STEP}torch.set_num_threads(1)\n{told}", NUMBA_NUM_THREADS="2") == "1\n"
    assert outcome(f"{STEP}torch.set_num_threads(3)\n{told}", NUMBA_NUM_THREADS="2") == "3\n"


@pytest.mark.parametrize("shape", [(2, 5, 7), (7, 2048, 512), (300, 64, 1), (1500, 785, 100)])
def test_a_product_has_the_same_bits_on_any_number_of_threads(shape, threads):
    vectors, inputs, outputs = shape
    generator = torch.Generator().manual_seed(1)
    u, weights = (torch.randn(size, inputs, generator=generator) for size in (vectors, outputs))
    found = []
    for number in (1, 2, 5, 8):
        threads(number)
        found.append(product(u, weights))
        assert torch.get_num_threads() == number
    assert all(torch.equal(each, found[0]) for each in found)
    torch.testing.assert_close(found[0], u @ weights.t(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("outputs", [1, 2, 10])
def test_vectors_have_the_same_bits_in_any_batch_of_32_or_more(outputs, threads):
    threads(1)
    u, weights = torch.randn(960, 513), torch.randn(outputs, 513)
    together = product(u, weights)
    for size in (32, 48, 320):
        assert torch.equal(together, torch.cat([product(part, weights) for part in torch.split(u, size)]))


def test_parts_are_computed_in_order_and_with_the_callers_gradients(threads):
    threads(3)
    weight = torch.ones(1, requires_grad=True)
    with torch.no_grad():
        parts = list(part_by_part(lambda part: part * weight, torch.arange(20.0)))
    assert [int(part) for part in parts] == list(range(20))
    assert not any(part.requires_grad for part in parts)
    assert on_one_thread(lambda a, b: a + b, 1, 2) == 3


FORK = """
if __name__ == "__main__":
    def child(queue):
        queue.put((step(), bool(torch.isfinite(torch.randn(512, 512)).all()), torch.get_num_threads()))
    here = step()
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=child, args=(queue,))
    process.start(); process.join(60)
    assert process.exitcode == 0, process.exitcode
    assert queue.get() == (here, True, 1)
"""


def test_a_forked_process_trains_after_its_parent_did_with_the_same_result():
    outcome(STEP + FORK, NUMBA_NUM_THREADS="2")


def test_workers_of_a_pool_by_spawn_return_results(tmp_path):
    code = (
        "import multiprocessing, rpusim\n"
        "def timed(samples): return rpusim.time_network('fcn', 'rpu-2016', samples, True, 'sequential')\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(2) as pool:\n"
        "        assert pool.map(timed, [1, 2]) == [timed(1), timed(2)]\n"
    )
    (tmp_path / "pool.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, tmp_path / "pool.py"], env=environment, check=True, timeout=120)


LARGE = """
import json, rpusim
found = rpusim.simulate("fcn-digits", network="large.py:build", epochs=1, batch=64, chip="rpu-2016", learning_rate=0.02)
print(json.dumps({name: part for name, part in found.items() if name != "wall"}, sort_keys=True))
"""
NETWORK = """
from torch import nn
def build():
    start = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.Sigmoid(), nn.Flatten())
    return start.extend([nn.Linear(2048, 1024), nn.Sigmoid(), nn.Linear(1024, 10), nn.LogSoftmax(1)]), (1, 8, 8)
"""


@pytest.mark.slow
def test_a_network_for_which_loops_run_in_parallel_gives_the_same_bytes_on_any_number_of_threads(tmp_path, monkeypatch):
    (tmp_path / "large.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    one = outcome(LARGE, NUMBA_NUM_THREADS="1")
    assert outcome(LARGE, NUMBA_NUM_THREADS="3") == one
    assert outcome(LARGE, NUMBA_NUM_THREADS="2", OMP_NUM_THREADS="4") == one
    assert outcome(LARGE, NUMBA_NUM_THREADS="2", NUMBA_THREADING_LAYER="workqueue") == one
