"""What a document says of where inputs and errors wait."""

from __future__ import annotations

from typing import Any

import pytest

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.reports.words.figures import what_was_timed
from rpusim.workloads.results import storage
from rpusim.workloads.runs import estimate
from rpusim.workloads.runs.given_network import load_network

WORD = 9
"""Bits of a word of rpu-2016."""


def plan(bits: int, **outside: Any) -> Plan:
    """Layers of 20 x 30 and 10 x 20 numbers on tiles with buffers of so many bits."""
    chip = Chip.load("rpu-2016")
    kind = chip.tiles[0]
    assert kind.digital.word_bits == WORD
    small = kind.model_copy(update={"buffer": kind.buffer.model_copy(update={"capacity": bits})})
    layers = [
        (WeightLayer.linear("one", (30,), 20, bias=False), ("input",)),
        (WeightLayer.linear("two", (20,), 10, bias=False), ("one",)),
    ]
    return make_plan(place(connect("two", (30,), layers), chip.model_copy(update={"tiles": (small,), **outside})))


def test_a_chip_without_memory_says_how_many_bits_it_lacks() -> None:
    document = storage.document(plan(300), 4, training=True)
    assert document["lacking_b"] == 4 * (50 + 30 + 10) * WORD - 2 * 300  # ten outputs wait for the loss
    assert document["sentence"].startswith("The chip lacks 2,640 bits of storage for a mini-batch of 4: ")
    assert document["DRAM_b"] == document["global_buffer_b"] == 0


def test_what_waits_in_dram_and_in_the_global_buffer_is_counted_once() -> None:
    donor = Chip.load("neurosim-vgg8")
    assert donor.global_buffer
    large = donor.global_buffer.model_copy(update={"capacity": 4 * 50 * WORD})
    document = storage.document(plan(1, memory=donor.memory, global_buffer=large), 4, training=True)
    assert (document["global_buffer_b"], document["DRAM_b"], document["lacking_b"]) == (1800, 4 * (30 + 10) * WORD, 0)
    assert document["sentence"] == (
        "Of the inputs, errors and operands of a mini-batch of 4, 1,800 bits in the global buffer and 1,440 bits in "
        "DRAM wait outside the tiles' buffers."
    )


def test_nothing_is_said_where_all_stays() -> None:
    document = estimate.time_network("fcn", "reram-512", 6, True, "sequential", batch=3).document
    assert document["storage"] == {
        "samples": 3,
        "global_buffer_b": 0,
        "DRAM_b": 0,
        "lacking_b": 0,
        "sentence": "All inputs, errors and operands of a mini-batch of 3 stay in the tiles' buffers.",
    }
    assert "buffers" not in what_was_timed(document)


def test_a_large_mini_batch_on_a_chip_without_dram_is_told_what_it_lacks() -> None:
    document = estimate.time_network("fcn", "reram-512", 400, True, "sequential", batch=400).document
    assert document["storage"]["lacking_b"] > 0
    assert document["storage"]["sentence"] in what_was_timed(document)


def test_in_a_pipeline_of_inference_nothing_waits() -> None:
    document = estimate.time_network("fcn", "reram-512", 3, False, "layer-pipelined").document
    assert document["storage"]["samples"] == 0 and "room is reserved" in document["storage"]["sentence"]


def test_sums_of_outer_products_of_a_vgg8_epoch_take_33_joules() -> None:
    """As docs/unit-cells.md says: 50,000 samples x products x 8 bits, each read and written at 67.1875 fJ."""
    network, chip = load_network("vgg8"), Chip.load("neurosim-vgg8")
    products = sum(layer.weights * layer.vectors for layer in network.layers)
    parts, word = bill_of_parts(chip).tiles[0], chip.tiles[0].digital.word_bits
    bit = sum(parts["buffer"].actions[name].energy_zj for name in ("read", "write"))
    product = sum(parts["digital unit"].actions[name].energy_zj for name in ("multiply", "add"))
    assert (products, word) == (615_917_568, 8)
    assert 50_000 * products * word * bit * 1e-21 == pytest.approx(33.1, abs=0.05)
    assert 50_000 * products * product * 1e-21 == pytest.approx(25.6, abs=0.05)
