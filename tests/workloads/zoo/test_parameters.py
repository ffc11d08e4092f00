"""Every network of the zoo against the numbers of parameters that are published for it, or that follow from its sizes.

Weights on arrays are the parameters less those that stay digital: norms, tables, a token and places of their own.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rpusim.errors import InputError
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.zoo.language_models import Tokens
from rpusim.workloads.zoo.networks import NETWORKS, build
from rpusim.workloads.zoo.routing import dealt


def lstm2(state, symbols=87):
    """Weights of two layers and a readout, with torch's second bias for each gate."""
    first, second = 4 * state * (state + symbols + 2), 4 * state * (2 * state + 2)
    return first + second + symbols * (state + 1)


PUBLISHED = {
    "fcn": 235_146,
    "lenet-2017": 80_202,
    "alexnet": 62_378_344,
    "vgg8": 12_973_440,
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "mobilenet-v2": 3_504_872,
    "convnext-t": 28_589_128,
    **{f"lstm2-{state}": lstm2(state) for state in (64, 128, 256, 512)},
    "lstm-ptb": 10_000 * 650 + 2 * 4 * 650 * (1300 + 2) + 10_000 * 651,
    "transformer-encoder": 6 * (4 * (512 * 512 + 512) + 2 * 512 * 2048 + 2048 + 512 + 4 * 512),
    "vit-s": 22_050_664,
    "vit-l": 304_326_632,
    "bert-base": 109_482_240,
    "albert-base": 11_683_584,
    "gpt2": 124_439_808,
    "llama-7b": 6_738_415_616,
    "moe-small": (32000 + 1024) * 512 + 8 * (4 * 512 * 513 + 8 * 512 + 8 * (2 * 512 * 2048 + 2560) + 2048) + 1024,
    "dlrm-small": 26 * 10_000 * 16
    + 13 * 512
    + 512 * 256
    + 256 * 64
    + 64 * 16
    + 848
    + 367 * 512
    + 512 * 256
    + 256
    + 769,
}


def on_meta(name):
    with torch.device("meta"):
        return build(name)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_has_as_many_parameters_as_published(name):
    module, _ = on_meta(name)
    assert sum(each.numel() for each in module.parameters()) == PUBLISHED[name]


def test_the_paper_counts_one_bias_for_each_gate():
    by_paper = {64: 77_591, 128: 253_399, 256: 899_927, 512: 3_372_631}
    assert {state: lstm2(state) - 8 * state for state in by_paper} == by_paper


def test_a_unet_has_31_million_parameters():
    module, _ = on_meta("unet")
    assert sum(each.numel() for each in module.parameters()) == pytest.approx(31.0e6, rel=2e-3)


def digital(module):
    """Count the parameters that no array holds: norms, tables that no layer shares, scales, tokens and places."""
    held = {id(p) for part in module.modules() if isinstance(part, ARRAYS) for p in part.parameters(recurse=False)}
    return sum(p.numel() for p in module.parameters() if id(p) not in held)


ARRAYS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.RNNBase, nn.MultiheadAttention)
LARGE = ("vgg16", "unet", "llama-7b")


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in LARGE])
def test_what_is_on_arrays_and_its_products_are_what_torch_counts(name):
    module, shape = on_meta(name)
    network = capture(module, shape, name)
    assert network.weights == sum(each.numel() for each in module.parameters()) - digital(module)
    biases = sum(layer.rows * layer.bias * layer.vectors for layer in network.layers)
    recurrent = [layer for layer in network.layers if layer.is_recurrent]
    if recurrent:  # torch's counter has no figure for LSTM
        steps = recurrent[0].vectors
        assert all(layer.vectors == steps for layer in network.layers)
        assert network.macs == network.weights * steps
        return
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        tensors = [
            torch.empty(1, *of[0], dtype=of[1]) if isinstance(of[-1], torch.dtype) else torch.empty(1, *of)
            for of in ((shape,) if isinstance(shape[0], int) or isinstance(shape[-1], torch.dtype) else shape)
        ]
        module.eval()(*tensors)
    assert 2 * (network.macs - biases + network.products) == counter.get_total_flops()


class TestRouting:
    def test_deals_tokens_out_by_shares(self):
        found = dealt(1000, 2, (4, 2, 1, 1))
        counts = [sum(expert in its for its in found) for expert in range(4)]
        assert counts == pytest.approx([1000, 500, 250, 250], abs=1)
        assert all(len(set(its)) == 2 for its in found)

    def test_an_expert_without_a_share_gets_no_token(self):
        assert all(1 not in its for its in dealt(10, 2, (1, 0, 1, 1)))

    def test_of_too_few_shares_is_refused(self):
        with pytest.raises(InputError, match=r"routing: got \[1, 0, 0\], accepted: .* at least 2 of them above 0"):
            dealt(10, 2, (1, 0, 0))

    def test_each_token_gets_the_results_of_its_experts_weighed_by_the_gate(self):
        from rpusim.workloads.zoo.routing import Experts

        torch.manual_seed(1)
        made, x = Experts(6, 8, 2, 5, (3, 1, 1)), torch.randn(2, 5, 6)
        weights = made.gate(x).topk(2)[0].softmax(-1)
        by_hand = torch.stack(
            [
                sum(weights[:, t, place, None] * made.experts[e](x[:, t]) for place, e in enumerate(its))
                for t, its in enumerate(dealt(5, 2, (3, 1, 1)))
            ],
            dim=1,
        )
        assert torch.allclose(made(x), by_hand, atol=1e-6)


def test_a_token_behind_others_reads_their_keys_and_values():
    module = NETWORKS["moe-small"].writes(Tokens(1, 64, True))
    assert module(torch.zeros(2, 1, dtype=torch.int64)).shape == (2, 1, 32000)
