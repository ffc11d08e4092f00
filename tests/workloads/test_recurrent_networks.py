"""A language model of one LSTM layer on a chip: placed, timed, and the same whether timed from a few samples or all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rpusim

MODEL = """
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(12, 16, batch_first=True), nn.Linear(16, 12)

    def forward(self, x):
        return self.out(self.lstm(x)[0])

def build():
    return Model(), (6, 12)
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "model.py").write_text(MODEL)
    return f"{tmp_path / 'model.py'}:build"


def test_it_is_mapped_as_matrices_of_the_input_and_of_the_state(model: str) -> None:
    layers = rpusim.map_network(model, "reram-512")["layers"]
    found = [(layer["name"], layer["kind"], layer["rows"], layer["columns"], layer["vectors"]) for layer in layers]
    assert found == [
        ("lstm.ih_l0", "linear", 64, 13, 6),
        ("lstm.hh_l0", "recurrent", 64, 17, 6),
        ("out", "linear", 12, 17, 6),
    ]


@pytest.mark.parametrize("options", [{"training": False}, {"training": True, "batch": 2}], ids=str)
def test_a_few_samples_say_what_all_of_them_take(model: str, options: dict[str, Any]) -> None:
    few, all_of_them = (
        rpusim.time_network(model, "reram-512", samples=12, schedule="sequential", whole=whole, **options)
        for whole in (False, True)
    )
    for key in ("time", "energy"):
        assert few[key] == all_of_them[key]
    given, state, out = 6 * 64 * 13, 6 * 64 * 17, 6 * 12 * 17
    passes = [given, state, out]
    if options["training"]:  # nothing goes back through the input's matrix
        passes += [state, out, given, state, out]
    assert few["throughput"]["operations_per_sample"] == 2 * sum(passes)


def test_it_is_not_computed_on_the_clock(model: str) -> None:
    namespace: dict[str, Any] = {}
    exec(MODEL, namespace)
    with pytest.raises(rpusim.InputError, match=r"module .lstm. .LSTM. can be mapped and timed but not computed"):
        rpusim.place(namespace["Model"](), "reram-512", (6, 12))
