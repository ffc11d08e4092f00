"""Multi-head attention and transformers: perfect analog is torch, masks and all."""

from dataclasses import replace

import pytest
import torch
from perfect import PERFECT, assert_trains_alike
from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.errors import InputError
from rpusim.kernels import AnalogLayer, AnalogMultiheadAttention
from rpusim.kernels.layers.convert import convert

CAUSAL = nn.Transformer.generate_square_subsequent_mask(5)
PADDING = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])


@pytest.mark.parametrize(
    ("options", "call"),
    [
        ({}, {}),
        ({"batch_first": True, "bias": False}, {"average_attn_weights": False}),
        ({}, {"attn_mask": CAUSAL, "is_causal": True, "need_weights": False}),
        ({"batch_first": True}, {"key_padding_mask": PADDING}),
        ({"batch_first": True}, {"key_padding_mask": PADDING, "attn_mask": CAUSAL != 0}),
        ({"add_bias_kv": True, "add_zero_attn": True, "batch_first": True}, {"key_padding_mask": PADDING}),
        ({"batch_first": True}, {"attn_mask": torch.randn(2 * 2, 5, 5, generator=torch.Generator().manual_seed(2))}),
    ],
    ids=str,
)
def test_self_attention_is_that_of_torch(options, call):
    torch.manual_seed(0)
    digital = nn.MultiheadAttention(6, 2, **options)
    x = torch.randn((2, 5, 6) if options.get("batch_first") else (5, 2, 6))
    nn.init.normal_(digital.out_proj.bias) if digital.out_proj.bias is not None else None
    assert_trains_alike(digital, PERFECT, x, call=lambda module, x: module(x, x, x, **call))


def test_attention_to_another_sequence_is_that_of_torch():
    torch.manual_seed(0)
    digital = nn.MultiheadAttention(6, 3, kdim=4, vdim=5)
    analog = assert_trains_alike(digital, PERFECT, torch.randn(3, 2, 6), torch.randn(7, 2, 4), torch.randn(7, 2, 5))
    assert [name for name, _ in analog.named_children()] == ["q_proj", "k_proj", "v_proj", "out_proj"]
    assert_trains_alike(digital, PERFECT, torch.randn(3, 6), torch.randn(7, 4), torch.randn(7, 5))


@pytest.mark.parametrize("options", [{}, {"batch_first": True, "norm_first": True, "activation": "gelu"}], ids=str)
def test_transformer_layers_are_those_of_torch(options):
    torch.manual_seed(0)
    sizes = {"d_model": 8, "nhead": 2, "dim_feedforward": 12, "dropout": 0.0, **options}
    config = replace(PERFECT, max_rows=5, max_columns=4)
    assert_trains_alike(nn.TransformerEncoderLayer(**sizes), config, torch.randn(5, 2, 8))
    assert_trains_alike(nn.TransformerDecoderLayer(**sizes), config, torch.randn(5, 2, 8), torch.randn(5, 2, 8))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("include", [None, ["*.linear1"], ["*.self_attn"]], ids=str)
def test_a_transformer_in_evaluation_goes_through_its_arrays(include):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
    digital, log = nn.TransformerEncoder(layer, 2).eval(), ActivityLog()
    analog = convert(digital, PERFECT, include=include, log=log)
    x = torch.randn(2, 5, 8)
    layers = [part.layer for part in analog.modules() if isinstance(part, AnalogLayer)]
    assert len(layers) == {None: 12, "*.linear1": 2, "*.self_attn": 8}[include and include[0]]
    for mask in (None, PADDING):
        with torch.no_grad():
            ours, theirs = (module(x, src_key_padding_mask=mask) for module in (analog, digital))
        seen = slice(None) if mask is None else ~PADDING
        torch.testing.assert_close(ours[seen], theirs[seen], atol=1e-5, rtol=1e-5)
        assert sorted(set(log.take().layer.tolist())) == layers


def test_a_whole_transformer_is_that_of_torch():
    torch.manual_seed(0)
    digital = nn.Transformer(8, 2, 1, 1, 12, dropout=0.0, batch_first=True)
    assert_trains_alike(digital, PERFECT, torch.randn(2, 5, 8), torch.randn(2, 3, 8))


def test_each_position_is_one_vector_through_each_projection():
    log = ActivityLog()
    layer = AnalogMultiheadAttention(4, 2, PERFECT, log=log, layer=3)
    x = torch.randn(5, 2, 4)
    layer(x, x, x)
    assert log.take().layer.tolist() == [3] * 10 + [4] * 10 + [5] * 10 + [6] * 10


X = torch.rand(5, 2, 6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: AnalogMultiheadAttention(6, 4, PERFECT),
            "num_heads: 4 was given for embed_dim 6; accepted is",
        ),
        (lambda: AnalogMultiheadAttention(6, 2, PERFECT)(X, X, X, is_causal=True), "is_causal: True was given without"),
        (
            lambda: AnalogMultiheadAttention(6, 2, PERFECT)(X, X, X, attn_mask=torch.zeros(4, 5)),
            r"attn_mask: a shape of \(4, 5\) was given; accepted is \(5, 5\) or \(4, 5, 5\)",
        ),
        (
            lambda: AnalogMultiheadAttention(6, 2, PERFECT)(X, X, X, key_padding_mask=torch.zeros(5, 2)),
            r"key_padding_mask: a shape of \(5, 2\) was given; accepted is \(2, 5\)",
        ),
        (lambda: AnalogMultiheadAttention(6, 2, PERFECT, dropout=2.0), "dropout: 2.0 was given"),
        (lambda: AnalogMultiheadAttention(6, 2, PERFECT)(X, X, X[:4]), r"\(2, 5\), \(2, 5\), \(2, 4\) were given"),
        (lambda: AnalogMultiheadAttention(6, 2, PERFECT)(X, X[:, :1], X[:, :1]), "accepted are equally many samples"),
    ],
)
def test_wrong_shapes_and_settings_are_refused_in_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()
