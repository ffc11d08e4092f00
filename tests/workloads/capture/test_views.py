"""What moves values is found from strides in memory, or by running it on places: both say the same."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rpusim.arch.network.index_maps import counted, highest, largest
from rpusim.arch.network.moves import Moves
from rpusim.workloads.capture import moving
from rpusim.workloads.capture.capture import _form, capture
from rpusim.workloads.zoo.networks import build

sys.path.insert(0, str(Path(__file__).parents[1] / "many"))
from images import IMAGES
from sequences import SEQUENCES


@pytest.mark.parametrize("name", ["unet", "shufflenet-v2", *SEQUENCES, "vit-s", "dlrm-small"])
def test_a_network_is_captured_alike_either_way(name, monkeypatch):
    made, shape = build(name) if name in ("vit-s", "dlrm-small") else {**IMAGES, **SEQUENCES}[name]
    module = made() if callable(made) and not isinstance(made, torch.nn.Module) else made
    by_places = _form(capture(module, shape))
    monkeypatch.setattr(moving, "_LARGE", 0)
    assert _form(capture(module, shape)) == by_places


def moved(data):
    """A map of two or three axes, some of them repeated, and what numpy makes of it and of its places."""
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=2, max_size=3)))
    kept = [size if data.draw(st.booleans()) else 1 for size in shape]
    numbers = data.draw(st.lists(st.integers(-1, 6), min_size=int(np.prod(kept)), max_size=int(np.prod(kept))))
    small = np.array(numbers, np.int32).reshape(kept)
    places = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    for _ in range(data.draw(st.integers(0, 3))):
        way = data.draw(st.sampled_from(["turn", "cut", "merge", "split", "flip", "twice"]))
        axis = data.draw(st.integers(0, places.ndim - 1))
        if way == "turn":
            places = np.moveaxis(places, axis, 0)
        elif way == "cut":
            part = slice(places.shape[axis] // 3, None, data.draw(st.integers(1, 2)))
            places = places[(*[slice(None)] * axis, part)]
        elif way == "merge" and places.ndim > 1:
            places = places.reshape(-1, *places.shape[2:])
        elif way == "split" and places.shape[axis] % 2 == 0:
            places = places.reshape(*places.shape[:axis], 2, -1, *places.shape[axis + 1 :])
        elif way == "flip":
            places = np.flip(places, axis)
        elif way == "twice":
            places = np.concatenate([places, np.full_like(places, -1), places], axis)
    return np.broadcast_to(small, shape), np.ascontiguousarray(places, np.int32)


@given(st.data())
def test_moves_of_a_folded_map_are_those_of_the_whole_map(data):
    given_map, places = moved(data)
    other = data.draw(st.integers(0, 4))
    sizes = (other, given_map.size)
    whole = np.where(places < 0, -1, np.ascontiguousarray(given_map).reshape(-1)[places])
    shifted = np.where(places < 0, -1, places + other).astype(np.int32)
    assert np.array_equal(Moves(shifted).latest(given_map, sizes, 1), whole)


@given(st.data())
def test_a_concatenation_of_two_sources_takes_each_from_its_own(data):
    (first, places), (second, others) = moved(data), moved(data)
    if places.shape[1:] != others.shape[1:]:
        places, others = places.reshape(-1), others.reshape(-1)
    both = np.concatenate([places, np.where(others < 0, -1, others + first.size)]).astype(np.int32)
    moves, sizes = Moves(both), (first.size, second.size)
    for number, (source, its) in enumerate([(first, places), (second, others)]):
        expected = np.full(both.shape, -1)
        own = slice(len(places)) if number == 0 else slice(len(places), None)
        expected[own] = np.where(its < 0, -1, np.ascontiguousarray(source).reshape(-1)[its])
        assert np.array_equal(moves.latest(source, sizes, number), expected)


@given(st.data())
def test_numbers_are_counted_and_compared_alike_folded_or_not(data):
    given_map, _ = moved(data)
    whole = np.ascontiguousarray(given_map)
    there = np.array(data.draw(st.lists(st.booleans(), min_size=whole.shape[-1], max_size=whole.shape[-1])))
    expected = np.bincount(whole[(whole >= 0) & np.broadcast_to(there, whole.shape)], minlength=8)
    assert np.array_equal(counted(given_map, there, 8), expected)
    axis = data.draw(st.integers(-whole.ndim, whole.ndim - 1))
    assert np.array_equal(highest(given_map, axis), whole.max(axis=axis))
    assert np.array_equal(largest([given_map, given_map[..., :1]], whole.shape), np.maximum(whole, whole[..., :1]))


def test_a_map_that_repeats_itself_takes_no_room_after_it_was_moved():
    tokens, heads, width = 64, 4, 16
    numbers = np.broadcast_to(np.arange(tokens, dtype=np.int32)[:, None], (tokens, heads * width))
    places = np.arange(numbers.size, dtype=np.int32).reshape(tokens, heads, width).transpose(1, 0, 2)
    found = Moves(np.ascontiguousarray(places)).latest(numbers, (numbers.size,), 0)
    assert found.shape == (heads, tokens, width)
    assert found.strides == (0, 4, 0)
