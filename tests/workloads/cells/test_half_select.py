"""Half-selection as a chip's file says it: in the numbers of a run, by torch, and on no account."""

from __future__ import annotations

from pathlib import Path

import pytest

import rpusim
from rpusim.errors import InputError


def test_a_chip_says_how_far_half_selected_cells_creep(few_digits: Path) -> None:
    told = {"data": str(few_digits), "epochs": 1, "batch": 10, "chip": "reram-512", "device": "ecram"}
    usual = rpusim.simulate("fcn-digits", **told)
    creeping = rpusim.simulate("fcn-digits", **told, **{"tiles.0.pulses.half_select": 0.01})
    assert usual["steps"]["analog"] == "compiled"
    assert creeping["steps"]["analog"].endswith("as the network has arrays whose half-selected cells creep")
    losses = [run["accuracy"]["curve"][0]["train_loss"] for run in (usual, creeping)]
    assert losses[0] != losses[1]
    assert [row["value"] for row in creeping["provenance"] if row["field"].endswith("pulses.half_select")] == [0.01]
    assert not any("half_select" in row["field"] for row in usual["provenance"])


def test_a_share_beyond_a_step_is_refused() -> None:
    with pytest.raises(InputError, match=r"pulses\.half_select"):
        rpusim.simulate("fcn-digits", chip="reram-512", device="ecram", **{"tiles.0.pulses.half_select": 1.5})
