"""Rates and energies of the chips behind predictions, by hand."""

from __future__ import annotations

import pytest

from rpusim.arch.account.ledger import RESTING
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.library import library
from rpusim.arch.parts.adc_survey import energy_per_conversion
from rpusim.workloads.studies.published import components, neurosim
from rpusim.workloads.studies.published.systems import neurram, systems
from rpusim.workloads.studies.published.timed import Timed, chain, on_chip, one_tile

RESOLUTIONS = [(3, 1), (5, 3), (7, 5)]


def bits_of_size(inputs: int) -> int:
    """Return the bits that are sent for an input: all but its sign, and at least one."""
    return max(inputs - 1, 1)


class TestNeuRRAM:
    @pytest.mark.parametrize(("outputs", "inputs"), RESOLUTIONS)
    def test_a_vector_takes_its_integrations_and_a_step_for_each_bit_and_phase(self, outputs: int, inputs: int) -> None:
        """0.27 us for each of 2^i - 1 integrations, 0.3 us for each output bit and once more between both."""
        by_hand = 0.27e-6 * (2 ** bits_of_size(inputs) - 1) + 0.3e-6 * (outputs + 1)
        assert on_chip(neurram(outputs, inputs), 128, 256).cycle == pytest.approx(by_hand, abs=2e-12)

    @pytest.mark.parametrize(("outputs", "inputs"), RESOLUTIONS)
    def test_rates_are_48_cores_of_128_x_256_weights(self, outputs: int, inputs: int) -> None:
        cycle = 0.27e-6 * (2 ** bits_of_size(inputs) - 1) + 0.3e-6 * (outputs + 1)
        rate = systems()[f"neurram/rate-{outputs}-{inputs}"]()
        assert rate == pytest.approx(48 * 2 * 128 * 256 / cycle * 1e-12, rel=1e-5)

    @pytest.mark.parametrize(("outputs", "inputs"), RESOLUTIONS)
    def test_cards_are_sums_of_steps_samples_and_integrations(self, outputs: int, inputs: int) -> None:
        sent = bits_of_size(inputs)
        integrations = 2**sent - 1
        cards, tag = library(), f"{inputs}b"
        neuron = outputs * (0.3e-12 + 0.1e-12) + sent * 1.2e-12 + integrations * 0.25e-12
        assert cards[f"neurram-2022/neuron-{outputs}b-{tag}"].energy["convert"] == pytest.approx(
            neuron, rel=1e-6, abs=0
        )
        lines = 256 * (256 * (1.5 + 0.6) + 48) * 1e-15 * 1.8**2
        cells = 256 * 256 * 0.5**2 / 500e3 * 10e-9
        read = cards[f"neurram-2022/array-{tag}"].energy["read"]
        assert read == pytest.approx(sent * lines + integrations * cells, rel=1e-4)
        driver = 2 * (48e-15 * 1.8**2 + 256 * 0.9e-15 * 0.5**2)
        assert cards[f"neurram-2022/drivers-{tag}"].energy["drive"] == pytest.approx(sent * driver, rel=1e-3, abs=0)

    @pytest.mark.parametrize(("outputs", "inputs"), RESOLUTIONS)
    def test_a_vector_costs_what_its_array_neurons_and_drivers_do(self, outputs: int, inputs: int) -> None:
        cards, tag = library(), f"{inputs}b"
        by_hand = (
            cards[f"neurram-2022/array-{tag}"].energy["read"]
            + 256 * cards[f"neurram-2022/neuron-{outputs}b-{tag}"].energy["convert"]
            + 128 * cards[f"neurram-2022/drivers-{tag}"].energy["drive"]
        )
        timed = on_chip(neurram(outputs, inputs), 128, 256, 50)
        assert energy_of(timed, "array", "ADC", "input drivers") / 50 == pytest.approx(by_hand, rel=1e-6)

    def test_the_preset_is_the_middle_resolution(self) -> None:
        assert neurram(5, 3).tiles[0] == one_tile("neurram-2022").tiles[0]


class TestPipeLayer:
    def test_a_vector_takes_sixteen_spikes_of_29_31_ns(self) -> None:
        timed = on_chip(one_tile("pipelayer-2017"), 128, 128)
        assert timed.cycle == pytest.approx(16 * 29.31e-9)

    def test_arrays_are_read_at_1_08_pj_for_every_second_line_and_bit(self) -> None:
        """Eight arrays of 128 lines, sixteen bits of which half are ones: 8 x 128 x 16 / 2 x 1.08 pJ = 8.847 nJ."""
        timed = on_chip(one_tile("pipelayer-2017"), 128, 128, 50)
        assert energy_of(timed, "array") / 50 == pytest.approx(8 * 128 * 16 / 2 * 1.08e-12)

    def test_rate_per_area_is_that_of_one_tile_with_a_router(self) -> None:
        area = bill_of_parts(one_tile("pipelayer-2017")).area_m2 * 1e6
        by_hand = 2 * 128 * 128 / (16 * 29.31e-9) / area * 1e-9
        assert systems()["pipelayer/density"]() == pytest.approx(by_hand)


