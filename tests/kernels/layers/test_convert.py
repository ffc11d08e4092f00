"""Thirty modules from the ordinary repertoire: what converts equals torch, what does not says why; docs/layers.md."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from perfect import PERFECT, assert_trains_alike
from torch import nn
from torch.nn.utils import parametrizations

from rpusim.errors import InputError
from rpusim.kernels import AnalogLayer, IOParameters
from rpusim.kernels.inference import InferenceConfig
from rpusim.kernels.layers.convert import convert

DOCUMENT = (Path(__file__).parents[3] / "docs" / "layers.md").read_text(encoding="utf-8")


class Block(nn.Module):
    """A residual block."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.short = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return torch.relu(self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x))))) + self.short(x))


class Patches(nn.Module):
    """The beginning of a vision transformer, with a class token and positions of its own."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, stride=4)
        self.token, self.place = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 5, 8))
        self.encoder = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)

    def forward(self, x):
        positions = self.patch(x).flatten(2).transpose(1, 2)
        return self.encoder(torch.cat([self.token.expand(len(x), 1, 8), positions], 1) + self.place)


class Twice(nn.Module):
    """One layer in two places."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = self.first

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


class Tied(nn.Module):
    """A language model whose embedding is its read-out."""

    def __init__(self):
        super().__init__()
        self.embedding, self.readout = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
        self.readout.weight = self.embedding.weight

    def forward(self, tokens):
        return self.readout(torch.tanh(self.embedding(tokens)))


class Own(nn.Module):
    """A layer that multiplies by a matrix of its own."""

    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(3, 3))


class Doubled(nn.Linear):
    """A linear layer that does something else."""

    def forward(self, x):
        return 2 * super().forward(x)


def token_model():
    return nn.Sequential(nn.Embedding(9, 4), nn.LSTM(4, 5, batch_first=True))


TOKENS = torch.tensor([[1, 5, 8, 0], [2, 2, 7, 3]])
IMAGES = (2, 3, 8, 8)
WIDE = {"d_model": 8, "nhead": 2, "dim_feedforward": 12, "dropout": 0.0}

# (as in the document, how to make it, shapes of its inputs or the inputs)
CONVERTED = [
    ("Linear", lambda: nn.Linear(4, 3), [(5, 4)]),
    ("Linear, LayerNorm, GELU", lambda: nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.GELU()), [(5, 2, 4)]),
    ("Conv1d", lambda: nn.Conv1d(3, 4, 3, dilation=2), [(2, 3, 9)]),
    (
        "Conv2d, BatchNorm2d, ReLU, MaxPool2d",
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        [IMAGES],
    ),
    (
        "Conv2d depthwise, then pointwise",
        lambda: nn.Sequential(nn.Conv2d(3, 6, 3, padding="same", groups=3), nn.Conv2d(6, 4, 1)),
        [IMAGES],
    ),
    ("Conv3d", lambda: nn.Conv3d(2, 3, 2, padding=1, padding_mode="circular"), [(1, 2, 4, 3, 4)]),
    (
        "ConvTranspose2d",
        lambda: nn.ConvTranspose2d(4, 6, (3, 2), 2, 1, output_padding=1, groups=2, dilation=(1, 2)),
        [(2, 4, 5, 3)],
    ),
    ("RNN", lambda: nn.RNN(4, 5, nonlinearity="relu"), [(6, 2, 4)]),
    ("LSTM, 2 layers, bidirectional", lambda: nn.LSTM(4, 5, num_layers=2, bidirectional=True), [(6, 2, 4)]),
    ("GRU", lambda: nn.GRU(4, 5, batch_first=True), [(2, 6, 4)]),
    ("RNNCell", lambda: nn.RNNCell(4, 5), [(2, 4), (2, 5)]),
    ("LSTMCell", lambda: nn.LSTMCell(4, 5), [(2, 4)]),
    ("GRUCell", lambda: nn.GRUCell(4, 5), [(2, 4), (2, 5)]),
    ("MultiheadAttention", lambda: nn.MultiheadAttention(8, 2), [(5, 2, 8)] * 3),
    ("TransformerEncoderLayer", lambda: nn.TransformerEncoderLayer(**WIDE), [(5, 2, 8)]),
    ("TransformerDecoderLayer", lambda: nn.TransformerDecoderLayer(**WIDE), [(5, 2, 8), (4, 2, 8)]),
    ("TransformerEncoder, 2 layers", lambda: _encoder(), [(2, 5, 8)]),
    ("Transformer", lambda: nn.Transformer(8, 2, 1, 1, 12, 0.0), [(5, 2, 8), (3, 2, 8)]),
    ("Embedding, LSTM", token_model, [TOKENS]),
    ("EmbeddingBag, Linear", lambda: nn.Sequential(nn.EmbeddingBag(9, 4), nn.Linear(4, 3)), [TOKENS]),
    (
        "AdaptiveLogSoftmaxWithLoss",
        lambda: nn.AdaptiveLogSoftmaxWithLoss(16, 9, [3, 6]),
        [(4, 16), torch.tensor([0, 4, 8, 7])],
    ),
    ("a residual block of your own", Block, [IMAGES]),
    ("patches, class token, encoder layer of your own", Patches, [IMAGES]),
    ("one layer in two places", Twice, [(3, 4)]),
    ("Linear that is tied to an Embedding", Tied, [TOKENS]),
]
REFUSED = [
    ("Bilinear", lambda: nn.Bilinear(2, 3, 4)),
    ("LazyLinear that never ran", lambda: nn.Sequential(nn.LazyLinear(4))),
    ("Linear with weight_norm", lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(2, 2)))),
    ("a layer of your own with a matrix", Own),
    ("a Linear whose forward is yours", lambda: Doubled(2, 2)),
    ("Embedding by itself", lambda: nn.Embedding(9, 4)),
]


