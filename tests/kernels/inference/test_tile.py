"""Tiles that infer: programmed, drifted, compensated, trained in software, restored; and presets."""

import copy
import io
import math
import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import nn

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogSGD, IOParameters
from rpusim.kernels.inference import (
    CLIPS,
    COMPENSATIONS,
    CONVERTERS,
    INFERENCE,
    MODIFIERS,
    NOISE_MODELS,
    PCM,
    AddNormal,
    CustomDriftPCM,
    Discretize,
    DropConnect,
    FixedClip,
    GaussianClip,
    GlobalCompensation,
    InferenceConfig,
    InferenceTile,
    PerColumnCompensation,
    Remap,
    ReRamWan2022,
    SinglePair,
    StateIndependent,
    drift,
    inference,
    program,
)
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.tiles.tile import LayerConfig

PERFECT = IOParameters(is_perfect=True)
EXACT = InferenceConfig(None, compensation=None, forward=PERFECT)
DAY = 86400.0


def _network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 5))


def _data(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(20, 1, 6, 6, generator=generator), torch.randn(20, 5, generator=generator)


def _tile(config, rows=8, columns=10, spread=0.3, **options):
    tile = InferenceTile(rows, columns, config, **options)
    tile.set_weights(spread * torch.randn(rows, columns, generator=torch.Generator().manual_seed(1)))
    return tile.eval()


def _train(model, make, steps, first=0):
    optimizer = make(model)
    losses = []
    for step in range(first, first + steps):
        x, y = _data(step)
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=0.01)


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", [{}, {"weight_scaling_omega": 1.0, "weight_scaling_columnwise": True}])
@pytest.mark.parametrize("make", [sgd, lambda m: AnalogSGD(m, 0.05, momentum=0.9, weight_decay=0.01)])
def test_exact_cells_train_as_torch_does(make, scaling):
    """Also after remapping, which moves weights between digital and analog scale."""
    for remap in (None, Remap(), Remap(channelwise=False)):
        digital = _network()
        analog = convert(digital, InferenceConfig(None, compensation=None, forward=PERFECT, remap=remap, **scaling))
        assert _train(analog.train(), make, 5) == pytest.approx(_train(digital, sgd, 5), rel=1e-4)


def test_a_mini_batch_sees_one_modified_copy_and_the_clean_weights_learn():
    config = InferenceConfig(
        None, compensation=None, forward=PERFECT, modifiers=(AddNormal(0.2),), weight_scaling_omega=0.0
    )
    layer = convert(nn.Linear(6, 4, bias=False), config)
    (tile,) = layer.tiles
    clean, x, d = tile.get_weights(), torch.randn(3, 6, requires_grad=True), torch.randn(3, 4)
    y, again = layer(x), layer(x)
    assert torch.equal(y, again)  # LSTM cells call a layer many times in a mini-batch
    seen = tile.weights.clone()
    assert float((seen - clean).abs().max()) > 0.01
    y.backward(d)
    assert torch.allclose(y, x @ seen.t(), atol=1e-5) and torch.allclose(x.grad, d @ seen, atol=1e-5)
    assert torch.allclose(tile.weight.grad, d.t() @ x.detach(), atol=1e-5)
    assert torch.equal(tile.weight.detach(), clean)
    layer(x)
    assert not torch.equal(tile.weights, seen)
    assert torch.equal(layer.eval().tiles[0].weights, clean)


def test_a_step_counts_also_if_something_was_computed_between_the_errors_and_it():
    config = InferenceConfig(
        None, compensation=None, forward=PERFECT, modifiers=AddNormal(0.2), clip=FixedClip(0.25), remap=Remap()
    )
    layer, x = convert(nn.Linear(6, 4, bias=False), config), torch.ones(1, 6)
    (tile,) = layer.tiles
    layer(x).sum().backward()
    layer(x)  # such as for a record of the training
    torch.optim.SGD(layer.parameters(), 1.0).step()
    before = tile.weights.clone()
    twin = copy.deepcopy(layer)
    layer(x)
    assert not torch.equal(tile.weights, before)
    assert float(tile.get_weights().abs().max()) <= 0.25 and float(tile.stored.abs().max()) == 1.0
    twin(x)
    assert torch.equal(twin.tiles[0].weights, tile.weights)
    seen = tile.weights.clone()
    layer(x)
    assert torch.equal(tile.weights, seen)


