"""What a user gives and sees: modules, samples of every form, what had to be assumed, copies of layers, the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from sequences import GPT, Routed, Sets
from torch import nn

import rpusim
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.zoo.given import layers_file

PAGE = Path(__file__).parents[3] / "docs" / "networks.md"
BUILDER = """
import torch
from torch import nn

def build():
    rates = [rate.item() for rate in torch.linspace(0.0, 0.1, 2)]
    return nn.Sequential(*[nn.Sequential(nn.Linear(8, 8), nn.Dropout(rate)) for rate in rates]), (8,)
"""


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for code, lines in zip(
        re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL), (2, 1), strict=True
    ):
        exec(compile(code, "networks.md", "exec"), {})
        assert len(capsys.readouterr().out.splitlines()) == lines


def test_the_page_on_data_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (PAGE.parent / "data.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, "data.md", "exec"), {})
    assert capsys.readouterr().out.split()[0] == "8"


def test_the_list_of_layers_of_the_page_is_a_network() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    module, shape = layers_file.of(yaml.safe_load(text), "networks.md")
    assert module(torch.rand(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(
    "given",
    [(7, 3), [(7, 3)], ((7, 3), torch.float32), torch.ones(5, 7, 3), {"x": (7, 3)}, {"x": torch.ones(1, 7, 3)}],
    ids=["sizes", "a list", "with a dtype", "a batch", "by name", "a batch by name"],
)
def test_a_sample_may_be_said_in_many_ways(given: Any) -> None:
    assert capture(Sets(), given).edges[0].needs.tolist() == [-1] * 7


@pytest.mark.parametrize(
    ("given", "sentence"),
    [((7, -3), r"input_shape is \(7, -3\), accepted"), ("73", "'73'"), ({"x": (7, 0)}, r"\(7, 0\)"), ([], r"\[\]")],
)
def test_what_is_no_sample_is_refused_in_a_sentence(given: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        capture(Sets(), given)


def test_a_builder_that_reads_values_is_run_where_there_are_some(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BUILDER)
    assert rpusim.map_network(f"{tmp_path / 'mine.py'}:build", "reram-512")["totals"]["weights"] == 2 * 8 * 9


def test_what_has_no_rule_is_priced_and_said() -> None:
    said = "scatter: a straight line out of a table for each number read or written, once everything is there"
    assert rpusim.map_network((Routed(), (6,)), "reram-512")["assumed"] == [said]
    result = rpusim.time_network((Routed(), (6,)), "reram-512", samples=1, training=False, schedule="sequential")
    (row,) = [row for row in result["provenance"] if row["field"].startswith("network.")]
    assert row["value"] == 4 and row["source"] == f"assumption: {said}"


def test_a_bilinear_layer_multiplies_digitally_and_says_so() -> None:
    """Of 3 results of 4 and 5 numbers: 3 x 4 x 5 products over the first factor, 3 x 5 over the second."""

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 4), nn.Bilinear(4, 5, 3)

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.b(self.a(x), y)

    network = capture(Both(), ((6,), (5,)))
    assert network.products == 3 * 4 * 5 + 3 * 5 and network.assumptions[0].startswith("bilinear: its matrices")


def test_a_module_without_a_sample_is_refused() -> None:
    with pytest.raises(InputError, match="got a Sets alone, accepted"):
        rpusim.map_network(Sets(), "reram-512")  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["compiled", "simpy"])
@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_attention_waits_for_all_vectors_of_all_copies(engine: str, replicas: int) -> None:
    """Its products are behind the last conversion of queries, keys and values, whichever copy makes them."""
    network = capture(GPT(), (6,))
    first = network.layers[0].name
    plan = make_plan(place(network, rpusim.Chip.load("reram-512"), replicas={first: replicas}))
    events = run(plan, assumed_activity(plan.placement, 2, training=False), "sequential", engine)
    mine = (events.layer == 0) & (events.phase == 0)
    behind = mine & (events.op == Op.DIGITAL) & (events.row < 0) & (events.end - events.start > 500)
    converted = mine & (events.op == Op.CONVERT)
    assert behind.sum() == 2  # once for each sample
    for number, end in enumerate(sorted(events.start[behind].tolist())):
        its = converted & (events.vector // 6 == number)
        assert its.sum() == 6 and events.end[its].max() <= end


def test_embeddings_learn_and_errors_go_back_to_them() -> None:
    def learned(frozen: bool) -> rpusim.Result:
        table = nn.Embedding(20, 8)
        table.weight.requires_grad_(not frozen)
        module = nn.Sequential(table, nn.Linear(8, 4))
        how: dict[str, Any] = {"samples": 2, "training": True, "schedule": "sequential", "batch": 2}
        return rpusim.time_network((module, (6,)), "reram-512", **how)

    fixed, trained = learned(frozen=True), learned(frozen=False)
    back = [result["energy"]["by_phase"].get("backward", 0.0) for result in (fixed, trained)]
    assert back[1] > back[0]
    macs = 6 * 4 * 9
    assert [result["throughput"]["operations_per_sample"] for result in (fixed, trained)] == [4 * macs, 6 * macs]


class Tied(nn.Module):
    """An encoder whose matrix decodes, too: as it is, by a product, or by a function."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.coder, self.way = nn.Linear(6, 3, bias=False), way

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        code, weight = torch.tanh(self.coder(x)), self.coder.weight
        if self.way == "product":
            return code @ weight
        return (
            torch.einsum("bi,ij->bj", code, weight) if self.way == "einsum" else nn.functional.linear(code, weight.t())
        )


@pytest.mark.parametrize("way", ["product", "einsum", "function"])
def test_a_tie_is_one_matrix_whoever_multiplies(way: str) -> None:
    network = capture(Tied(way), (6,))
    assert [(layer.rows, layer.columns, layer.turned) for layer in network.layers] == [(3, 6, False), (6, 3, True)]
    assert rpusim.map_network(network, "reram-512")["totals"]["arrays"] == 1
