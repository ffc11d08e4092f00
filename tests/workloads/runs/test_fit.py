"""Packed networks: the numbers of unpacked ones, on fewer arrays; what they are timed as is what they did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rpusim
from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.placement import place
from rpusim.errors import InputError
from rpusim.kernels import AnalogLayer
from rpusim.workloads.runs.estimate import map_network, time_network
from rpusim.workloads.runs.given_network import load_network
from rpusim.workloads.runs.overview import map_all

IDEAL = Chip.load("reram-512", {"tiles.0.array.wires": "ideal"})
"""Without losses on wires, by which packed blocks differ."""
SHAPE = (6, 6, 6)


def mobile(seed: int = 3) -> nn.Module:
    """A convolution by channels between two of 1 x 1, with biases, and a readout."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(6, 12, 1),
        nn.Tanh(),
        nn.Conv2d(12, 12, 3, padding=1, groups=12),
        nn.Tanh(),
        nn.Conv2d(12, 8, 1),
        nn.Flatten(),
        nn.Linear(8 * 36, 5),
    )


def trained(fit: str, chip: Any, steps: int = 3, device: str = "reram-sb") -> tuple[nn.Module, dict[str, Any]]:
    """The module after some steps on a chip, and the document of what it did."""
    model = rpusim.place(mobile(), chip, SHAPE, device, fit=fit)
    optimizer, generator = rpusim.AnalogSGD(model, 0.1), torch.Generator().manual_seed(0)
    for _ in range(steps):
        x, y = torch.randn(4, *SHAPE, generator=generator), torch.randint(5, (4,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model, model.chip.report().document  # type: ignore[union-attr, operator]


def at_work(document: dict[str, Any], part: str, phase: str) -> float:
    """What a part took in one phase, in joules."""
    return sum(row["J"] for row in document["energy"]["matrix"] if (row["part"], row["phase"]) == (part, phase))


def test_packed_equals_unpacked_in_the_numbers_with_ideal_wires() -> None:
    found = {fit: trained(fit, IDEAL) for fit in ("grow", "pack")}
    layers = {
        fit: [part.get_weights()[0] for part in model.modules() if isinstance(part, AnalogLayer)]
        for fit, (model, _) in found.items()
    }
    assert len(layers["pack"]) == 4
    for one, other in zip(layers["grow"], layers["pack"], strict=True):
        assert torch.equal(one, other)
    (_, alone), (_, packed) = found["grow"], found["pack"]
    assert alone["tiles"]["arrays"] == 15 and packed["tiles"]["arrays"] == 1
    assert packed["pulses"] == alone["pulses"]


def test_reads_and_updates_of_joined_groups_cost_on_arrays_and_drivers_what_they_cost_apart() -> None:
    """Channel by channel: 12 groups of 9 weights and a bias on one diagonal. What a group repeats, all do."""
    found = {fit: trained(fit, IDEAL)[1] for fit in ("grow", "pack")}
    for part in ("array", "pulse drivers"):
        alone, packed = (at_work(found[fit], part, "update") for fit in ("grow", "pack"))
        assert packed == pytest.approx(alone, rel=1e-9) and packed > 0


def test_packed_lines_lie_farther_out_and_lose_more() -> None:
    lossy = Chip.load("reram-512", {"tiles.0.array.wires.resistance": "20 Ohm"})
    x = torch.randn(16, *SHAPE, generator=torch.Generator().manual_seed(1))
    outputs = {}
    for fit in ("grow", "pack", "pack,0=as-is,2=as-is,4=as-is,6=as-is"):
        model = rpusim.place(mobile(), lossy, SHAPE, "reram-sb", fit=fit).eval()
        with torch.no_grad():
            outputs[fit] = model(x)
    assert torch.equal(*(outputs[fit] for fit in outputs if fit != "pack"))
    assert not torch.allclose(outputs["pack"], outputs["grow"], rtol=1e-3)


def test_inference_of_a_diagonal_costs_on_arrays_and_drivers_what_its_groups_cost() -> None:
    """Lines that are not used are neither driven nor converted; what is shared is time, tiles and standby."""
    documents = {
        fit: time_network((mobile(), SHAPE), IDEAL, 2, False, "sequential", fit=fit).document
        for fit in ("grow", "pack")
    }
    for part in ("array", "input drivers", "ADC"):
        alone, packed = (at_work(documents[fit], part, "forward") for fit in ("grow", "pack"))
        assert packed == pytest.approx(alone, rel=1e-9) and packed > 0
    assert documents["pack"]["area"]["total_m2"] == documents["grow"]["area"]["total_m2"]  # of a chip with 64 tiles


def test_mobilenet_takes_few_arrays_and_one_read_for_all_channels_of_one() -> None:
    network = load_network("mobilenet-v2")
    packed = place(network, Chip.load("reram-512"), fit="pack")
    assert packed.arrays_used == 32 and packed.utilisation > 0.4
    by_channel = [placed for placed in packed.layers if placed.joined > 1]
    assert len(by_channel) == 17 and sum(len(placed.blocks) for placed in by_channel) < 200
    assert sum(len(placed.blocks) for placed in packed.layers) < 300  # 7,191 if every channel has an array


def test_the_document_says_where_packed_blocks_begin_and_what_is_joined() -> None:
    found = map_network((mobile(), SHAPE), "reram-512", fit="pack")
    assert (found["fit"], found["totals"]["arrays"]) == ("pack", 1)
    blocks = [tile for layer in found["layers"] for tile in layer["tiles"]]
    assert [block.get("joined") for block in blocks] == [None, 12, None, None]
    assert len({tuple(block["at"]) for block in blocks}) == 4
    weights = [layer["weights"] for layer in found["layers"]]
    assert weights == [84, 120, 104, 1445] and [layer["columns"] for layer in found["layers"]] == [7, 10, 13, 289]


def test_reload_says_what_is_written_for_a_sample_and_what_that_takes() -> None:
    one = Chip.load("reram-512")
    one = one.model_copy(update={"tiles": (one.tiles[0].model_copy(update={"count": 1}),)})
    module = nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.Linear(30, 10))
    found = time_network((module, (20,)), one, 5, False, "sequential", fit="reload").document
    assert found["reload"]["written_blocks"] == 2 and found["reload"]["written_weights"] == 21 * 30 + 31 * 10
    assert found["reload"]["writes_per_cell"] == {"most": 2, "mean": 2.0}
    assert found["reload"]["time_share"] > 0.99 and 0 < found["reload"]["energy_share"] < 1
    every = time_network((module, (20,)), one, 5, False, "sequential", whole=True, fit="reload").document
    assert every["time"]["total_s"] == found["time"]["total_s"]


def test_the_map_of_maps_says_what_placing_says() -> None:
    names, chips = ["lenet-digits", "resnet20", "mobilenet-v2"], ["reram-512", "hermes-2021", "isaac-2016"]
    document = map_all(names, chips)
    assert [(row["network"], row["chip"]) for row in document["rows"]] == [(n, c) for n in names for c in chips]
    for row in document["rows"]:
        for way in ("as-is", "pack", "reload"):
            try:
                placement = place(load_network(row["network"]), Chip.load(row["chip"]), fit=way)
            except InputError:
                assert not row["as_is"] if way == "as-is" else row["packed" if way == "pack" else "written"] is None
                continue
            if way == "as-is":
                assert row["as_is"] and row["needed"] == placement.arrays_used
            elif way == "pack":
                assert row["packed"] == placement.arrays_used
                assert row["utilisation"] == pytest.approx(placement.utilisation)
            else:
                assert np.sign(row["written"]) == placement.reloads
        assert row["tiles"] == place(load_network(row["network"]), Chip.load(row["chip"]), fit="grow").chip.tile_count
