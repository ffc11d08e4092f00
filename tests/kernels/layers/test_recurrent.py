"""Recurrent layers: perfect analog is torch, step by step; and a state continues bit for bit."""

import copy
from dataclasses import replace

import pytest
import torch
from perfect import PERFECT, assert_trains_alike, leaves
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels import AnalogGRU, AnalogGRUCell, AnalogLSTM, AnalogLSTMCell, AnalogRNN, AnalogSGD, configuration
from rpusim.kernels.layers.convert import convert

KINDS = (nn.RNN, nn.LSTM, nn.GRU)


@pytest.mark.parametrize("kind", KINDS)
def test_fifty_steps_are_those_of_torch_forward_and_backward(kind):
    torch.manual_seed(0)
    assert_trains_alike(kind(6, 7), PERFECT, torch.randn(50, 3, 6))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 2, "batch_first": True},
        {"bidirectional": True, "num_layers": 2},
        {"bias": False},
    ],
    ids=str,
)
def test_layers_directions_and_states_are_those_of_torch(kind, options):
    torch.manual_seed(0)
    digital = kind(4, 5, **options)
    count = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    states = [torch.randn(count, 3, 5) for _ in range(2 if kind is nn.LSTM else 1)]

    def call(module, x, *states):
        return module(x, states if len(states) == 2 else states[0])

    assert_trains_alike(digital, PERFECT, torch.randn(3, 3, 4), *states, call=call)
    assert_trains_alike(digital, replace(PERFECT, analog_bias=False, max_rows=4, max_columns=3), torch.randn(3, 3, 4))
    assert_trains_alike(digital, PERFECT, torch.randn(6, 4))  # one sequence by itself


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_relu_and_projections_are_those_of_torch():
    torch.manual_seed(0)
    assert_trains_alike(nn.RNN(4, 5, nonlinearity="relu"), PERFECT, torch.randn(4, 2, 4))
    digital = nn.LSTM(4, 5, proj_size=3, num_layers=2, bidirectional=True)
    analog = assert_trains_alike(digital, PERFECT, torch.randn(4, 2, 4))
    assert [name for name, _ in analog.named_children()][:3] == ["ih_l0", "hh_l0", "hr_l0"]
    assert analog(torch.randn(4, 2, 4))[1][0].shape == (4, 2, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_sequences_of_different_lengths_are_packed_as_by_torch(kind, bidirectional, given):
    torch.manual_seed(0)
    digital = kind(4, 5, num_layers=2, bidirectional=bidirectional)
    states = [torch.randn(4 if bidirectional else 2, 4, 5) for _ in range(2 if kind is nn.LSTM else 1)]

    def call(module, x, *states):
        packed = pack_padded_sequence(x, [2, 6, 1, 4], enforce_sorted=False)
        output, last = module(packed, states if len(states) == 2 else states[0] if states else None)
        return pad_packed_sequence(output)[0], last

    assert_trains_alike(digital, PERFECT, torch.randn(6, 4, 4), *(states if given else ()), call=call)


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_cells_are_those_of_torch(kind):
    torch.manual_seed(0)

    def walk(module, x):
        state, seen = None, []
        for step in x:
            state = module(step, state)
            seen.append(leaves(state)[0])
        return torch.stack(seen), state

    digital = kind(4, 5)
    assert_trains_alike(digital, PERFECT, torch.randn(6, 3, 4), call=walk)
    assert_trains_alike(digital, PERFECT, torch.randn(6, 4), call=walk)


def test_dropout_acts_between_layers_while_training():
    layer = AnalogLSTM(3, 4, PERFECT, num_layers=2, dropout=0.5)
    x = torch.randn(5, 2, 3)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    single = AnalogLSTM(3, 4, PERFECT, dropout=0.5)
    assert torch.equal(single(x)[0], single(x)[0])


def test_every_step_is_one_vector_through_each_matrix_and_updates_are_in_order_of_time():
    log = ActivityLog()
    layer = AnalogRNN(2, 3, PERFECT, log=log, bias=False)
    x = torch.zeros(4, 1, 2)
    x[1, 0, 0] = x[2, 0] = 1.0
    layer(x)[0].sum().backward()
    AnalogSGD(layer, 0.1).step()
    rows = log.take()
    forward, update = rows.select(rows.phase == Phase.FORWARD), rows.select(rows.phase == Phase.UPDATE)
    assert forward.layer.tolist() == [0] * 4 + [1] * 4
    assert forward.active_columns.tolist() == [0, 1, 2, 0, 0, 0, 3, 3]
    assert update.layer.tolist() == [0] * 4 + [1] * 4
    assert layer.hh_l0.layer == 1


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_mini_batch_is_learned_sample_by_sample(bidirectional):
    """Its pairs are those of its samples by themselves, one after the other, each in the order of time."""
    torch.manual_seed(0)
    layer = convert(nn.LSTM(2, 4, batch_first=True, proj_size=3, bidirectional=bidirectional), PERFECT)
    x = torch.rand(3, 5, 2)
    waiting = []
    for given in (x, *x.split(1)):
        layer.zero_grad()
        layer(given)[0].square().sum().backward()
        waiting.append([torch.cat(matrix.waiting({"weight": 1.0, "bias": 1.0})[:2], 1) for matrix in layer.children()])
    for whole, *alone in zip(*waiting, strict=True):
        torch.testing.assert_close(whole, torch.cat(alone))


def test_rows_of_a_mini_batch_are_numbered_sample_by_sample():
    """Errors come back from the last step to the second: nobody gave the state before the first."""
    log = ActivityLog()
    layer = AnalogRNN(2, 3, PERFECT, log=log)
    layer(torch.rand(3, 2, 2))[0].sum().backward()
    AnalogSGD(layer, 0.1).step()
    rows = log.take()
    of = [rows.vector[(rows.layer == 1) & (rows.phase == phase)].tolist() for phase in Phase]
    assert of[:3] == [[0, 3, 1, 4, 2, 5], [2, 5, 1, 4], [0, 1, 2, 3, 4, 5]]
    assert rows.vector[rows.layer == 0].tolist() == 2 * [0, 1, 2, 3, 4, 5]


def test_matrices_can_be_configured_and_split_by_name():
    digital, other = nn.Sequential(nn.LSTM(4, 3, num_layers=2)), replace(PERFECT, weight_scaling_omega=0.5)
    analog = convert(digital, PERFECT, per_layer={"0.hh_l1": other}, splits={"0.ih_l0": ((8, 4), (3, 2))})
    assert [m.config is other for m in analog[0].children()] == [False, False, False, True]
    assert analog[0].ih_l0.row_splits == (8, 4) and analog[0].hh_l0.row_splits == (12,)
    assert [m.layer for m in analog[0].children()] == [0, 1, 2, 3]
    by_class = convert(digital, PERFECT, per_layer={nn.LSTM: other, "*.ih_l0": PERFECT})
    assert [m.config is other for m in by_class[0].children()] == [False, True, True, True]


def _learn(module, seeds):
    optimizer = AnalogSGD(module, 0.2)
    for seed in seeds:
        x = torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        module(x)[0].pow(2).mean().backward()
        optimizer.step()
    return copy.deepcopy(module.state_dict())


def _differences(one, other):
    return [name for name, value in one.items() if not _equal(value, other[name])]


def _equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a.nan_to_num(-1.0), b.nan_to_num(-1.0))
    return repr(a) == repr(b)


