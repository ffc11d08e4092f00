"""A large mini-batch found from small ones, beside the same one timed whole."""

from __future__ import annotations

from rpusim.arch.account.large_batch import account_for_large_batch
from rpusim.arch.account.ledger import RESTING
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.arch.schedule.storage import settle

SAMPLES = 24


def test_energy_at_work_is_exact_and_time_within_a_percent_where_layers_keep_different_numbers_of_samples() -> None:
    """Of 24 samples the layers keep some, others and all; what is left goes to the global buffer and to DRAM."""
    chip, donor = Chip.load("rpu-2016"), Chip.load("neurosim-vgg8")
    assert donor.global_buffer
    kind = chip.tiles[0]
    small = kind.model_copy(update={"buffer": kind.buffer.model_copy(update={"capacity": 20_000})})
    shared = donor.global_buffer.model_copy(update={"capacity": 40_000})
    chip = chip.model_copy(update={"tiles": (small,), "memory": donor.memory, "global_buffer": shared})
    layers = [
        (WeightLayer.linear("one", (300,), 200, bias=False), ("input",)),
        (WeightLayer.linear("two", (200,), 60, bias=False), ("one",)),
        (WeightLayer.linear("three", (60,), 10, bias=False), ("two",)),
    ]
    placement = place(connect("three", (300,), layers), chip)
    plan = make_plan(placement)
    kept = settle(plan, SAMPLES, training=True)
    assert len({layer.samples for layer in kept}) == 3 and {layer.overflow for layer in kept} >= {"DRAM", ""}

    def work(number: int) -> Activity:
        return assumed_activity(placement, number, True, number)

    whole = Pricer(plan)(run(plan, work(SAMPLES), "sequential"), work(SAMPLES))
    found, _ = account_for_large_batch(plan, SAMPLES, work)

    def at_work(energy: dict[tuple[str, str, str], int]) -> dict[tuple[str, str, str], int]:
        return {key: zeptojoules for key, zeptojoules in energy.items() if key[1] not in RESTING and zeptojoules}

    assert at_work(found.energy) == at_work(whole.energy)
    assert abs(found.time_ps / whole.time_ps - 1) < 0.01
    assert abs(found.total_zj / whole.total_zj - 1) < 0.01
