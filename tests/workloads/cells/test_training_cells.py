"""Every way to train on a chip: what the kernel's log says is what the engine schedules, row by row."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rpusim
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import WORK_COLUMNS, Activity, ActivityLog, Phase
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError
from rpusim.kernels import AnalogSGD, AnalogTile
from rpusim.kernels.cells import (
    CELLS,
    BitSliced,
    BufferedTransfer,
    ChoppedTransfer,
    DynamicTransfer,
    Hamiltonian,
    MixedPrecision,
    OneSided,
    Reference,
    Transfer,
    Vector,
)
from rpusim.kernels.cells.base import Extra
from rpusim.kernels.tiles.presets import CONFIGURATIONS
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.cells import assumed_transfers, periphery, training_cells
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.runs import estimate, settings
from rpusim.workloads.runs.analog_twin import analog_twin
from rpusim.workloads.runs.given_network import load_network

CHIP = "reram-512"
MORE: dict[str, dict[str, Any]] = {
    "reference": {"model": "soft-bounds", "cell": {"kind": "reference", "zero_shift_pairs": 20}},
    "vector": {"model": "soft-bounds", "cell": {"kind": "vector", "number": 3}},
    "three arrays": {
        "model": "soft-bounds",
        "cell": {"kind": "transfer", "number": 3, "gamma": 0.3, "units_in_mbatch": False},
    },
    "by rows": {"model": "soft-bounds", "cell": {"kind": "transfer", "transfer_columns": False}},
    "with resets": {"model": "soft-bounds", "cell": {"kind": "transfer", "with_reset_prob": 0.5}},
    "buffered": {"model": "soft-bounds", "cell": {"kind": "buffered-transfer", "n_reads_per_transfer": 2}},
    "hamiltonian": {"model": "soft-bounds", "cell": {"kind": "hamiltonian", "zero_shift_pairs": 20}},
    "late": {"model": "soft-bounds", "cell": {"kind": "mixed-precision", "late_transfer": True}},
    "full pairs": {
        "model": "soft-bounds",
        "w_min": 0.0,
        "cell": {
            "kind": "one-sided",
            "refresh_every": 1,
            "refresh_lower_thres": 0.0,
            "refresh_upper_thres": 0.01,
            "refresh_update": {"desired_bl": 10},
        },
    },
}


def _as_it_comes(kind: str) -> dict[str, Any]:
    """Name a cell; carries are resolved every 1024 vectors as they come, but here after each seventh."""
    return {"model": "soft-bounds", "cell": {"kind": kind} | ({"resolve_every": 7} if kind == BitSliced.kind else {})}


WAYS: list[Any] = [
    *(
        pytest.param(name, marks=() if "reram-sb" in name or "pcm" in name else pytest.mark.slow)
        for name in CONFIGURATIONS
    ),
    *(pytest.param(_as_it_comes(kind), id=f"{kind} as it comes") for kind in CELLS),
    *(pytest.param(given, id=name) for name, given in MORE.items()),
]
_DONE: dict[str, tuple[Plan, Activity, Events]] = {}


def chip_for(device: training_cells.Given) -> Chip:
    """Load a chip whose arrays hold weights as the cells do."""
    return Chip.load("panther-2020" if "bit-sliced" in str(device) else CHIP)


def trained(device: training_cells.Given) -> tuple[Plan, Activity, Events]:
    """Four mini-batches of three samples in a network of two layers: a convolution, and a linear layer."""
    if str(device) not in _DONE:
        _DONE[str(device)] = _trained(device)
    return _DONE[str(device)]


def _trained(device: training_cells.Given) -> tuple[Plan, Activity, Events]:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(12, 4), torch.nn.LogSoftmax(1)
    )
    chip = chip_for(device)
    cells = training_cells.build(device, chip)
    placement = place(capture(module, (1, 4, 4)), chip, "column", cells.layout)
    log = ActivityLog()
    analog = analog_twin(module, placement, settings.load("fcn-digits").management, cells, 0, log)
    optimizer = AnalogSGD(analog, 0.3)
    for _ in range(4):
        optimizer.zero_grad()
        torch.nn.functional.nll_loss(analog(torch.rand(3, 1, 4, 4)), torch.tensor([0, 1, 2])).backward()
        optimizer.step()
    plan, activity = make_plan(placement), log.take()
    return plan, activity, run(plan, activity, "sequential")


@pytest.mark.parametrize("device", WAYS)
class TestNothingIsLost:
    def test_every_count_of_the_log_is_in_the_events(self, device: training_cells.Given) -> None:
        plan, activity, events = trained(device)
        cell = plan.placement.cell
        first, block = [layer.blocks[0] for layer in plan.layers], activity.layer
        parts = np.array(plan.station_parts)[events.station]

        def of(op: Op, part: str, phase: Phase, column: str = "amount") -> Any:
            return getattr(events, column)[(events.op == op) & (parts == part) & (events.phase == phase)]

        for phase in Phase:
            rows = np.flatnonzero(activity.phase == phase)
            read, pulsed = (rows[getattr(activity, name)[rows] > 0] for name in ("passes", "slots"))

            passes = sum(int(activity.passes[r]) * len(_read(cell, phase, activity.array[r])) for r in read)
            assert of(Op.DRIVE, "array", phase).sum() == passes
            assert set(of(Op.DRIVE, "array", phase, "row")) == set(read)
            by_rows = phase == Phase.BACKWARD or (phase == Phase.TRANSFER and cell.slices == "row")
            ways = [b.backward if by_rows else b.forward for b in first]
            conversions = sum(int(activity.passes[r]) * ways[block[r]].conversions for r in read)
            assert of(Op.CONVERT, "ADC", phase).sum() == conversions

            assert of(Op.PULSE, "array", phase).sum() == activity.slots[rows].sum()
            assert set(of(Op.PULSE, "array", phase, "row")) == set(pulsed)
            written = sorted(
                first[block[r]].arrays[k].array for r in pulsed for k in _written(cell, phase, activity.array[r])
            )
            assert sorted(of(Op.PULSE, "array", phase, "station")) == written

            reset = rows[(activity.slots[rows] == 0) & (activity.writes[rows] > 0)]
            assert set(of(Op.WRITE, "array", phase, "row")) == set(reset)

            own = of(Op.DIGITAL, "digital unit", phase)[of(Op.DIGITAL, "digital unit", phase, "row") >= 0].sum()
            each = first[0].kind.digital.of_an_output.total
            scaled = sum(ways[block[r]].outputs * each for r in read) if phase < Phase.UPDATE else 0
            assert own == activity.digital_ops[rows].sum() + scaled

            if phase >= Phase.UPDATE:
                kept = cell.words * _words(cell, phase, first, activity.select(rows)) * first[0].kind.digital.word_bits
                sent = pulsed if cell.learning or phase != Phase.UPDATE else rows
                loaded = _values(cell, phase, first, activity.select(sent)) * first[0].kind.digital.word_bits
                fetched, stored = (
                    of(op, "buffer", phase)[of(op, "buffer", phase, "row") >= 0] for op in (Op.FETCH, Op.STORE)
                )
                assert (fetched.sum(), stored.sum()) == (kept + loaded, kept)

    def test_phases_that_the_log_has_are_counted_and_priced(self, device: training_cells.Given) -> None:
        plan, activity, _ = trained(device)
        meter = Meter(plan, "sequential")
        meter.add(activity)
        counted = meter.activity()
        priced = meter.ledger().by(1)
        for phase in (Phase.TRANSFER, Phase.MAINTENANCE):
            rows = activity.select(activity.phase == phase)
            name = phase.name.lower()
            assert (name in priced) == (len(rows) > 0)
            if len(rows):
                assert counted[name] == {
                    "slices_read": rows.passes.sum(),
                    "slices_written": np.count_nonzero(rows.slots),
                    "slots": rows.slots.sum(),
                    "coincidences": (rows.coincidences_up + rows.coincidences_down).sum(),
                    "cells_changed": rows.writes.sum(),
                }

    def test_a_mini_batch_whose_samples_follow_each_other_does_the_same_sooner(
        self, device: training_cells.Given
    ) -> None:
        plan, activity, one = trained(device)
        other = run(plan, activity, "minibatch-pipelined")
        assert other.makespan_ps <= one.makespan_ps
        for op in (Op.DRIVE, Op.CONVERT, Op.PULSE, Op.WRITE):
            assert other.amount[other.op == op].sum() == one.amount[one.op == op].sum()


def _read(cell: Any, phase: Phase, array: int) -> tuple[int, ...]:
    return cell.visible if phase < Phase.UPDATE else cell.read_for(array)


def _written(cell: Any, phase: Phase, array: int) -> tuple[int, ...]:
    if phase == Phase.UPDATE:
        return cell.learning
    return cell.targets[array] if phase == Phase.TRANSFER else (array,)


def _words(cell: Any, phase: Phase, first: Any, rows: Activity) -> int:
    """Weights whose digital memory is read and written: slices that transfer, a gradient once per mini-batch."""
    blocks = [b.block for b in first]
    if phase == Phase.UPDATE and not cell.learning:
        return len(np.unique(rows.step)) * sum(b.rows * b.columns for b in blocks)
    lengths = [b.columns if cell.slices == "row" else b.rows for b in blocks]
    return sum(lengths[layer] for layer in rows.layer) if phase == Phase.TRANSFER else 0


def _values(cell: Any, phase: Phase, first: Any, rows: Activity) -> int:
    """Values that the drivers, or the arithmetic of a digital gradient, get."""
    blocks = [first[layer].block for layer in rows.layer]
    if phase == Phase.UPDATE or cell.slices == "all":
        return sum(b.rows + b.columns for b in blocks)
    by_row = phase == Phase.TRANSFER and cell.slices == "row"
    return sum(b.columns if by_row else b.rows for b in blocks)


class TestLayout:
    @pytest.mark.parametrize(
        ("cell", "arrays", "visible", "learning", "targets", "words"),
        [
            (Vector(number=3), 3, (0, 1, 2), (0, 1, 2), ((0,), (1,), (2,)), 0),
            (Vector(number=2, policy="single_random"), 2, (0, 1), (0,), ((0,), (1,)), 0),
            (Reference(), 2, (0, 1), (0,), ((0,), (1,)), 0),
            (OneSided(), 2, (0, 1), (0, 1), ((0,), (1,)), 0),
            (Transfer(), 2, (1,), (0,), ((1,), (1,)), 0),
            (Transfer(gamma=0.1), 2, (0, 1), (0,), ((1,), (1,)), 0),
            (Transfer(number=3), 3, (2,), (0,), ((1,), (2,), (2,)), 0),
            (BufferedTransfer(), 2, (1,), (0,), ((1,), (1,)), 1),
            (ChoppedTransfer(), 2, (1,), (0,), ((1,), (1,)), 1),
            (DynamicTransfer(), 2, (1,), (0,), ((1,), (1,)), 3),
            (MixedPrecision(), 1, (0,), (), ((0,),), 1),
            (MixedPrecision(inner=OneSided()), 2, (0, 1), (), ((0, 1), (0, 1)), 1),
            (Hamiltonian(), 3, (1,), (0,), ((1,), (1,), (2,)), 0),  # with the reference of A
        ],
    )
    def test_arrays_and_what_they_do(
        self, cell: Any, arrays: int, visible: Any, learning: Any, targets: Any, words: int
    ):  # type: ignore[no-untyped-def]
        found = cell.layout
        assert (found.arrays, found.visible, found.learning) == (arrays, visible, learning)
        assert (found.targets, found.words) == (targets, words)

    def test_arrays_of_a_cell_have_the_numbers_that_the_kernel_gives_them(self) -> None:
        """C, the last array of a transfer cell, is what the tile shows; A is what the gradient's pulses move."""
        plan, _, _ = trained("tiki-taka-ecram")
        cells = training_cells.build("tiki-taka-ecram")
        tile = AnalogTile(3, 4, CONFIGURATIONS["tiki-taka-ecram"].config)
        assert plan.placement.cell.visible == (1,)
        assert tile.weights is tile.cell.arrays[1].weights
        assert tile.array is tile.cell.arrays[0]
        assert cells.layout == plan.placement.cell

    def test_a_chip_with_too_few_arrays_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"'fc1' \(4096 x 9217\) needs \d+ arrays of .*, but \d+ of 64 are left"):
            estimate.map_network("alexnet", CHIP, device="tiki-taka-ecram")

    def test_a_cell_of_two_arrays_takes_twice_as_many(self) -> None:
        one, two = (estimate.map_network("fcn", CHIP, device=name) for name in ("ecram", "agad-ecram"))
        assert two["totals"]["arrays"] == 2 * one["totals"]["arrays"]
        assert len(two["layers"][0]["tiles"]) == 2 * len(one["layers"][0]["tiles"])


