"""An ordinary training loop, in whatever order it goes forward, evaluates and steps, has an account that adds up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import rpusim
from rpusim.arch.account.ledger import RESTING
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.errors import InputError
from rpusim.kernels.inference import InferenceTile, drift, program
from rpusim.workloads.clock.loop_log import in_order

SAMPLES = 3


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))


class Loop:
    """A placed network with what a loop does to it."""

    def __init__(self) -> None:
        self.model = rpusim.place(network(), "rpu-2016", (1, 4, 4))
        self.optimizer = rpusim.AnalogSGD(self.model, lr=0.1)
        self.x = torch.rand(SAMPLES, 1, 4, 4)

    def forward(self) -> torch.Tensor:
        return self.model(self.x).square().sum()

    def learn(self, times: int = 1, step: bool = True) -> None:
        for _ in range(times):
            self.forward().backward()
        if step:
            self.optimizer.step()
            self.optimizer.zero_grad()

    def evaluate(self) -> None:
        self.model.eval()
        with torch.no_grad():
            self.model(self.x)
        self.model.train()

    def report(self) -> dict[str, Any]:
        return self.model.chip.report().document


MACS = 2 * 9 * 4 + 2 * 4, 3 * 8 + 3
FORWARD = 2 * sum(MACS)
TRAINING = 2 * FORWARD + 2 * MACS[1]


def accumulate(loop: Loop) -> None:
    loop.learn(2)


def skip(loop: Loop) -> None:
    loop.learn(step=False)
    loop.optimizer.zero_grad()
    loop.learn()


def throw_away(loop: Loop) -> None:
    loop.forward()
    loop.learn()


def train_evaluate_train(loop: Loop) -> None:
    loop.learn()
    loop.evaluate()
    loop.learn()


def evaluate_twice(loop: Loop) -> None:
    loop.evaluate()
    loop.evaluate()


def evaluate_before_backward(loop: Loop) -> None:
    loss = loop.forward()
    loop.evaluate()
    loss.backward()
    loop.optimizer.step()


def without_a_gradient(loop: Loop) -> None:
    with torch.no_grad():
        loop.forward()
    loop.learn()


def report_in_the_middle(loop: Loop) -> None:
    loss = loop.forward()
    loop.report()
    loss.backward()
    loop.report()
    loop.optimizer.step()


def forwards_then_backwards(loop: Loop) -> None:
    losses = [loop.forward() for _ in range(3)]
    for loss in losses:
        loss.backward()
    loop.report()
    loop.optimizer.step()


@pytest.mark.parametrize(
    ("do", "forward", "backward", "update", "inference"),
    [
        (accumulate, 2, 2, 2, 0),
        (skip, 2, 2, 1, 0),
        (throw_away, 2, 1, 1, 0),
        (train_evaluate_train, 3, 2, 2, 1),
        (evaluate_twice, 2, 0, 0, 2),
        (evaluate_before_backward, 2, 1, 1, 1),
        (without_a_gradient, 2, 1, 1, 1),
        (report_in_the_middle, 1, 1, 1, 0),
        (forwards_then_backwards, 3, 3, 3, 0),
    ],
)
def test_the_account_holds_every_pass_of_the_loop(
    do: Callable[[Loop], None], forward: int, backward: int, update: int, inference: int
) -> None:
    loop = Loop()
    do(loop)
    found = loop.report()
    activity = found["activity"]
    conv, linear = 4, 1
    assert activity["samples"] == SAMPLES * forward
    assert activity["inference_samples"] == SAMPLES * inference
    assert activity["vectors"] == SAMPLES * (forward * (conv + linear) + backward * linear)
    assert activity["updates"] == SAMPLES * update * (conv + linear)
    macs = forward * sum(MACS) + backward * MACS[1] + update * sum(MACS)
    assert found["throughput"]["operations_per_sample"] == round(2 * macs / forward)
    rate = found["throughput"]["ops_per_s"] * found["time"]["total_s"]
    assert rate == pytest.approx(2 * macs * SAMPLES, rel=1e-12)


def test_inference_costs_what_the_forward_pass_of_training_costs() -> None:
    loop = Loop()
    loop.evaluate()
    once = loop.report()
    assert once["throughput"]["operations_per_sample"] == FORWARD
    assert set(once["energy"]["by_phase"]) <= {"forward", *RESTING}
    loop.evaluate()
    twice = loop.report()
    assert twice["time"]["per_sample_s"] == pytest.approx(once["time"]["per_sample_s"])


def test_training_alone_counts_the_operations_of_an_experiment() -> None:
    loop = Loop()
    loop.learn()
    assert loop.report()["throughput"]["operations_per_sample"] == TRAINING


def test_a_report_before_any_work_is_refused() -> None:
    with pytest.raises(InputError, match=r"chip\.report: the module has done nothing yet"):
        Loop().report()


def test_an_input_of_another_shape_is_refused_before_it_is_computed() -> None:
    loop = Loop()
    with pytest.raises(InputError, match=r"got shape \(3, 1, 5, 5\), but .*placed for samples of shape \(1, 4, 4\)"):
        loop.model(torch.rand(3, 1, 5, 5))
    loop.learn()
    assert loop.report()["activity"]["samples"] == SAMPLES


def test_a_chip_that_only_infers_takes_a_network_for_inference() -> None:
    """Cells are exact unless they are named; training is done in software, off the clock."""
    model = rpusim.place(network(), "isaac-2016", (1, 4, 4))
    assert not model.training
    y = model(torch.rand(SAMPLES, 1, 4, 4))
    report = model.chip.report()
    assert report["activity"]["inference_samples"] == SAMPLES
    y.sum().backward()
    model.train()(torch.rand(SAMPLES, 1, 4, 4)).sum().backward()
    assert model.chip.report()["energy"] == report["energy"]
    with pytest.raises(InputError, match=r"device: got 'ecram', but isaac-2016 has tiles .* accepted: inference-pcm"):
        rpusim.place(network(), "isaac-2016", (1, 4, 4), device="ecram")


def test_programming_and_measuring_drift_are_on_the_clock_before_the_next_call() -> None:
    """Written and verified as the chip does it; a pass for every column of every tile whenever drift is measured."""
    x = torch.rand(SAMPLES, 1, 4, 4)

    def reported(*acts: Callable[[nn.Module], object]) -> Any:
        model = rpusim.place(network(), "reram-512", (1, 4, 4), device="inference-reram-wan-2022")
        for act in acts:
            act(model)
        model(x)
        return model.chip.report()

    acts = (rpusim.program, lambda model: rpusim.drift(model, 86400.0))
    bare, programmed, drifted = (reported(*acts[:number]) for number in range(3))
    times = [of["time"]["total_s"] for of in (bare, programmed, drifted)]
    energies = [of["energy"]["by_phase"].get("maintenance", 0.0) for of in (bare, programmed, drifted)]
    assert times == sorted(times) and 0.0 == energies[0] < energies[1] < energies[2]
    assert times[1] > 8.52e-6  # a single cell takes so many pulses of a microsecond
    reads = [of["activity"]["maintenance"]["slices_read"] for of in (programmed, drifted)]
    assert reads[1] - reads[0] == 10 + 9  # columns of the convolution and of the linear layer, with their biases
    assert drifted["activity"]["digital_ops"] > programmed["activity"]["digital_ops"]
    assert {of["activity"]["inference_samples"] for of in (bare, programmed, drifted)} == {SAMPLES}


def test_what_was_programmed_is_on_the_clock_after_a_restart_too() -> None:
    def placed() -> nn.Module:
        return rpusim.place(network(), "reram-512", (1, 4, 4), device="inference-reram-wan-2022")

    one, two, x = placed(), placed(), torch.rand(SAMPLES, 1, 4, 4)
    rpusim.drift(one, 86400.0)
    two.load_state_dict(one.state_dict())
    two.chip.load_state_dict(one.chip.state_dict())
    outputs, reports = zip(*((model(x), model.chip.report()) for model in (one, two)), strict=True)
    assert torch.equal(*outputs)
    assert reports[0]["energy"] == reports[1]["energy"] and reports[0]["energy"]["by_phase"]["maintenance"] > 0.0


class TestIdle:
    @staticmethod
    def placed(device: str = "inference-pcm") -> Any:
        model = rpusim.place(network(), "reram-512", (1, 4, 4), device=device)
        program(model)
        return model

    @staticmethod
    def held(model: Any) -> list[float]:
        return [w for m in model.modules() if isinstance(m, InferenceTile) for w in m.weights.flatten().tolist()]

    def test_standing_still_after_programming_is_drifting_as_long(self) -> None:
        idle, drifted = self.placed(), self.placed()
        idle.chip.idle(86400.0)
        drift(drifted, 86400.0)
        assert self.held(idle) == self.held(drifted) != self.held(self.placed())
        x = torch.ones(2, 1, 4, 4)
        assert torch.equal(idle(x), drifted(x))
        seconds = [model.chip.report()["time"]["total_s"] for model in (idle, drifted)]
        assert seconds[0] == pytest.approx(86400.0 + seconds[1], rel=1e-12)

    def test_idle_times_add_up_to_an_age_that_is_kept(self) -> None:
        model, once = self.placed(), self.placed()
        drift(model, 3600.0)
        drift(once, 3600.0)
        model.chip.idle(1000.0)
        again = self.placed()
        again.load_state_dict(model.state_dict())
        again.chip.idle(2000.0)
        drift(once, 4600.0)
        drift(once, 6600.0)
        assert self.held(again) == self.held(once)
        program(again)
        assert {m.age for m in again.modules() if isinstance(m, InferenceTile)} == {0.0}

    def test_an_age_at_which_nothing_was_measured_is_refused_and_no_time_passes(self) -> None:
        model = self.placed("inference-reram-wan-2022")
        before = self.held(model)
        with pytest.raises(InputError, match=r"seconds: 10.0 was given; reram-wan-2022 was measured 1, 86400"):
            model.chip.idle(10.0)
        assert self.held(model) == before
        model(torch.ones(1, 1, 4, 4))
        assert model.chip.report()["time"]["total_s"] < 1.0

    def test_what_is_not_programmed_does_not_age(self) -> None:
        model = rpusim.place(network(), "reram-512", (1, 4, 4), device="inference-pcm")
        before = self.held(model)
        model.chip.idle(86400.0)
        assert self.held(model) == before


def test_cells_are_not_written_where_a_chip_does_not_say_how() -> None:
    model = rpusim.place(network(), "isaac-2016", (1, 4, 4), device="inference-pcm")
    with pytest.raises(InputError, match="'isaac' of isaac-2016 do not say how they are written"):
        rpusim.program(model)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"module": nn.Linear(4, 2)}, r"got a Linear by itself; accepted: .*nn\.Sequential\(nn\.Linear"),
        ({"module": 3}, "got a int, accepted: a torch.nn.Module"),
        ({"bias": "analog"}, "bias: got 'analog'; accepted: column, digital"),
        ({"device": 3}, "device: got int '3'; accepted: the name of a preset"),
        ({"chip": 3}, "chip: got int '3'; accepted"),
        ({"management": None}, "management: got NoneType"),
        ({"seed": 10**30}, "seed: got 1000.*, but a whole number from 0 to"),
        ({"seed": "one"}, "seed: got str 'one'"),
        ({"input_shape": 0}, "input_shape is 0"),
    ],
)
def test_what_cannot_be_placed_is_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    given: dict[str, Any] = {"module": nn.Sequential(nn.Linear(4, 2)), "chip": "rpu-2016", "input_shape": (4,)}
    with pytest.raises(InputError, match=sentence):
        rpusim.place(**given | changes)


def test_a_weight_that_is_computed_first_is_refused_by_name() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l, self.matrix = nn.Linear(3, 3), nn.Parameter(torch.zeros(3, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(torch.tanh(self.l(x)), self.matrix / 2)

    with pytest.raises(InputError, match=r"weight 'matrix \(div 2\)' is computed from parameters before it is used"):
        rpusim.place(Twice(), "rpu-2016", (3,))


def test_pieces_of_a_step_have_the_same_samples_in_every_pass() -> None:
    rows = Activity.rows(
        step=7,
        layer=[0, 0, 0, 1, 1, 1, 1, 0, 1],
        phase=[Phase.FORWARD] * 6 + [Phase.BACKWARD, Phase.UPDATE, Phase.UPDATE],
        vector=[0, 0, 1, 0, 0, 1, 0, 0, 0],
    )
    found = in_order(rows, [1, 1], first_step=5)
    assert found.step.tolist() == [5, 5, 6, 5, 5, 6, 6, 6, 6]
    assert found.vector.tolist() == [0, 1, 0, 0, 1, 0, 0, 0, 0]
    assert np.array_equal(found.phase, rows.phase)


def test_part_of_a_sample_is_refused() -> None:
    rows = Activity.rows(layer=0, phase=Phase.FORWARD, vector=[0, 1, 2])
    with pytest.raises(InputError, match="layer 0 saw 3 vectors in a mini-batch, but a sample has 2"):
        in_order(rows, [2])


class TestAnOrdinaryLoop:
    """DataLoader, a loss and a scheduler of torch, clipping, evaluation, `torch.save`."""

    def parts(self) -> tuple[nn.Module, Any, Any]:
        model = rpusim.place(network(), "rpu-2016", (1, 4, 4), device="ecram")
        optimizer = rpusim.AnalogSGD(model, lr=0.1)
        return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)

    def epochs(self, number: int, model: nn.Module, optimizer: Any, scheduler: Any) -> None:
        torch.manual_seed(number)
        samples = TensorDataset(torch.rand(10, 1, 4, 4), torch.arange(10) % 3)
        for _ in range(number):
            model.train()
            for x, y in DataLoader(samples, batch_size=4, shuffle=True):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y, label_smoothing=0.1).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                optimizer.step()
            scheduler.step()
            model.eval()
            with torch.no_grad():
                model(torch.rand(3, 1, 4, 4))

    def test_reports_come_as_often_as_one_likes(self) -> None:
        parts = self.parts()
        self.epochs(1, *parts)
        first = parts[0].chip.report()
        assert parts[0].chip.report().document == first.document
        self.epochs(2, *parts)
        second = parts[0].chip.report()
        assert second["activity"]["samples"] == 3 * first["activity"]["samples"] == 3 * 13
        assert second["analysis"]["time_s"] == pytest.approx(3 * first["analysis"]["time_s"], rel=0.05)
        whole = self.parts()
        self.epochs(1, *whole)
        self.epochs(2, *whole)
        assert whole[0].chip.report().document == second.document

    def test_what_was_saved_goes_on_to_the_byte(self, tmp_path: Path) -> None:
        whole, before = self.parts(), self.parts()
        self.epochs(1, *whole)
        self.epochs(2, *whole)
        self.epochs(1, *before)
        things = (before[0], before[0].chip, *before[1:])
        torch.save([thing.state_dict() for thing in things], tmp_path / "saved")
        after = self.parts()
        for thing, state in zip((after[0], after[0].chip, *after[1:]), torch.load(tmp_path / "saved"), strict=True):
            thing.load_state_dict(state)
        self.epochs(2, *after)
        found, expected = after[0].chip.report(), whole[0].chip.report()
        assert found.document == expected.document
        assert found.trace is not None and expected.trace is not None
        for name, column in expected.trace.columns().items():
            assert np.array_equal(found.trace.columns()[name], column), name
        for one, other in zip(after[0].buffers(), whole[0].buffers(), strict=True):
            torch.testing.assert_close(one, other, rtol=0.0, atol=0.0, equal_nan=True)

    def test_an_account_of_another_chip_is_refused(self) -> None:
        model, other = self.parts()[0], rpusim.place(network(), "reram-512", (1, 4, 4))
        for state in (other.chip.state_dict(), {}, None):
            with pytest.raises(InputError, match="the state is of another network, chip or placement; accepted"):
                model.chip.load_state_dict(state)


class TestNotebook:
    def test_a_module_that_did_nothing_shows_nothing(self) -> None:
        assert Loop().model.chip._repr_html_() is None

    def test_the_chip_shows_what_its_report_says(self) -> None:
        loop = Loop()
        loop.learn()
        shown = loop.model.chip._repr_html_()
        assert shown is not None and shown == loop.model.chip.report()._repr_html_()
        for words in ("Time per sample", "Energy per sample", "Area", "rpu-2016", "set the pace"):
            assert words in shown
        ElementTree.fromstring(shown)
        assert len(repr(loop.model.chip.report())) < 100

    def test_names_are_words_and_no_markup(self) -> None:
        loop = Loop()
        loop.learn()
        document = loop.report() | {"title": "<script>alert(1)</script>"}
        shown = rpusim.Result(document, None, ())._repr_html_()
        assert shown is not None and "<script>" not in shown and "&lt;script&gt;" in shown
