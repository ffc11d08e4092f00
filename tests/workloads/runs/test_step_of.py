"""The compiled step is the training that torch's modules, autograd and `AnalogSGD` do: one test over generated cases.

Random numbers have the same names, so weights, counters and rows of activity are equal, but for what rounding decides:
sums, exponentials and tangents are computed in another order, and a line whose random number lies within 1e-7 of its
probability may fire in one way and not in the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from step_networks import BETWEEN, NETWORKS, PLAIN
from torch import nn

from rpusim.arch.contract.activity import COLUMNS, Activity, ActivityLog
from rpusim.arch.network.network import Network
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogSGD
from rpusim.kernels.cells.bit_sliced import BitSliced
from rpusim.kernels.cells.tiki_taka.transfer import Transfer
from rpusim.kernels.cells.vector import Vector
from rpusim.kernels.devices import ConstantStep, ExpStep, FloatingPointDevice, IdealDevice, LinearStep, SoftBounds
from rpusim.kernels.layers import AnalogLayer
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.mvm.multiply import BoundManagement, IOParameters, NoiseManagement
from rpusim.kernels.mvm.periphery import MVType
from rpusim.kernels.mvm.slices import Slices
from rpusim.kernels.mvm.wires import Wires
from rpusim.kernels.pulses.trains import UpdateParameters
from rpusim.kernels.step import CompiledStep, NotFinite, Unsuitable, compiled_step
from rpusim.workloads.benchmarks.aihwkit_peer import Characters
from rpusim.workloads.capture.capture import capture_modes
from rpusim.workloads.clock.uses import UsesLog
from rpusim.workloads.runs.step_of import step_of

BATCH, RATE = 6, 0.1


DEVICES: dict[str, Any] = {
    "constant": ConstantStep(),
    "soft bounds": SoftBounds(dw_min=0.004),
    "linear, write noise": LinearStep(dw_min=0.004, write_noise_std=0.5),
    "exponential": ExpStep(dw_min=0.004),
    "forgetting": ConstantStep(lifetime=30.0, lifetime_dtod=0.1, diffusion=0.002),
    "floating point": FloatingPointDevice(),
    "ideal": IdealDevice(lifetime=40.0),
}
SLICES, SLICEABLE = Slices(3, 3), ("constant", "soft bounds", "linear, write noise")
CELLS: dict[str, Any] = {
    "single": None,
    "vector": Vector(number=2),
    "transfer": Transfer(gamma=0.1, transfer_every=1.0),
    "bit-sliced": BitSliced(slices=SLICES, resolve_every=4),
}
PERIPHERIES: dict[str, IOParameters] = {
    "usual": IOParameters(),
    "perfect": IOParameters(is_perfect=True),
    "constant": IOParameters(noise_management=NoiseManagement.CONSTANT, nm_thres=2.0, inp_noise=0.01),
    "bounded": IOParameters(out_bound=0.3, bound_management=BoundManagement.ITERATIVE, out_noise_std=0.2),
    "by chance": IOParameters(inp_sto_round=True, out_sto_round=True, out_asymmetry=0.05),
    "wires": IOParameters(wires=Wires(load=2e-3, read_cells=24, driven_cells=16)),
    "bits": IOParameters(mv_type=MVType.BIT_SERIAL, inp_res=1 / 30, out_noise=0.01),
    "digits": IOParameters(
        mv_type=MVType.BIT_SERIAL,
        digit_bits=2,
        inp_sto_round=True,
        inp_noise=0.01,
        inp_asymmetry=0.1,
        out_bound=0.4,
        out_noise_std=0.2,
        wires=Wires(load=2e-3, read_cells=24, driven_cells=16),
    ),
}


def _both(
    network: str, config: AnalogConfig | None, told_apart: bool = False
) -> list[tuple[nn.Module, ActivityLog | None]]:
    """Make the same network twice; config: None: in floating point.

    told_apart: whether rows bear the numbers of the layers that use a weight, as on a chip.
    """
    made: list[tuple[nn.Module, ActivityLog | None]] = []
    for _ in range(2):
        torch.manual_seed(5)
        model, log = NETWORKS[network](), None
        if config is not None:
            model, log = convert(model, config, seed=3), ActivityLog()
            for part in model.modules():
                if isinstance(part, AnalogLayer):
                    part.log = log
            if told_apart:
                _tell_apart(capture_modes(NETWORKS[network](), (1, 3, 4))[0], model, log)
        made.append((model, log))
    return made


def _tell_apart(network: Network, model: nn.Module, log: ActivityLog) -> None:
    """Have rows bear the numbers that a chip has for uses of a weight, and of one used transposed for its blocks."""
    for index, layer in enumerate(network.layers):
        part, uses = model.get_submodule(layer.name.partition(":")[0]), network.uses(index)
        assert isinstance(part, AnalogLayer)
        for tile in part._grid:
            tile.layer = uses[0]
        if len(uses) > 1 and index == uses[0]:
            down, across = len(part.row_splits), len(part.column_splits)
            on_arrays = [row * across + column for column in range(across) for row in range(down)]
            blocks = [SimpleNamespace(turned=SimpleNamespace(tile=number)) for number in on_arrays]
            told: Any = [SimpleNamespace(index=use, turned=network.layers[use].turned, blocks=blocks) for use in uses]
            part.log = own = UsesLog(log, part, told)
            own.follow(model)


def _samples(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(9)
    return torch.randn(number, 1, 3, 4, generator=generator), torch.randint(0, 4, (number,), generator=generator)


def _by_torch(model: nn.Module, analog: bool, x: torch.Tensor, y: torch.Tensor, batch: int) -> list[float]:
    optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), RATE)
    if analog:
        optimizer = AnalogSGD(model, RATE)
    losses = []
    for x_part, y_part in zip(torch.split(x, batch), torch.split(y, batch), strict=True):
        optimizer.zero_grad()
        loss = nn.functional.nll_loss(model(x_part), y_part)
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def _step(network: str, model: nn.Module, log: ActivityLog | None) -> CompiledStep:
    with torch.random.fork_rng():  # of weights that nobody reads
        captured, _ = capture_modes(NETWORKS[network](), (1, 3, 4))
    return step_of(captured, model, log)


def _largest(tensor: torch.Tensor) -> float:
    """The largest finite number of a tensor, whose sums are as exact as that is large; 0 of none."""
    finite = tensor.float()[tensor.float().isfinite()]
    return float(finite.abs().max()) if finite.numel() else 0.0


def _differs(one: Activity, other: Activity) -> float:
    """Share of rows that are not equal."""
    assert len(one) == len(other)
    rows = np.zeros(len(one), np.bool_)
    for name in COLUMNS:
        rows |= getattr(one, name) != getattr(other, name)
    return float(rows.mean()) if len(rows) else 0.0


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_compiled_step_trains_as_torch_does(data: st.DataObject) -> None:
    _trains_as_torch_does(data, tuple(PLAIN), ("soft bounds", "forgetting", "floating point"), tuple(CELLS))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_so_do_recurrent_layers_norms_dropout_and_products(data: st.DataObject) -> None:
    _trains_as_torch_does(data, tuple(BETWEEN), ("soft bounds",), ("single",))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_compiled_step_trains_as_torch_does_with_every_device(data: st.DataObject) -> None:
    _trains_as_torch_does(data, tuple(NETWORKS), tuple(DEVICES), tuple(CELLS))


def _trains_as_torch_does(
    data: st.DataObject, networks: tuple[str, ...], devices: tuple[str, ...], cells: tuple[str, ...]
) -> None:
    """Train a generated network in both ways."""
    network = data.draw(st.sampled_from(networks))
    device, cell = data.draw(st.sampled_from(devices)), data.draw(st.sampled_from(cells))
    if device in ("floating point", "ideal") or (cell == "bit-sliced" and device not in SLICEABLE):
        cell = "single"
    told_apart = data.draw(st.booleans())
    kind = data.draw(st.sampled_from(["stochastic_compressed", "stochastic", "mean_count", "none_with_device"]))
    update = UpdateParameters(
        desired_bl=data.draw(st.sampled_from([7, 31])),
        pulse_type=kind if cell == "single" else "stochastic_compressed",
        execution=data.draw(st.sampled_from(["exact", "merged"])),
    )
    forward = PERIPHERIES[data.draw(st.sampled_from(sorted(PERIPHERIES)))]
    backward = PERIPHERIES[data.draw(st.sampled_from(["usual", "perfect", "by chance", "wires", "bits", "digits"]))]
    if cell == "bit-sliced":
        forward, backward = replace(forward, slices=SLICES), replace(backward, slices=SLICES, wires=None)
    config = AnalogConfig(
        device=DEVICES[device],
        update=update,
        forward=forward,
        backward=backward,
        analog_bias=data.draw(st.booleans()),
        max_rows=data.draw(st.sampled_from([None, 3])),
        max_columns=data.draw(st.sampled_from([None, 4])),
        weight_scaling_omega=data.draw(st.sampled_from([0.0, 0.5])),
        weight_scaling_columnwise=data.draw(st.booleans()),
        **({} if CELLS[cell] is None else {"cell": CELLS[cell]}),
    )
    _compare(network, config, told_apart)


@pytest.mark.parametrize(
    ("network", "cell", "forward", "backward"),
    [
        ("chain", "bit-sliced", "digits", "digits"),
        ("convolution", "bit-sliced", "usual", "perfect"),
        ("lstm", "bit-sliced", "bits", "by chance"),
        ("transposed", "single", "bits", "digits"),
        ("partly frozen", "bit-sliced", "bounded", "usual"),
        ("partly frozen", "transfer", "usual", "usual"),
        ("detached", "single", "usual", "usual"),
        ("frozen lstm", "single", "usual", "usual"),
        ("slopes", "single", "digits", "bits"),
    ],
)
def test_so_do_many_conversions_and_what_is_partly_frozen(network: str, cell: str, forward: str, backward: str) -> None:
    """One of each, on several arrays, with rows told apart as on a chip."""
    sides = [PERIPHERIES[forward], PERIPHERIES[backward]]
    if cell == "bit-sliced":
        sides = [replace(sides[0], slices=SLICES), replace(sides[1], slices=SLICES, wires=None)]
    config = AnalogConfig(
        device=SoftBounds(dw_min=0.004),
        forward=sides[0],
        backward=sides[1],
        max_rows=4,
        max_columns=5,
        **({} if CELLS[cell] is None else {"cell": CELLS[cell]}),
    )
    _compare(network, config, True)


def _compare(network: str, config: AnalogConfig, told_apart: bool) -> None:
    """Train a network in both ways, four mini-batches and a smaller one, and compare all that is left.

    States are compared before the first mini-batch in which rounding decided something, for all that follows differs.
    In that one, few rows do, and the loss hardly, unless it decided whether to read again: that has other noise.
    """
    ours, theirs = _trained(network, config, told_apart, 5)
    same = [_differs(ours.rows_of(k), theirs.rows_of(k)) == 0.0 for k in range(5)]
    if (first := [*same, False].index(False)) < 5:
        rows, their_rows = ours.rows_of(first), theirs.rows_of(first)
        again = rows.passes != their_rows.passes
        assert (again & (rows.layer == rows.layer[np.argmax(again)])).sum() <= 2  # where it began
        assert _differs(rows, their_rows) <= (0.5 if again.any() else 0.1)
        if not again.any():
            assert ours.losses[first] == pytest.approx(theirs.losses[first], rel=0.02)
        ours, theirs = _trained(network, config, told_apart, first)
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-4, atol=1e-5)
    states = zip(ours.model.state_dict().items(), theirs.model.state_dict().items(), strict=True)
    for (name, mine), (_, other) in states:
        if isinstance(mine, torch.Tensor):
            off = (mine.float() - other.float()).abs() > 1e-5 * max(1.0, _largest(other))
            line = max(off.shape, default=0)  # what the code of one converter changes, where rounding decides it
            assert int(off.sum()) <= max(0.02 * off.numel(), line), name
        else:
            assert str(mine) == str(other), name  # counters and names of the random numbers
    for mine, other in zip(ours.model.modules(), theirs.model.modules(), strict=True):
        if isinstance(mine, AnalogLayer):
            assert isinstance(other, AnalogLayer) and mine.calls == other.calls


@dataclass(frozen=True)
class Trained:
    """A network after some mini-batches, with the loss of each and all rows of activity."""

    model: nn.Module
    losses: list[float]
    rows: Activity

    def rows_of(self, step: int) -> Activity:
        return self.rows.select(self.rows.step == step)


def _trained(network: str, config: AnalogConfig, told_apart: bool, batches: int) -> tuple[Trained, Trained]:
    """Train a network compiled and by torch; ``batches``: how many of five mini-batches, the last of two samples."""
    (ours, log), (theirs, their_log) = _both(network, config, told_apart)
    assert log is not None and their_log is not None
    x, y = _samples(4 * BATCH + 2)
    x, y = x[: batches * BATCH], y[: batches * BATCH]
    step, whole = _step(network, ours, log), min(batches, 4) * BATCH
    torch.manual_seed(7)
    losses = step.train(x[:whole], y[:whole], BATCH, RATE) if batches else []
    losses += step.train(x[whole:], y[whole:], 2, RATE) if batches == 5 else []
    drawn = torch.get_rng_state()
    torch.manual_seed(7)
    their_losses = _by_torch(theirs, True, x, y, BATCH) if batches else []
    assert torch.equal(drawn, torch.get_rng_state())
    assert log.step == their_log.step == batches
    return Trained(ours, losses, log.take()), Trained(theirs, their_losses, their_log.take())


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_in_floating_point_trains_as_torchs_does(network: str) -> None:
    (ours, _), (theirs, _) = _both(network, None)
    x, y = _samples(8 * BATCH)
    torch.manual_seed(7)
    losses = _step(network, ours, None).train(x, y, BATCH, RATE)
    torch.manual_seed(7)
    np.testing.assert_allclose(losses, _by_torch(theirs, False, x, y, BATCH), rtol=1e-5)
    for mine, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("network", ["tied", "normed", "lstm", "gru, twice"])
def test_each_way_goes_on_where_the_other_stopped(network: str) -> None:
    """Two mini-batches in torch, then two compiled, from what the checkpoint of the first half holds."""
    (whole, log), (half, _) = _both(network, AnalogConfig(device=SoftBounds(dw_min=0.004)))
    (other, other_log), _ = _both(network, AnalogConfig(device=SoftBounds(dw_min=0.004)))
    x, y = _samples(4 * BATCH)
    torch.manual_seed(7)
    losses = _step(network, whole, log).train(x, y, BATCH, RATE)
    torch.manual_seed(7)
    found = _by_torch(half, True, x[: 2 * BATCH], y[: 2 * BATCH], BATCH)
    other.load_state_dict(half.state_dict())
    found += _step(network, other, other_log).train(x[2 * BATCH :], y[2 * BATCH :], BATCH, RATE)
    np.testing.assert_allclose(found, losses, rtol=1e-4, atol=1e-5)
    for mine, theirs in zip(whole.state_dict().values(), other.state_dict().values(), strict=True):
        if isinstance(mine, torch.Tensor):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("config", [None, AnalogConfig(device=SoftBounds(dw_min=0.004))])
def test_classes_of_every_step_are_learned(config: AnalogConfig | None) -> None:
    models = []
    for _ in range(2):
        torch.manual_seed(5)
        model: nn.Module = Characters(4, 5)
        models.append(model if config is None else convert(model, config, seed=3))
    generator = torch.Generator().manual_seed(9)
    x, y = torch.rand(4 * BATCH, 3, 4, generator=generator), torch.randint(0, 4, (4 * BATCH, 3), generator=generator)
    step = step_of(capture_modes(Characters(4, 5), (3, 4))[0], models[0], None)
    losses = step.train(x, y, BATCH, RATE)
    optimizer = torch.optim.SGD(models[1].parameters(), RATE) if config is None else AnalogSGD(models[1], RATE)
    for loss, x_part, y_part in zip(losses, torch.split(x, BATCH), torch.split(y, BATCH), strict=True):
        optimizer.zero_grad()
        found = nn.functional.nll_loss(models[1](x_part).flatten(0, 1), y_part.flatten())
        torch.autograd.backward(found)
        optimizer.step()
        assert loss == pytest.approx(float(found.detach()), rel=1e-5)
    with pytest.raises(InputError, match=r"classes: a shape of \(24,\) was given; accepted is \(24, 3\)"):
        step.train(x, y[:, 0], BATCH, RATE)


def test_many_mini_batches_in_one_call_are_the_same_as_one_after_the_other() -> None:
    (at_once, log), (one_by_one, other_log) = _both("convolution", AnalogConfig(device=SoftBounds(dw_min=0.004)))
    x, y = _samples(6 * BATCH)
    losses = _step("convolution", at_once, log).train(x, y, BATCH, RATE)
    step = _step("convolution", one_by_one, other_log)
    parts = zip(torch.split(x, BATCH), torch.split(y, BATCH), strict=True)
    assert losses == [loss for part in parts for loss in step.train(*part, BATCH, RATE)]
    assert log is not None and other_log is not None
    assert _differs(log.take(), other_log.take()) == 0.0
    for mine, other in zip(at_once.state_dict().values(), one_by_one.state_dict().values(), strict=True):
        if isinstance(mine, torch.Tensor):
            torch.testing.assert_close(mine, other, rtol=0.0, atol=0.0, equal_nan=True)
        else:
            assert str(mine) == str(other)


def test_a_loss_that_is_no_number_stops_before_anything_is_learned() -> None:
    (model, log), _ = _both("chain", AnalogConfig(device=SoftBounds(dw_min=0.004)))
    step, (x, y) = _step("chain", model, log), _samples(2 * BATCH)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    x[0, 0, 0, 0] = torch.nan
    with pytest.raises(NotFinite):
        step.train(x, y, BATCH, RATE)
    for mine, other in zip(model.parameters(), before, strict=True):
        assert torch.equal(mine.detach() * 1.0, other * 1.0)


def test_one_sample_is_no_mini_batch_for_a_norm_over_it() -> None:
    """As in torch: a single number has no variance."""
    (model, _), _ = _both("normed", None)
    x, y = _samples(1)
    with pytest.raises(InputError, match="a mini-batch of one sample was given to a norm"):
        _step("normed", model, None).train(x, y, 1, RATE)


class Sometimes(nn.Module):
    """A weight that is used twice, and learns from one of the uses."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.Linear(12, 12), nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(self.last(self.inner(torch.tanh(self.inner(x.flatten(1))).detach())), 1)


