"""Sliced weights that learn, from a chip's file to numbers, time and energy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

import rpusim
from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.errors import InputError
from rpusim.kernels import BitSliced, Slices
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.cells.periphery import analog_configuration
from rpusim.workloads.cells.training_cells import build
from rpusim.workloads.runs.placed import MANAGED

CHIP = "panther-2020"
QUIET = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
CELLS = {
    "model": "constant-step",
    **QUIET,
    "cell": {"kind": "bit-sliced", "carry_bits": [2], "resolve_every": 16},
}


@pytest.fixture
def chip(tmp_path: Path) -> Callable[..., Path]:
    """Write PANTHER's chip with fields of its tile's blocks replaced."""

    def write(**blocks: dict[str, Any]) -> Path:
        path = Path(rpusim.arch.__path__[0]) / "chips" / "presets" / f"{CHIP}.yaml"
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name, block in blocks.items():
            fields["tiles"][0][name] |= block
        written = tmp_path / f"chip-{len(list(tmp_path.iterdir()))}.yaml"
        written.write_text(yaml.safe_dump(fields), encoding="utf-8")
        return written

    return write


def test_a_placed_model_learns_by_outer_products_and_resolves_its_carries(chip: Any) -> None:
    """A linear map of six inputs from 160 examples; carries are resolved in six columns after every sixteenth.

    Converters have a code for every level of six cells of up to 63, so that carries saturate none of them.
    """
    torch.manual_seed(0)
    fine = {"bits": 12, "slice_bound": 2047 / 15, "card": {"estimate": "murmann-survey", "node": "32 nm"}}
    module = nn.Sequential(nn.Linear(6, 3, bias=False))
    model = rpusim.place(module, chip(adc=fine), (6,), device=CELLS, bias="digital")
    target, optimizer = torch.linspace(-0.4, 0.4, 18).reshape(3, 6), rpusim.AnalogSGD(model, lr=0.05)
    errors = []
    for _ in range(16):
        x = torch.rand(10, 6) * 2 - 1
        optimizer.zero_grad()
        loss = (model(x) - x @ target.t()).square().sum()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < errors[0] / 20
    report = model.chip.report()
    assert report["activity"]["updates"] == 160
    assert report["activity"]["transfer"]["slices_read"] == 6 * 160 / 16
    assert report["energy"]["by_phase"]["transfer"] > 0


class Tied(nn.Module):
    """An encoder, and a decoder that uses its weight transposed."""

    def __init__(self, inputs: int = 6, code: int = 3) -> None:
        super().__init__()
        self.coder = nn.Linear(inputs, code, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(self.coder(x), self.coder.weight.t())


@pytest.mark.parametrize("columns", ["own", "shared"])
def test_a_weight_in_slices_is_used_transposed_and_learns_from_both_uses(chip: Any, columns: str) -> None:
    """On fine converters it is the product with the transpose; both uses' pairs are pulsed on the same arrays."""
    torch.manual_seed(0)
    fine = {"bits": 14, "slice_bound": 8191 / 15, "card": {"estimate": "murmann-survey", "node": "32 nm"}}
    described = chip(adc=fine, array={"slice_columns": columns})
    model = rpusim.place(Tied(), described, (6,), device=CELLS, bias="digital")
    optimizer = rpusim.AnalogSGD(model, lr=0.05)
    x = torch.rand(10, 6) * 2 - 1
    weight = model.coder.weight.detach().clone()
    torch.testing.assert_close(model(x).detach(), x @ weight.t() @ weight, rtol=1e-2, atol=1e-2)
    errors = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = (model(x) - x).square().sum()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < errors[0] / 1.5
    report = model.chip.report()
    assert report["activity"]["updates"] == 2 * 10 * 12
    assert report["layers"][1]["transposed"]


def test_the_clock_counts_the_conversions_of_slices_both_ways(chip: Any) -> None:
    """Sixteen bits of eight slices; of inputs of two bits at a time half as many."""
    for inputs, cycles in (({}, 16), ({"bits": 15, "digit_bits": 2, "card": "mnsim-2020/dac-2b"}, 8)):
        described = Chip.load(chip(inputs=inputs))
        cells = build(CELLS, described)
        config = analog_configuration(described.tiles[0], MANAGED, cells, "digital")
        placement = place(capture(nn.Sequential(nn.Linear(60, 12)), (60,)), described, "digital", cells.layout)
        block = make_plan(placement).layers[0].blocks[0]
        assert len(config.forward.places) == len(config.backward.places) == cycles
        assert block.forward.conversions == cycles * config.forward.lines_read(12) == cycles * 8 * 12
        assert block.backward is not None
        assert block.backward.conversions == cycles * config.backward.lines_read(60) == cycles * 8 * 60


def test_slices_are_those_of_the_chip() -> None:
    cell = build(CELLS, Chip.load(CHIP)).cell
    assert isinstance(cell, BitSliced) and cell.slices == Slices(8, 4) and cell.slots_per_vector == 16 * 15


@pytest.mark.parametrize(
    ("blocks", "given", "sentence"),
    [
        ({"array": {"encoding": "offset"}}, CELLS, r"of encoding 'offset' \(array.encoding\).*'signed' is needed"),
        (
            {"array": {"wires": {"resistance": "1 Ohm", "cell_resistance": "100 kOhm", "source": "made up"}}},
            CELLS,
            r"wires lose voltage \(array.wires\).* array.wires: ideal is needed for training",
        ),
        ({}, {"model": "constant-step"}, r"cells of kind 'single' cannot train.* 'bit-sliced', or a chip with one"),
        (
            {},
            {"model": "constant-step", "cell": {"kind": "bit-sliced", "slices": 4}},
            r"device.cell.slices: was given, but they are those of the chip",
        ),
        (
            {},
            {"model": "exp-step", "cell": {"kind": "bit-sliced"}},
            r"device: 'exp-step' was given for cells of kind 'bit-sliced'; accepted are constant-step",
        ),
    ],
)
def test_what_cannot_learn_is_refused_in_one_sentence(chip: Any, blocks: Any, given: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        rpusim.place(nn.Sequential(nn.Linear(6, 3)), chip(**blocks), (6,), device=given)
    assert "\n" not in str(caught.value)


def test_cells_that_are_cut_need_a_chip_that_cuts_weights() -> None:
    with pytest.raises(InputError, match=r"got 'bit-sliced', but reram-512 holds weights in one cell"):
        rpusim.place(nn.Sequential(nn.Linear(6, 3)), "reram-512", (6,), device=CELLS)
