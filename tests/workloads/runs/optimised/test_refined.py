"""Kinds of tiles and cuts: what is found is the best of all where all can be tried, and the work is bounded."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

import rpusim
from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.fit.wanted import Fit
from rpusim.kernels.inference import InferenceConfig, InferenceTile
from rpusim.workloads.runs.estimate import time_network
from rpusim.workloads.runs.optimised import optimise, refined
from rpusim.workloads.runs.optimised.chosen import WAYS
from rpusim.workloads.runs.optimised.combinations import Timer

BIMODAL = Chip.load("rpu-2017-bimodal")
"""Tiles of 4096 x 4096 that take 80 ns, and of 512 x 512 that take 10 ns."""


def network() -> Any:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 8, 5), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 64, 40), nn.Tanh(), nn.Linear(40, 10)
    return nn.Sequential(*layers), (1, 12, 12)


@cache
def brute_force(aim: str, budget: int) -> float:
    """The least value of all assignments of kinds to the three layers, in every way."""
    timer, kinds = Timer(network(), BIMODAL, aim, budget, "column", None), [kind.name for kind in BIMODAL.tiles]
    ways = [way for way in WAYS if way[1:] == ("balance", "near") or way[0] == "pack"]
    every = (
        timer.tried(Fit(fit, kinds=dict(zip("035", assigned, strict=True))), replicas, placing)
        for fit, replicas, placing in ways
        if not (fit == "pack" and replicas)
        for assigned in product(kinds, repeat=3)
    )
    return min(each.value for each in every if each.value is not None)


@pytest.mark.parametrize(("aim", "every"), [("latency", refined.EVERY), ("latency", 1), ("energy", refined.EVERY)])
def test_the_kinds_are_the_best_of_all(aim: str, every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether all assignments are timed or one layer after the other is changed."""
    monkeypatch.setattr(refined, "EVERY", every)
    found = optimise(network(), BIMODAL, aim, tiles=6)
    assert found["chosen"]["value"] <= brute_force(aim, 6)
    assert found["searched"]["kinds"] > 3 and not found["searched"]["stopped"]


def test_the_cuts_are_the_best_of_all_halvings() -> None:
    """One layer of 200 x 200 on 48 arrays of 256 x 256, which hold it as a whole."""
    module, chip = (nn.Linear(200, 200, bias=False), (200,)), Chip.load("neurram-2022")
    found = optimise(module, chip, "latency")
    timer = Timer(module, chip, "latency", chip.tile_count, "column", None)
    whole = timer.tried(Fit(), None, "in-order")
    cuts = product((200, 100, 50, 25, 13), (200, 100, 50, 25))
    tried = [timer.tried(Fit(cuts={whole.layers[0].name: cut}), None, "in-order") for cut in cuts]
    best = min(each.value for each in tried if each.value is not None)
    assert whole.value is not None and found["chosen"]["value"] <= best < 0.7 * whole.value


def test_what_was_chosen_can_be_asked_for() -> None:
    chosen = optimise(network(), BIMODAL, "latency", tiles=6)["chosen"]
    fit = {"way": chosen["fit"], "kinds": chosen["kinds"], "cuts": chosen["cuts"]}
    again = time_network(
        network(), BIMODAL, 1, False, "sequential", fit=fit, replicas=chosen["copies"], placing=chosen["placing"]
    ).document
    assert again["time"]["per_sample_s"] == chosen["value"] and again["tiles"]["count"] == chosen["tiles"]


def test_no_more_is_timed_than_the_bound_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refined, "LEAST", 2)
    monkeypatch.setattr(refined, "MOST_ROWS", 0)
    found = optimise(network(), BIMODAL, "latency", tiles=6)
    searched = found["searched"]
    assert searched["bound"] == 2 == searched["kinds"] + searched["cuts"] and searched["stopped"]
    assert len(found["tried"]) == 10 + 2 + searched["ways"]


def test_what_computes_is_cut_as_what_is_timed() -> None:
    module, shape = network()
    exact = InferenceConfig(None, compensation=None)
    model = rpusim.place(module, BIMODAL, shape, exact, fit="as-is,3 cut 20x100,0 on large")
    tiles = [tile for tile in model.modules() if isinstance(tile, InferenceTile)]
    assert [(tile.rows, tile.columns) for tile in tiles if tile.layer == 1] == [
        (20, columns) for _ in range(2) for columns in (86, 86, 86, 85, 85, 85)
    ]
    assert sum(tile.rows * tile.columns for tile in tiles if tile.layer == 1) == 40 * 513
