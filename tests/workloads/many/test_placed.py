"""Networks of all mainstream kinds are placed, compute what torch computes, and do what the clock was told they do."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from images import IMAGES
from sequences import SEQUENCES
from torch import Tensor, nn

import rpusim
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Phase
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogLayer, AnalogSGD, FloatingPointDevice, IOParameters
from rpusim.kernels.layers.convert import convert
from rpusim.workloads.capture.capture import capture, capture_modes, held_parameters
from rpusim.workloads.capture.samples import Samples

pytestmark = pytest.mark.filterwarnings("ignore::rpusim.kernels.layers.convert.ClippedWeights")
KINDS = {**IMAGES, **SEQUENCES}
COMPUTED = {"discriminator": "0.parametrizations.weight.original1", "metric": "w"}
"""Kinds whose weights are computed from parameters first, which arrays cannot learn, and such a parameter."""
PLACED = [name for name in KINDS if name not in COMPUTED]
OF_TOKENS = ("gpt", "llama", "transformer")
ONLY_ASSUMED = {"recommender": {("b.0", Phase.BACKWARD)}}
"""Errors that the clock takes to go back to the parameters before the first layers, which here are none of that one's:
only the tables beside it learn."""
EXACT = IOParameters(is_perfect=True)
PERFECT = AnalogConfig(FloatingPointDevice(), forward=EXACT, backward=EXACT)


@pytest.fixture(scope="module")
def chip(tmp_path_factory: pytest.TempPathFactory) -> Chip:
    """A chip with enough tiles for all of them."""
    shipped = Path(rpusim.__file__).resolve().parent / "arch" / "chips" / "presets" / "reram-512.yaml"
    roomy = tmp_path_factory.mktemp("chip") / "roomy.yaml"
    roomy.write_text(shipped.read_text().replace("count: 64", "count: 4096", 1))
    return Chip.load(roomy)


class Kind:
    """A network with its inputs for two samples, without dropout."""

    def __init__(self, name: str) -> None:
        build, self.shape = KINDS[name]
        torch.manual_seed(0)
        self.module = build()
        for part in self.module.modules():
            if isinstance(getattr(part, "dropout", None), float):
                part.dropout = 0.0
            if isinstance(part, nn.modules.dropout._DropoutNd):
                part.p = 0.0
        samples = Samples.of(self.shape)

        def example(one: Any) -> Tensor:
            whole = one.dtype == torch.int64 or name.startswith(OF_TOKENS)
            return torch.randint(0, 3, (2, *one.shape)) if whole else torch.rand(2, *one.shape)

        self.given = [example(one) for one in samples.positional]
        self.named = {key: example(one) for key, one in samples.named}

    def outputs(self, module: nn.Module) -> list[Tensor]:
        """All floating-point tensors that a module returns."""
        ahead, found = [module(*self.given, **self.named)], list[Tensor]()
        while ahead:
            one = ahead.pop(0)
            if isinstance(one, Tensor):
                found += [one] if one.is_floating_point() else []
            elif one is not None:
                ahead += list(one.values() if isinstance(one, dict) else one)
        return found

    def step(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
        """Learn a mini-batch; returns the outputs before that."""
        optimizer.zero_grad()
        outputs = self.outputs(module)
        sum((y**2).mean() for y in outputs if y.requires_grad).backward()
        optimizer.step()
        return [y.detach() for y in outputs]


@pytest.mark.parametrize("name", PLACED)
def test_on_exact_arrays_they_learn_what_torch_learns(name: str) -> None:
    kind = Kind(name)
    network, _ = capture_modes(kind.module, kind.shape)
    analog = convert(kind.module, PERFECT, parameters=held_parameters(network, kind.module, column=True))
    sides = []
    for module in (analog, copy.deepcopy(kind.module)):
        torch.manual_seed(1)
        on_arrays = any(isinstance(part, AnalogLayer) for part in module.modules())
        optimizer = AnalogSGD(module, 0.1) if on_arrays else torch.optim.SGD(module.parameters(), 0.1)
        sides.append([y for _ in range(3) for y in kind.step(module, optimizer)])
    assert len(sides[0]) == len(sides[1]) > 0
    for ours, theirs in zip(*sides, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", PLACED)
def test_a_mini_batch_does_what_the_clock_assumes_and_is_accounted_for(name: str, chip: Chip) -> None:
    """Every vector of every layer and tile, forward, backward and in the update: the same as for `time_network`."""
    kind = Kind(name)
    placed = rpusim.place(kind.module, chip, kind.shape)
    meter: Any = placed.chip
    over = meter._log.when_over
    meter._log.when_over = lambda: None
    kind.step(placed, rpusim.AnalogSGD(placed, 0.01))
    placement = meter._meter.plan.placement
    taken = meter._take()
    columns = ("layer", "phase", "tile", "vector")
    mine, theirs = (
        set(zip(*(getattr(each, column).tolist() for column in columns), strict=True))
        for each in (taken.rows, assumed_activity(placement, 2, True, 2))
    )
    assert mine <= theirs
    less = {(placement.layers[layer].layer.name, phase) for layer, phase, *_ in theirs - mine}
    assert less == ONLY_ASSUMED.get(name, set())
    meter._log.when_over = over
    kind.step(placed, rpusim.AnalogSGD(placed, 0.01))
    with torch.no_grad():
        kind.outputs(placed.eval())
    report = placed.chip.report()
    assert report["activity"]["inference_samples"] == 2 and report["energy"]["total_J"] > 0


@pytest.mark.parametrize("name", COMPUTED)
def test_computed_weights_are_refused_in_a_sentence_and_stay_digital_if_asked(name: str, chip: Chip) -> None:
    kind = Kind(name)
    parameter = COMPUTED[name]
    with pytest.raises(InputError, match=rf"is computed from parameters.*accepted: .*exclude=\['{parameter}'\]"):
        rpusim.place(kind.module, chip, kind.shape)
    placed = rpusim.place(kind.module, chip, kind.shape, exclude=[parameter])
    kind.step(placed, rpusim.AnalogSGD(placed, 0.01))
    report = placed.chip.report()
    assert any(f"{parameter} stays digital, as asked" in row["source"] for row in report["provenance"])


def test_weights_that_stay_digital_are_as_many_products_elsewhere() -> None:
    """What arrays no longer multiply, the digital side does, for linear layers, convolutions and recurrent ones."""
    chosen: dict[str, list[Any]] = {"encoder": ["e.layers.0.linear1"], "unet": ["b", "up"], "lstm, both ways": ["r"]}
    chosen |= {"gpt": ["*.qkv"], "experts": ["w"], "cross attention": [nn.Linear], "seq2seq of grus": ["d"]}
    for name, exclude in chosen.items():
        kind = Kind(name)
        whole, rest = (capture(kind.module, kind.shape, exclude=each) for each in ((), exclude))
        macs = [sum(layer.rows * layer.columns * layer.vectors for layer in each.layers) for each in (whole, rest)]
        assert macs[0] - macs[1] == rest.products - whole.products > 0
        placed = rpusim.place(kind.module, "reram-512", kind.shape, exclude=exclude)
        kind.step(placed, rpusim.AnalogSGD(placed, 0.01))
        assert placed.chip.report()["energy"]["total_J"] > 0


def test_unknown_names_of_what_stays_digital_are_a_sentence() -> None:
    kind = Kind("gpt")
    with pytest.raises(InputError, match=r"exclude: no layer is called 'readout'"):
        rpusim.place(kind.module, "reram-512", kind.shape, exclude=["readout"])


class TimeFirst(nn.Module):
    """Time stands first all through: (steps, samples, features)."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.r, self.o = nn.Linear(5, 7), nn.LSTM(7, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.r(torch.relu(self.a(x)))[0])


