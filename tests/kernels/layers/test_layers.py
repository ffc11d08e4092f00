"""Layers, optimizer, conversion: perfect analog is torch; splitting, scaling, logging, refusal."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels import (
    AnalogConfig,
    AnalogConv2d,
    AnalogLinear,
    AnalogSGD,
    ConstantStep,
    IdealDevice,
    IOParameters,
    UpdateParameters,
    balanced_split,
    configuration,
    preset,
)
from rpusim.kernels.layers.convert import convert

IDEAL = ConstantStep(w_max=10, w_min=-10, dw_min_dtod=0, dw_min_std=0, up_down_dtod=0, w_max_dtod=0, w_min_dtod=0)
PERFECT = AnalogConfig(
    IDEAL,
    forward=IOParameters(is_perfect=True),
    backward=IOParameters(is_perfect=True),
    update=UpdateParameters(pulse_type="none_with_device"),
)
REAL = preset("gokmen-vlasov").config


def _network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.Tanh(),
        nn.Conv2d(4, 3, 2, dilation=2),
        nn.Flatten(),
        nn.Linear(12, 5),
    )


def _images(samples=3):
    return torch.randn(samples, 2, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("path", ["numba", "torch"])
@pytest.mark.parametrize("analog_bias", [True, False])
@pytest.mark.parametrize("omega", [0.0, 0.6])
@pytest.mark.parametrize("split", [False, True])
def test_a_perfect_analog_network_trains_like_the_torch_network(path, analog_bias, omega, split):
    """Outputs, input gradients and three SGD steps agree to 1e-5, however the weights are tiled or scaled."""
    digital = _network()
    extra = int(analog_bias)
    splits = {"2": ((2, 1), (10, 6 + extra)), "4": ((3, 2), (6, 4, 2 + extra))} if split else None
    config = replace(PERFECT, analog_bias=analog_bias, weight_scaling_omega=omega)
    analog = convert(digital, config, splits=splits, path=path)
    optimizers = torch.optim.SGD(digital.parameters(), lr=0.1), AnalogSGD(analog, lr=0.1)
    for _ in range(3):
        outputs, gradients = [], []
        for network, optimizer in zip((digital, analog), optimizers, strict=True):
            images = _images().requires_grad_()
            optimizer.zero_grad()
            outputs.append(network(images))
            (outputs[-1] ** 2).mean().backward()
            gradients.append(images.grad)
            optimizer.step()
        assert torch.allclose(*outputs, atol=1e-5)
        assert torch.allclose(*gradients, atol=1e-5)


def test_the_analog_weights_are_those_of_the_layer():
    linear = nn.Linear(7, 5)
    for config in (PERFECT, replace(PERFECT, weight_scaling_omega=0.5), replace(PERFECT, analog_bias=False)):
        weight, bias = convert(linear, config, splits={"": ((3, 2), None)}).get_weights()
        assert torch.allclose(weight, linear.weight, atol=1e-6) and torch.allclose(bias, linear.bias, atol=1e-6)


def test_weights_beyond_the_bounds_are_clipped_unless_scaled():
    linear = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        linear.weight.fill_(30.0)
    assert convert(linear, PERFECT).get_weights()[0].max() == 10.0
    scaled = convert(linear, replace(PERFECT, weight_scaling_omega=0.6))
    assert torch.allclose(scaled.get_weights()[0], linear.weight) and float(scaled.scale) == pytest.approx(50)


def test_a_convolution_is_one_vector_per_output_position():
    log = ActivityLog()
    layer = AnalogConv2d(1, 16, 5, REAL, log=log)
    layer(torch.rand(2, 1, 28, 28)).sum().backward()
    rows = log.take()
    forward = rows.select(rows.phase == Phase.FORWARD)
    assert len(forward) == 2 * 576 and forward.vector.tolist() == list(range(2 * 576))
    assert forward.active_rows[0] == 16 and forward.active_columns.max() == 26


def test_positions_are_in_raster_order_sample_by_sample():
    log = ActivityLog()
    layer = AnalogConv2d(1, 2, 1, REAL, bias=False, log=log)
    images = torch.zeros(2, 1, 2, 3)
    images[0, 0, 0, 2] = images[1, 0, 1, 0] = 1.0
    layer(images)
    assert log.take().active_columns.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0]


def test_the_first_layer_has_no_backward_multiplication():
    log = ActivityLog()
    network = convert(nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2)), REAL, log=log)
    optimizer = AnalogSGD(network, lr=0.1)
    network(torch.rand(3, 4)).sum().backward()
    optimizer.step()
    rows = log.take()
    order = [(int(p), int(n)) for p, n in zip(rows.phase, rows.layer, strict=True)]
    assert order == [(0, 0)] * 3 + [(0, 1)] * 3 + [(1, 1)] * 3 + [(2, 0)] * 3 + [(2, 1)] * 3
    assert set(rows.step) == {0} and log.step == 1


def test_pairs_stay_until_zero_grad_as_gradients_do():
    digital = nn.Linear(3, 2)
    exact = convert(digital, replace(PERFECT, device=IdealDevice()))
    for model, optimizer in ((digital, torch.optim.SGD(digital.parameters(), 0.1)), (exact, AnalogSGD(exact, 0.1))):
        model(torch.ones(1, 3)).square().sum().backward()
        for _ in range(3):
            optimizer.step()
        optimizer.zero_grad()
        optimizer.step()
    torch.testing.assert_close(exact.get_weights()[0], digital.weight.detach(), rtol=1e-4, atol=1e-5)
    network = convert(nn.Linear(3, 2), PERFECT)
    optimizer = AnalogSGD(network, lr=0.1)
    before = network.get_weights()[0].clone()
    network(torch.rand(1, 3)).sum().backward()
    optimizer.zero_grad()
    optimizer.step()
    assert torch.equal(network.get_weights()[0], before)


def test_accumulated_pairs_act_in_order_like_one_batch():
    x, d = torch.randn(4, 6), torch.randn(4, 5)
    weights = []
    for parts in ([slice(0, 4)], [slice(0, 1), slice(1, 4)]):
        layer = AnalogLinear(6, 5, replace(REAL, forward=IOParameters(is_perfect=True)))
        for part in parts:
            layer(x[part]).backward(d[part])
        AnalogSGD(layer, lr=0.05).step()
        weights.append(layer.get_weights()[0])
    assert torch.equal(*weights)


def test_rate_zero_sends_no_pulses_but_cells_still_decay():
    network = convert(nn.Linear(3, 2), replace(PERFECT, device=replace(IDEAL, lifetime=2.0)))
    before = network.get_weights()[0].clone()
    optimizer = AnalogSGD(network, lr=0.0)
    network(torch.rand(1, 3)).sum().backward()
    optimizer.step()
    assert torch.allclose(network.get_weights()[0], before / 2)


def test_learning_rate_schedulers_reach_the_tiles():
    layer = AnalogLinear(1, 1, replace(PERFECT), bias=False)
    layer.set_weights(torch.zeros(1, 1))
    optimizer = AnalogSGD(layer, lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.1)
    for expected in (-1.0, -1.1, -1.11):
        optimizer.zero_grad()
        layer(torch.ones(1, 1)).backward(torch.ones(1, 1))
        optimizer.step()
        schedule.step()
        assert float(layer.get_weights()[0]) == pytest.approx(expected)


def test_momentum_and_weight_decay_of_digital_parameters_are_those_of_torch():
    torch.manual_seed(0)
    digital, norm = nn.BatchNorm1d(3), nn.Sequential(nn.BatchNorm1d(3), AnalogLinear(3, 3, PERFECT))
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    optimizers = torch.optim.SGD(digital.parameters(), **options), AnalogSGD(norm, **options)
    for _ in range(3):
        x = torch.randn(5, 3)
        for module, optimizer in zip((digital, norm[0]), optimizers, strict=True):
            optimizer.zero_grad()
            (module(x) ** 3).sum().backward()
            optimizer.step()
    assert torch.allclose(digital.weight, norm[0].weight) and torch.allclose(digital.bias, norm[0].bias)


def test_a_network_restored_from_its_state_continues_bit_for_bit():
    def train(network, batches):
        optimizer = AnalogSGD(network, lr=0.1)
        for seed in batches:
            optimizer.zero_grad()
            network(torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(seed))).pow(2).mean().backward()
            optimizer.step()
        return torch.cat([t.weights.ravel() for m in network.modules() if hasattr(m, "tiles") for t in m.tiles])

    straight = train(convert(_network(), REAL), range(4))
    first = convert(_network(), REAL)
    train(first, range(2))
    second = convert(_network(), REAL, seed=5)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert torch.equal(train(second, range(2, 4)), straight)
    assert torch.equal(train(copy.deepcopy(first), range(2, 4)), straight)


@pytest.mark.parametrize("name", ["tiki-taka-ecram", "agad-ecram", "mixed-precision-ecram", "ecram-4", "pcm"])
def test_networks_of_any_cell_train_and_continue_from_their_state(name):
    config = configuration(name).config
    one = convert(_network(), config)
    optimizer = AnalogSGD(one, lr=0.05)

    def step(network, optimizer, seed):
        images = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        network(images).pow(2).mean().backward()
        optimizer.step()

    step(one, optimizer, 0)
    other = convert(_network(), config, seed=5)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    before = other[4].get_weights()[0].clone()
    for seed in (1, 2):
        step(one, optimizer, seed)
        step(other, AnalogSGD(other, lr=0.05), seed)
    for index in (0, 2, 4):
        assert torch.equal(one[index].get_weights()[0], other[index].get_weights()[0])
    assert name == "agad-ecram" or not torch.equal(before, other[4].get_weights()[0])


def test_networks_and_their_states_can_be_kept_in_files(tmp_path):
    network = convert(_network(), REAL)
    network(_images()).sum().backward()
    torch.save(network, tmp_path / "network")
    torch.save(network.state_dict(), tmp_path / "state")
    loaded = torch.load(tmp_path / "network", weights_only=False)
    other = convert(_network(), REAL, seed=3)
    other.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert torch.equal(loaded(_images()), other(_images()))


def test_conversion_leaves_the_original_alone_and_keeps_shared_layers_shared():
    linear = nn.Linear(4, 4)
    network = nn.Sequential(linear, nn.ReLU(), linear)
    analog = convert(network, REAL)
    assert type(network[0]) is nn.Linear and type(analog[0]) is AnalogLinear and analog[0] is analog[2]


def test_layers_can_be_chosen_and_configured_by_name():
    network = nn.ModuleDict(
        {"in": nn.Linear(4, 4), "block": nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), "out": nn.Linear(4, 2)}
    )
    analog = convert(network, REAL, exclude=["block"], per_layer={"out": PERFECT})
    assert [type(m) for m in analog["block"]] == [nn.Linear] * 2
    assert analog["out"].config is PERFECT and analog["in"].config is REAL and analog["out"].layer == 1
    assert type(convert(network, REAL, include=["block.*"])["in"]) is nn.Linear


@pytest.mark.parametrize(
    ("size", "limit", "blocks"), [(10, 4, (4, 3, 3)), (8, 4, (4, 4)), (3, 5, (3,)), (785, 512, (393, 392))]
)
def test_splits_are_balanced(size, limit, blocks):
    assert balanced_split(size, limit) == blocks


def _with_nan():
    network = nn.Sequential(nn.Linear(2, 2))
    with torch.no_grad():
        network[0].bias[1] = float("nan")
    return network


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (_with_nan(), {}, "0.bias: NaN or infinite weights were given"),
        (nn.Sequential(nn.Bilinear(1, 1, 2)), {}, "0: Bilinear cannot be analog; accepted are nn.Linear"),
        (nn.Sequential(nn.ReLU()), {}, "Sequential has no layer to convert"),
        (nn.Sequential(nn.Linear(2, 2)), {"exclude": ["1"]}, "exclude: no layer is called '1'"),
        (nn.Sequential(nn.Linear(2, 2)), {"splits": {"fc": ((1, 1), None)}}, "splits: no analog layer is called 'fc'"),
        (nn.Sequential(nn.Linear(2, 2)), {"splits": {"0": ((1, 2), None)}}, "0: row_splits: .* add up to 2"),
        (nn.Sequential(nn.Linear(2, 2)), {"path": "gpu"}, "path: 'gpu' was given; accepted are numba, torch"),
    ],
)
def test_what_cannot_be_analog_is_refused_in_one_sentence(network, options, message):
    with pytest.raises(InputError, match=message):
        convert(network, PERFECT, **options)


def test_unsupported_layers_can_stay_digital():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ConvTranspose2d(2, 1, 3))
    assert convert(network, PERFECT, exclude=["1"])(torch.rand(1, 1, 5, 5)).shape == (1, 1, 5, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: AnalogLinear(3, 2, REAL)(torch.rand(1, 4)),
            r"an input of shape \(1, 4\) was given; accepted is a last",
        ),
        (lambda: AnalogConv2d(3, 2, 2, REAL)(torch.rand(1, 4, 5, 5)), r"accepted is \(samples, 3, height, width\)"),
        (lambda: AnalogConv2d(1, 2, 9, REAL)(torch.rand(1, 1, 5, 5)), "an image of 5 x 5 was given"),
        (
            lambda: AnalogLinear(3, 2, REAL)(torch.ones(1, 3, dtype=torch.int64)),
            "layer 0: an input of torch.int64 was given; accepted are floating-point numbers",
        ),
        (
            lambda: AnalogLinear(3, 2, REAL).set_weights(torch.ones(5, 5)),
            r"weight: a shape of \(5, 5\) was given; accepted are 2 outputs x 3 inputs",
        ),
        (
            lambda: AnalogConv2d(4, 4, 2, REAL, groups=3),
            "groups: 3 was given for 4 channels in and 4 out; accepted is a number that divides",
        ),
        (lambda: AnalogConv2d(4, 4, 2, REAL, stride=0), "stride: 0 was given"),
        (lambda: AnalogLinear(3, 2, REAL, column_splits=(2, 1)), r"column_splits: \(2, 1\) was given; .* add up to 4"),
        (lambda: AnalogSGD(3, lr=0.1), r"model: int was given; accepted is the torch module itself"),
        (lambda: AnalogSGD(AnalogLinear(1, 1, REAL), lr=-1.0), "lr: -1.0 was given; accepted is a number >= 0"),
        (lambda: AnalogConfig(device="constant-step"), "device: 'constant-step' was given; accepted is a .*Device"),
    ],
)
def test_wrong_shapes_and_settings_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
