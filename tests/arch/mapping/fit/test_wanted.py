"""What a user says of how a network is to fit."""

from __future__ import annotations

import pytest

from rpusim.arch.mapping.fit.wanted import Fit, wanted
from rpusim.errors import InputError


@pytest.mark.parametrize(
    ("given", "way", "layers"),
    [
        ("pack", "pack", {}),
        ("pack, conv1 = as-is", "pack", {"conv1": "as-is"}),
        ("fc=pack", "as-is", {"fc": "pack"}),
        ({"way": "grow", "layers": {"a.b": "pack"}}, "grow", {"a.b": "pack"}),
        ({}, "as-is", {}),
        ("reload, chips 16, fc=as-is", "reload", {"fc": "as-is"}),
    ],
)
def test_a_way_for_all_layers_and_ways_for_single_ones(given: object, way: str, layers: dict[str, str]) -> None:
    found = wanted(given)  # type: ignore[arg-type]
    assert (found.way, found.layers) == (way, layers)
    assert wanted(str(found)) == found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("packed", r"mapping.fit: got 'packed'; did you mean 'pack'\? accepted are as-is, grow, pack, reload"),
        ("pack,conv1", r"got 'conv1' after a comma; accepted there: LAYER=WAY"),
        ("pack,a=grow", r"layer 'a': got 'grow'; accepted are as-is, pack"),
        ("pack,a=pack,a=as-is", "got 'a' twice"),
        ({"fit": "pack"}, r"mapping.fit: got \{'fit': 'pack'\}; accepted: as-is"),
        ({"layers": ["a"]}, r"mapping.fit.layers: got \['a'\]"),
        ("reload,a=pack", "got pack for a layer beside reload"),
        (3, r"mapping.fit: got 3; accepted"),
    ],
)
def test_what_is_no_way_is_refused_in_one_sentence(given: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        wanted(given)  # type: ignore[arg-type]


def test_a_fit_that_is_one_already_is_taken_as_it_is() -> None:
    assert wanted(fit := Fit("pack")) is fit


def test_several_chips_are_asked_for_in_words_or_in_a_mapping() -> None:
    assert (
        wanted("pack,chips 4") == wanted("pack, chips=4") == wanted({"way": "pack", "chips": 4}) == Fit("pack", {}, 4)
    )
    assert str(wanted("pack,chips 4,a=as-is")) == "pack,chips 4,a=as-is"
