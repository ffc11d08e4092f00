"""What moves values is what torch does with them; samples are followed wherever they stand, and never mixed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rpusim.arch.network.moves import Moves, Reading
from rpusim.arch.network.network import Network
from rpusim.errors import InputError
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.capture.layout import Layout, found

MOVED: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": lambda x: x.transpose(1, 2),
    "samples second, and back": lambda x: x.transpose(0, 1).flip(0).transpose(0, 1),
    "samples last": lambda x: x.permute(2, 3, 1, 0).roll(1, 0).permute(3, 2, 0, 1),
    "on one axis with channels": lambda x: x.flatten(0, 1).flip(1).unflatten(0, (-1, 4)),
    "cut and joined": lambda x: torch.cat([x[:, 2:], x[:, :2], x[:, 1:2]], 1),
    "split and stacked": lambda x: torch.stack(x.split(2, 1)[::-1], 2),
    "every second": lambda x: x[:, ::2, 1:, ..., -1],
    "padded with zeros": lambda x: F.pad(x, (1, 2, 0, 1)),
    "padded with another number": lambda x: F.pad(x, (1, 0), value=-math.inf).clamp_min(0.0),
    "reflected": lambda x: F.pad(x, (1, 1, 2, 2), mode="reflect"),
    "circular": lambda x: F.pad(x, (1, 1, 1, 1), mode="circular"),
    "places for channels": lambda x: F.pixel_shuffle(x, 2),
    "channels for places": lambda x: F.pixel_unshuffle(x, 2),
    "shuffled": lambda x: F.channel_shuffle(x, 2),
    "larger": lambda x: F.interpolate(x, scale_factor=2, mode="nearest"),
    "windows": lambda x: F.unfold(x, 3, padding=1),
    "windows along an axis": lambda x: x.unfold(3, 2, 2),
    "turned": lambda x: torch.rot90(x, 1, (2, 3)),
    "by numbers": lambda x: x[:, torch.arange(3, -1, -2, device=x.device)],
    "upper triangle": lambda x: x.triu(1),
    "repeated": lambda x: x.repeat(1, 1, 2, 1).repeat_interleave(2, 3),
    "broadcast": lambda x: x[:, :, :, :1].expand(-1, -1, -1, 5),
    "diagonal": lambda x: x.diagonal(dim1=2, dim2=3),
    "one step after the other": lambda x: torch.stack([x[:, :, i] for i in range(4)][::-1], 1),
    "written in parts": lambda x: _written(x),
}


def _written(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[:, 1:3] = x[:, :2]
    return y


class Moving(nn.Module):
    """A convolution of one place by one, whose result is moved, and something that reads it."""

    def __init__(self, move: Callable[[Tensor], Tensor], features: int) -> None:
        super().__init__()
        self.c, self.move, self.o = nn.Conv2d(4, 4, 1, bias=False), move, nn.Linear(features, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.move(self.c(x)).flatten(1))


def composed(network: Network, values: np.ndarray) -> np.ndarray:
    """Send values of one sample through what moves them, from the convolution to the readout."""
    first, last = (layer.name for layer in network.layers)
    given = {first: values}
    for operation in network.operations:
        sources = [given[name] for name in network.graph.predecessors(operation.name) if name in given]
        if operation.name == last:
            return sources[0]
        if operation.kind == "moves":
            assert operation.moves is not None and operation.functions == ()
            given[operation.name] = np.concatenate([*(each.ravel() for each in sources), [0.0]])[operation.moves.places]
        elif operation.kind == "select":
            taken = sources[0].take(range(*operation.taken), axis=operation.axes[0])
            given[operation.name] = taken.reshape(operation.shape)
        elif sources:
            given[operation.name] = sources[0].reshape(operation.shape)
    raise AssertionError("nothing reads what moved")


@pytest.mark.parametrize("name", MOVED)
def test_moves_put_values_where_torch_puts_them(name: str) -> None:
    x = torch.rand(2, 4, 4, 4)
    expected = MOVED[name](x).flatten(1)
    network = capture(Moving(MOVED[name], expected.shape[1]), (4, 4, 4))
    for sample in range(2):
        assert composed(network, x[sample].numpy()).ravel() == pytest.approx(expected[sample].numpy())


@pytest.mark.parametrize("name", MOVED)
def test_a_move_takes_along_which_vector_completes_each_value(name: str) -> None:
    """The vectors of the convolution are its places; the same move of their numbers says when each value is there."""
    places = torch.arange(16.0).reshape(1, 1, 4, 4).expand(2, 4, 4, 4) + 1
    moved = MOVED[name](places)[0].flatten().numpy() - 1
    network = capture(Moving(MOVED[name], len(moved)), (4, 4, 4))
    assert network.arriving(1).completes.ravel().tolist() == moved.tolist()
    assert network.edges[-1].needs.tolist() == [int(moved.max())]


MIXING: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "a mean of samples": lambda s, x: s.a(x - x.mean(0)),
    "samples beside each other": lambda s, x: s.a(x.flatten()[:4].expand(2, 4)),
    "attention among samples": lambda s, x: s.a((x @ x.t()).softmax(-1) @ x),
    "a sum over an axis that they share": lambda s, x: s.a(x.repeat_interleave(3, 0).sum(0, keepdim=True)),
    "samples turned around": lambda s, x: s.a(x) + s.a(x).flip(0),
    "running over samples": lambda s, x: s.a(x).cumsum(0),
    "one sample": lambda s, x: s.a(x)[1],
}


class Mixing(nn.Module):
    def __init__(self, mixing: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.mixing = nn.Linear(4, 4), mixing

    def forward(self, x: Tensor) -> Tensor:
        return self.mixing(self, x)


@pytest.mark.parametrize("name", MIXING)
def test_what_mixes_samples_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(InputError, match="mixes the samples of a batch, accepted: each sample by itself"):
        capture(Mixing(MIXING[name]), (4,))


def test_a_layout_is_found_again_from_the_samples_of_its_numbers() -> None:
    for layout, shape in ((Layout(), (2, 3)), (Layout(1), (3, 2, 2)), (Layout(0, (0, 1, 0, 1)), (4, 5))):
        samples = layout.sample_of(shape)
        assert found(samples) == layout
        assert torch.equal(layout.one(layout.places(shape)).flatten(), torch.arange(math.prod(shape) // 2))
    assert found(torch.tensor([[0, 1], [1, 0]])) is None


def test_a_reading_along_axes_waits_for_the_last_and_holds_the_first() -> None:
    given = np.array([[3, -1, 1], [5, 2, 4]], np.int32)
    row = Reading(None, (6,), 0, (1,))
    assert row.latest(given, (2, 3)).tolist() == [[3] * 3, [5] * 3] and row.latest(given, (2,)).tolist() == [3, 5]
    assert row.oldest(given, (2,)).tolist() == [1, 2]
    second = Reading(Moves(np.array([-1, 6, 8], np.int32)), (6, 6), 1, ())
    assert second.latest(given, (3,)).tolist() == [-1, 3, 1]
    assert second.taken(np.ones((1, 3), np.bool_), (2, 3))[0].tolist() == [[True, False, True], [False] * 3]  # type: ignore[index]