class TestWhatTheUserGives:
    def test_a_configuration_brings_its_cell_and_trains_and_the_chip_its_converters(self) -> None:
        kind, management = Chip.load(CHIP).tiles[0], settings.load("fcn-digits").management
        cells = training_cells.build("ttv2-ecram")
        config = periphery.analog_configuration(kind, management.model_copy(update={"bl": None}), cells, "column")
        assert config.update.desired_bl == 100
        assert config.cell.kind == "chopped-transfer"
        assert config.cell.transfer_forward.out_res == config.forward.out_res == 1 / 254  # 8 bits
        assert periphery.analog_configuration(kind, management, cells, "column").update.desired_bl == 31

    @pytest.mark.parametrize(
        ("cell", "resets"),
        [
            ({"kind": "one-sided", "refresh_every": 1000}, True),
            ({"kind": "one-sided"}, False),
            ({"kind": "transfer", "with_reset_prob": 0.1}, True),
            ({"kind": "transfer"}, False),
            ({"kind": "mixed-precision", "inner": {"kind": "one-sided", "refresh_every": 1000}}, True),
        ],
    )
    def test_cells_that_are_reset_need_a_tile_that_says_how_it_is_written(
        self, cell: dict[str, Any], resets: bool
    ) -> None:
        """It is said before anything is computed, not when the first cell is reset."""
        management = settings.load("fcn-digits").management
        cells = training_cells.build({"model": "soft-bounds", "cell": cell})
        kind = Chip.load(CHIP).tiles[0]
        assert periphery.analog_configuration(kind, management, cells, "column")
        kind = kind.model_copy(update={"programming": None})
        sentence = f"tiles 'reram' do not say how they are written, but cells of kind '{cell['kind']}' are reset"
        with pytest.raises(InputError, match=sentence) if resets else nullcontext():
            periphery.analog_configuration(kind, management, cells, "column")

    def test_a_mapping_may_name_a_cell_with_its_parameters(self) -> None:
        cell = training_cells.build(
            {
                "model": "soft-bounds",
                "cell": {
                    "kind": "mixed-precision",
                    "inner": {"kind": "vector", "number": 2, "devices": [{"model": "constant-step", "dw_min": 0.01}]},
                },
            }
        ).cell
        assert isinstance(cell, MixedPrecision) and isinstance(cell.inner, Vector)
        assert cell.inner.devices[0].dw_min == 0.01

    @pytest.mark.parametrize(
        ("cell", "sentence"),
        [
            ("chopped", r"device.cell: got 'chopped', but a mapping needs 'kind'"),
            ({"kind": "choped-transfer"}, r"device.cell.kind: got 'choped-transfer'; did you mean 'chopped-transfer'"),
            ({"kind": "transfer", "gama": 1}, r"cell.gama: transfer has no such parameter; did you mean 'gamma'"),
            ({"kind": "transfer", "gamma": "x"}, r"device.cell.gamma: 'x' was given; accepted is"),
            ({"kind": "transfer", "gamma_vec": 3}, r"device.cell: got \{'gamma_vec': 3\}, which cannot be used"),
            ({"kind": "transfer", "transfer_update": {"bl": 3}}, r"device.cell.transfer_update.bl: is unknown"),
            ({"kind": "transfer", "transfer_forward": {}}, r"device.cell.transfer_forward: transfer has no such"),
            ({"kind": "vector", "devices": {}}, r"device.cell.devices: got \{\}, but a list of devices is needed"),
            ({"kind": "vector", "devices": [3]}, r"device.cell.devices.0: got 3, but a mapping needs 'model'"),
        ],
    )
    def test_what_cannot_be_a_cell_is_refused_in_one_sentence(self, cell: Any, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence) as caught:
            training_cells.build({"model": "soft-bounds", "cell": cell})
        assert "\n" not in str(caught.value)

    def test_an_experiment_runs_with_it_and_says_where_its_numbers_come_from(self, few_digits: Path) -> None:
        result = rpusim.simulate(
            "fcn-digits", data=str(few_digits), epochs=1, device="chopped-ttv2-reram-sb", chip=CHIP
        )
        sources = {row["field"]: row["source"] for row in result["provenance"]}
        assert "Nat. Commun. 15:7133" in sources["device.cell.in_chop_prob"]
        assert result["activity"]["transfer"]["slices_read"] == 3 * 60  # of three layers, after every sample
        assert result["energy"]["by_phase"]["transfer"] > 0

    def test_a_placed_module_may_have_any_cell(self) -> None:
        torch.manual_seed(0)
        model = rpusim.place(torch.nn.Sequential(torch.nn.Linear(8, 4)), CHIP, (8,), device="agad-ecram")
        optimizer = rpusim.AnalogSGD(model, lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.rand(5, 8)).square().sum().backward()
            optimizer.step()
        assert model.chip.report()["activity"]["transfer"]["slices_read"] == 15


