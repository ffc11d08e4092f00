"""Bits and slices from the chip's file to the numbers: what the clock counts is what the numbers convert."""

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
from rpusim.arch.contract.activity import ActivityLog
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.errors import InputError
from rpusim.kernels import IOParameters, MVType
from rpusim.kernels.inference import StateIndependent, program
from rpusim.kernels.inference.tile import InferenceConfig, InferenceTile
from rpusim.kernels.mvm.slices import cut
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.cells.periphery import analog_configuration, converters
from rpusim.workloads.cells.training_cells import build
from rpusim.workloads.runs.placed import MANAGED

FILE = Path(__file__).parents[2] / "arch" / "odd_chip" / "odd.yaml"


@pytest.fixture
def chip(tmp_path: Path) -> Callable[..., Path]:
    """Write the odd chip, without pulses, with arrays of 64 columns, and with fields of its blocks replaced."""

    def write(**blocks: dict[str, Any]) -> Path:
        fields = yaml.safe_load(FILE.read_text(encoding="utf-8"))
        tile = fields["tiles"][0]
        del tile["pulses"]
        tile["programming"]["card"] = "pulser"
        tile["support"] = [s for s in tile["support"] if s["busy_during"] not in ("pulse", "write")]
        tile["array"] |= {"rows": 64, "columns": 64}
        for name, block in blocks.items():
            tile[name] |= block
        path = tmp_path / f"chip-{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text(yaml.safe_dump(fields), encoding="utf-8")
        return path

    return write


def network(inputs: int = 60, outputs: int = 12) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, outputs))


def error(path: Path | str, inputs: int = 60, **options: Any) -> float:
    """The rms error of a layer's outputs, relative to their rms."""
    module, x = network(inputs), torch.rand(100, inputs, generator=torch.Generator().manual_seed(1)) * 2 - 1
    model = rpusim.place(module, path, (inputs,), **options).eval()
    with torch.no_grad():
        return float((model(x) - module(x)).pow(2).mean().sqrt() / module(x).pow(2).mean().sqrt())


class TestISAAC:
    def test_with_exact_cells_it_is_the_product(self) -> None:
        assert error("isaac-2016") < 1e-3
        assert error("isaac-2016", 300) < 1e-3  # over three arrays

    @pytest.mark.parametrize(("old", "new"), [("encoding: flipped", "encoding: offset"), ("bits: 8", "bits: 7")])
    def test_without_its_encoding_or_with_a_bit_less_it_is_not(self, tmp_path: Path, old: str, new: str) -> None:
        text = (Path(rpusim.arch.__path__[0]) / "chips" / "presets" / "isaac-2016.yaml").read_text(encoding="utf-8")
        if new.startswith("bits"):
            text = text.replace("card: isaac-2016/adc", "card: {estimate: murmann-survey, node: 32 nm}")
        path = tmp_path / "isaac.yaml"
        path.write_text(text.replace(old, new), encoding="utf-8")
        assert error(path, 128) > 0.02


def test_conversions_of_bits_and_slices_differ_and_are_exact_with_enough_bits(chip: Any) -> None:
    """With converters of 16 bits, what is left is the rounding of inputs of 12 bits and weights of 12."""
    fine = {"adc": {"bits": 16, "noise": 0, "bound": 64, "card": {"estimate": "murmann-survey", "node": "28 nm"}}}
    ways = {
        "parallel": {"inputs": {"kind": "parallel-dac", "bits": 12}},
        "serial": {"inputs": {"kind": "bit-serial", "bits": 12}},
        "slices": {"inputs": {"kind": "parallel-dac", "bits": 12}, "array": {"cells_per_weight": 6}},
        "both": {"inputs": {"kind": "bit-serial", "bits": 12}, "array": {"cells_per_weight": 6}},
    }
    errors = {name: error(chip(**blocks, **fine)) for name, blocks in ways.items()}
    assert max(errors.values()) < 4e-3 and len(set(errors.values())) == 4, errors


