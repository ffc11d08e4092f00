"""Networks of all mainstream kinds are captured, mapped and timed, with the weights and products that torch counts.

The kinds are in `images` and `sequences`. torch's own counter (`torch.utils.flop_counter`) counts two operations for
each multiply-accumulate of matrix products and convolutions, without biases.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from images import IMAGES
from sequences import SEQUENCES
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import rpusim
from rpusim.arch.chips.chip import Chip
from rpusim.arch.network.network import Network
from rpusim.workloads.capture.capture import capture, capture_modes
from rpusim.workloads.capture.samples import Samples

KINDS = {**IMAGES, **SEQUENCES}
OF_TOKENS = ("gpt", "llama", "transformer")
"""Kinds whose inputs are whole numbers, which their shapes do not say."""


@pytest.fixture(scope="module")
def chip(tmp_path_factory: pytest.TempPathFactory) -> Chip:
    """A chip with enough tiles for all of them."""
    shipped = Path(rpusim.__file__).resolve().parent / "arch" / "chips" / "presets" / "reram-512.yaml"
    roomy = tmp_path_factory.mktemp("chip") / "roomy.yaml"
    roomy.write_text(shipped.read_text().replace("count: 64", "count: 4096", 1))
    return Chip.load(roomy)


def counted_by_torch(name: str, module: nn.Module, given: Any) -> int:
    """Multiply-accumulates of one sample, as torch counts them."""
    samples = Samples.of(given)

    def example(one: Any) -> torch.Tensor:
        whole = one.dtype == torch.int64 or name in OF_TOKENS
        return torch.randint(0, 3, (1, *one.shape)) if whole else torch.rand(1, *one.shape)

    arguments, named = map(example, samples.positional), {key: example(one) for key, one in samples.named}
    torch.backends.mha.set_fastpath_enabled(False)
    try:  # in operations that the counter knows, not in those of one library or another
        plainly = torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH)
        with plainly[0], plainly[1], FlopCounterMode(display=False) as counter:
            module.eval()(*arguments, **named)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    return int(counter.get_total_flops()) // 2


def products(network: Network) -> int:
    """Multiply-accumulates without those of biases, on arrays and elsewhere."""
    return network.products + sum(layer.rows * layer.columns * layer.vectors for layer in network.layers)


@pytest.mark.parametrize("name", KINDS)
def test_multiply_accumulates_are_those_that_torch_counts(name: str) -> None:
    build, given = KINDS[name]
    module = build()
    theirs = counted_by_torch(name, module, given)
    assert products(capture(module, given, name)) == theirs


@pytest.mark.parametrize("name", KINDS)
def test_matrices_are_on_arrays_with_all_their_numbers(name: str) -> None:
    build, given = KINDS[name]
    module = build()
    network = capture(module, given, name)
    small = [p.numel() for p in module.parameters() if p.dim() < 2]
    tables = [p for m in module.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag) for p in [m.weight]]
    tied = [p for p in module.parameters() if any(p is table for table in tables)]
    on_arrays = sum(layer.rows * layer.columns for i, layer in enumerate(network.layers) if network.uses(i)[0] == i)
    matrices = sum(p.numel() for p in module.parameters()) - sum(small)
    beside = {"gpt": 6 * 8, "gpt, tied, by hand": 6 * 8 - 20 * 8, "vit": 6 * 8, "vit by einsum": 6 * 8}
    beside["discriminator"] = 4  # the lengths of the filters, of which the weight is made
    assert on_arrays == matrices - sum(p.numel() for p in tied) - beside.get(name, 0)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("schedule", ["sequential", "layer-pipelined"])
def test_they_infer_on_the_clock(name: str, schedule: Any, chip: Chip) -> None:
    build, given = KINDS[name]
    result = rpusim.time_network((build(), given), chip, samples=2, training=False, schedule=schedule)
    assert 0 < result["time"]["per_sample_s"] < 1e-3 and math.isfinite(result["energy"]["per_sample_J"])


@pytest.mark.parametrize("name", KINDS)
def test_they_learn_on_the_clock_and_that_takes_longer(name: str, chip: Chip) -> None:
    build, given = KINDS[name]
    training, evaluation = capture_modes(build(), given, name)
    inferred = rpusim.time_network(evaluation, chip, samples=2, training=False, schedule="sequential")
    learned = rpusim.time_network(training, chip, samples=2, training=True, schedule="sequential", batch=2)
    assert learned["energy"]["per_sample_J"] > 1.5 * inferred["energy"]["per_sample_J"]
    assert learned["time"]["per_sample_s"] > 0.9 * inferred["time"]["per_sample_s"]
    phases = {key for key, value in learned["energy"]["by_phase"].items() if value > 0}
    assert {"forward", "update"} <= phases
