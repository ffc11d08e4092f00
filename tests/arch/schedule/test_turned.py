"""Uses of a weight transposed: the array's other direction, with its own lines, converters and times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Phase
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError

CHIP = Chip.load("rpu-2016")


def tied(inputs: int = 200, code: int = 30, bias: bool = False) -> Network:
    """An encoder and a decoder with one weight."""
    decoder = WeightLayer.linear("decoder", (code,), inputs, bias, "coder.weight")
    return connect(
        "tied",
        (inputs,),
        [
            (WeightLayer.linear("coder", (inputs,), code, bias, "coder.weight"), ("input",)),
            (replace(decoder, turned=True, bias_parameter="bias"), ("coder",)),
        ],
    )


def reads(plan: Plan, layer: int, phase: Phase) -> dict[str, int]:
    """Energy (zJ) by part of what converts and drives in one phase of a layer, of one sample in training."""
    activity = assumed_activity(plan.placement, 1, True, 1)
    events, found = run(plan, activity, "sequential"), dict[str, int]()
    for part, members, zeptojoules in Pricer(plan).priced(events, activity):
        op = events.op[members]
        mine = (events.layer[members] == layer) & (events.phase[members] == phase)
        mine &= np.isin(op, [Op.DRIVE, Op.CONVERT])
        found[part] = found.get(part, 0) + int(zeptojoules[mine].sum())
    return {part: energy for part, energy in found.items() if energy}


@pytest.mark.parametrize("bias", [False, True])
def test_its_forward_pass_takes_and_costs_what_errors_do_through_the_same_array(bias: bool) -> None:
    """200 inputs and 30 outputs: an array of 30 x 200 (or 201) lines is driven at 30 and read at 200."""
    plan = make_plan(place(tied(bias=bias), CHIP))
    (coder,), (decoder,) = plan.layers[0].blocks, plan.layers[1].blocks
    assert (decoder.block.rows, decoder.block.columns) == (200, 30)
    assert decoder.block.lines == coder.block.lines == (30, 200 + bias)
    assert decoder.forward.conversions == 200 and decoder.backward is not None and decoder.backward.conversions == 30
    assert decoder.arrays == coder.arrays
    if not bias:
        assert (decoder.forward, decoder.backward) == (coder.backward, coder.forward)


def test_it_is_priced_by_the_lines_it_drives() -> None:
    """Behind one more layer, errors go back through the encoder, too: the decoder's way forward, on as many lines."""
    first = WeightLayer.linear("first", (8,), 200, bias=False)
    network = tied()
    steps: list[tuple[Operation, Sequence[str]]] = [(first, ("input",)), (network.layers[0], ("first",))]
    plan = make_plan(place(connect("deep", (8,), [*steps, (network.layers[1], ("coder",))]), CHIP))
    assert reads(plan, 2, Phase.FORWARD) == reads(plan, 1, Phase.BACKWARD)
    assert reads(plan, 2, Phase.BACKWARD) == reads(plan, 1, Phase.FORWARD)


def test_it_drives_rows_and_reads_columns() -> None:
    plan = make_plan(place(tied(), CHIP))
    activity = assumed_activity(plan.placement, 1, True, 1)
    events = run(plan, activity, "sequential")
    names = np.array(plan.stations)
    for layer, phase, drivers in (
        (0, Phase.FORWARD, "column"),
        (1, Phase.FORWARD, "row"),
        (1, Phase.BACKWARD, "column"),
    ):
        mine = (events.layer == layer) & (events.phase == phase) & (events.op == Op.DRIVE)
        assert set(names[events.station[mine]]) == {"tile 0 array 0", f"tile 0 array 0 {drivers} drivers"}


def test_where_weights_are_cut_over_cells_it_takes_and_costs_what_errors_do_there() -> None:
    """200 x 30 weights lie on two arrays of 128 columns, 100 on each.

    Backward and turned forward, rows are driven in each of 16 bits, and all eight slices of every column are read.
    """
    chip = Chip.load("panther-2020")
    plan = make_plan(place(tied(), chip))
    coder, decoder = plan.layers[0].blocks, plan.layers[1].blocks
    assert [block.block.lines for block in coder] == [(30, 100), (30, 100)]
    assert [block.arrays for block in decoder] == [block.arrays for block in coder]
    assert [block.forward for block in decoder] == [block.backward for block in coder]
    assert [block.backward for block in decoder] == [block.forward for block in coder]
    assert [block.forward.conversions for block in decoder] == [16 * 8 * 100] * 2
    first = WeightLayer.linear("first", (8,), 200, bias=False)
    steps: list[tuple[Operation, Sequence[str]]] = [(first, ("input",)), (tied().layers[0], ("first",))]
    deep = make_plan(place(connect("deep", (8,), [*steps, (tied().layers[1], ("coder",))]), chip))
    assert reads(deep, 2, Phase.FORWARD) == reads(deep, 1, Phase.BACKWARD)
    assert reads(deep, 2, Phase.BACKWARD) == reads(deep, 1, Phase.FORWARD)


def test_its_bias_is_a_digital_one() -> None:
    """As no array has a row for it: it learns by arithmetic, wherever other biases are."""
    layers = make_plan(place(tied(bias=True), CHIP, "column")).layers
    assert (layers[0].bias.total, layers[1].bias.total) == (0, 2 * 200)


def test_where_all_uses_are_transposed_the_weight_lies_as_it_is_stored() -> None:
    network = tied(6, 3)
    only = replace(network.layers[1], name="only")
    placement = place(connect("only", (3,), [(only, ("input",))]), CHIP)
    assert [block.lines for block in placement.blocks()] == [(3, 6)]
    assert placement.utilisation == 18 / 4096**2


@pytest.mark.parametrize(
    ("layer", "accepted"),
    [
        (replace(WeightLayer.linear("two", (7,), 6, False, "w"), turned=True), "reads 7 and makes 6"),
        (replace(WeightLayer.linear("two", (3,), 5, False, "w"), turned=True), "reads 3 and makes 5"),
    ],
)
def test_another_shape_is_a_sentence(layer: WeightLayer, accepted: str) -> None:
    one = WeightLayer.linear("one", (6,), layer.columns, False, "w")
    if layer.rows == 6:
        one = WeightLayer.linear("one", (9,), 7, False, "w")
    network = connect("two", (one.columns,), [(one, ("input",)), (layer, ("one",))])
    with pytest.raises(InputError, match=rf"use one weight, the second one transposed.*{accepted}; accepted: linear"):
        place(network, CHIP)
