"""Asynchronous training in the numbers: samples see the versions of weights that the engine's times say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rpusim
from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.arch.engine.events import Op
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError
from rpusim.kernels import AnalogSGD
from rpusim.workloads.cells.periphery import with_management
from rpusim.workloads.runs import inputs, settings
from rpusim.workloads.runs.analog_twin import analog_twin
from rpusim.workloads.runs.stale import StaleLearning, versions
from rpusim.workloads.runs.training_loop import Batches


def told(few_digits: Path, **changes: Any) -> dict[str, Any]:
    return {
        "data": str(few_digits),
        "chip": "reram-512",
        "device": "ecram",
        "epochs": 1,
        "execution": "exact",
    } | changes


def learning(few_digits: Path, batch: int) -> tuple[StaleLearning, Batches, Any]:
    experiment = settings.changed(settings.load("fcn-digits"), told(few_digits, batch=batch))
    torch.manual_seed(0)
    loaded, log = inputs.load(experiment), ActivityLog()
    plan = make_plan(loaded.placement)
    model = analog_twin(loaded.digital, loaded.placement, experiment.management, loaded.cells, 0, log).train()
    optimizer = AnalogSGD(model, 0.2)
    stale = StaleLearning(model, optimizer, log, plan, experiment.management)
    return stale, Batches(loaded.samples, experiment.recipe, 0), (plan, experiment.management, optimizer, model)


def test_one_sample_on_its_way_is_sequential_training_to_the_bit(few_digits: Path) -> None:
    one, other = (
        rpusim.simulate("fcn-digits", **told(few_digits, batch=1, schedule=schedule))
        for schedule in ("sequential", "asynchronous")
    )
    assert one["accuracy"]["curve"][0]["test_error"] == other["accuracy"]["curve"][0]["test_error"]
    for name in ("coincidences", "slots", "updates", "vectors", "passes"):
        assert one["activity"][name] == other["activity"][name]
    assert other["activity"]["staleness"] == {"mean": 0.0, "largest": 0}
    assert one["accuracy"]["curve"][0]["train_loss"] == pytest.approx(other["accuracy"]["curve"][0]["train_loss"])


def test_what_was_computed_is_what_the_clock_says(few_digits: Path) -> None:
    """The versions that samples saw are those of the engine's times of what they then did; the model is where it is."""
    stale, batches, (plan, management, _, model) = learning(few_digits, 6)
    x, y = next(iter(batches.epoch(0, 0, 4)))
    before = model.state_dict()["fc1.tiles.0.cell.arrays.0.weights"].clone()
    stale.learn(x, y, 6)
    activity = with_management(stale.take(), plan.placement, management)
    assert stale.unsettled == 0
    found = versions(plan, activity, run(plan, activity, "asynchronous"), len(y))
    assert stale._expected is not None and np.array_equal(found, stale._expected)
    behind = np.arange(len(y)) - found
    assert behind.min() == 0 and 0 < behind.max() < 6
    assert (behind[0] >= behind[1]).all()  # a sample comes back later than it went
    assert not torch.equal(before, model.state_dict()["fc1.tiles.0.cell.arrays.0.weights"])


def test_a_version_is_the_number_of_samples_whose_last_pulse_had_ended(few_digits: Path) -> None:
    """Counted event by event: all pulses of the samples below the version have ended when a layer is first driven, and
    no other sample's have, for every sample, layer and way."""
    stale, batches, (plan, management, _, _) = learning(few_digits, 5)
    x, y = next(iter(batches.epoch(0, 0, 3)))
    stale.learn(x, y, 5)
    activity = with_management(stale.take(), plan.placement, management)
    events, found = run(plan, activity, "asynchronous"), stale._expected
    assert found is not None
    per_step = max(np.bincount(activity.step[(activity.layer == 0) & (activity.phase == Phase.FORWARD)]))
    of = [None if row < 0 else int(activity.step[row] * per_step + activity.vector[row]) for row in events.row]
    number = len(y)
    for layer in plan.layers:
        last, went = dict[int, int](), dict[tuple[int, int], int]()
        for i, sample in enumerate(of):
            if sample is None or events.layer[i] != layer.index:
                continue
            if events.op[i] == Op.PULSE and events.phase[i] == Phase.UPDATE:
                last[sample] = max(last.get(sample, 0), int(events.end[i]))
            for way, phase in enumerate((Phase.FORWARD, Phase.BACKWARD)):
                if events.op[i] == Op.DRIVE and events.phase[i] == phase:
                    went[way, sample] = min(went.get((way, sample), 2**62), int(events.start[i]))
        assert len(last) == number
        for (way, sample), time in went.items():
            ended = {other for other, end in last.items() if end <= time and other < sample}
            assert ended == set(range(found[way, layer.index, sample]))


def test_fresh_versions_compute_what_the_optimizer_does_alone(few_digits: Path) -> None:
    """With version s for sample s nothing is stale, and weights are those of a plain loop, to the bit."""
    stale, batches, (plan, _, _, model) = learning(few_digits, 4)
    _, _, (_, _, optimizer, alone) = learning(few_digits, 4)
    x, y = next(iter(batches.epoch(0, 0, 2)))
    fresh = np.tile(np.arange(len(y)), (2, len(plan.layers), 1))
    stale._numbers(x, y, 4, fresh)
    for at in range(len(y)):
        optimizer.zero_grad()
        torch.autograd.backward(torch.nn.functional.nll_loss(alone(x[at : at + 1]), y[at : at + 1]) / 4)
        optimizer.step()
    for (name, one), other in zip(model.named_parameters(), alone.parameters(), strict=True):
        assert torch.equal(one.detach(), other.detach()), name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bias": "digital"}, "schedule: got 'asynchronous' for a network whose .* learns digitally"),
        ({"timing": "first"}, "timing: got 'first' with schedule: asynchronous"),
        ({"device": {"model": "soft-bounds", "retention": 1e-3}}, "schedule: got 'asynchronous' with cells that leak"),
    ],
)
def test_what_it_cannot_follow_is_refused(few_digits: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        rpusim.simulate("fcn-digits", **told(few_digits, schedule="asynchronous", batch=4, **changes))
