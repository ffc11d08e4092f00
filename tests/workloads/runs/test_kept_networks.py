"""What torch traced once is kept on disk, and is what a new capture gives."""

from __future__ import annotations

import pytest
import torch

from rpusim.workloads.capture.capture import _form, capture
from rpusim.workloads.runs import inputs, kept_networks
from rpusim.workloads.runs.inputs import load_network
from rpusim.workloads.zoo.networks import build


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_networks, "FOLDER", tmp_path / "kept")
    return tmp_path / "kept"


@pytest.fixture
def captures(monkeypatch):
    """How often something is captured."""
    calls = []

    def counted(*given):
        calls.append(given[2])
        return capture(*given)

    monkeypatch.setattr(inputs, "capture", counted)
    return calls


@pytest.mark.parametrize("name", ["resnet20", "lstm2-64", "dlrm-small"])
@pytest.mark.parametrize("training", [False, True])
def test_a_kept_network_is_the_one_that_is_captured(name, training, captures):
    with torch.device("meta"):
        module, shape = build(name)
    anew = capture(module, shape, name, training)
    first, second = load_network(name, training), load_network(name, training)
    assert captures == [name]
    for found in (first, second):
        assert _form(found) == _form(anew)
        assert (found.name, found.input_shape, found.weights, found.macs) == (
            name,
            anew.input_shape,
            anew.weights,
            anew.macs,
        )
        assert all((a.needs == b.needs).all() for a, b in zip(found.edges, anew.edges, strict=True))


def test_both_modes_are_kept_apart(captures):
    load_network("resnet20", False), load_network("resnet20", True)
    assert captures == ["resnet20"] * 2


@pytest.mark.parametrize("spoil", [lambda whole: whole[:-5], lambda whole: b"", lambda whole: b"x" + whole[1:]])
def test_a_file_that_is_not_whole_is_made_anew(spoil, folder, captures):
    load_network("fcn")
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(spoil(whole))
    assert load_network("fcn").weights == 235_146
    assert captures == ["fcn"] * 2
    assert path.read_bytes() == whole


def test_where_nothing_can_be_written_it_is_captured_each_time(folder, captures):
    folder.write_text("a file in the place of the folder")
    assert load_network("fcn").weights == load_network("fcn").weights == 235_146
    assert captures == ["fcn"] * 2


def test_other_sources_mean_another_file(folder, captures, monkeypatch):
    load_network("fcn")
    monkeypatch.setattr(kept_networks, "_versions", lambda: "changed")
    load_network("fcn")
    assert captures == ["fcn"] * 2
    assert len(list(folder.iterdir())) == 2