def test_vectors_of_samples_that_stand_second_are_told_apart() -> None:
    """A batch (4 steps, 3 samples): vector t 3 + s of the layer is the t-th of sample s, and counted so."""
    placed = rpusim.place(TimeFirst(), "reram-512", (4, "samples", 5))
    meter: Any = placed.chip
    meter._log.when_over = lambda: None
    optimizer = rpusim.AnalogSGD(placed, 0.01)
    placed(torch.randn(4, 3, 5)).square().sum().backward()
    optimizer.step()
    rows = meter._take().rows
    first = rows.select((rows.layer == 0) & (rows.phase == Phase.FORWARD))
    assert first.vector.tolist() == [4 * sample + step for step in range(4) for sample in range(3)]
    columns = ("layer", "phase", "tile", "vector")
    wanted = assumed_activity(meter._meter.plan.placement, 3, True, 3)
    mine, theirs = (
        sorted(zip(*(getattr(each, column).tolist() for column in columns), strict=True)) for each in (rows, wanted)
    )
    assert mine == theirs
    with pytest.raises(InputError, match=r"got shape \(3, 4, 5\).*so \(4, samples, 5\) is needed"):
        placed(torch.randn(3, 4, 5))


def test_a_copy_and_a_state_take_tied_tables_and_own_parameters_along(tmp_path: Path) -> None:
    for name in ("gpt, tied, by hand", "experts"):
        kind = Kind(name)
        placed = rpusim.place(kind.module, "reram-512", kind.shape)
        kind.step(placed, rpusim.AnalogSGD(placed, 0.1))
        torch.save(placed.state_dict(), tmp_path / "state.pt")
        again = rpusim.place(kind.module, "reram-512", kind.shape)
        again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        weights = [part.get_weights()[0] for part in placed.modules() if isinstance(part, AnalogLayer)]
        others = [part.get_weights()[0] for part in again.modules() if isinstance(part, AnalogLayer)]
        assert all(map(torch.equal, weights, others))
        digital = {key: value * 0.5 for key, value in kind.module.state_dict().items()}
        rpusim.load_digital(again, digital)
        assert not all(
            map(torch.equal, weights, (p.get_weights()[0] for p in again.modules() if isinstance(p, AnalogLayer)))
        )
