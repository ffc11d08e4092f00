"""Norms of a compiled step learn as torch's do, whatever their sizes; programs that cannot be laid out are refused."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from rpusim.errors import InputError
from rpusim.kernels.step import CompiledStep, Graph, Unsuitable
from rpusim.kernels.step.between.branches import TIMES
from rpusim.kernels.step.between.held import Norm
from rpusim.kernels.step.layout import laid_out
from rpusim.kernels.step.on_arrays.placed import Placed
from rpusim.kernels.step.program import Layer

NORMS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "vectors": (nn.LayerNorm(12), (12,)),
    "rows": (nn.LayerNorm(4), (3, 4)),
    "images": (nn.LayerNorm((3, 4), eps=1e-3, bias=False), (1, 3, 4)),
    "without factors": (nn.LayerNorm(12, elementwise_affine=False), (12,)),
    "groups": (nn.GroupNorm(2, 6), (6, 2)),
    "channels": (nn.GroupNorm(3, 3, affine=False), (3, 2, 2)),
    "one group": (nn.GroupNorm(1, 4), (4, 3)),
    "mini-batch": (nn.BatchNorm1d(12, momentum=None), (12,)),
    "mini-batch of rows": (nn.BatchNorm1d(3, affine=False), (3, 4)),
    "mini-batch without memory": (nn.BatchNorm2d(3, track_running_stats=False), (3, 2, 2)),
}


def step_of(model: nn.Sequential, shape: tuple[int, ...]) -> CompiledStep:
    """The compiled step of a linear layer, something like ``shape``, a norm, and a linear layer of classes."""
    first, last = (Placed.of(model[number], (12,), 1) for number in (0, 4))
    graph, norm = Graph((12,)), Norm.of(model[2], shape)
    assert norm is not None
    x = graph.reshape(graph.layer(first.layer, graph.input, (12,)), shape)
    y = graph.reshape(graph.norm(0, x, norm.sizes(shape), norm.module.eps), (12,))
    graph.classify(graph.layer(last.layer, y, (4,)))
    return CompiledStep(graph, [first, last], [0, 1], None, [norm])


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_learns_as_torchs_does(name: str) -> None:
    norm, shape = NORMS[name]
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Linear(12, 12), nn.Unflatten(1, shape), copy.deepcopy(norm), nn.Flatten(), nn.Linear(12, 4), nn.LogSoftmax(1)
    )
    other = copy.deepcopy(model)
    x, y = torch.randn(24, 12), torch.randint(0, 4, (24,))
    losses = step_of(model, shape).train(x, y, 8, 0.1)
    optimizer = torch.optim.SGD(other.parameters(), 0.1)
    for loss, x_part, y_part in zip(losses, torch.split(x, 8), torch.split(y, 8), strict=True):
        optimizer.zero_grad()
        found = nn.functional.nll_loss(other(x_part), y_part)
        torch.autograd.backward(found)
        optimizer.step()
        assert loss == pytest.approx(float(found.detach()), rel=1e-5)
    for mine, theirs in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_a_norm_over_a_single_number_is_refused() -> None:
    model = nn.Sequential(nn.Linear(12, 12), nn.Identity(), nn.BatchNorm1d(12), nn.Identity(), nn.Linear(12, 4))
    with pytest.raises(InputError, match="a mini-batch of one sample"):
        step_of(model, (12,)).train(torch.randn(1, 12), torch.tensor([1]), 1, 0.1)


def recurrent(read: bool, shared: bool) -> Graph:
    """A graph with a recurrent layer whose outputs are read or not, and whose inputs others read or not."""
    graph, matrix = Graph((3, 4)), Layer(1, 5, 5, False, False)
    given = graph.layer(Layer(3, 4, 5, False, False), graph.input, (3, 5))
    states = graph.recurrent(matrix, "tanh", given, 5)
    last = graph.gather(states if read else given, np.arange(10, 15))
    if shared:
        last = graph.merge(TIMES, last, graph.gather(given, np.arange(10, 15)))
    graph.classify(last)
    return graph


def test_a_recurrent_layer_is_read_and_reads_what_is_its_own() -> None:
    layout = laid_out(recurrent(True, False), 2)
    assert layout.memory > 2 * math.prod((3, 4)) and len(layout.instructions) == 1 + 2 * 3 + 2
    assert laid_out(recurrent(False, False), 2).memory < layout.memory  # nothing learns from what nobody reads
    with pytest.raises(Unsuitable, match="whose outputs nobody reads, or whose inputs others read"):
        laid_out(recurrent(True, True), 2)
