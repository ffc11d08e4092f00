"""Capture: what a user's torch module becomes, and what is said when it cannot become anything."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from rpusim.arch.network.operations import Window
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, ConstantStep, convert
from rpusim.workloads.capture.capture import capture, capture_modes


class Residual(nn.Module):
    """Two convolutions with batch norm around a shortcut, then global pooling and a classifier."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.body = nn.Conv2d(8, 8, 3, padding="same")
        self.drop = nn.Dropout(0.5)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 10)
        self.unused = nn.Linear(5, 5)

    def forward(self, x):
        x = self.relu(self.norm(self.stem(x)))
        self.unused(torch.ones(2, 5))
        y = self.drop(self.body(x))
        y += x
        y = self.pool(F.relu(y))
        return F.log_softmax(self.head(y.view(y.size(0), -1)), dim=-1)


def with_forward(forward, **parts):
    """A module whose forward is the given function."""

    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)

        def forward(self, x):
            return forward(self, x)

    return Written()


# ---------------------------------------------------------------- what is captured


def test_residual_network_with_batch_norm_is_captured():
    network = capture(Residual(), (3, 8, 8), name="residual")
    assert network.name == "residual"
    assert [(layer.name, layer.kind, layer.rows, layer.columns, layer.bias) for layer in network.layers] == [
        ("stem", "conv2d", 8, 27, False),
        ("body", "conv2d", 8, 72, True),
        ("head", "linear", 10, 8, True),
    ]
    assert [layer.vectors for layer in network.layers] == [64, 64, 1]
    (made,) = network.sums
    assert network.predecessors(made.number) == (0, 1) and network.predecessors(2) == (made.number,)
    assert [operation.kind for operation in network.operations] == [
        *("input", "conv2d", "batch_norm", "activation", "conv2d", "dropout", "add", "activation"),
        *("pool", "flatten", "linear", "softmax", "output"),
    ]
    values = 8 * 8 * 8
    assert network.digital_ops(0) == values * 2 + values  # batch norm, relu
    assert network.digital_ops(1) == values + values + values  # sum, relu, pooling over everything: sums and a factor
    assert network.digital_ops(2) == 10 * 5 + 1  # and one over the sum


@pytest.mark.parametrize(
    ("between", "functions"),
    [
        (lambda self, h: h * h, {"square": 5}),
        (lambda self, h: h + h, {"double": 5}),
        (lambda self, h: h * torch.sigmoid(h), {"sigmoid": 5, "multiply": 5}),
        (lambda self, h: h / 3.0, {"quotient": 5}),
        (lambda self, h: h - torch.tanh(h), {"tanh": 5, "subtract": 5}),
        (lambda self, h: h + self.shift, {"offset": 5, "parameter": 5, "parameter that learns": 5}),
        (lambda self, h: self.gain * h, {"scale": 5, "parameter": 5, "parameter that learns": 1}),
        (lambda self, h: h * self.fixed, {"scale": 5}),
        (lambda self, h: F.dropout(h, 0.5, self.training), {"dropout": 5}),
    ],
)
def test_what_operations_meet_says_what_they_compute(between, functions):
    """Themselves, another branch, a number, a parameter that learns (five numbers, or one), or one that is fixed."""

    def forward(self, x):
        return self.second(between(self, self.first(x)))

    module = with_forward(
        forward,
        first=nn.Linear(7, 5),
        second=nn.Linear(5, 2),
        shift=nn.Parameter(torch.zeros(5)),
        gain=nn.Parameter(torch.ones(1)),
        fixed=nn.Parameter(torch.ones(5), requires_grad=False),
    )
    assert dict(capture(module, (7,)).functions(0)) == functions


