"""A mini-batch is a step of the optimizer, whatever else a loop does between two of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import rpusim
from rpusim.errors import InputError

SAMPLES = 4


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 3))


def placed(module: nn.Module | None = None, **options: Any) -> Any:
    return rpusim.place(module or network(), "rpu-2016", (16,), device="ecram", **options)


def loss(model: Any) -> torch.Tensor:
    found: torch.Tensor = model(torch.rand(SAMPLES, 16)).square().mean()
    return found


def activity(model: Any) -> dict[str, Any]:
    found: dict[str, Any] = model.chip.report()["activity"]
    return found


def plain(model: Any, optimizer: Any) -> None:
    loss(model).backward()
    optimizer.step()


def two_losses(model: Any, optimizer: Any) -> None:
    y = model(torch.rand(SAMPLES, 16))
    y.square().mean().backward(retain_graph=True)
    y.sum().backward()
    optimizer.step()


def accumulated(model: Any, optimizer: Any) -> None:
    for _ in range(3):
        loss(model).backward()
    optimizer.step()


def thrown_away(model: Any, optimizer: Any) -> None:
    loss(model)
    loss(model).backward()
    optimizer.zero_grad()
    plain(model, optimizer)


def recomputed(model: Any, optimizer: Any) -> None:
    checkpoint(model, torch.rand(SAMPLES, 16), use_reentrant=False).square().mean().backward()
    optimizer.step()


def closure(model: Any, optimizer: Any) -> None:
    def again() -> torch.Tensor:
        optimizer.zero_grad()
        found = loss(model)
        found.backward()
        return found

    again()
    optimizer.step(again)


def reported_in_between(model: Any, optimizer: Any) -> None:
    found = loss(model)
    model.chip.report()
    found.backward()
    model.chip.report()
    optimizer.step()


def evaluated_in_between(model: Any, optimizer: Any) -> None:
    found = loss(model)
    model.eval()
    with torch.no_grad():
        model(torch.rand(SAMPLES, 16))
    model.train()
    found.backward()
    optimizer.step()


def of_nothing(model: Any, optimizer: Any) -> None:
    model(torch.rand(0, 16)).sum().backward()
    optimizer.step()
    plain(model, optimizer)


@pytest.mark.parametrize(
    ("do", "steps"),
    [
        *((do, 1) for do in (plain, two_losses, accumulated, thrown_away, recomputed, closure)),
        *((do, 1) for do in (reported_in_between, evaluated_in_between)),
    ],
)
def test_mini_batches_are_steps_of_the_optimizer(do: Callable[[Any, Any], None], steps: int) -> None:
    model = placed()
    optimizer = rpusim.AnalogSGD(model, lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        do(model, optimizer)
    assert activity(model)["mini_batches"] == 3 * steps


def test_an_empty_batch_does_nothing_and_its_step_counts() -> None:
    model = placed(nn.Sequential(nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 3)))
    of_nothing(model, rpusim.AnalogSGD(model, lr=0.1))
    found = activity(model)
    assert (found["mini_batches"], found["samples"], found["updates"]) == (2, SAMPLES, 2 * SAMPLES)


def test_inference_is_no_mini_batch() -> None:
    model = placed().eval()
    model(torch.rand(SAMPLES, 16))
    model(torch.rand(SAMPLES, 16))
    assert (activity(model)["mini_batches"], activity(model)["inference_samples"]) == (0, 2 * SAMPLES)


def test_a_step_on_the_same_gradients_again_is_another_one() -> None:
    model = placed()
    optimizer = rpusim.AnalogSGD(model, lr=0.1)
    plain(model, optimizer)
    optimizer.step()
    found = activity(model)
    assert (found["mini_batches"], found["samples"], found["updates"]) == (2, SAMPLES, 2 * 2 * SAMPLES)


class TestSeveralOptimizers:
    def cost(self, split: Callable[[Any], list[Any]]) -> tuple[dict[str, Any], float, float]:
        model = placed()
        torch.manual_seed(1)
        optimizers = split(model)
        for _ in range(3):
            model.zero_grad()
            loss(model).backward()
            for optimizer in optimizers:
                optimizer.step()
        report = model.chip.report()
        return report["activity"], report["time"]["total_s"], report["energy"]["total_J"]

    def test_an_optimizer_for_each_part_costs_what_one_for_all_costs(self) -> None:
        one = self.cost(lambda model: [rpusim.AnalogSGD(model, lr=0.1)])
        each = self.cost(lambda model: [rpusim.AnalogSGD(part, lr=0.1) for part in model if list(part.parameters())])
        assert one[0]["mini_batches"] == 3
        assert one == each

    def test_an_optimizer_of_torch_beside_it_is_not_counted(self) -> None:
        def split(model: Any) -> list[Any]:
            on_arrays = rpusim.AnalogSGD(rpusim.array_parameters(model), lr=0.1)
            return [on_arrays, torch.optim.Adam(rpusim.digital_parameters(model), lr=0.1)]

        found = self.cost(split)[0]
        assert (found["mini_batches"], found["updates"]) == (3, 3 * 2 * SAMPLES)

    def test_parts_that_take_turns_have_mini_batches_of_their_own(self) -> None:
        model = placed()
        for _ in range(2):
            for part in (model[0], model[3]):
                model.zero_grad()
                loss(model).backward()
                rpusim.AnalogSGD(part, lr=0.1).step()
        found = activity(model)
        assert (found["mini_batches"], found["updates"]) == (4, 4 * SAMPLES)

    def test_a_step_that_a_scaler_skips_is_none(self) -> None:
        model = placed(nn.Sequential(nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 3)))
        optimizer, scaler = rpusim.AnalogSGD(model, lr=0.1), torch.amp.GradScaler("cpu", init_scale=2.0**16)
        for factor in (1.0, float("inf"), 1.0):
            optimizer.zero_grad()
            scaler.scale(loss(model) * factor).backward()
            scaler.step(optimizer)
            scaler.update()
        found = activity(model)
        assert (found["mini_batches"], found["samples"], found["updates"]) == (2, 3 * SAMPLES, 2 * 2 * SAMPLES)


class Segments(nn.Module):
    """Recomputes its second layer when it goes back."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c, self.again = nn.Linear(16, 12), nn.Linear(12, 12), nn.Linear(12, 3), again

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def inner(h: torch.Tensor) -> torch.Tensor:
            return torch.tanh(self.b(h))

        h = self.a(x)
        y: torch.Tensor = self.c(checkpoint(inner, h, use_reentrant=False) if self.again else inner(h))
        return y


