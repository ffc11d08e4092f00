"""What only training does is placed, learns and is on the clock; evaluation neither does it nor waits for it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import rpusim
from rpusim.arch.account.ledger import RESTING
from rpusim.errors import InputError

SAMPLES, INFERRED = 4, 3
TRUNK, HEAD = ["a", "b"], ["a", "b", "aux"]


class Net(nn.Module):
    """Two layers; the forward of a subclass may use the third, a head beside the second."""

    kept: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.aux = nn.Linear(16, 8), nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        return self.b(torch.tanh(self.a(x)))


class Added(Net):
    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.a(x))
        y = self.b(h)
        return y + 0.3 * self.aux(h) if self.training else y


class Returned(Net):
    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.a(x))
        y = self.b(h)
        return (y, self.aux(h)) if self.training else y


class Kept(Net):
    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.a(x))
        y = self.b(h)
        if self.training:
            self.kept = self.aux(h)
        return y


class LossInside(Net):
    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.a(x))
        y = self.b(h)
        return F.mse_loss(y, x[:, :3]) + (self.aux(h) ** 2).mean() if self.training else y


class First(Net):
    """The head reads the input, before everything else."""

    def __init__(self) -> None:
        super().__init__()
        self.aux = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Any:
        extra = self.aux(x) if self.training else None
        y = self.b(torch.tanh(self.a(x)))
        return y if extra is None else y + extra


def placed(module: nn.Module, chip: str = "rpu-2016", **options: Any) -> Any:
    return rpusim.place(module, chip, (16,), device="ecram", **options)


def learn(model: Any, optimizer: Any) -> None:
    model.train()
    optimizer.zero_grad()
    out = model(torch.rand(SAMPLES, 16))
    loss = sum(each.square().sum() for each in (out if isinstance(out, tuple) else (out,)))
    if isinstance(model, Kept):
        loss = loss + model.kept.square().sum()
    loss.backward()
    optimizer.step()


def infer(model: Any) -> None:
    model.eval()
    with torch.no_grad():
        model(torch.rand(INFERRED, 16))


@pytest.mark.parametrize("kind", [Added, Returned, Kept, LossInside])
@pytest.mark.parametrize("chip", ["rpu-2016", "reram-512"])
def test_a_head_of_training_learns_on_arrays_and_is_in_the_account(kind: type[Net], chip: str) -> None:
    model = placed(kind(), chip)
    optimizer = rpusim.AnalogSGD(model, lr=0.1)
    before = model.aux.get_weights()[0].clone()
    for _ in range(2):
        learn(model, optimizer)
        infer(model)
    report = model.chip.report()
    activity = report["activity"]
    assert sorted(layer["name"] for layer in report["layers"]) == sorted(HEAD)
    assert not torch.equal(model.aux.get_weights()[0], before)
    assert activity["updates"] == 2 * SAMPLES * 3
    assert activity["vectors"] == 2 * (SAMPLES * (3 + 2) + INFERRED * 2)  # forward, errors of the two heads, evaluation
    assert (activity["samples"], activity["inference_samples"]) == (2 * (SAMPLES + INFERRED), 2 * INFERRED)
    assert activity["mini_batches"] == 2
    macs = {"a": 17 * 8, "b": 9 * 3, "aux": 9 * 3}
    every, behind, trunk = sum(macs.values()), macs["b"] + macs["aux"], macs["a"] + macs["b"]
    operations = 2 * 2 * (SAMPLES * (2 * every + behind) + INFERRED * trunk)
    assert report["throughput"]["operations_per_sample"] == round(operations / activity["samples"])


def test_a_head_that_comes_first_is_not_what_samples_are_counted_by() -> None:
    model = placed(First())
    learn(model, rpusim.AnalogSGD(model, lr=0.1))
    infer(model)
    report = model.chip.report()
    assert [layer["name"] for layer in report["layers"]] == ["aux", "a", "b"]
    activity = report["activity"]
    assert (activity["samples"], activity["inference_samples"]) == (SAMPLES + INFERRED, INFERRED)
    assert activity["timed_samples"] == SAMPLES + INFERRED


@pytest.mark.parametrize("chip", ["rpu-2016", "reram-512"])
def test_evaluation_costs_what_it_costs_without_the_head_but_for_standby_of_its_tile(chip: str) -> None:
    reports = []
    for kind in (Net, Added, Returned):
        model = placed(kind(), chip)
        torch.manual_seed(1)
        infer(model)
        infer(model)
        reports.append(model.chip.report())
    plain = reports[0]
    for report in reports[1:]:
        assert report["time"] == plain["time"]
        without = [{k: v for k, v in r["energy"]["by_phase"].items() if k not in RESTING} for r in (report, plain)]
        assert without[0] == without[1]
        assert report["energy"]["by_phase"]["standby"] >= plain["energy"]["by_phase"]["standby"]
        assert "aux" not in report["energy"]["by_layer"]


def test_training_and_evaluation_add_up() -> None:
    def cost(*acts: Callable[[Any, Any], None]) -> tuple[float, float]:
        torch.manual_seed(2)
        model = placed(Added())
        optimizer = rpusim.AnalogSGD(model, lr=0.0)  # the weights stay, so that only the inputs matter
        for act in acts:
            torch.manual_seed(3)
            act(model, optimizer)
        report = model.chip.report()
        return report["time"]["total_s"], report["energy"]["total_J"]

    def evaluate(model: Any, _: Any) -> None:
        infer(model)

    (time, energy), *apart = cost(learn, evaluate), cost(learn), cost(evaluate)
    assert time == pytest.approx(sum(each[0] for each in apart), rel=1e-9)
    assert energy == pytest.approx(sum(each[1] for each in apart), rel=1e-3)  # noise; parts wake between


def test_noise_of_training_is_digital_work_in_training_only() -> None:
    class Noisy(Net):
        def forward(self, x: Tensor) -> Any:
            h = self.a(x)
            if self.training:
                h = h + 0.1 * torch.randn_like(h)
            return self.b(torch.tanh(h))

    def cost(kind: type[Net], train: bool) -> float:
        model = placed(kind()).train(train)
        with torch.no_grad():
            model(torch.ones(SAMPLES, 16))
        return float(model.chip.report()["energy"]["total_J"])

    assert cost(Noisy, False) == cost(Net, False) == cost(Net, True) < cost(Noisy, True)


def test_a_part_in_evaluation_mode_is_timed_as_what_it_does() -> None:
    """The branch belongs to a submodule, which is put into evaluation mode alone, as for a frozen trunk."""

    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.out = Added(), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Any:
            return self.out(self.trunk(x))

    model = placed(Holder())
    optimizer = rpusim.AnalogSGD(model, lr=0.1)
    model.trunk.eval()
    model(torch.rand(SAMPLES, 16)).sum().backward()
    optimizer.step()
    report = model.chip.report()
    assert report["activity"]["updates"] == 3 * SAMPLES
    assert "trunk.aux" not in report["energy"]["by_layer"]
    model(torch.rand(SAMPLES, 16))
    model.trunk.train()
    with pytest.raises(InputError, match="did what evaluation does, and in another call of the mini-batch what train"):
        model(torch.rand(SAMPLES, 16))


class Other(Net):
    """Does what its flag says."""

    does = ""

    def forward(self, x: Tensor) -> Any:
        if self.does == "less":
            return self.b(torch.zeros(len(x), 8))
        h = torch.tanh(self.a(x))
        if self.does == "turned":
            return self.aux(h) + self.b(h)
        y = self.b(h) + self.aux(h)
        return y + self.b(h) if self.does == "twice" else y


@pytest.mark.parametrize(
    ("does", "sentence"),
    [
        ("less", "it did not use layer 'a', unlike when it was placed; accepted: calls that use the layers that were"),
        ("turned", "it used layer 'aux' before layer 'b'"),
        ("twice", "it sent 8 vectors through layer 'b' instead of 4"),
    ],
)
@pytest.mark.parametrize("train", [True, False])
def test_a_call_that_does_something_else_is_refused_and_leaves_the_account_as_it_was(
    does: str, sentence: str, train: bool
) -> None:
    model = placed(Other())
    optimizer = rpusim.AnalogSGD(model, lr=0.1)
    learn(model, optimizer)
    before = model.chip.report().document
    model.train(train)
    model.does = does
    with pytest.raises(InputError, match=f"^model: {sentence}"):
        model(torch.rand(SAMPLES, 16))
    model.does = ""
    assert model.chip.report().document == before
    learn(model, optimizer)
    assert model.chip.report()["activity"]["updates"] == 2 * 3 * SAMPLES


def test_a_layer_of_evaluation_only_is_refused() -> None:
    class Turned(Net):
        def forward(self, x: Tensor) -> Any:
            h = torch.tanh(self.a(x))
            return self.b(h) if self.training else self.aux(h)

    with pytest.raises(InputError, match="layer 'aux' is used in evaluation mode but not in training mode"):
        placed(Turned())
    assert placed_for_inference(Turned()) == ["a", "aux"]


def placed_for_inference(module: nn.Module) -> list[str]:
    model = rpusim.place(module, "isaac-2016", (16,))
    model(torch.rand(2, 16))
    return [layer["name"] for layer in model.chip.report()["layers"]]


def test_a_chip_that_only_infers_holds_what_evaluation_uses() -> None:
    assert placed_for_inference(Added()) == TRUNK
    model = rpusim.place(Added(), "isaac-2016", (16,))
    model.train()(torch.rand(2, 16)).sum().backward()  # in software
    model.eval()(torch.rand(2, 16))
    assert model.chip.report()["activity"]["samples"] == 2


def test_a_layer_whose_result_both_modes_keep_aside_must_not_learn() -> None:
    class Aside(Net):
        def forward(self, x: Tensor) -> Any:
            h = torch.tanh(self.a(x))
            self.kept = self.aux(h)
            return self.b(h)

    model = placed(Aside())
    optimizer = rpusim.AnalogSGD(model, lr=0.1)
    learn(model, optimizer)
    report = model.chip.report()
    assert [layer["name"] for layer in report["layers"]] == TRUNK
    assert report["activity"]["updates"] == 2 * SAMPLES
    loss = model(torch.rand(SAMPLES, 16)).sum() + model.kept.sum()
    with pytest.raises(
        InputError, match="layer 'aux' is not on the chip, as what it computes is not part of what forw"
    ):
        loss.backward()


def test_what_was_saved_goes_on_to_the_byte() -> None:
    def parts() -> tuple[Any, Any]:
        model = placed(Added(), timing={"sampled": 2})
        return model, rpusim.AnalogSGD(model, lr=0.1)

    def epoch(number: int, model: Any, optimizer: Any) -> None:
        torch.manual_seed(number)
        infer(model)
        learn(model, optimizer)
        learn(model, optimizer)

    whole, before, after = parts(), parts(), parts()
    epoch(1, *whole)
    epoch(2, *whole)
    epoch(1, *before)
    file = io.BytesIO()
    torch.save([thing.state_dict() for thing in (before[0], before[0].chip, before[1])], file)
    file.seek(0)
    for thing, state in zip((after[0], after[0].chip, after[1]), torch.load(file), strict=True):
        thing.load_state_dict(state)
    epoch(2, *after)
    assert after[0].chip.report().document == whole[0].chip.report().document


NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.aux = nn.Linear(64, 16), nn.Linear(16, 10), nn.Linear(16, 10)

    def forward(self, x):
        h = torch.tanh(self.a(x))
        y = self.b(h)
        return (y + self.aux(h) if self.training else y).log_softmax(1)

def build():
    return Net(), (64,)
"""


def test_an_experiment_trains_the_head_on_its_chip_and_estimates_tell_the_modes_apart(
    few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NETWORK)
    recipe = {"epochs": 1, "batch": 20, "learning_rate": 0.01, "halve_every": 10, "source": "test"}
    result = rpusim.simulate("fcn-digits", network="net.py:build", data=str(few_digits), recipe=recipe)
    assert [layer["name"] for layer in result["layers"]] == HEAD
    assert result["activity"]["updates"] == 3 * 60
    mapped = {chip: rpusim.map_network("net.py:build", chip)["layers"] for chip in ("rpu-2016", "isaac-2016")}
    assert {chip: [layer["name"] for layer in found] for chip, found in mapped.items()} == {
        "rpu-2016": HEAD,
        "isaac-2016": TRUNK,
    }
    for training, names in ((True, HEAD), (False, TRUNK)):
        timed = rpusim.time_network("net.py:build", "rpu-2016", 2, training, "sequential")
        assert [layer["name"] for layer in timed["layers"]] == names
