"""A run gives the process back as it was, and runs in several threads do not disturb each other."""

import logging
import random
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import rpusim
from rpusim.errors import InputError
from rpusim.workloads.runs.process import RandomNumbers, one_thread

DROPOUT = """
from torch import nn
def build():
    return nn.Sequential(nn.Linear(64, 16), nn.Sigmoid(), nn.Dropout(), nn.Linear(16, 10), nn.LogSoftmax(1)), (64,)
"""


def simulate(**changes):
    found = rpusim.simulate("fcn-digits", epochs=1, batch=100, **changes)
    return {name: part for name, part in found.items() if name != "wall"}


def state():
    """Everything of the process that a run could leave changed."""
    return (
        torch.get_rng_state().tolist(),
        repr(np.random.get_state()),
        random.getstate(),
        torch.get_num_threads(),
        sys.stderr,
        sys.stdout,
        logging.root.manager.disable,
        [*warnings.filters],
    )


@pytest.fixture
def dropout(tmp_path, monkeypatch):
    (tmp_path / "dropout.py").write_text(DROPOUT)
    monkeypatch.chdir(tmp_path)
    return "dropout.py:build"


def test_random_numbers_of_a_run_are_those_of_its_seed_and_go_on():
    torch.manual_seed(3)
    expected = torch.rand(4)
    before = torch.manual_seed(9).get_state()
    numbers, drawn = RandomNumbers(3), []
    for _ in range(2):
        with numbers.drawn():
            drawn.append(torch.rand(2))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.cat(drawn), expected)


def test_one_thread_is_this_ones_alone():
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_thread(), ThreadPoolExecutor(1) as other:
            assert (torch.get_num_threads(), other.submit(torch.get_num_threads).result()) == (1, 3)
        with ThreadPoolExecutor(1) as other:
            assert (torch.get_num_threads(), other.submit(torch.get_num_threads).result()) == (3, 3)
    finally:
        torch.set_num_threads(threads)


def test_a_run_leaves_the_process_as_it_was(dropout):
    good, wrong = (torch.nn.Sequential(torch.nn.Linear(size, 4)) for size in (4, 3))
    for _ in range(2):  # the first time, what is imported changes something, too
        before = state()
        simulate(network=dropout)
        rpusim.time_network("fcn", "rpu-2016", 1, True, "sequential")
        rpusim.place(good, "reram-512", (4,))
        with pytest.raises(InputError):
            rpusim.capture(wrong, (4,))
    assert state() == before


def test_a_run_whose_network_draws_does_so_from_its_seed_alone(dropout):
    torch.manual_seed(1)
    first = simulate(network=dropout)
    torch.manual_seed(2)
    assert simulate(network=dropout) == first
    assert simulate(network=dropout, seed=1) != first


def test_two_threads_train_and_get_what_each_gets_alone(dropout):
    alone = [simulate(seed=1), simulate(network=dropout, seed=2)]
    torch.manual_seed(5)
    expected = torch.rand(1000, 100).sum(1)
    torch.manual_seed(5)
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(simulate, seed=1), pool.submit(simulate, network=dropout, seed=2)]
        assert [job.result() for job in jobs] == alone
    assert torch.equal(torch.rand(1000, 100).sum(1), expected)


def test_one_thread_captures_and_times_while_another_trains():
    def train():
        torch_module = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4))
        with torch.no_grad():
            for number, parameter in enumerate(torch_module.parameters()):
                parameter.copy_(torch.sin(torch.arange(parameter.numel()) + number).view_as(parameter) / 6)
        model = rpusim.place(torch_module, "reram-512", (32,))
        optimizer = rpusim.AnalogSGD(model, lr=0.05)
        x = torch.cos(torch.arange(256.0)).view(8, 32)
        for _ in range(40):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), torch.arange(8) % 4).backward()
            optimizer.step()
        return model[0].get_weights()[0].sum().item(), model.chip.report()["time"]["total_s"]

    def look():
        timed = rpusim.time_network("fcn", "reram-512", 2, True, "sequential")
        with pytest.raises(InputError, match="cannot run on a sample of shape"):
            rpusim.capture(torch.nn.Sequential(torch.nn.Linear(3, 2)), (4,))
        return timed["time"]["total_s"]

    trained, timed, before = train(), look(), state()
    with ThreadPoolExecutor(4) as pool:
        training, looking = [pool.submit(train) for _ in range(3)], [pool.submit(look) for _ in range(6)]
    assert {job.result() for job in training} == {trained}
    assert {job.result() for job in looking} == {timed}
    assert state()[3:] == before[3:]


def test_what_other_threads_say_while_something_is_traced_is_heard(capsys):
    class Slow(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.part = torch.nn.Linear(2, 2)

        def forward(self, x):
            print("mine", file=sys.stderr)
            warnings.warn("mine", stacklevel=1)
            tracing.set()
            said.wait(10)
            return self.part(x)

    tracing, said = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(rpusim.capture, torch.nn.Sequential(Slow()), (2,))
        assert tracing.wait(30)
        print("yours", file=sys.stderr)
        logging.getLogger("torch").error("yours")
        with pytest.warns(UserWarning, match="yours"):
            warnings.warn("yours", stacklevel=1)
        said.set()
        job.result()
    heard = capsys.readouterr().err
    assert "yours\n" in heard and "mine" not in heard