@pytest.mark.parametrize("timing", ["every", "first", {"sampled": 2}])
def test_a_part_that_is_recomputed_goes_forward_twice_in_the_same_mini_batch(timing: Any) -> None:
    found = {}
    for again in (False, True):
        model = placed(Segments(again), timing=timing)
        optimizer = rpusim.AnalogSGD(model, lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            plain(model, optimizer)
        found[again] = activity(model), model.chip.report()["time"]["total_s"]
    once, twice = found[False][0], found[True][0]
    assert once["mini_batches"] == twice["mini_batches"] == 4
    assert twice["vectors"] - once["vectors"] == 4 * SAMPLES
    assert twice["updates"] == once["updates"] and twice["samples"] == once["samples"]
    assert 1.0 < found[True][1] / found[False][1] < 1.5


def test_a_sample_of_mini_batches_is_of_whole_ones() -> None:
    """Two passes back are cut into pieces for the engine, all of which are timed or none is."""
    model = placed(timing={"sampled": 2})
    optimizer = rpusim.AnalogSGD(model, lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        two_losses(model, optimizer)
    found = activity(model)
    assert (found["mini_batches"], found["samples"], found["timed_samples"]) == (4, 4 * SAMPLES, 2 * SAMPLES)


class TestFrozenAndUnfrozen:
    def updates(self, model: Any) -> int:
        return int(activity(model)["updates"]) if model.chip._repr_html_() else 0

    def learned(self, model: Any, optimizer: Any) -> int:
        before = self.updates(model)
        optimizer.zero_grad()
        plain(model, optimizer)
        return self.updates(model) - before

    def test_a_layer_that_was_frozen_before_it_was_placed_gets_no_pulses(self) -> None:
        module = network()
        module[0].requires_grad_(False)
        model = placed(module)
        held = model[0].get_weights()[0].clone()
        optimizer = rpusim.AnalogSGD(model, lr=0.1)
        assert self.learned(model, optimizer) == SAMPLES
        assert torch.equal(model[0].get_weights()[0], held)
        model[0].requires_grad_(True)
        assert self.learned(model, optimizer) == 2 * SAMPLES
        assert not torch.equal(model[0].get_weights()[0], held)
        model[3].requires_grad_(False)
        assert self.learned(model, optimizer) == SAMPLES

    def test_a_group_that_is_added_learns_from_then_on_at_its_own_rate(self) -> None:
        model = placed()
        optimizer = rpusim.AnalogSGD(model[3].parameters(), lr=0.1)
        assert self.learned(model, optimizer) == SAMPLES
        optimizer.add_param_group({"params": list(model[0].parameters()), "lr": 0.05})
        assert self.learned(model, optimizer) == 2 * SAMPLES
        optimizer.param_groups[1]["lr"] = 0.0
        assert self.learned(model, optimizer) == SAMPLES
        assert activity(model)["mini_batches"] == 3


def test_input_by_name_is_checked_as_well() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(16, 2)

        def forward(self, data: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.fc(data)
            return found

    with pytest.raises(InputError, match=r"input: got shape \(4, 5\), but the module was placed for samples of shape"):
        placed(Named())(data=torch.rand(4, 5))