def test_modifiers_may_stay_on_in_evaluation():
    config = InferenceConfig(modifiers=(DropConnect(0.5), Discretize(0.5)), modify_in_evaluation=True)
    assert set(_tile(config).weights.unique().tolist()) != set(_tile(InferenceConfig()).weights.unique().tolist())


def test_weights_are_clipped_after_a_step_and_remapped_to_the_full_range():
    config = InferenceConfig(
        None,
        compensation=None,
        forward=PERFECT,
        clip=FixedClip(0.25),
        remap=Remap(w_max=0.6),
        weight_scaling_omega=0.0,
    )
    layer = convert(nn.Linear(6, 4, bias=False), config)
    (tile,) = layer.tiles
    before = tile.get_weights()
    layer(torch.ones(1, 6)).sum().backward()
    after = tile.get_weights()
    assert torch.allclose(after, before.clamp(-0.25, 0.25))
    assert tile.stored.abs().amax(1).tolist() == pytest.approx([0.6] * 4)
    assert torch.allclose(tile.stored * tile.scale[:, None], after)


def test_gaussian_clipping_takes_what_lies_beyond():
    layer = convert(nn.Linear(60, 40, bias=False), InferenceConfig(clip=GaussianClip(1.0)))
    bound = float(layer.tiles[0].get_weights().std())
    layer(torch.ones(1, 60)).sum().backward()
    assert float(layer.tiles[0].get_weights().abs().max()) == pytest.approx(bound)


# --- programming and drift --------------------------------------------------------------------------------------------


def test_programming_and_training_do_not_touch_each_other():
    model = convert(_network(), InferenceConfig(forward=PERFECT))
    x, _ = _data()
    clean = model.eval()(x)
    program(model)
    programmed = model(x)
    assert not torch.equal(clean, programmed)
    assert torch.equal(model.train()(x), clean)
    assert torch.equal(model.eval()(x), programmed)
    _train(model.train(), sgd, 1)
    assert not any(tile.programmed for tile in model.modules() if isinstance(tile, InferenceTile))


def test_programming_errs_as_the_model_says():
    """One device of each pair holds nothing, but is programmed, too; both errors are in the weight."""
    model = StateIndependent(program_std=0.5e-6)
    weights = torch.full((100, 100), 0.5)
    weights[0, 0] = 1.0
    tile = InferenceTile(100, 100, InferenceConfig(model, compensation=None))
    tile.set_weights(weights)
    tile.program()
    error = (tile.left - weights)[1:] * 25.0  # microsiemens
    half = 0.5 * math.sqrt(0.5 * (1 - 1 / math.pi))  # of what is cut off at zero
    assert float(error.std()) == pytest.approx(math.sqrt(0.5**2 + half**2), rel=0.03)
    assert float(error.mean()) == pytest.approx(-0.5 / math.sqrt(2 * math.pi), abs=0.03)


def test_drift_starts_from_programming_each_time_with_the_same_exponents():
    """Without noise of reading, the same time gives the same weights, and times do not add up."""
    tile = _tile(InferenceConfig(PCM(read_scale=0.0), compensation=None))
    tile.program()
    left = tile.left.clone()
    tile.drift(DAY)
    day = tile.held.clone()
    tile.drift(30 * DAY)
    month = tile.held.clone()
    tile.drift(DAY)
    assert torch.equal(tile.held, day) and torch.equal(tile.left, left)
    big = left.abs() > 0.2
    ratio = (month / day)[big].log() / -math.log((30 * DAY + 20) / (DAY + 20))
    assert float((month.abs() <= day.abs())[big].double().mean()) == 1.0
    assert 0.045 < float(ratio.mean()) < 0.08  # the exponents of phase-change memory, 0.049 and more