class TestYao:
    def test_a_vector_takes_eight_bits_of_50_ns_and_a_conversion_of_every_line_for_each(self) -> None:
        timed = on_chip(one_tile("yao-2020"), 128, 8, 50)
        assert timed.cycle == pytest.approx(8 * 50e-9)
        assert energy_of(timed, "ADC") / 50 == pytest.approx(8 * 16 * energy_per_conversion(8, 20e6, 130e-9), rel=1e-5)

    def test_cells_draw_their_current_while_they_are_read(self) -> None:
        """2048 cells of 91 kOhm at 0.2 V for eight times 50 ns: 360 pJ, and 1 fF of line for each at 0.2 V."""
        timed = on_chip(one_tile("yao-2020"), 128, 8, 50)
        by_hand = 8 * 2048 * (0.2**2 / 91e3 * 50e-9 + 1e-15 * 0.2**2)
        assert energy_of(timed, "array") / 50 == pytest.approx(by_hand, rel=1e-4)


class TestPUMA:
    def test_converters_take_16_bits_of_129_lines_at_isaac_s_power(self) -> None:
        """Eight converters of 2 mW, 129 lines for each bit: 25.8 nJ; eight arrays of 0.3 mW: 3.84 nJ."""
        timed = on_chip(one_tile("isaac-2016"), 128, 128, 1)
        assert energy_of(timed, "ADC") == pytest.approx(16 * 8 * 129 * 2e-3 / 1.28e9)
        assert energy_of(timed, "array") == pytest.approx(8 * 0.3e-3 * 1.6e-6)


class TestRPUChip:
    def test_no_layer_of_the_chain_is_faster_than_its_array(self) -> None:
        """A vector every 80 ns at best: 50 x 2 x 4096 x 4095 operations in 80 ns are 20,966 TOPS."""
        few, many = (chain("rpu-2016", 5, 4096, "relu", vectors).seconds for vectors in (20, 40))
        assert (many - few) / 20 >= 80e-9 * (1 - 1e-6)

    def test_power_is_rate_over_efficiency(self) -> None:
        found = systems()
        rate, efficiency, power = (found[f"rpu-chip/{name}"]() for name in ("rate", "efficiency", "power"))
        assert power == pytest.approx(rate / efficiency)


def test_neurosim_s_arrays_work_on_532_vectors_an_image() -> None:
    """Copies 64, 16, 8, 4, 2, 1, 1 and 8 leave 274 of 2690 vectors forward, and 258 back, of 8 x (10 + 8 x 1) ns."""
    seconds = neurosim.neurosim()["epoch-arrays/time"]()
    assert seconds == pytest.approx(50_000 * 532 * 8 * 18e-9)


def test_a_card_with_a_power_is_compared_over_a_period_of_its_rate() -> None:
    """ISAAC's converter: 2 mW at 1.28 GS/s are 1.5625 pJ; its buffer: 20.7 mW at 10.24 GB/s are 252.7 fJ a bit."""
    found = components.components()
    assert found["adc/isaac"]() == pytest.approx(1.5625)
    assert found["memories/isaac-64kb"]() == pytest.approx(20.7e-3 / 81.92e9 * 1e15)


def test_a_step_of_the_speech_chip_takes_and_costs_what_its_tile_was_given() -> None:
    """300 ns, and 26.2 nJ (20 TOPS/W) of 2 x 512 x 512 operations; of a keyword, four such steps and ways between."""
    timed = on_chip(one_tile("ambrogio-2023"), 512, 512, 50)
    assert timed.cycle == pytest.approx(300e-9, rel=1e-6)
    assert timed.joules / 50 == pytest.approx(2 * 512**2 / 20e12, rel=0.01)
    assert 1.2 < systems()["ambrogio/keywords"]() < 1.3


@pytest.mark.parametrize("preset", ["neurram-2022", "pipelayer-2017", "yao-2020", "ambrogio-2023"])
def test_a_single_tile_has_one_router(preset: str) -> None:
    whole, one = bill_of_parts(Chip.load(preset)), bill_of_parts(one_tile(preset))
    assert one.chip_wide["links"].units * whole.chip.tile_count == whole.chip_wide["links"].units


def energy_of(timed: Timed, *parts: str) -> float:
    """Add up the joules of parts at work."""
    chosen = [zj for (part, phase, _), zj in timed.ledger.energy.items() if part in parts and phase not in RESTING]
    return sum(chosen) * 1e-21