def test_functions_are_captured_as_modules_are():
    def forward(self, x):
        hidden = torch.tanh(F.linear(x, self.matrix))
        return torch.add(F.linear(hidden, self.out.weight, self.out.bias), 1.0)

    network = capture(with_forward(forward, matrix=nn.Parameter(torch.zeros(5, 7)), out=nn.Linear(5, 3)), (7,))
    assert [(layer.name, layer.parameter, layer.bias) for layer in network.layers] == [
        ("matrix", "matrix", False),
        ("out", "out.weight", True),
    ]
    assert network.digital_ops(1) == 3


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_convolution_geometry_is_what_torch_computes(data):
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = data.draw(pairs), data.draw(pairs), data.draw(pairs)
    padding = (data.draw(st.integers(0, 2)), data.draw(st.integers(0, 2)))
    module = nn.Conv2d(2, 3, kernel, stride, padding, dilation)
    (layer,) = capture(module, (2, 9, 8)).layers
    assert layer.shape == tuple(module(torch.zeros(1, 2, 9, 8)).shape[1:])
    assert layer.window == Window(kernel, stride, padding, dilation)
    assert layer.window.output_size(9, 8) == layer.shape[1:]
    assert layer.columns == module.weight[0].numel()


def test_ceiling_mode_pools_to_the_size_torch_gives():
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Flatten(), nn.Linear(2 * 9, 4))
    network = capture(module, (1, 6, 6))
    assert network.edges[-1].emits.sum() == 9


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_same_padding_puts_the_odd_position_last(kernel):
    (layer,) = capture(nn.Conv2d(1, 1, kernel, padding="same"), (1, 6, 6)).layers
    assert layer.shape == (1, 6, 6)
    assert layer.window.padding == ((kernel - 1) // 2,) * 2


@pytest.mark.parametrize(
    ("pool", "window"),
    [
        (nn.MaxPool2d(2), Window((2, 2), (2, 2))),
        (nn.MaxPool2d((3, 2), 1, (1, 0), 2), Window((3, 2), (1, 1), (1, 0), (2, 2))),
        (nn.AvgPool2d(3, 2, 1), Window((3, 3), (2, 2), (1, 1))),
    ],
)
def test_pooling_windows_are_those_of_the_module(pool, window):
    network = capture(nn.Sequential(nn.Conv2d(1, 1, 1), pool), (1, 8, 8))
    (pooled,) = [operation for operation in network.operations if operation.kind == "pool"]
    assert pooled.window == window


def test_pooled_values_may_come_with_their_places():
    def forward(self, x):
        pooled, _ = F.adaptive_max_pool2d(self.conv(x), 2, return_indices=True)
        return pooled.mean((2, 3))

    network = capture(with_forward(forward, conv=nn.Conv2d(1, 4, 3)), (1, 8, 8))
    assert [operation.shape for operation in network.operations if operation.kind == "pool"] == [(4, 2, 2), (4,)]


def test_linear_over_a_time_axis_has_one_vector_per_step():
    (layer,) = capture(nn.Linear(6, 4), (5, 6)).layers
    assert (layer.vectors, layer.parameter) == (5, "weight")


def test_a_weight_used_twice_gives_two_layers_with_the_same_parameter():
    shared = nn.Linear(4, 4)
    twice = capture(nn.Sequential(shared, nn.Tanh(), shared), (4,))
    assert [(layer.name, layer.parameter) for layer in twice.layers] == [("0", "0.weight"), ("2", "0.weight")]

    called_twice = capture(with_forward(lambda self, x: self.fc(self.fc(x)), fc=shared), (4,))
    assert [(layer.name, layer.parameter) for layer in called_twice.layers] == [
        ("fc", "fc.weight"),
        ("fc:2", "fc.weight"),
    ]

    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    module[2].weight = module[0].weight
    tied = capture(module, (4,))
    assert [(layer.name, layer.parameter) for layer in tied.layers] == [("0", "0.weight"), ("2", "0.weight")]


def test_an_activation_in_place_is_seen_by_everyone_who_reads_the_value_later():
    def forward(self, x):
        y = self.first(x)
        F.relu_(y)
        return self.second(y)

    network = capture(with_forward(forward, first=nn.Linear(4, 4), second=nn.Linear(4, 2)), (4,))
    (read,) = network.graph.predecessors("second")
    assert network.graph.nodes[read]["operation"].detail == "relu"


def test_a_module_is_captured_as_it_is_in_evaluation():
    def forward(self, x):
        return self.auxiliary(x) if self.training else self.main(x)

    module = with_forward(forward, auxiliary=nn.Linear(4, 4), main=nn.Linear(4, 2)).train()
    assert [layer.name for layer in capture(module, (4,)).layers] == ["main"]
    assert [layer.name for layer in capture(module.eval(), (4,), training=True).layers] == ["auxiliary"]
    with pytest.raises(InputError, match="layer 'main' is used in evaluation mode but not in training mode"):
        capture_modes(module, (4,))


class TestTraining:
    """What only training does is in the training graph, and nothing else is different."""

    @staticmethod
    def parts():
        return {"a": nn.Linear(6, 4), "b": nn.Linear(4, 3), "aux": nn.Linear(4, 2), "norm": nn.BatchNorm1d(4)}

    def kinds(self, forward, training=True):
        network = capture(with_forward(forward, **self.parts()), (6,), training=training)
        return [operation.name if operation.kind == "linear" else operation.kind for operation in network.operations]

    def test_without_branches_both_modes_are_one_network(self):
        for module in (Residual(), nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Dropout2d(), nn.ReLU())):
            training, evaluation = capture_modes(module, (3, 8, 8))
            assert training is evaluation
            assert training.operations == capture(module, (3, 8, 8)).operations

    def test_functions_that_are_told_the_mode_are_the_same_in_both(self):
        def forward(self, x):
            h = F.batch_norm(self.a(x), self.norm.running_mean, self.norm.running_var, training=self.training)
            return self.b(F.dropout(h, 0.5, self.training))

        training, evaluation = capture_modes(with_forward(forward, **self.parts()), (6,))
        assert training is evaluation

    def test_several_results_are_outputs(self):
        def forward(self, x):
            h = self.norm(self.a(x))
            return (self.b(h), {"aux": self.aux(h)}) if self.training else self.b(h)

        assert self.kinds(forward) == ["input", "a", "batch_norm", "b", "aux", "output", "output"]
        assert self.kinds(forward, training=False) == ["input", "a", "batch_norm", "b", "output"]

    def test_a_loss_inside_is_left_out_as_one_outside_is(self):
        def forward(self, x):
            h = self.a(x)
            y = self.b(h)
            if self.training:
                return F.cross_entropy(y, torch.zeros(len(x), dtype=torch.long)) + self.aux(h).pow(2).mean()
            return y

        assert self.kinds(forward) == ["input", "a", "b", "aux", "output", "output"]

    def test_a_loss_per_sample_is_left_out_too(self):
        def forward(self, x):
            h = self.a(x)
            return (self.b(h), (h**2).sum(1)) if self.training else self.b(h)

        training, evaluation = capture_modes(with_forward(forward, **self.parts()), (6,))
        assert training is evaluation

    def test_a_layer_whose_result_is_kept_aside_in_training_is_there_with_what_follows_it(self):
        def forward(self, x):
            h = self.a(x)
            if self.training:
                self.kept = torch.tanh(self.aux(h))
            return self.b(h)

        assert self.kinds(forward) == ["input", "a", "aux", "activation", "b", "output", "output"]

    def test_a_layer_that_neither_mode_reads_is_left_out_of_both(self):
        def forward(self, x):
            h = self.a(x)
            self.kept = self.aux(h)
            return self.b(h)

        training, evaluation = capture_modes(with_forward(forward, **self.parts()), (6,))
        assert training is evaluation
        assert [layer.name for layer in training.layers] == ["a", "b"]

    def test_noise_and_masks_have_the_shape_of_a_signal_and_are_none(self):
        def forward(self, x):
            h = self.a(x)
            if self.training:
                h = h + 0.1 * torch.randn_like(h)
                h = h * h.new_empty(len(h), 1).bernoulli_(0.9)
            return self.b(h)

        assert self.kinds(forward) == ["input", "a", "add", "multiply", "b", "output"]
        assert self.kinds(forward, training=False) == ["input", "a", "b", "output"]

    @pytest.mark.parametrize(
        ("branch", "sentence"),
        [
            (lambda h: h - h.mean(0), "^in training mode, operation 'mean' in Written.forward mixes the samples"),
            (lambda h: h if torch.rand(()) < 0.5 else 2 * h, "^in training mode, Written.forward decides by the val"),
        ],
    )
    def test_what_the_clock_cannot_follow_in_training_is_refused(self, branch, sentence):
        def forward(self, x):
            h = self.a(x)
            return self.b(branch(h) if self.training else h)

        module = with_forward(forward, **self.parts())
        with pytest.raises(InputError, match=sentence):
            capture(module, (6,), training=True)
        assert len(capture(module, (6,)).layers) == 2

    def test_layers_in_another_order_or_shape_are_refused(self):
        def turned(self, x):
            h = self.a(x)
            return self.b(h) + 0 * self.aux(h)[:, :1] if self.training else 0 * self.aux(h)[:, :1] + self.b(h)

        def shorter(self, x):
            return self.b(self.a(x[:, :2] if self.training else x))

        with pytest.raises(InputError, match="layer 'b' is used in another order in evaluation mode than in training"):
            capture_modes(with_forward(turned, **self.parts()), (6,))
        with pytest.raises(InputError, match="layer 'a' is used in another shape in evaluation mode than in training"):
            capture_modes(with_forward(shorter, **self.parts()), (3, 6))