@pytest.mark.parametrize("digit", [2, 4])
@pytest.mark.parametrize("cells", [1, 3])
def test_the_clock_counts_the_conversions_of_digits(chip: Any, digit: int, cells: int) -> None:
    inputs = {"kind": "bit-serial", "digit_bits": digit, "card": f"mnsim-2020/dac-{digit}b"}
    described = Chip.load(chip(inputs=inputs, array={"cells_per_weight": cells}))
    block = make_plan(place(capture(network(), (60,)), described)).layers[0].blocks[0]
    io = converters(described.tiles[0], MANAGED)
    assert len(io.places) == -(-described.tiles[0].inputs.bits // digit)
    assert block.forward.conversions == len(io.places) * io.lines_read(block.block.rows)


@pytest.mark.parametrize(("bits", "exact"), [(10, True), (9, False)])
def test_isaac_with_two_bits_at_a_time_needs_more_bits_of_its_converters(
    tmp_path: Path, bits: int, exact: bool
) -> None:
    """15 bits are seven digits and the sign alone: flipped slices of 128 cells of 3 levels times 3 give up to 576.

    Single bits give 192, which eight bits hold.
    """
    text = (Path(rpusim.arch.__path__[0]) / "chips" / "presets" / "isaac-2016.yaml").read_text(encoding="utf-8")
    text = text.replace("card: isaac-2016/dac", "digit_bits: 2\n      card: mnsim-2020/dac-2b")
    text = text.replace("bits: 16\n      clock", "bits: 15\n      clock").replace("bits: 8\n", f"bits: {bits}\n")
    text = text.replace("card: isaac-2016/adc", "card: {estimate: murmann-survey, node: 32 nm}")
    path = tmp_path / "isaac.yaml"
    path.write_text(text, encoding="utf-8")
    assert Chip.load(path).tiles[0].inputs.cycles == 8
    assert (error(path, 128) < 1e-3) == exact


@pytest.mark.parametrize("kind", ["pwm", "bit-serial", "parallel-dac"])
@pytest.mark.parametrize("cells", [1, 2, 3])
@pytest.mark.parametrize("encoding", ["signed", "offset", "flipped"])
def test_the_clock_counts_the_conversions_that_the_numbers_make(
    chip: Any, kind: str, cells: int, encoding: str
) -> None:
    array = {"cells_per_weight": cells} | ({"encoding": encoding} if cells > 1 else {})
    described = Chip.load(chip(inputs={"kind": kind}, array=array))
    placement = place(capture(network(), (60,)), described)
    io = converters(described.tiles[0], MANAGED)
    for layer in make_plan(placement).layers:
        for block in layer.blocks:
            assert block.forward.conversions == len(io.places) * io.lines_read(block.block.rows)


def test_management_that_looks_at_whole_sums_is_refused(chip: Any) -> None:
    kind = Chip.load(chip(inputs={"kind": "bit-serial"})).tiles[0]
    for field, given in (("noise", "abs_max_np_sum"), ("bound", "iterative_worst_case")):
        with pytest.raises(InputError, match=rf"management.{field}: got '{given}', but tiles 'lopsided'.* bit-serial"):
            converters(kind, MANAGED.model_copy(update={field: given}))


def test_cut_weights_cannot_be_trained_by_pulses(tmp_path: Path) -> None:
    fields = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    fields["tiles"][0]["array"] |= {"cells_per_weight": 2}
    path = tmp_path / "sliced.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    with pytest.raises(InputError, match=r"tiles 'lopsided' cut a weight over 2 cells \(array.cells_per_weight\)"):
        rpusim.place(network(10, 4), path, (10,), device="reram-sb")


class TestProgrammedSlices:
    """Cells with errors: each of them has its own."""

    def tile(
        self, chip: Any, encoding: str, path: str = "numba", adc: dict[str, Any] | None = None, **noise: float
    ) -> InferenceTile:
        """A tile of 64 x 60 weights in three cells of two bits, with errors of 0.5 of 25 microsiemens if not said."""
        errors = StateIndependent(**{"program_std": 0.5e-6, "nu_mean": 0.0, "nu_std": 0.0, "read_std": 0.0, **noise})
        array = {"cells_per_weight": 3, "cell_bits": 2, "encoding": encoding}
        inputs = {"kind": "bit-serial", "bits": 8}
        kind = Chip.load(chip(array=array, inputs=inputs, adc={"noise": 0, **(adc or {})})).tiles[0]
        config = InferenceConfig(errors, compensation=None, forward=converters(kind, MANAGED), analog_bias=False)
        tile = InferenceTile(64, 60, config, path=path)
        tile.set_weights(torch.rand(64, 60, generator=torch.Generator().manual_seed(1)) * 2 - 1)
        tile.eval()
        return tile

    @pytest.mark.parametrize("encoding", ["signed", "offset", "flipped"])
    def test_outputs_are_those_of_the_weights_that_the_cells_hold_together(self, chip: Any, encoding: str) -> None:
        """Up to the rounding of a converter of 16 bits over 64 cells."""
        fine = {"bits": 16, "slice_bound": 64, "card": {"estimate": "murmann-survey", "node": "28 nm"}}
        tile = self.tile(chip, encoding, adc=fine)
        clean = tile.get_weights()
        x = torch.rand(20, 60, generator=torch.Generator().manual_seed(2)) * 2 - 1
        tile.program()
        assert float((tile.held - clean).abs().mean()) > 0.005
        levels = torch.round(x / x.abs().amax(1, keepdim=True) * 127) * x.abs().amax(1, keepdim=True) / 127
        assert torch.allclose(tile(x), levels @ tile.held.t(), atol=0.02)

    def test_every_cell_has_its_own_error(self, chip: Any) -> None:
        """Of 0.5 of 25 microsiemens, if it stands at neither end; errors of different slices are independent."""
        tile = self.tile(chip, "offset")
        tile.program()
        assert tile.sliced is not None
        exact = cut(tile.get_weights(), tile.config.forward.slices, 1e9).levels
        errors, inside = tile.sliced.levels - exact, (exact > 0.1) & (exact < 0.9)
        for slice_errors, chosen in zip(errors, inside, strict=True):
            assert float(slice_errors[chosen].std()) == pytest.approx(0.02, rel=4 / (2 * int(chosen.sum())) ** 0.5)
        both = inside[0] & inside[1]
        together = torch.corrcoef(torch.stack([errors[0][both], errors[1][both]]))[0, 1]
        assert abs(float(together)) < 4 / int(both.sum()) ** 0.5
        assert float((tile.sliced.of_unit[2] - 1 / 3).std()) == pytest.approx(0.02, rel=4 / 120**0.5)

    @pytest.mark.parametrize("encoding", ["signed", "offset", "flipped"])
    def test_cells_that_drift_alike_weigh_less_by_a_factor(self, chip: Any, encoding: str) -> None:
        """(t / t0)^-0.1 of every conductance, those of the unit line included."""
        tile = self.tile(chip, encoding, program_std=0.0, nu_mean=0.1)
        tile.program()
        programmed = tile.held.clone()
        assert torch.allclose(programmed, tile.get_weights(), atol=1.01 / 31 / 2)
        tile.drift(1e6)
        factor = (tile.held / programmed)[programmed.abs() > 0.1]
        assert float(factor.std()) < 1e-4 and 0.2 < float(factor.mean()) < 0.4

    def test_both_paths_and_a_restored_tile_read_the_same(self, chip: Any) -> None:
        x = torch.rand(20, 60, generator=torch.Generator().manual_seed(2)) * 2 - 1
        tiles = [self.tile(chip, "flipped", path=path, nu_mean=0.05) for path in ("numba", "torch")]
        for tile in tiles:
            tile.program()
            tile.drift(100.0)
        found = [tile(x) for tile in tiles]
        assert torch.equal(*found)
        fresh = self.tile(chip, "flipped", nu_mean=0.05)
        fresh.load_state_dict(tiles[0].state_dict())
        assert torch.equal(fresh(x), tiles[0](x))

    def test_a_placed_model_is_programmed_slice_by_slice(self, chip: Any) -> None:
        model = rpusim.place(network(), chip(array={"cells_per_weight": 4}), (60,), device="inference-pcm").eval()
        with torch.no_grad():
            before = model(torch.ones(1, 60))
            program(model)
            assert not torch.equal(model(torch.ones(1, 60)), before)


def test_a_chip_that_learns_reads_bit_by_bit_forwards_backwards_and_in_transfers() -> None:
    """The activity says how many bits were set."""
    kind = Chip.load("neurosim-vgg8").tiles[0]
    config = analog_configuration(kind, MANAGED, build("tiki-taka-reram-sb"), "digital")
    transfer = next(v for v in vars(config.cell).values() if isinstance(v, IOParameters))
    for io in (config.forward, config.backward, transfer):
        assert io.mv_type is MVType.BIT_SERIAL and len(io.places) == kind.inputs.cycles == 8
        assert (io.out_bound, io.out_noise) == (kind.adc.bound, kind.adc.noise)
    log = ActivityLog()
    tile = config.tile(5, 6, log=log)
    tile.set_weights(torch.full((5, 6), 0.1))
    tile.forward(torch.tensor([[0.5, 0.0, -0.25, 0.0, 0.0, 0.0]]))
    tile.backward(torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]]))
    rows = log.take()
    assert rows.set_bits.tolist() == [7 + 2, 7]  # 127 of 127; -64 of 128, of which sign and 64 are set; 127 of 127