class TestAssumedCells:
    @pytest.mark.parametrize("device", WAYS)
    def test_reads_and_digital_operations_are_those_of_a_training(self, device: training_cells.Given) -> None:
        """What does not depend on data is not assumed: it is what the kernel does in as many mini-batches."""
        if device == MORE["late"]:
            pytest.skip("as AIHWKit does it, one mini-batch later")
        plan, done, _ = trained(device)
        learning = assumed_transfers.assumed(training_cells.build(device, chip_for(device)))
        said = assumed_activity(plan.placement, 12, True, 3, learning)
        for phase in (Phase.TRANSFER, Phase.MAINTENANCE):
            ours, theirs = (rows.select(rows.phase == phase) for rows in (said, done))
            theirs = theirs.select((theirs.passes > 0) | (theirs.phase == Phase.TRANSFER))
            for name in ("step", "vector", "layer", "array", "passes", *WORK_COLUMNS):
                assert sorted(getattr(ours, name)) == sorted(getattr(theirs, name)), name

    @pytest.mark.parametrize(
        ("cell", "arrays"),
        [
            ({"kind": "vector", "number": 3}, 3),
            ({"kind": "vector", "number": 3, "policy": "single_random"}, 1),
            ({"kind": "one-sided"}, 1),  # a coincidence raises either of the pair
            ({"kind": "mixed-precision", "inner": {"kind": "vector", "number": 2}}, 2),
        ],
    )
    def test_every_array_that_learns_from_a_train_takes_its_coincidences(self, cell: Any, arrays: int) -> None:
        single: dict[str, Any] = {"kind": "mixed-precision"} if "inner" in cell else {"kind": "single"}
        found = []
        for given in (cell, single):
            cells = training_cells.build({"model": "soft-bounds", "cell": given})
            placement = place(load_network("fcn"), Chip.load(CHIP), cell=cells.layout)
            found.append(assumed_activity(placement, 2, True, 1, assumed_transfers.assumed(cells)))
        for way in ("coincidences_up", "coincidences_down"):
            ours, theirs = (getattr(rows, way).sum() for rows in found)
            assert theirs > 0 and abs(ours - arrays * theirs) <= arrays * len(found[0])
        for name in ("slots", "row_pulses", "column_pulses"):
            assert np.array_equal(getattr(found[0], name), getattr(found[1], name))

    def test_time_says_what_it_assumes(self) -> None:
        said = estimate.time_network("fcn", CHIP, 2, True, "sequential", device="chopped-ttv2-ecram")["assumption"]
        assert "thresholds crossed with probability" in said
        plain = estimate.time_network("fcn", CHIP, 2, True, "sequential", device="ecram")["assumption"]
        assert "thresholds" not in plain