def test_submodules_called_input_or_output_do_not_clash():
    def forward(self, x):
        return self.output(self.input(x))

    network = capture(with_forward(forward, input=nn.Linear(4, 4), output=nn.Linear(4, 2)), (4,))
    assert [layer.parameter for layer in network.layers] == ["input.weight", "output.weight"]


# ---------------------------------------------------------------- what is left alone


def test_the_users_module_is_left_as_it_was():
    module = Residual().train()
    module.drop.eval()
    before, modes = copy.deepcopy(module.state_dict()), [part.training for part in module.modules()]
    tensors, random_state = [id(p) for p in module.parameters()], torch.get_rng_state()
    capture(module, (3, 8, 8))
    assert [part.training for part in module.modules()] == modes
    assert [id(p) for p in module.parameters()] == tensors
    assert all(p.device.type == "cpu" for p in module.parameters())
    assert all(torch.equal(module.state_dict()[key], value) for key, value in before.items())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_a_network_too_large_for_any_memory_is_captured_on_meta():
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(10**6, 10**6), nn.ReLU(), nn.Linear(10**6, 10**6))
    network = capture(module, (10**6,))
    assert network.weights == 2 * (10**12 + 10**6)
    assert all(p.is_meta for p in module.parameters())


def test_other_number_formats_are_captured_too():
    assert capture(nn.Linear(4, 2).half(), (4,)).weights == 10
    assert capture(nn.Linear(4, 2).double(), (4,)).weights == 10


