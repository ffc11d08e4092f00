"""The speed measurement measures: every case has its rows, ratios are ratios, wrong requests are sentences."""

import doctest
import sys

import pytest

from rpusim.errors import InputError
from rpusim.kernels.tiles.presets import CONFIGURATIONS
from rpusim.reports.cli.commands import bench
from rpusim.workloads.benchmarks import aihwkit_peer, training

SMALL = {"networks": ("fcn-digits",), "batches": (2,), "threads": (1,), "repeats": 1, "seconds": 0.0}


def test_each_case_has_a_row_per_execution_and_the_run_ends_with_the_ceiling(monkeypatch):
    monkeypatch.setattr(training.importlib.util, "find_spec", lambda name: None)
    seen = []
    rows = training.run(presets=("gokmen-vlasov", "ttv2-ecram"), watch=seen.append, **SMALL)
    assert rows == seen
    assert [row["name"] for row in rows[:4]] == [
        f"train fcn-digits {name} batch 2 threads 1 {execution}"
        for name in ("gokmen-vlasov", "ttv2-ecram")
        for execution in ("exact", "merged")
    ]
    assert "ceiling" not in rows[-1] and rows[-1]["unit"] == "cells*vectors/s" and rows[-1]["ratio"] < 1
    for row in rows:
        assert row["ratio"] == row["value"] / row["peer_value"]
        assert set(row) == {"name", "value", "unit", "peer", "peer_value", "ratio"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"networks": ("fnc",)}, "no network 'fnc'"),
        ({"presets": ("gokmen",)}, "'gokmen' is unknown"),
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
    with pytest.raises(InputError, match=r"peer: fcn-digits gokmen-vlasov batch 2 threads 1: ModuleNotFoundError"):
        training.run(presets=("gokmen-vlasov",), peer_python=sys.executable, **SMALL)


def test_the_peer_builds_the_network_that_we_build():
    for name in ("fcn", "lenet-2017"):
        module, _ = training.build(name)
        again = aihwkit_peer.module_of([training._described(layer) for layer in module.children()])
        assert [p.shape for p in module.parameters()] == [p.shape for p in again.parameters()]
        assert [type(layer) for layer in module.children()] == [type(layer) for layer in again.children()]


def test_presets_have_the_names_of_the_peer():
    assert doctest.testmod(training).failed == 0 and doctest.testmod(bench).failed == 0
    names = {training.peer_preset(name) for name in CONFIGURATIONS}
    assert {"EcRamMOPreset", "TikiTakaReRamESPreset", "AGADCapacitorPreset", "MixedPrecisionPCMPreset"} <= names
