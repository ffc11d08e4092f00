"""Language models on arrays whose weights stay, against others: found by events, of predictions of published ratios."""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import nn

from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.placement import place
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.studies.published.case import Simulated
from rpusim.workloads.studies.published.timed import timed
from rpusim.workloads.zoo.attention import FeedForward
from rpusim.workloads.zoo.encoders import Bert
from rpusim.workloads.zoo.language_models import Gpt2, Gpt2Block, Tokens

SEQUENCES, TOKENS = 8, 128
WIDTH, BLOCKS, WORDS, EXPERTS = 512, 8, 8000, 16


def language() -> Simulated:
    """Find what is predicted of language models, by the names of the rows."""
    whole, partly = partial(_bert, False), partial(_bert, True)
    return {
        "burr/throughput": lambda: partly(SEQUENCES) / whole(SEQUENCES),
        "burr/latency": lambda: partly(SEQUENCES) / whole(1),
        "buechel/throughput": lambda: _tokens_per_second(experts=True) / _tokens_per_second(experts=False),
    }


@cache
def _bert(partly: bool, sequences: int) -> float:
    """Time (s) sequences through BERT base, each block on arrays of its own or, ``partly``, all on those of one."""
    with torch.device("meta"):
        module = Bert(shared=partly)
    network = capture(module, ((TOKENS,), torch.int64))
    return timed(place(network, Chip.load("burr-2023"), "digital"), sequences).seconds


def decoder(experts: bool) -> nn.Module:
    """Build a decoder of 16 experts, two of them for a token, or with one network as large as all of them."""
    model = Gpt2(WIDTH, BLOCKS, WORDS, TOKENS, Tokens(TOKENS), (1.0,) * EXPERTS if experts else ())
    for block in () if experts else model.blocks:
        assert isinstance(block, Gpt2Block)
        block.forward2 = FeedForward(WIDTH, EXPERTS * 4 * WIDTH)
    return model


@cache
def _tokens_per_second(experts: bool) -> float:
    """Return the rate of one more sequence, once the stacks are busy."""
    with torch.device("meta"):
        module = decoder(experts)
    placement = place(capture(module, ((TOKENS,), torch.int64)), Chip.load("buechel-2025"), "digital")
    few, many = (timed(placement, sequences).seconds for sequences in (12, 20))
    return 8 * TOKENS / (many - few)