def test_every_column_of_the_log_is_a_column_of_activity() -> None:
    assert set(Extra.COLUMNS) <= {field.name for field in fields(Activity)}


class TestDevicesOfAFile:
    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ({"model": "soft-bounds", "dw_min": "x"}, "device.dw_min: 'x' was given"),
            (
                {"model": "soft-bounds", "dw_min": 1e9},
                "device.dw_min: 1000000000.0 was given; accepted is a step",
            ),
            ({"model": "soft-bounds", "dw_min_std": 1e30}, "device.dw_min_std: 1e+30 was given"),
            ({"model": "soft-bounds", "w_min_dtod": 10**30}, "device.w_min_dtod: 1000000000000000000000000000000 was"),
            ({"model": "soft-bounds", "corrupt_devices_range": 1e300}, "device.corrupt_devices_range: 1e+300 was"),
            ({"model": "soft-bounds", "dw_mn": 1}, "device.dw_mn: soft-bounds has no such parameter; did you mean"),
            ({"model": "soft-bounds", 1: 2}, "device: got the key 1, but names of parameters are strings"),
            ({"model": "soft-bound"}, "device.model: 'soft-bound' is unknown"),
            ({"model": "soft-bounds", "drift": 1}, "device.drift: got 1, but a mapping is needed"),
            ({"model": "soft-bounds", "drift": {"mu": 1}}, "device.drift.mu: a drift has no such parameter"),
            ({"model": "soft-bounds", "drift": {"t_0": 0}}, "device.drift.t_0: 0 was given; accepted is a number > 0"),
            ({"model": "soft-bounds", "cell": {"kind": ["x"]}}, "device.cell.kind: got ['x']"),
            (
                {"model": "soft-bounds", "cell": {"kind": "vector", "number": 10**12}},
                "device.cell.number: 1000000000000",
            ),
            (
                {"model": "soft-bounds", "cell": {"kind": "chopped-transfer", "in_chop_prob": 2}},
                "device.cell.in_chop_prob: 2 was given; accepted is a number from 0 to 1",
            ),
            (
                {"model": "soft-bounds", "cell": {"kind": "transfer", "transfer_update": {"desired_bl": 0}}},
                "device.cell.transfer_update.desired_bl: 0 was given",
            ),
            (
                {"model": "soft-bounds", "cell": {"kind": "vector", "devices": [{"model": "reram-es", "w_max": "a"}]}},
                "device.cell.devices.0.w_max: 'a' was given",
            ),
            ({"model": "soft-bounds", "endurance": 1e300}, "device.endurance: got 1e+300"),
            (5, "device: got 5, but a name, or a mapping with 'model', is needed"),
        ],
    )
    def test_what_is_wrong_is_said_with_the_whole_path(self, given: Any, sentence: str) -> None:
        with pytest.raises(InputError) as caught:
            training_cells.build(given)
        assert str(caught.value).startswith(sentence)

    def test_any_pulsed_device_may_drift(self) -> None:
        given = {"model": "soft-bounds", "drift": {"nu": 0.1, "t_0": 2}}
        made = training_cells.build(given).device
        assert (made.drift.nu, made.drift.t_0) == (0.1, 2)

    def test_an_experiment_names_its_file(self, tmp_path: Path) -> None:
        shipped = (settings.FOLDER / "fcn-digits.yaml").read_text()
        for before, after, sentence in (
            ("device: rpu-baseline-2016", "device: {model: soft-bounds, dw_min: 0}", "mine.yaml: device.dw_min: 0 was"),
            ("chip: rpu-2016", "chip: rpu-2061", "mine.yaml: chip: no preset is named 'rpu-2061'"),
            ("network: fcn-digits", "network: fcn-digit", "mine.yaml: network: no network 'fcn-digit'"),
            ("data: digits", "data: digit", "mine.yaml: data: no data 'digit'"),
        ):
            assert before in shipped
            (tmp_path / "mine.yaml").write_text(shipped.replace(before, after))
            with pytest.raises(InputError) as caught:
                rpusim.simulate(tmp_path / "mine.yaml")
            assert str(caught.value).startswith(sentence)

    def test_what_was_replaced_is_not_said_to_be_in_the_file(self) -> None:
        with pytest.raises(InputError, match=r"^device: 'zzz' is unknown"):
            rpusim.simulate("fcn-digits", device="zzz")
        with pytest.raises(InputError, match=r"^chip: got 'c.udce9.yaml', half a character of which is missing"):
            rpusim.simulate("fcn-digits", chip="c\udce9.yaml")
