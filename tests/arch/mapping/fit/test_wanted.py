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
        ("pack,a on small,a on large", "got 'a on large' after another for 'a'"),
        ("a cut 16", r"mapping.fit.cuts.a: got '?16'?, but the most rows and columns of a block are needed"),
        ({"cuts": {"a": [0, 5]}}, r"mapping.fit.cuts.a: got \[0, 5\], but the most rows"),
        ({"cuts": {"a": [True, 5]}}, "mapping.fit.cuts.a: got"),
        ({"kinds": {"a": 3}}, "mapping.fit.kinds.a: got 3, but the name of a kind is needed"),
        ({"kinds": "small"}, "mapping.fit.kinds: got 'small', but a kind of tile for each layer's name is needed"),
        (3, r"mapping.fit: got 3; accepted"),
    ],
)
def test_what_is_no_way_is_refused_in_one_sentence(given: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        wanted(given)  # type: ignore[arg-type]


def test_kinds_and_cuts_of_single_layers_in_words_or_in_a_mapping() -> None:
    expected = Fit("pack", {"b": "as-is"}, 1, {"a.0": "small tile"}, {"b": (256, 128)})
    assert wanted("pack, b=as-is, a.0 on small tile, b cut 256 x 128") == expected
    given = {"way": "pack", "layers": {"b": "as-is"}, "kinds": {"a.0": "small tile"}, "cuts": {"b": [256, 128]}}
    assert wanted(given) == wanted({**given, "cuts": {"b": "256x128"}}) == expected
    assert wanted(str(expected)) == expected and wanted("a cut 1x2") == Fit(cuts={"a": (1, 2)})


def test_a_fit_that_is_one_already_is_taken_as_it_is() -> None:
    assert wanted(fit := Fit("pack")) is fit


def test_several_chips_are_asked_for_in_words_or_in_a_mapping() -> None:
    assert (
        wanted("pack,chips 4") == wanted("pack, chips=4") == wanted({"way": "pack", "chips": 4}) == Fit("pack", {}, 4)
    )
    assert str(wanted("pack,chips 4,a=as-is")) == "pack,chips 4,a=as-is"
