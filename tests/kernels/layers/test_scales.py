"""Digital factors around the arrays: mapping scales, learned output scales, learned input ranges."""

import copy
from dataclasses import replace

import pytest
import torch
from perfect import PERFECT, assert_trains_alike, trained
from torch import nn

from rpusim.errors import InputError
from rpusim.kernels import AnalogLinear, AnalogSGD, ConstantStep, InputRange, IOParameters, calibrate, preset
from rpusim.kernels.inference import InferenceConfig
from rpusim.kernels.layers.convert import convert

DIGITAL_BIAS = replace(PERFECT, analog_bias=False)


class Scaled(nn.Module):
    """a (W x + b), or a W x + b, with every factor learned: what a layer with output scales has to equal."""

    def __init__(self, linear, columnwise, analog_bias):
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(linear.weight.detach().clone()),
            nn.Parameter(linear.bias.detach().clone()),
        )
        self.scale = nn.Parameter(torch.ones((len(self.bias),) if columnwise else ()))
        self.analog_bias = analog_bias

    def forward(self, x):
        y = x @ self.weight.t()
        return self.scale * (y + self.bias) if self.analog_bias else self.scale * y + self.bias


@pytest.mark.parametrize("analog_bias", [True, False])
@pytest.mark.parametrize("columnwise", [True, False])
@pytest.mark.parametrize("omega", [0.0, 0.6])
def test_learned_output_scales_and_weights_follow_their_gradients(analog_bias, columnwise, omega):
    torch.manual_seed(0)
    linear, x = nn.Linear(5, 3), torch.randn(4, 5)
    config = replace(
        PERFECT,
        analog_bias=analog_bias,
        learn_out_scaling=True,
        out_scaling_columnwise=columnwise,
        weight_scaling_omega=omega,
        weight_scaling_columnwise=columnwise,
        max_rows=2,
        max_columns=3,
    )
    analog, digital = convert(linear, config), Scaled(linear, columnwise, analog_bias)
    outcomes = [trained(module, [x], lambda module, x: module(x), steps=4) for module in (analog, digital)]
    for ours, theirs in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(analog.out_scale, digital.scale, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(digital.scale, torch.ones(()), atol=1e-3)
    factor = digital.scale.reshape(-1, 1)
    torch.testing.assert_close(analog.get_weights()[0], factor * digital.weight, atol=1e-5, rtol=1e-5)


def test_a_scale_for_every_output_lets_each_use_the_whole_range():
    linear = nn.Linear(6, 4, bias=False)
    with torch.no_grad():
        linear.weight *= torch.tensor([1.0, 0.1, 10.0, 0.0])[:, None]
    config = replace(PERFECT, weight_scaling_omega=0.6, weight_scaling_columnwise=True)
    analog = convert(linear, config)
    assert torch.allclose(analog.tiles[0].get_weights().abs().amax(1), torch.tensor([0.6, 0.6, 0.6, 0.0]))
    assert torch.allclose(analog.get_weights()[0], linear.weight)
    assert float(analog.scale[3]) == float(analog.scale[:3].median())  # no coarser than its neighbours
    assert_trains_alike(nn.Conv1d(4, 6, 2, groups=2), config, torch.randn(2, 4, 5))


def test_writing_weights_resets_the_learned_scale():
    layer = AnalogLinear(3, 2, replace(PERFECT, learn_out_scaling=True))
    weight, bias = layer.get_weights()
    with torch.no_grad():
        layer.out_scale.fill_(2.0)
    assert torch.equal(layer.get_weights()[0], 2 * weight)
    layer.set_weights(weight, bias)
    assert layer.out_scale.item() == 1.0 and torch.equal(layer.get_weights()[0], weight)


def _ranged(**options):
    options = {"init_from_data": 0, "init_value": 1.0, "decay": 0.0, **options}
    return AnalogLinear(2, 1, replace(DIGITAL_BIAS, input_range=InputRange(**options)), bias=False)


def test_inputs_are_clipped_to_the_range_and_weights_see_them_so():
    layer = _ranged(init_value=2.0, learn=False)
    layer.set_weights(torch.tensor([[1.0, 0.5]]))
    x = torch.tensor([[3.0, -1.0]], requires_grad=True)
    y = layer(x)
    assert y.item() == pytest.approx(2.0 - 0.5)
    y.backward()
    assert torch.allclose(x.grad, torch.tensor([[1.0, 0.5]]))  # as if nothing were clipped
    AnalogSGD(layer, 0.1).step()
    assert torch.allclose(layer.get_weights()[0], torch.tensor([[1.0 - 0.1 * 2.0, 0.5 + 0.1 * 1.0]]))
    assert layer.input_range.limit.grad is None


def test_the_arrays_see_full_scale_at_the_range():
    io = IOParameters(noise_management="none", bound_management="none", inp_res=0.0, out_res=0.0, out_noise=0.0)
    config = replace(DIGITAL_BIAS, device=preset("gokmen-vlasov").config.device, forward=io, backward=io)
    layer = AnalogLinear(1, 1, replace(config, input_range=InputRange(init_value=4.0)), bias=False).eval()
    layer.set_weights(torch.tensor([[0.25]]))
    x = torch.tensor([[-8.0], [2.0], [4.0], [9.0]])
    assert torch.allclose(layer(x), 0.25 * x.clamp(-4.0, 4.0), atol=1e-6)
    without = AnalogLinear(1, 1, config, bias=False).eval()
    without.set_weights(torch.tensor([[0.25]]))
    assert torch.allclose(without(x), 0.25 * x.clamp(-1.0, 1.0), atol=1e-6)


@pytest.mark.parametrize("relative", [True, False])
def test_errors_of_clipped_inputs_that_want_more_widen_the_range(relative):
    """grad R = sum over x >= R of min(d, 0) - sum over x <= -R of max(d, 0), times R if relative."""
    layer = _ranged(init_value=2.0, gradient_relative=relative, gradient_scale=3.0)
    layer.set_weights(torch.tensor([[1.0, 1.0]]))
    x = torch.tensor([[3.0, 0.0], [2.0, 1.0], [-5.0, 4.0], [-2.0, -1.9]])
    d = torch.tensor([[-0.5], [0.25], [0.125], [-1.0]])
    layer(x).backward(d)
    #     x >= R: min(-.5, 0) + min(.25, 0) + min(.125, 0); x <= -R: max(.125, 0) + max(-1, 0)
    expected = -0.5 + 0.0 + 0.0 - (0.125 + 0.0)
    assert float(layer.input_range.limit.grad) == pytest.approx(expected * (2.0 * 3.0 if relative else 1.0))


@pytest.mark.parametrize("learns_by_pulses", [True, False])
def test_outputs_at_the_converters_bound_send_nothing_back_and_widen_the_range(learns_by_pulses):
    """Two blocks of inputs: each has converters of its own, so an output can be clipped in one of them only."""
    io = IOParameters(
        noise_management="none", bound_management="none", inp_res=0.0, out_res=0.0, out_noise=0.0, out_bound=1.0
    )
    rule = InputRange(
        init_value=2.0, init_from_data=0, decay=0.0, manage_output_clipping=True, output_min_percentage=0.9
    )
    options = {"forward": io, "input_range": rule, "max_columns": 1, "analog_bias": False}
    exact = InferenceConfig(None, compensation=None, weight_scaling_omega=0.0, **options)
    pulsed = replace(PERFECT, device=ConstantStep(w_max=2.0, w_min=-2.0, w_max_dtod=0.0, w_min_dtod=0.0), **options)
    layer = AnalogLinear(2, 2, pulsed if learns_by_pulses else exact, bias=False)
    layer.set_weights(torch.tensor([[1.5, 0.5], [0.25, 0.75]]))
    x = torch.tensor([[1.8, 1.0], [0.4, -0.2]], requires_grad=True)
    y = layer(x)
    assert torch.allclose(y, torch.tensor([[2.0 + 0.5, 0.25 * 1.8 + 0.75], [0.6 - 0.1, 0.1 - 0.15]]))
    y.sum().backward()
    assert torch.allclose(x.grad, torch.tensor([[0.25, 1.25], [1.75, 1.25]]))  # 1.5 of the first is missing
    assert layer.input_range.limit.grad.item() == pytest.approx(-2.0 / 8)  # one of eight outputs
    if not learns_by_pulses:  # weights learn from all errors
        assert torch.allclose(layer.tiles[0].weight.grad, x.detach()[:, :1].sum().expand(2, 1))


def test_a_range_that_is_hardly_used_decays():
    layer = _ranged(init_value=2.0, decay=0.01, input_min_percentage=0.5)
    layer(torch.tensor([[0.5, 1.0]])).backward(torch.ones(1, 1))
    AnalogSGD(layer, 0.1).step()
    assert layer.input_range.limit.item() == pytest.approx(2.0 - 0.1 * 0.01 * 2.0)
    layer.zero_grad()
    layer(torch.tensor([[0.5, 3.0]])).backward(torch.ones(1, 1))  # half of them within: no more than the fraction
    assert float(layer.input_range.limit.grad) == 0.0


def test_the_range_begins_as_the_mean_of_multiples_of_the_deviation():
    layer = _ranged(init_from_data=2, init_std_alpha=2.5, init_value=7.0, decay=0.1)
    batches = [torch.randn(8, 2, generator=torch.Generator().manual_seed(seed)) * (seed + 1) for seed in range(3)]
    layer(torch.zeros(3, 2))  # no deviation: not counted
    for batch in batches[:2]:
        layer(batch).sum().backward()
    assert layer.input_range.limit.item() == pytest.approx(2.5 * float(sum(b.std() for b in batches[:2])) / 2)
    assert layer.input_range.limit.grad is None
    before = layer.input_range.limit.item()
    layer(batches[2]).sum().backward()
    assert layer.input_range.limit.item() == before and layer.input_range.limit.grad is not None


def test_nothing_is_learned_of_data_that_are_only_inferred():
    layer = _ranged(init_from_data=5)
    with torch.no_grad():
        layer(torch.randn(4, 2))
    layer.eval()(torch.randn(4, 2))
    assert layer.input_range.limit.item() == 1.0 and int(layer.input_range.batches) == 0


RANGED = replace(DIGITAL_BIAS, input_range=InputRange(init_std_alpha=2.0, init_from_data=5))


@pytest.mark.parametrize(
    ("how", "options", "range_of"),
    [
        ("deviation", {}, lambda batches: sum(2.0 * x.std() for x in batches) / 3),
        ("quantile", {"quantile": 0.9}, lambda batches: sum(x.abs().flatten().sort().values[26] for x in batches) / 3),
        ("quantile", {}, lambda batches: sum(x.abs().max() for x in batches) / 3),
        ("largest", {}, lambda batches: max(x.abs().max() for x in batches)),
    ],
)
def test_ranges_are_calibrated_from_data_without_training(how, options, range_of):
    torch.manual_seed(4)
    layer = convert(nn.Linear(6, 4), RANGED)
    batches = [torch.randn(5, 6) * scale for scale in (2.0, 30.0, 5.0)]  # 30 numbers each
    calibrate(layer, [batches[0], torch.zeros(5, 6), (batches[1],), batches[2]], how, **options)
    assert layer.input_range.limit.item() == pytest.approx(float(range_of(batches)), rel=1e-6)
    assert layer.training and layer.input_range.limit.requires_grad
    before = layer.input_range.limit.clone()
    layer(torch.randn(5, 6))  # training goes on from there
    assert torch.equal(layer.input_range.limit, before)


def test_a_calibrated_network_is_torchs_though_its_activations_are_large():
    torch.manual_seed(5)
    digital, x = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), 40.0 * torch.randn(20, 6)
    analog = convert(digital, RANGED).eval()
    assert not torch.allclose(analog(x), digital(x), rtol=0.1)
    calibrate(analog, [x], "largest")
    assert analog.training is False
    torch.testing.assert_close(analog(x), digital(x), atol=1e-4, rtol=1e-4)