def _encoder():
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(batch_first=True, **WIDE), 2, enable_nested_tensor=False)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize(("name", "make", "given"), CONVERTED, ids=[row[0] for row in CONVERTED])
def test_what_converts_trains_like_torch_and_stands_in_the_table(name, make, given):
    torch.manual_seed(0)
    inputs = [torch.randn(x) if isinstance(x, tuple) else x for x in given]
    analog = assert_trains_alike(make(), PERFECT, *inputs)
    matrices = [part for part in analog.modules() if isinstance(part, AnalogLayer)]
    assert [part.layer for part in matrices] == list(range(len(matrices)))
    assert f"| {name} | {len(matrices)} |" in DOCUMENT


@pytest.mark.parametrize(("name", "make"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_does_not_convert_says_why_in_the_words_of_the_table(name, make):
    with pytest.raises(InputError) as refusal:
        convert(make(), PERFECT)
    said = re.sub(r"accepted are nn\.Linear, .*nn\.MultiheadAttention", "accepted are …", str(refusal.value))
    assert f"| {name} | {said} |" in DOCUMENT


def test_the_tally_is_that_of_the_table():
    assert f"{len(CONVERTED)} of {len(CONVERTED) + len(REFUSED)} modules convert" in DOCUMENT
    table = DOCUMENT.partition("| Module |")[2].partition("\n\n")[0]
    assert table.count("\n") == 1 + len(CONVERTED) + len(REFUSED)


def test_the_examples_of_the_document_run(capsys):
    first, *others = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, flags=re.DOTALL | re.MULTILINE)
    exec(first, {})
    assert "loss" in capsys.readouterr().out
    for example in others:
        exec(example, {})


def test_what_is_excluded_stays_digital_under_all_its_names():
    for excluded in (["second"], [nn.Linear]):
        with pytest.raises(InputError, match="Twice has no layer to convert"):
            convert(Twice(), PERFECT, exclude=excluded)


def test_classes_and_patterns_choose_layers():
    digital = nn.Sequential(nn.Conv1d(2, 2, 1), nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3)))
    analog = convert(digital, PERFECT, include=[nn.Linear], exclude=["2"])
    assert [isinstance(part, AnalogLayer) for part in (analog[0], analog[1], analog[2][0])] == [False, True, False]


def test_a_pattern_covers_the_matrices_of_the_layers_that_it_fits():
    digital, other = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2), replace(PERFECT, analog_bias=False)
    analog = convert(digital, PERFECT, per_layer={"*.self_attn": other})
    configs = {name: part.config for name, part in analog.named_modules() if isinstance(part, AnalogLayer)}
    assert {name for name, config in configs.items() if config is other} == {n for n in configs if "self_attn" in n}


def test_unknown_choices_are_refused_in_one_sentence():
    digital = nn.Sequential(nn.MultiheadAttention(4, 2), nn.Linear(4, 4))
    for options, message in [
        ({"include": [nn.LSTM]}, "include: no layer is called LSTM"),
        ({"include": ["0.out_proj"]}, "include: no layer is called '0.out_proj'"),
        ({"exclude": "1"}, "exclude: '1' was given; accepted is a list of names and classes"),
        ({"include": [0]}, "include: 0 was given in the list; accepted are names and classes"),
        ({"seed": "one"}, "seed: 'one' was given; accepted is an integer >= 0"),
        ({"per_layer": {nn.GRU: PERFECT}}, "per_layer: no analog layer is called GRU"),
        ({"per_layer": {"0.proj": PERFECT}}, "per_layer: no analog layer is called '0.proj'; did you mean '0.v_proj'"),
        ({"splits": {"0": (None, None)}}, "splits: no analog layer is called '0'"),
        ({"per_layer": {"1": 3}}, "1: config: 3 was given; accepted is a LayerConfig"),
    ]:
        with pytest.raises(InputError, match=message):
            convert(digital, PERFECT, **options)


@pytest.mark.parametrize(
    "name", ["Conv2d depthwise, then pointwise", "LSTM, 2 layers, bidirectional", "MultiheadAttention"]
)
def test_layers_that_only_infer_are_trained_like_torch(name):
    torch.manual_seed(0)
    exact = IOParameters(is_perfect=True)
    make, shapes = next(row[1:] for row in CONVERTED if row[0] == name)
    config = InferenceConfig(noise=None, forward=exact, backward=exact, max_rows=5, max_columns=6)
    assert_trains_alike(make(), config, *map(torch.randn, shapes))


def test_hooks_of_a_layer_stay_with_it():
    seen = []
    digital = nn.Sequential(nn.Linear(2, 2))
    digital[0].register_forward_hook(lambda module, given, y: seen.append(type(module).__name__))
    convert(digital, PERFECT)(torch.randn(1, 2))
    assert seen == ["AnalogLinear"]
