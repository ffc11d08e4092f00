"""The speed measurement measures: every case has its rows, ratios are ratios, wrong requests are sentences."""

import doctest
import sys

import pytest
import torch

from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, IOParameters
from rpusim.kernels.devices import FloatingPointDevice
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.tiles.presets import CONFIGURATIONS
from rpusim.reports.cli.commands import bench
from rpusim.workloads.benchmarks import aihwkit_peer, cases, peer, training, ways
from rpusim.workloads.benchmarks.cases import Case

SMALL = {"networks": ("fcn-digits",), "batches": (2,), "threads": (1,), "repeats": 1, "seconds": 0.0}


def test_each_case_has_a_row_per_way_and_execution_and_the_run_ends_with_the_ceiling(monkeypatch):
    monkeypatch.setattr(training.importlib.util, "find_spec", lambda name: None)
    seen = []
    rows = training.run(presets=("gokmen-vlasov", "ttv2-ecram"), regimes=("digits",), watch=seen.append, **SMALL)
    assert rows == seen
    assert [row["name"] for row in rows[:-1]] == [
        f"train fcn-digits {name} digits batch 2 threads 1 {execution}, {way}"
        for name in ("gokmen-vlasov", "ttv2-ecram")
        for way in ("torch", "compiled")
        for execution in ("exact", "merged")
    ]
    assert "ceiling" not in rows[-1] and rows[-1]["unit"] == "cells*vectors/s" and rows[-1]["ratio"] < 1
    for row in rows:
        assert row["ratio"] == row["value"] / row["peer_value"]
        common = {"name", "value", "unit", "peer", "peer_value", "ratio"}
        assert set(row) == (common if row is rows[-1] else common | {"slots", "pulses"})


def test_a_further_way_to_train_has_rows_under_its_name(monkeypatch):
    monkeypatch.setattr(training.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(ways.WAYS, "other", ways.by_torch)
    rows = training.run(
        presets=("idealized",), regimes=("sparse",), executions=("merged",), chosen=("torch", "other"), **SMALL
    )
    assert [row["name"].rsplit(", ")[-1] for row in rows[:-1]] == ["torch", "other"]


def test_all_competitors_train_the_same_mini_batches():
    """Where one is a hundred times as fast as another, too: it has learned as much, so that its pulses are as many."""
    done = {"fast": [], "slow": []}

    def competitor(name, each):
        def train(steps):
            done[name].append(steps)
            return steps * each

        return train

    medians = training._take_turns({name: competitor(name, s) for name, s in (("fast", 1e-4), ("slow", 1e-2))}, 3, 0.2)
    assert medians == pytest.approx({"fast": 1e-4, "slow": 1e-2})
    assert done["fast"] == done["slow"] == [2, 2, 200, 200, 200]


def test_regimes_send_as_many_pulses_as_they_say():
    """Fixed trains have their length; as digits are learned, a cell takes many times the pulses of random images."""
    slots, pulses = {}, {}
    for regime in cases.REGIMES:
        slots[regime], pulses[regime] = ways.pulses(Case("fcn-digits", "gokmen-vlasov", 1, 1, regime), 20)
    assert slots["2016-bl10"] == 10.0 and slots["2016-bl31"] == 31.0
    assert slots["sparse"] < 5.0 < slots["digits"] <= 31.0
    assert pulses["digits"] > 5.0 * pulses["sparse"] > 0.0
    assert pulses["2016-bl31"] == pytest.approx(pulses["2016-bl10"], rel=0.2)  # the same mean, in smaller chances


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"networks": ("fnc",)}, "no network 'fnc'"),
        ({"presets": ("gokmen",)}, "'gokmen' is unknown"),
        ({"regimes": ("dense",)}, "regime: 'dense' is unknown"),
        ({"chosen": ("torhc",)}, "way: 'torhc' is unknown.*torch"),
        ({"executions": ("merge",)}, "execution: 'merge' is unknown.*merged"),
        ({"batches": (0,)}, "batch: 0 was given; accepted is an integer >= 1"),
        ({"threads": (4096,)}, "threads: 4096 was given; accepted are 1 to"),
        ({"peer_python": "/nowhere/python"}, "peer_python: '/nowhere/python' cannot be run"),
        ({"repeats": 0}, "repeats: 0 was given"),
    ],
)
def test_what_cannot_be_measured_is_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        training.run(**{**SMALL, **given})


@pytest.mark.skipif(training.importlib.util.find_spec("aihwkit") is not None, reason="there is an aihwkit here")
def test_a_peer_without_aihwkit_is_reported_in_its_own_words():
    with pytest.raises(InputError, match=r"peer: fcn-digits gokmen-vlasov sparse batch 2 threads 1: ModuleNotFound"):
        training.run(presets=("gokmen-vlasov",), peer_python=sys.executable, **SMALL)


def test_the_peer_builds_the_network_that_we_build():
    for name in ("fcn", "lenet-2017", "lstm2-64"):
        module = cases.module(name)
        again = aihwkit_peer.module_of(cases.described(module))
        assert [p.shape for p in module.parameters()] == [p.shape for p in again.parameters()]
        assert [type(layer) for layer in module.children()] == [type(layer) for layer in again.children()]


def test_the_text_can_be_learned_and_every_character_is_followed_by_its_label():
    x, y = cases.samples("lstm2-64", "sparse")
    assert x.shape == (len(y), cases.STEPS, cases.CHARACTERS) and bool((x.sum(-1) == 1).all())
    assert torch.equal(x[:, 1:].argmax(-1), y[:, :-1])
    pairs = torch.zeros(cases.CHARACTERS, cases.CHARACTERS)
    pairs.index_put_((x.argmax(-1).ravel(), y.ravel()), torch.ones(y.numel()), accumulate=True)
    assert float(pairs.amax(1).sum() / pairs.sum()) > 0.3  # the best guess; one of 32 by chance


def test_presets_have_the_names_of_the_peer():
    assert doctest.testmod(peer).failed == 0 and doctest.testmod(bench).failed == 0
    names = {peer.peer_preset(name) for name in CONFIGURATIONS}
    assert {"EcRamMOPreset", "TikiTakaReRamESPreset", "AGADCapacitorPreset", "MixedPrecisionPCMPreset"} <= names


def test_a_character_model_reads_sample_by_sample_on_arrays_too():
    """On perfect arrays of numbers it computes what it does in floating point; samples and steps differ in number."""
    torch.manual_seed(0)
    digital = aihwkit_peer.Characters(4, 5)
    exact = IOParameters(is_perfect=True)
    analog = convert(digital, AnalogConfig(FloatingPointDevice(), forward=exact, backward=exact))
    x = torch.rand(2, 3, 4)
    torch.testing.assert_close(analog(x), digital(x))