def test_ranges_and_scales_are_part_of_the_state():
    config = replace(DIGITAL_BIAS, input_range=InputRange(init_from_data=2), learn_out_scaling=True)
    one, other = (convert(nn.LSTM(3, 4), config, seed=seed) for seed in (0, 1))

    def step(module, seed):
        module(torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(seed)))[0].pow(2).mean().backward()
        optimizer = AnalogSGD(module, 0.1)
        optimizer.step()
        optimizer.zero_grad()
        return torch.cat([p.detach().ravel() for p in module.parameters()])

    step(one, 0)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert torch.equal(step(one, 1), step(other, 1))
    assert int(other.hh_l0.input_range.batches) == 2 and other.hh_l0.out_scale.item() != 1.0


def test_models_in_other_precisions_keep_theirs():
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    network = convert(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double(), PERFECT)
    y = network(x)
    y.sum().backward()
    assert y.dtype is torch.float64 and x.grad.dtype is torch.float64


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_arrays_stay_in_single_precision_when_a_model_is_cast(dtype):
    scaled = replace(DIGITAL_BIAS, input_range=InputRange(), weight_scaling_omega=0.5, learn_out_scaling=True)
    network, x = convert(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), scaled).eval(), torch.randn(2, 3)
    x = x.to(dtype)
    expected = network(x).float()
    cast = copy.deepcopy(network).to(dtype)
    assert {parameter.dtype for parameter in cast.parameters()} == {torch.float32}
    torch.testing.assert_close(cast(x).float(), expected, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: replace(PERFECT, input_range=InputRange()), "input_range: it was given with analog_bias=True"),
        (lambda: replace(DIGITAL_BIAS, input_range=3.0), "input_range: 3.0 was given; accepted is a InputRange"),
        (lambda: InputRange(init_value=0.0), "init_value: 0.0 was given; accepted is a number > 0"),
        (lambda: InputRange(input_min_percentage=95), "input_min_percentage: 95 was given; .* from 0 to 1"),
        (lambda: InputRange(init_from_data=-1), "init_from_data: -1 was given"),
        (
            lambda: replace(DIGITAL_BIAS, forward=IOParameters(), input_range=InputRange(manage_output_clipping=True)),
            "manage_output_clipping: True was given with noise_management 'abs_max' and bound_management 'iterative'",
        ),
        (
            lambda: calibrate(convert(nn.Linear(2, 2), PERFECT), [torch.ones(1, 2)]),
            "model: no layer has an input range",
        ),
        (lambda: calibrate(convert(nn.Linear(2, 2), RANGED), []), "batches: none were given; accepted is at least one"),
        (lambda: calibrate(convert(nn.Linear(2, 2), RANGED), [], "most"), "how: 'most' is unknown; .*largest"),
        (lambda: calibrate(convert(nn.Linear(2, 2), RANGED), [[torch.ones(1, 2), 3]]), "a list was given as one"),
        (lambda: calibrate(convert(nn.Linear(2, 2), RANGED), [], quantile=2.0), "quantile: 2.0 was given"),
        (lambda: replace(PERFECT, max_rows=0), "max_rows: 0 was given; accepted is an integer >= 1"),
        (lambda: replace(PERFECT, learn_out_scaling="yes"), "learn_out_scaling: 'yes' was given; accepted are True"),
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("config", [PERFECT, InferenceConfig()], ids=["pulsed", "inference"])
def test_weights_on_arrays_answer_as_those_of_torch_and_are_used_by_their_layer_alone(config):
    digital = nn.Conv2d(2, 3, 4)
    layer = convert(digital, config)
    assert layer.weight.shape == digital.weight.shape and layer.weight.dtype is torch.float32
    assert layer.weight.device == torch.device("cpu") and layer.weight.dim() == 4
    torch.testing.assert_close(layer.weight.detach() + 0.0, digital.weight.detach())
    assert layer.weight.detach().numpy().shape == (3, 2, 4, 4)
    with pytest.raises(InputError, match=r"layer 0: its weight is on arrays and is .*get_weights"):
        nn.functional.conv2d(torch.ones(1, 2, 5, 5, requires_grad=True), layer.weight)
    with torch.no_grad(), pytest.raises(InputError, match=r"is to be changed by mul_.*set_weights"):
        layer.weight.mul_(2.0)