def test_reads_are_noisy_at_once_and_new_each_time():
    tile = _tile(InferenceConfig(PCM(program_scale=0.0, drift_scale=0.0), compensation=None))
    tile.drift(0.0)
    first = tile.held.clone()
    assert not torch.allclose(first, tile.left, atol=1e-3)
    tile.drift(0.0)
    assert not torch.equal(first, tile.held)


def test_gradients_of_inputs_go_through_what_is_held_and_do_not_forget_it():
    layer = convert(nn.Linear(6, 4), InferenceConfig(forward=PERFECT, remap=Remap())).eval()
    drift(layer, DAY)
    x = torch.randn(3, 6, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    step = torch.zeros(3, 6)
    step[:, 2] = 1.0
    assert torch.allclose((layer(x + step) - y).sum(1), x.grad[:, 2], atol=1e-4)
    assert layer.tiles[0].programmed


def test_one_exponent_for_all_is_compensated_exactly():
    model = CustomDriftPCM(means=(0.06, 0.06), deviations=(0.0, 0.0), program_scale=0.0, read_scale=0.0)
    x = torch.randn(5, 10)
    for compensation in (GlobalCompensation(), PerColumnCompensation(), GlobalCompensation(exact_reference=True)):
        tile = _tile(InferenceConfig(model, compensation=compensation, forward=PERFECT))
        expected = tile.forward(x)
        tile.drift(365 * DAY)
        assert float(tile.factor[0]) == pytest.approx((365 * DAY / 20 + 1) ** 0.06, rel=1e-4)
        assert torch.allclose(tile.forward(x), expected, rtol=1e-4, atol=1e-5)
        bare = _tile(InferenceConfig(model, compensation=None, forward=PERFECT))
        bare.drift(365 * DAY)
        assert torch.allclose(bare.forward(x), expected / tile.factor, rtol=1e-4, atol=1e-5)


def test_columns_that_drift_differently_need_factors_of_their_own():
    """High conductances drift less: rows of small weights get a larger factor."""
    model = PCM(program_scale=0.0, read_scale=0.0)
    tile = InferenceTile(2, 400, InferenceConfig(model, compensation=PerColumnCompensation(), forward=PERFECT)).eval()
    tile.set_weights(torch.tensor([[1.0], [0.02]]).expand(2, 400))
    tile.drift(365 * DAY)
    assert float(tile.factor[1]) > 1.2 * float(tile.factor[0]) > 1.2


def test_neurram_scatters_around_the_target_at_a_later_time():
    """What programming left is forgotten: errors at both times are independent, in the same units of weight."""
    weights = torch.full((100, 100), 0.5)
    weights[0, 0] = 1.0
    config = InferenceConfig(ReRamWan2022(), SinglePair(g_max=40e-6), compensation=None)
    tile = InferenceTile(100, 100, config)
    tile.set_weights(weights)
    tile.drift(DAY)
    left, held = (tile.left - weights)[1:].ravel(), (tile.held - weights)[1:].ravel()
    assert abs(float(torch.corrcoef(torch.stack([left, held]))[0, 1])) < 5.5 / 99
    with pytest.raises(InputError, match="only these are accepted"):
        tile.drift(3600.0)


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_programming_and_measuring_drift_are_maintenance_and_training_is_free():
    log = ActivityLog()
    config = InferenceConfig(verifications=2.5, modifiers=(AddNormal(0.1),))
    model = convert(nn.Linear(10, 8), config, log=log)
    model(torch.randn(4, 10)).sum().backward()
    assert len(log) == 0
    model.eval()
    program(model)
    drift(model, DAY)
    model(torch.randn(4, 10))
    rows = log.take()
    assert rows.phase.tolist() == [Phase.MAINTENANCE] * 3 + [Phase.FORWARD] * 4
    write, before, now = (rows.select([k]) for k in range(3))
    assert write.writes.tolist() == [8 * 11] and write.passes.tolist() == [math.ceil(11 * 2.5)]
    for read in (before, now):  # one pass for each of the 11 columns, or more where an output clipped
        assert read.passes.tolist() == [11] and read.writes.tolist() == [0] and read.digital_ops.tolist() == [88]
    assert rows.vector.tolist() == [-1, -1, -1, 0, 1, 2, 3]


def test_without_compensation_nothing_is_read():
    log = ActivityLog()
    model = convert(nn.Linear(10, 8), InferenceConfig(compensation=None), log=log)
    drift(model, DAY)
    rows = log.take()
    assert rows.phase.tolist() == [Phase.MAINTENANCE] and rows.passes.tolist() == [0]


# --- repeatable -------------------------------------------------------------------------------------------------------

NOISY = InferenceConfig(modifiers=(AddNormal(0.1), DropConnect(0.05)), clip=GaussianClip(2.0), remap=Remap())


def _life(model):
    x, _ = _data(99)
    losses = _train(model.train(), sgd, 3)
    model.eval()
    out = []
    for seconds in (0.0, 3600.0, DAY):
        drift(model, seconds)
        out.append(model(x))
    return losses, torch.stack(out).detach()


def test_equal_seeds_are_equal_to_the_last_bit_and_others_are_not():
    one, again, other = (_life(convert(_network(), NOISY, seed=seed)) for seed in (1, 1, 2))
    assert one[0] == again[0] and torch.equal(one[1], again[1])
    assert not torch.equal(one[1], other[1])


@pytest.mark.parametrize("moment", ["learning", "aged"])
def test_a_model_restored_from_its_state_continues_bit_for_bit(moment):
    """After a backward pass and a step, whose clipping and remapping are still to come; and after programming."""
    one, two = (convert(_network(), NOISY, seed=seed) for seed in (1, 2))
    _train(one.train(), lambda m: torch.optim.SGD(m.parameters(), 0.05), 2)
    if moment == "aged":
        drift(one, 3600.0)
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    two.load_state_dict(torch.load(file, weights_only=False))
    x, _ = _data(99)
    if moment == "aged":
        assert torch.equal(one.eval()(x), two.eval()(x))
        drift(one, DAY)
        drift(two, DAY)
        assert torch.equal(one(x), two(x))
        return
    plain = [_train(m.train(), lambda m: torch.optim.SGD(m.parameters(), 0.05), 2, first=2) for m in (one, two)]
    assert plain[0] == plain[1]
    for model in (one, two):
        drift(model, DAY)
    assert torch.equal(one.eval()(x), two.eval()(x))
    assert torch.equal(copy.deepcopy(one)(x), two(x))


@pytest.mark.parametrize("row_splits", [(8,), (3, 5)])
@pytest.mark.parametrize("column_splits", [(10,), (4, 4, 2)])
def test_cells_have_the_same_noise_however_a_layer_is_cut(row_splits, column_splits):
    """Each block here holds a weight of 1, so that all are fitted to the same range."""
    weights = 0.3 * torch.randn(8, 10, generator=torch.Generator().manual_seed(1)).clamp(-2, 2)
    weights[::3, [0, 5, 9]] = 1.0
    found = []
    for splits in (((8,), (10,)), (row_splits, column_splits)):
        config = InferenceConfig(modifiers=(AddNormal(0.1),), compensation=None)
        layer = convert(nn.Linear(10, 8, bias=False), config, splits={"": splits}, seed=4)
        layer.set_weights(weights)
        modified = torch.cat([torch.cat(r, 1) for r in _grid(layer, lambda tile: tile.modified)])
        program(layer)
        left = torch.cat([torch.cat(r, 1) for r in _grid(layer, lambda tile: tile.left)])
        for tile in layer.tiles:
            tile.left.copy_(tile.stored)  # so that all are fitted to the same range again
        drift(layer, DAY)
        held = torch.cat([torch.cat(r, 1) for r in _grid(layer, lambda tile: tile.held)])
        found.append((modified, left, held))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def _grid(layer, of):
    width = len(layer.column_splits)
    return [[of(tile) for tile in layer.tiles[r : r + width]] for r in range(0, len(layer.tiles), width)]


# --- presets and what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INFERENCE)
def test_every_preset_trains_a_step_is_programmed_and_infers(name):
    preset = inference(name)
    assert preset.name == name and preset.source
    model = convert(_network(), preset.config)
    _train(model.train(), sgd, 1)
    program(model)
    drift(model, DAY)
    x, _ = _data()
    y = model.eval()(x)
    assert bool(torch.isfinite(y).all())
    assert torch.equal(y, model.eval()(x)) == (name == "inference-exact")


def test_an_exact_preset_is_torch():
    digital = _network()
    analog = convert(digital, inference("inference-exact").config).eval()
    drift(analog, 365 * DAY)
    x, _ = _data()
    assert torch.allclose(analog(x), digital(x), atol=1e-5)


def test_a_year_of_drift_moves_outputs_and_compensation_brings_most_back():
    digital, x = nn.Linear(100, 50), torch.randn(40, 100, generator=torch.Generator().manual_seed(0))
    exact, errors = digital(x), []
    for compensation in (None, GlobalCompensation(), PerColumnCompensation()):
        config = InferenceConfig(compensation=compensation, analog_bias=False, weight_scaling_omega=1.0)
        analog = convert(digital, config).eval()
        drift(analog, 365 * DAY)
        errors.append(((analog(x) - exact).std() / exact.std()).item())
    assert errors[0] > 0.5 and max(errors[1:]) < 0.35


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: inference("standard"), "inference: 'standard' is unknown; did you mean 'standard-hwa'"),
        (lambda: program(nn.Linear(2, 2)), "model: Linear has no inference layers; accepted is what convert"),
        (lambda: drift(convert(nn.Linear(2, 2), AnalogConfig()), 1.0), "has no inference layers"),
        (lambda: drift(convert(nn.Linear(2, 2), EXACT), -1.0), "seconds: -1.0 was given; accepted is a number >= 0"),
        (lambda: drift(convert(nn.Linear(2, 2), EXACT), "1 s"), "seconds: '1 s' was given"),
        (lambda: InferenceConfig(clip=1.0), "clip: 1.0 was given; accepted is a Clip"),
        (lambda: InferenceConfig(modifiers="add-normal"), "modifiers: 'add-normal' was given; accepted is a Modifier"),
        (
            lambda: convert(nn.Linear(2, 2), EXACT).load_state_dict(
                convert(nn.Linear(2, 2), AnalogConfig()).state_dict()
            ),
            "layer 0: a state of arrays that learn by pulses was given",
        ),
        (lambda: InferenceConfig(verifications=-1.0), "verifications: -1.0 was given"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(act, said):
    with pytest.raises(InputError, match=said):
        act()


GUIDE = (Path(__file__).parents[3] / "docs" / "inference.md").read_text(encoding="utf-8")


def test_the_examples_of_the_guide_run_and_come_closer_the_sooner_they_are_asked(capsys):
    pasted = {}
    for block in re.findall(r"^```python\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE):
        exec(compile(block, "inference.md", "exec"), pasted)
    errors = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()[:4]]
    assert len(errors) == 4 and errors[0] < errors[-1]
    offset, weights = pasted["Offset"](), torch.randn(4, 5)
    fit = offset.fit(weights)
    assert torch.allclose(offset.weights(offset.conductances(weights, fit), fit), weights, atol=1e-6)


def test_every_kind_is_named_in_the_guide():
    for registry in (NOISE_MODELS, CONVERTERS, COMPENSATIONS, MODIFIERS, CLIPS):
        for kind in registry.values():
            assert f"`{kind.__name__}`" in GUIDE
    for field in fields(InferenceConfig):
        if field.name not in {inherited.name for inherited in fields(LayerConfig)}:
            assert f"`{field.name}`" in GUIDE, field.name
