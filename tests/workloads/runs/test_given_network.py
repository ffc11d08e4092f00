"""Graphs of the zoo ship as data, and are what a new capture gives."""

from __future__ import annotations

import json
import lzma
import subprocess
import sys

import pytest

from rpusim.arch.network.as_data import to_data
from rpusim.workloads.capture.capture import _form
from rpusim.workloads.runs import given_network
from rpusim.workloads.runs.given_network import GRAPHS, captured, load_network
from rpusim.workloads.zoo.networks import NETWORKS

LARGE = {"llama-7b", "vit-l", "unet", "convnext-t", "gpt2", "moe-small", "mobilenet-v2", "bert-base", "albert-base"}
"""Whose capture takes seconds."""


def content(files: dict[str, bytes]) -> dict[str, object]:
    return {name: json.loads(lzma.decompress(each)) for name, each in files.items()}


def check_shipped(name: str) -> None:
    anew = given_network.graphs(name)
    there = {path.name: path.read_bytes() for path in GRAPHS.iterdir() if path.name.split(".")[0] == name}
    assert content(anew) == content(there), f"{name} is not as it ships; `make shipped` writes it anew"


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in LARGE])
def test_what_ships_is_what_is_captured(name):
    check_shipped(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LARGE))
def test_what_ships_of_large_networks_is_what_is_captured(name):
    check_shipped(name)


@pytest.mark.parametrize("name", ["resnet20", "lstm2-64", "dlrm-small", "transformer-text"])
@pytest.mark.parametrize("training", [False, True])
def test_a_network_that_was_written_down_is_the_same_network(name, training):
    anew, read = captured(name, training), load_network(name, training)
    assert _form(read) == _form(anew) and to_data(read) == to_data(anew)
    for figure in ("name", "input_shape", "weights", "macs", "products", "assumptions"):
        assert getattr(read, figure) == getattr(anew, figure), figure
    for one, other in zip(read.edges, anew.edges, strict=True):
        assert (one.producer, one.consumer) == (other.producer, other.consumer)
        for part in ("needs", "emits", "frees"):
            assert (getattr(one, part) == getattr(other, part)).all()


def test_both_modes_are_kept_apart():
    for training in (False, True):
        assert to_data(load_network("moe-small", training))["operations"] is not None
    assert to_data(load_network("gpt2", True)) != to_data(load_network("gpt2", False))


def test_nothing_else_ships():
    """A graph of a network that the zoo no longer has would never be read."""
    assert {path.name.split(".")[0] for path in GRAPHS.iterdir()} == set(NETWORKS)


@pytest.mark.parametrize(
    "arguments",
    [
        ("presets",),
        ("presets", "--json"),
        ("presets", "cards"),
        ("map", "resnet20", "--chip", "reram-512"),
        ("time", "lenet-2017", "--chip", "rpu-2016"),
        ("time", "lenet-2017", "--chip", "rpu-2016", "--what-if", "--json"),
        ("time", "resnet20", "--chip", "isaac-2016"),
    ],
    ids=" ".join,
)
def test_what_computes_nothing_does_without_torch(arguments):
    code = (
        "import sys\n"
        "from rpusim.reports.cli.commands import main\n"
        f"sys.argv = ['rpusim', *{arguments!r}]\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout, done.stderr