class Backwards(nn.Module):
    """A frozen weight that is used transposed as well, whose biases learn."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.Linear(12, 6), nn.Linear(12, 4)
        self.inner.weight.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(self.last(self.inner(x.flatten(1)) @ self.inner.weight), 1)


class OneWeightTwoBiases(nn.Module):
    """Two layers with one weight, each with a bias of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 4)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(self.last(self.second(torch.tanh(self.first(x.flatten(1))))), 1)


class Sizes(nn.Module):
    """A weight that multiplies 3 vectors of a sample, and then 1."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(self.inner(torch.tanh(self.inner(x.squeeze(1)))[:, 0]), 1)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Sometimes(), "a weight that learns from some of its uses alone"),
        (OneWeightTwoBiases(), "a weight that is used with several biases"),
        (Sizes(), "a weight that is used for samples of different sizes"),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 4)), "log-softmax"),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Threshold(0.1, 0.0), nn.LogSoftmax(1)), "threshold"),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.RReLU(), nn.LogSoftmax(1)), "rrelu"),
    ],
)
def test_what_a_step_cannot_do_is_said(model: nn.Module, reason: str) -> None:
    network = capture_modes(model, (1, 3, 4))[0]
    with pytest.raises(Unsuitable, match=reason):
        step_of(network, model, None)


def test_biases_alone_of_a_weight_that_is_used_transposed_are_said() -> None:
    network, model = capture_modes(Backwards(), (1, 3, 4))[0], convert(Backwards(), AnalogConfig(device=SoftBounds()))
    with pytest.raises(Unsuitable, match="a frozen weight that is used transposed, whose biases learn"):
        step_of(network, model, None)


def test_a_periphery_that_is_not_compiled_is_said() -> None:
    config = AnalogConfig(forward=replace(IOParameters(), v_offset_std=0.01))
    (model, log), _ = _both("chain", config)
    with pytest.raises(Unsuitable, match="periphery"):
        _step("chain", model, log)


@pytest.mark.parametrize(
    ("network", "device", "forward"),
    [
        ("convolution", SoftBounds(dw_min=0.004), "digits"),
        ("convolution", FloatingPointDevice(), "usual"),
        ("lstm", FloatingPointDevice(), "usual"),
    ],
)
def test_several_threads_give_the_same_bytes(
    network: str, device: Any, forward: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (alone, _), (together, _) = _both(network, AnalogConfig(device=device, forward=PERIPHERIES[forward]))
    x, y = _samples(80)
    monkeypatch.setattr(compiled_step, "PARALLEL_WORK", 1)
    found = []
    for model, several in ((alone, False), (together, True)):
        monkeypatch.setattr(compiled_step, "several_threads", lambda several=several: several)
        torch.manual_seed(7)
        found.append(_step(network, model, None).train(x, y, 40, RATE))
    assert found[0] == found[1]
    for mine, other in zip(alone.parameters(), together.parameters(), strict=True):
        assert torch.equal(mine.detach() * 1.0, other.detach() * 1.0)
