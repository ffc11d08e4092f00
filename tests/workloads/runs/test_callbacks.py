"""Who is told of every epoch, and the table of a result."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest

import rpusim

QUICK: dict[str, Any] = {"epochs": 2, "batch": 10, "timing": "first"}


def test_a_callback_is_told_of_every_epoch_as_the_curve_has_it() -> None:
    told: list[tuple[str, dict[str, float]]] = []
    found = rpusim.simulate("fcn-digits", callbacks=[lambda stage, epoch: told.append((stage, dict(epoch)))], **QUICK)
    on_chip = [epoch for stage, epoch in told if stage == "analog"]
    floating = [epoch["test_error"] for stage, epoch in told if stage == "digital"]
    curve = [
        {k: v for k, v in epoch.items() if k != "test_error_floating_point"} for epoch in found["accuracy"]["curve"]
    ]
    assert on_chip == curve
    assert floating == [epoch["test_error_floating_point"] for epoch in found["accuracy"]["curve"]]
    assert list(found.to_dataframe()["epoch"]) == [1, 2]


def test_weights_and_biases_gets_every_figure_under_the_name_of_its_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[Mapping[str, float]] = []
    fake = ModuleType("wandb")
    fake.init = lambda **options: fake  # type: ignore[attr-defined]
    fake.log = logged.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", fake)
    rpusim.WeightsAndBiases(project="rpu")("analog", {"epoch": 1, "test_error": 0.5})
    assert logged == [{"analog/epoch": 1, "analog/test_error": 0.5}]


@pytest.mark.parametrize("name", ["TensorBoard", "WeightsAndBiases"])
def test_what_is_not_installed_is_said_in_a_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("wandb", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(rpusim.InputError, match="is not installed; run pip install"):
        getattr(rpusim, name)(*(["logs"] if name == "TensorBoard" else []))


def test_where_nothing_is_computed_the_table_is_of_energy() -> None:
    table = rpusim.time_network("fcn", "rpu-2016", 1, True, "sequential").to_dataframe()
    assert {"part", "phase", "layer", "J"} <= set(table.columns) and len(table) > 5