@pytest.mark.parametrize(
    ("module", "shape", "rows", "columns", "vectors"),
    [
        (nn.Conv1d(4, 6, 3, stride=2, padding=1), (4, 9), 6, 12, 5),
        (nn.Conv3d(2, 3, (1, 2, 3), dilation=(1, 2, 1)), (2, 4, 5, 6), 3, 12, 4 * 3 * 4),
        (nn.Conv2d(4, 6, 3, groups=2, padding="same"), (4, 5, 5), 6, 18, 25),
        (nn.Conv2d(4, 8, 2, groups=4), (4, 5, 4), 8, 4, 12),
    ],
)
def test_convolutions_over_any_axes_and_groups_are_captured(module, shape, rows, columns, vectors):
    network = capture(nn.Sequential(module, nn.ReLU()), shape)
    (layer,) = network.layers
    assert (layer.rows, layer.columns, layer.vectors, layer.groups) == (rows, columns, vectors, module.groups)
    assert layer.weights == sum(p.numel() for p in module.parameters())
    assert layer.shape == tuple(module(torch.zeros(1, *shape)).shape[1:])


def test_a_sequence_through_convolutions_and_pooling_waits_for_its_windows():
    module = nn.Sequential(nn.Conv1d(1, 2, 2), nn.MaxPool1d(2), nn.Conv1d(2, 1, 3))
    (edge,) = [edge for edge in capture(module, (1, 9)).edges if edge.producer == 0]
    assert edge.needs.tolist() == [5, 7] and edge.emits.tolist() == [0, 1] * 4