@pytest.mark.parametrize("name", ["ttv2-reram-sb", "agad-ecram", "gokmen-vlasov"])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_training_continues_bit_for_bit_from_its_state(name, kind):
    """Weights, hidden arrays, buffers, choppers and counters: everything that a state holds."""
    torch.manual_seed(0)
    digital, config = kind(4, 5), configuration(name).config
    one, other = convert(digital, config), convert(digital, config, seed=9)
    state = _learn(one, range(4))
    other.load_state_dict(state)
    assert _differences(other.state_dict(), state) == []
    after = _learn(one, range(4, 8))
    assert _differences(_learn(other, range(4, 8)), after) == []
    assert "hh_l0.tiles.0.cell.arrays.0.weights" in _differences(state, after)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: AnalogLSTM(3, 4, PERFECT)(torch.rand(5, 2, 2)),
            r"AnalogLSTM: an input of shape \(5, 2, 2\) was given",
        ),
        (lambda: AnalogGRU(3, 4, PERFECT)(torch.rand(5, 2, 3), torch.rand(1, 3, 4)), "accepted is .1, 2, 4."),
        (
            lambda: AnalogLSTM(3, 4, PERFECT)(torch.rand(5, 2, 3), torch.rand(1, 2, 4)),
            r"states of shape \(1, 2, 4\) were given; accepted is \(1, 2, 4\) and \(1, 2, 4\)",
        ),
        (lambda: AnalogRNN(3, 4, PERFECT, nonlinearity="sine"), "nonlinearity: 'sine' was given; .*relu, tanh"),
        (lambda: AnalogRNN(3, 4, PERFECT, num_layers=0), "num_layers: 0 was given"),
        (lambda: AnalogRNN(3, 4, PERFECT, proj_size=2), "proj_size: 2 was given; accepted is .* of an LSTM"),
        (lambda: AnalogLSTM(3, 4, PERFECT, per_matrix={"hh_l1": {}}), "no matrix is called 'hh_l1'; did you mean"),
        (lambda: AnalogLSTMCell(3, 4, PERFECT)(torch.rand(2, 5)), "an input of shape .2, 5. was given"),
        (
            lambda: AnalogLSTMCell(3, 4, PERFECT)(torch.rand(2, 3), torch.rand(2, 4)),
            r"states of shape \(2, 4\) were given; accepted is \(2, 4\) and \(2, 4\)",
        ),
        (lambda: AnalogGRUCell(3, 4, PERFECT)(torch.rand(2, 3), torch.rand(1, 4)), r"\(1, 4\) were given; .* \(2, 4\)"),
    ],
)
def test_wrong_shapes_and_settings_are_refused_in_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()
