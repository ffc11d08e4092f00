"""A network that cannot learn the data says so before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import rpusim
from rpusim.errors import InputError
from rpusim.workloads.runs import training_run

NETWORKS = """
import torch
from torch import nn

def sequence(*layers):
    return nn.Sequential(*layers), (64,)

def good():
    return sequence(nn.Linear(64, 10), nn.Dropout(), nn.LogSoftmax(dim=1))

def few_outputs():
    return sequence(nn.Linear(64, 9), nn.LogSoftmax(dim=1))

def three_dimensions():
    return sequence(nn.Linear(64, 20), nn.Unflatten(1, (10, 2)), nn.LogSoftmax(dim=1))

def normalised():
    return sequence(nn.Linear(64, 10), nn.BatchNorm1d(10), nn.LogSoftmax(dim=1))

def double():
    return sequence(nn.Linear(64, 10).double(), nn.LogSoftmax(dim=1))

def frozen():
    module = nn.Linear(64, 10)
    module.requires_grad_(False)
    return sequence(module, nn.LogSoftmax(dim=1))

class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 10)
    def forward(self, x):
        return self.b(self.a(self.a(x))).log_softmax(1)

def shared():
    return Twice(), (64,)

class RecurrentTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.last = nn.RNN(8, 8, batch_first=True), nn.Linear(8, 10)

    def forward(self, x):
        steps = self.rnn(self.rnn(x.reshape(-1, 8, 8))[0])[0]
        return self.last(steps[:, -1]).log_softmax(1)

def recurrent_twice():
    return RecurrentTwice(), (64,)

class ByHand(Twice):
    def forward(self, x):
        return (self.a(x)[:, None] * self.b.weight).sum(-1).log_softmax(1)

def by_hand():
    return ByHand(), (64,)

class Exits(Twice):
    def forward(self, x):
        if self.training:
            raise RuntimeError("not on a Sunday.")
        return self.b(self.a(x)).log_softmax(1)

def exits():
    return Exits(), (64,)
"""


@pytest.fixture
def run(few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    (tmp_path / "net.py").write_text(NETWORKS)
    monkeypatch.chdir(tmp_path)

    def one(network: str, **changes: object) -> rpusim.Result:
        return rpusim.simulate("fcn-digits", network=f"net.py:{network}", data=str(few_digits), epochs=1, **changes)

    return one


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ("few_outputs", r"has 9 outputs but the data have 10 classes"),
        ("three_dimensions", r"returns shape \(1, 10, 2\) for 1 samples; accepted: .*\(1, 10\)"),
        ("normalised", r"a mini-batch of 1 of the data cannot be learned \(ValueError: Expected more than 1 value"),
        ("double", r"0\.weight is float64; accepted: float32"),
        ("frozen", r"all of its parameters are frozen \(requires_grad=False\)"),
        ("by_hand", r"its weight is on arrays and is used outside its layer's forward with a gradient wanted"),
        ("exits", r"in training mode, Exits cannot run on a sample of shape \(64,\): not on a Sunday"),
    ],
)
def test_what_cannot_learn_is_refused_in_a_sentence_before_training(
    network: str, sentence: str, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_run, "train", lambda *_: pytest.fail("the training began"))
    with pytest.raises(InputError, match=sentence) as caught:
        run(network)
    assert "\n" not in str(caught.value)


def test_the_dry_run_leaves_nothing_behind(run, monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = run("good").document
    monkeypatch.setattr(training_run, "dry_run", lambda *_: None)
    without = run("good").document
    for document in (with_it, without):
        document.pop("wall")
    assert with_it == without


def test_a_mini_batch_of_one_comes_only_where_the_data_leave_one(run) -> None:
    state = torch.get_rng_state()
    recipe = {"epochs": 1, "batch": 20, "learning_rate": 0.01, "halve_every": 10, "source": "test"}
    assert run("normalised", recipe=recipe)["activity"]["samples"] == 60
    torch.set_rng_state(state)


def test_a_layer_that_is_called_twice_learns_on_its_own_arrays(run) -> None:
    layers = run("shared")["layers"]
    assert [(layer["name"], layer.get("arrays_of")) for layer in layers] == [("a", None), ("a:2", "a"), ("b", None)]
    assert layers[0]["tiles"] == layers[1]["tiles"] != layers[2]["tiles"]


def test_a_recurrent_layer_that_is_called_twice_does_so_too(run) -> None:
    layers = run("recurrent_twice")["layers"]
    names = ["rnn.ih_l0", "rnn.hh_l0", "rnn.ih_l0:2", "rnn.hh_l0:2", "last"]
    again = [None, None, "rnn.ih_l0", "rnn.hh_l0", None]
    assert [(layer["name"], layer.get("arrays_of")) for layer in layers] == list(zip(names, again, strict=True))