class Reader(nn.Module):
    """A recurrent layer, and a read-out of its last output."""

    def __init__(self, kind, **options):
        super().__init__()
        self.cells, self.out = kind(8, 16, **options), nn.Linear(16, 3)

    def forward(self, x):
        return self.out(torch.tanh(self.cells(x)[0])[:, -1])


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.LSTM, 4), (nn.GRU, 3)])
def test_recurrent_layers_are_two_matrices_each_of_which_one_waits_for_itself(kind, gates):
    module = Reader(kind, num_layers=2, batch_first=True)
    network = capture(module, (5, 8))
    assert [(layer.name, layer.rows, layer.columns, layer.vectors) for layer in network.layers] == [
        ("cells.ih_l0", gates * 16, 8, 5),
        ("cells.hh_l0", gates * 16, 16, 5),
        ("cells.ih_l1", gates * 16, 16, 5),
        ("cells.hh_l1", gates * 16, 16, 5),
        ("out", 3, 16, 1),
    ]
    assert network.weights == sum(p.numel() for p in module.parameters())
    (edge,) = [edge for edge in network.edges if edge.consumer == 4]
    assert edge.needs.tolist() == [4] and edge.emits.tolist() == [0, 0, 0, 0, 1]
    assert type(module.cells) is kind


def test_a_recurrent_layer_by_itself_gives_its_states_too():
    network = capture(nn.LSTM(3, 2, batch_first=True), (4, 3))
    assert [layer.name for layer in network.layers] == ["ih_l0", "hh_l0"]
    outputs = [operation.shape for operation in network.operations if operation.kind == "output"]
    assert outputs == [(4, 2), (1, 2), (1, 2)]


def test_the_last_state_is_the_last_output():
    def forward(self, x):
        return self.fc(self.lstm(x)[1][0][-1])

    network = capture(with_forward(forward, lstm=nn.LSTM(3, 2, batch_first=True), fc=nn.Linear(2, 2)), (4, 3))
    (edge,) = [edge for edge in network.edges if edge.producer == 1]
    assert edge.needs.tolist() == [3] and edge.emits.tolist() == [0, 0, 0, 1]


def test_slices_of_a_sequence_wait_for_their_last_step():
    def forward(self, x):
        return self.second(self.first(x)[:, 1:4:2])

    network = capture(with_forward(forward, first=nn.Linear(3, 2), second=nn.Linear(2, 2)), (6, 3))
    (edge,) = [edge for edge in network.edges if edge.producer == 0]
    assert edge.needs.tolist() == [1, 3] and edge.emits.tolist() == [0, 1, 0, 1, 0, 0]


def test_recurrent_layers_that_cannot_be_timed_are_named():
    with pytest.raises(InputError, match=r"module .r. .LSTM.: proj_size cannot be timed; accepted: no proj_size, and"):
        capture(with_forward(lambda self, x: self.r(x)[0], r=nn.LSTM(8, 4, proj_size=2, batch_first=True)), (5, 8))


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("module", "shape", "sentence"),
    [
        (nn.Sequential(nn.Embedding(9, 4)), (5,), "no weight layer to put on an array"),
        (nn.Sequential(nn.LazyLinear(3)), (4,), r"0\.weight has no shape yet"),
        (nn.Sequential(nn.Linear(4, 4), nn.Flatten(0), nn.Softmax(0)), (4,), r"'2' \(Softmax\) mixes the samples"),
        (nn.Linear(4, 2), (5,), r"Linear cannot run on a sample of shape \(5,\): "),
        (nn.Sequential(nn.Linear(4, 3), nn.Linear(4, 3)), (4,), r"sample of shape \(4,\): .* in module '1' \(Linear\)"),
        (nn.Linear(4, 2), (), r"Linear cannot run on a sample of shape \(\): "),
        (nn.Linear(4, 2), [], r"input_shape is \[\], accepted"),
        (nn.Linear(4, 2), (-4,), r"input_shape is \(-4,\), accepted"),
        (nn.Linear(4, 2), "44", "input_shape is '44', accepted"),
        (nn.ReLU(), (4,), "no weight layer to put on an array"),
        (convert(nn.Sequential(nn.Linear(4, 2)), AnalogConfig(ConstantStep())), (4,), r"\(AnalogLinear\) is on arrays"),
        (len, (4,), "capture got a builtin_function_or_method, accepted: a torch.nn.Module"),
    ],
)
def test_what_cannot_be_captured_is_named(module, shape, sentence):
    with pytest.raises(InputError, match=sentence):
        capture(module, shape)


