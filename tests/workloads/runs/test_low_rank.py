"""Low-rank adapters on a chip: only they learn, their sum is the merged weight, and frozen arrays take no pulses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rpusim
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.contract.activity import Phase
from rpusim.arch.engine.events import Op
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogTile, IOParameters
from rpusim.kernels.devices import ExactDevice
from rpusim.kernels.layers.low_rank import LowRank, adapters
from rpusim.workloads.runs import settings, simulate, training_run
from rpusim.workloads.runs.checkpoint import Paused, beside
from rpusim.workloads.runs.pulse_trace import trace_pulses

RANK = {"rank": 3, "source": "a test"}


def whole_numbers(module: nn.Module, seed: int = 0) -> nn.Module:
    """Let all weights be small whole numbers, whose products are exact in floating point."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-3, 4, parameter.shape, generator=draw))
    return module


def linear() -> tuple[nn.Module, tuple[int, ...]]:
    return nn.Linear(7, 5), (7,)


def several() -> tuple[nn.Module, tuple[int, ...]]:
    return nn.Sequential(nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 4, bias=False)), (7,)


def convolution() -> tuple[nn.Module, tuple[int, ...]]:
    return nn.Conv2d(2, 5, 3, stride=2, padding=1), (2, 6, 6)


class TestEquation:
    @pytest.mark.parametrize("build", [linear, several, convolution])
    def test_merged_weights_compute_the_same_on_ideal_arrays(self, build: Any) -> None:
        """y = W x + b + s B (A x) = (W + s B A) x + b, exactly: all numbers are small and whole."""
        module, shape = build()
        low = whole_numbers(rpusim.lora(module, rank=2, scale=2.0))
        perfect = IOParameters(is_perfect=True)
        ideal = AnalogConfig(ExactDevice(), forward=perfect, backward=perfect)
        analog = rpusim.convert(low, ideal)
        x = torch.randint(-4, 5, (3, *shape)).float()
        merged = rpusim.merge_lora(low)
        assert not any(isinstance(part, LowRank) for part in merged.modules())
        assert all(parameter.requires_grad for parameter in merged.parameters())
        assert torch.equal(analog(x), merged(x))
        assert torch.equal(low(x), merged(x))

    def test_at_first_nothing_is_added(self) -> None:
        module, shape = several()
        x = torch.randn(4, *shape)
        assert torch.equal(rpusim.lora(module, rank=2)(x), module(x))

    def test_only_named_layers_get_adapters_and_all_else_is_frozen(self) -> None:
        module, _ = several()
        found = rpusim.lora(module, rank=2, layers=["2"])
        assert adapters(found) == ("2.down", "2.up")
        assert [name for name, p in found.named_parameters() if p.requires_grad] == ["2.down.weight", "2.up.weight"]
        assert all(parameter.requires_grad for parameter in module.parameters())

    def test_a_layer_in_two_places_gets_one_adapter(self) -> None:
        one = nn.Linear(4, 4)
        found = rpusim.lora(nn.ModuleDict({"a": one, "b": one}), rank=1)
        assert found["a"] is found["b"]  # type: ignore[index]

    @pytest.mark.parametrize(
        ("module", "given", "said"),
        [
            (nn.Linear(3, 2), {"rank": 0}, "rank: 0 was given"),
            (nn.Sequential(nn.Linear(3, 2)), {"rank": 1, "layers": ["fc"]}, "layers: 'fc' is the name of no layer"),
            (nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)), {"rank": 1}, "layers: '0' is a convolution of 2 groups"),
        ],
    )
    def test_what_cannot_be_is_refused(self, module: nn.Module, given: dict[str, Any], said: str) -> None:
        with pytest.raises(InputError, match=said):
            rpusim.lora(module, **given)


@pytest.mark.parametrize("device", ["ecram", "agad-ecram"])
def test_in_a_loop_of_ones_own_frozen_arrays_take_no_pulses(device: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 8), nn.Sigmoid(), nn.Linear(8, 4), nn.LogSoftmax(-1))
    placed = rpusim.place(rpusim.lora(net, rank=2), "reram-512", (12,), device=device)
    before = {
        name: value.clone()
        for name, value in placed.state_dict().items()
        if ".cell." in name and torch.is_tensor(value)
    }
    optimizer = rpusim.AnalogSGD(placed, 0.5)
    for _ in range(4):
        optimizer.zero_grad()
        nn.functional.nll_loss(placed(torch.randn(6, 12)), torch.randint(0, 4, (6,))).backward()
        optimizer.step()
    moved = {
        name for name, value in placed.state_dict().items() if name in before and not torch.equal(value, before[name])
    }
    assert moved and not any(".frozen." in name for name in moved)
    taken = {name: int(tile.array.taken.sum()) for name, tile in tiles(placed).items()}
    assert {name for name, number in taken.items() if number} == {n for n in taken if ".down." in n or ".up." in n}


def tiles(module: nn.Module) -> dict[str, AnalogTile]:
    return {name: part for name, part in module.named_modules() if isinstance(part, AnalogTile)}


def test_the_ledger_has_no_writes_of_frozen_layers(few_digits: Path) -> None:
    """By part, phase and layer: what frozen layers cost is forward and backward, and no pulse reaches them."""
    experiment = settings.changed(
        settings.load("fcn-digits"),
        {"data": str(few_digits), "lora": RANK, "batch": 5, "chip": "reram-512", "device": "reram-sb"},
    )
    found = trace_pulses(experiment, 10)
    frozen = {number for number, name in enumerate(found.layers) if name.endswith("frozen")}
    assert len(frozen) == 3 and set(found.columns["layer"]) == set(range(9)) - frozen
    for piece in found.pieces:
        pulsed = np.isin(piece.events.op, (Op.PULSE, Op.WRITE))
        assert not set(piece.events.layer[pulsed]) & frozen
        ledger, _ = Pricer(found.plan).piece(piece.events, piece.activity, None)
        phases = {phase for _, phase, layer in ledger.energy if layer.endswith("frozen")}
        assert phases <= {"forward", "backward"} and phases
        assert any(phase == "update" for _, phase, _ in ledger.energy)