LAYERS = {"lstm": nn.LSTM(4, 4, batch_first=True), "attention": nn.MultiheadAttention(4, 2)}


@pytest.mark.parametrize(
    ("forward", "sentence"),
    [
        (lambda self, x: self.fc(x) if x.sum() > 0 else x, "decides by the values in its data"),
        (lambda self, x: self.fc(x) * x.max().item(), "decides by the values in its data|'max' in Written"),
        (lambda self, x: self.lstm(x.unsqueeze(1), (x, x))[0], "operation 'select' .* mixes the samples of a batch"),
        (lambda self, x: self.fc(x)[0], "operation 'select' in Written.forward mixes the samples"),
        (lambda self, x: self.attention(x, x, x)[0], r"module 'attention' \(MultiheadAttention\) mixes the samples"),
        (lambda self, x: torch.cumsum(self.fc(x), 0), "operation 'cumsum' in Written.forward mixes the samples"),
        (lambda self, x: self.fc(x).softmax(0), "operation 'softmax' in Written.forward mixes the samples"),
        (lambda self, x: self.fc(x.reshape(1, -1, 4).sum(1)), "operation 'sum' in Written.forward mixes the samples"),
        (lambda self, x: self.fc(x.reshape(-1).expand(4, -1)[:, :4]), "operation 'slice' .* mixes the samples"),
        (lambda self, x: self.fc(x) + x.unsqueeze(1), "operation 'add' in Written.forward mixes the samples"),
        (
            lambda self, x: checkpoint(self.fc, x, use_reentrant=True),
            r"Written.forward calls torch.no_grad, .* accepted: .* and checkpoint\(..., use_reentrant=False\)",
        ),
        (lambda self, x: torch.zeros(2, 2), "output of Written.forward does not depend on its input"),
        (lambda self, x: {}["missing"], r"cannot run on a sample of shape \(4,\): 'missing'"),
    ],
)
def test_what_a_forward_may_not_do_is_said_in_one_line(forward, sentence, capfd):
    with pytest.raises(InputError, match=sentence) as caught:
        capture(with_forward(forward, fc=nn.Linear(4, 4), **LAYERS), (4,))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("layers", "shape", "sentence"),
    [
        ((nn.Softmax(dim=0),), (0,), "positive whole numbers"),
        ((nn.Linear(3, 0), nn.Softmax(dim=1)), (3,), "one or more sizes of 1 or more"),
        ((nn.Conv2d(1, 8, 0, stride=4),), (1, 11, 11), r"a matrix of 8 x 0, accepted: at least 1 x 1"),
    ],
)
def test_layers_of_nothing_are_refused_in_a_sentence(layers, shape, sentence):
    with pytest.raises(InputError, match=sentence):
        capture(nn.Sequential(*layers), shape)


def test_random_numbers_of_noise_are_counted_where_they_are_drawn() -> None:
    """One for every element and sample; numbers that are read twice are drawn once; none in evaluation."""

    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.first(x)
            if self.training:
                noise = 0.1 * torch.randn_like(h)
                h = (h + noise) * noise + torch.rand(5)
            return self.second(h)  # type: ignore[no-any-return]

    training, evaluation = capture_modes(Noisy(), (6,))
    assert {"normal number": 5, "random number": 5}.items() <= training.functions(0).items()
    assert not {"normal number", "random number"} & set(evaluation.functions(0))