class TestExperiment:
    def run(self, few_digits: Path, **changes: Any) -> rpusim.Result:
        return rpusim.simulate(
            "fcn-digits", **{"data": str(few_digits), "epochs": 2, "batch": 4, "lora": RANK} | changes
        )

    def test_it_is_the_same_compiled_and_in_torch(self, few_digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        compiled = self.run(few_digits)
        monkeypatch.setattr(training_run, "compiled_step", lambda *_: "this test says so")
        by_torch = self.run(few_digits)
        assert set(compiled["steps"].values()) == {"compiled"}
        for key, field in (("time", "total_s"), ("energy", "total_J")):
            assert compiled[key][field] == pytest.approx(by_torch[key][field], rel=1e-3)
        losses = [[epoch["train_loss"] for epoch in run["accuracy"]["curve"]] for run in (compiled, by_torch)]
        assert losses[0] == pytest.approx(losses[1], rel=0.02)

    def test_updates_are_those_of_adapters(self, few_digits: Path) -> None:
        """Two epochs of 60 samples, six layers that learn from one vector each: 720 updates; nine layers are read."""
        found = self.run(few_digits)
        assert found["activity"]["updates"] == 2 * 60 * 6
        assert found["training"]["lora"]["rank"] == 3

    def test_digital_adapters_learn_by_arithmetic(self, few_digits: Path) -> None:
        found = self.run(few_digits, lora=RANK | {"adapters": "digital"})
        assert [layer["name"] for layer in found["layers"]] == ["fc1.frozen", "fc2.frozen", "fc3.frozen"]
        assert found["activity"]["updates"] == 0
        first, last = (found["accuracy"]["curve"][at]["train_loss"] for at in (0, -1))
        assert last < first

    def test_weights_of_a_file_are_what_is_frozen(self, few_digits: Path, tmp_path: Path) -> None:
        from rpusim.workloads.zoo import networks

        module, _ = networks.build("fcn-digits")
        torch.save(module.state_dict(), tmp_path / "w.pt")
        found = trace_pulses(
            settings.changed(
                settings.load("fcn-digits"),
                {"data": str(few_digits), "lora": RANK | {"weights": str(tmp_path / "w.pt")}, "device": "idealized"},
            )
        )
        held = found.model.get_submodule("fc3.frozen").part("weight")  # type: ignore[operator]
        expected = module.state_dict()["fc3.weight"]
        inside = expected.abs() < 0.05
        assert torch.allclose(held[inside], expected[inside], atol=1e-6) and inside.any()

    def test_a_killed_run_goes_on(self, few_digits: Path, tmp_path: Path) -> None:
        chosen = settings.changed(
            settings.load("fcn-digits"), {"data": str(few_digits), "epochs": 2, "batch": 4, "lora": RANK}
        )
        kept = beside(tmp_path / "run")
        whole = simulate.run(chosen)
        with pytest.raises(Paused):
            simulate.run(chosen, kept=kept, pause=1)
        again = simulate.run(chosen, kept=kept)
        for name in ("accuracy", "time", "energy", "activity"):
            assert again[name] == whole[name]

    @pytest.mark.parametrize(
        ("lora", "said"),
        [
            ({"rank": 2, "layers": ["fc9"]}, "lora.layers: 'fc9' is the name of no layer"),
            ({"rank": 2, "weights": "none.pt"}, "lora.weights: none.pt does not hold the weights"),
            ({"rank": 0}, "lora.rank"),
        ],
    )
    def test_what_cannot_be_is_refused_in_a_sentence(self, few_digits: Path, lora: dict[str, Any], said: str) -> None:
        with pytest.raises(InputError, match=said):
            self.run(few_digits, lora=lora | {"source": "a test"})


def test_assumed_activity_has_the_rows_that_a_run_has(few_digits: Path) -> None:
    """`rpusim time` sends errors back, and updates, where autograd and arrays do: the same rows by layer and phase."""
    experiment = settings.changed(
        settings.load("fcn-digits"), {"data": str(few_digits), "lora": RANK, "batch": 5, "device": "ecram"}
    )
    found = trace_pulses(experiment, 5)
    (piece,) = found.pieces
    from rpusim.arch.mapping.assumed_activity import assumed_activity

    assumed = assumed_activity(found.plan.placement, 5, training=True, batch=5)
    rows = [
        sorted(set(zip(a.layer.tolist(), a.phase.tolist(), a.vector.tolist(), strict=True)))
        for a in (assumed, piece.activity)
    ]
    assert rows[0] == rows[1]
    learned = {layer for layer, phase, _ in rows[0] if phase == Phase.UPDATE}
    assert {found.layers[layer].rpartition(".")[2] for layer in learned} == {"down", "up"}


def test_errors_go_back_only_to_what_learns() -> None:
    """Frozen layers before the first adapter are read forward alone; between adapters errors pass through them."""
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    network = rpusim.capture(rpusim.lora(net, rank=1, layers=["2"]), (6,))
    back = {layer.name: network.goes_back(number) for number, layer in enumerate(network.layers)}
    assert back == {"0": False, "2.frozen": False, "2.down": False, "2.up": True, "4": True}
    assert [layer.name for layer in network.layers if layer.frozen] == ["0", "2.frozen", "4"]
