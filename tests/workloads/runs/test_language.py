"""Language models that read a prompt and write: what a cache costs, and how few steps stand for all."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from rpusim.arch.account.ledger import STANDBY
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import EMPTY
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.assumed_activity import PLAIN
from rpusim.arch.mapping.assumed_work import AssumedWork
from rpusim.arch.mapping.placement import place, place_beside
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError
from rpusim.reports.cli.schema import problem, schema_of
from rpusim.workloads.runs import language
from rpusim.workloads.runs.language import time_language_model
from rpusim.workloads.zoo.language_models import Gpt2, Llama, Tokens
from rpusim.workloads.zoo.networks import NETWORKS, Entry

WIDTH, BLOCKS, WORDS = 128, 2, 50


def tiny(tokens):
    return Gpt2(WIDTH, BLOCKS, WORDS, 16, tokens)


def tiny_llama(tokens):
    return Llama(WIDTH, BLOCKS, 2, 96, WORDS, tokens)


def tiny_mixture(tokens):
    return Gpt2(WIDTH, BLOCKS, WORDS, 16, tokens, tokens.shares or (1.0,) * 4)


@pytest.fixture(autouse=True)
def small_models(monkeypatch):
    for name, model in (("tiny", tiny), ("tiny-llama", tiny_llama), ("tiny-mixture", tiny_mixture)):
        entry = Entry(partial(model, Tokens(8)), (8,), name, "of this test", model, 4 if model is tiny_mixture else 0)
        monkeypatch.setitem(NETWORKS, name, entry)


@pytest.fixture(scope="module")
def chip():
    """A chip with a global buffer and DRAM."""
    shipped = Chip.load("neurosim-vgg8")
    return shipped.model_copy(update={"tiles": (shipped.tiles[0].model_copy(update={"count": 200}),)})


def placed(network, chip, cache="buffer", beside=None):
    found = place(network, chip) if beside is None else place_beside(network, beside)
    return replace(found, cache=cache)


def events(placement, engine="compiled"):
    plan = make_plan(placement)
    activity = AssumedWork(placement, 1, False, 1, PLAIN, EMPTY).all()
    return plan, run(plan, activity, "sequential", engine)


@pytest.mark.parametrize("name", ["tiny", "tiny-llama"])
def test_each_block_reads_keys_and_values_of_all_tokens_before_and_writes_those_of_the_new_ones(name):
    for new, before in ((1, 9), (6, 0)):
        network = language._captured(name, Tokens(new, before, True))
        assert language._words(network, "of the cache") == 2 * BLOCKS * before * WIDTH
        assert language._words(network, "to the cache") == 2 * BLOCKS * new * WIDTH
        assert network.products == 2 * BLOCKS * new * (before + new) * WIDTH


@pytest.mark.parametrize("where", ["global buffer", "DRAM"])
def test_what_a_step_moves_to_and_from_its_cache_is_what_it_reads_and_writes(chip, where):
    network = language._captured("tiny", Tokens(1, 9, True))
    moved = {}
    for cache in ("buffer", where):
        plan, found = events(placed(network, chip, cache))
        mine = found.station == plan.outside[where]
        moved[cache] = [int(found.amount[mine & (found.op == op)].sum()) for op in (Op.FETCH, Op.STORE)]
    word = chip.tiles[0].digital.word_bits
    more = [new - old for new, old in zip(moved[where], moved["buffer"], strict=True)]
    assert more == [2 * BLOCKS * 9 * WIDTH * word, 2 * BLOCKS * WIDTH * word]


@pytest.mark.parametrize("where", ["buffer", "global buffer", "DRAM"])
def test_both_engines_agree_on_a_step_with_a_cache(chip, where):
    placement = placed(language._captured("tiny-llama", Tokens(1, 5, True)), chip, where)
    (_, fast), (_, definition) = events(placement), events(placement, "simpy")
    for column in ("start", "end", "station", "amount"):
        assert np.array_equal(getattr(fast, column), getattr(definition, column))


def test_a_conversation_is_its_prompt_and_its_steps(chip):
    found = time_language_model("tiny", chip, 6, 3)
    reading = time_language_model("tiny", chip, 6, 0)
    steps = []
    prompt = placed(language._captured("tiny", Tokens(6, 0, True)), chip)
    for before in (6, 7, 8):
        step = placed(language._captured("tiny", Tokens(1, before, True)), chip, beside=prompt)
        steps.append(language._metered(step, "sequential").ledger())
    total = reading["time"]["total_s"] + sum(step.time_ps for step in steps) * 1e-12
    assert found["time"]["total_s"] == pytest.approx(total, rel=1e-12)
    assert found["language"]["reading"]["total_s"] == reading["time"]["total_s"]
    joules = reading["energy"]["total_J"] + sum(step.total_zj for step in steps) * 1e-21
    assert found["energy"]["total_J"] == pytest.approx(joules, rel=1e-12)
    assert found["language"]["writing"]["off_by_at_most_s"] == 0
    assert found["language"]["writing"]["tokens_per_s"] == pytest.approx(3 / sum(s.time_ps for s in steps) * 1e12)
    assert problem(found.document, schema_of("result")) == ""


@pytest.mark.parametrize("name", ["tiny", "tiny-llama"])
def test_few_steps_stand_for_all_within_what_the_result_says(chip, name, monkeypatch):
    few = time_language_model(name, chip, 4, 9)["language"]
    monkeypatch.setattr(language, "TIMED", 9)
    every = time_language_model(name, chip, 4, 9)["language"]
    assert (len(few["writing"]["timed_steps"]), len(every["writing"]["timed_steps"])) == (3, 9)
    assert any("3 of 9 steps were timed" in said for said in few["assumed"])
    for what in ("s", "J"):
        off = abs(few["writing"][f"total_{what}"] - every["writing"][f"total_{what}"])
        assert off <= few["writing"][f"off_by_at_most_{what}"]
        assert off < 1e-3 * every["writing"][f"total_{what}"]


def test_experts_that_no_token_reaches_leak(chip):
    prompt = placed(language._captured("tiny-mixture", Tokens(8, 0, True)), chip)
    network = language._captured("tiny-mixture", Tokens(1, 8, True))
    step = placed(network, chip, beside=prompt)
    assert step.tiles_used == prompt.tiles_used
    assert len({block.layer for block in step.blocks()}) < len({block.layer for block in prompt.blocks()})

    def standby(placement):
        ledger = language._metered(placement, "sequential").ledger()
        return ledger.by(1)[STANDBY] / ledger.time_ps

    assert standby(step) == pytest.approx(standby(prompt), rel=1e-12)
    assert standby(step) > standby(placed(network, chip))


def test_routing_says_how_many_tokens_each_expert_gets():
    network = language._captured("tiny-mixture", Tokens(16, 0, True, (4, 2, 1, 1)))
    vectors = {
        layer.name.split(".")[4]: layer.vectors
        for layer in network.layers
        if layer.name.startswith("blocks.0.forward2.experts") and "wide" in layer.name
    }
    assert vectors == {"0": 16, "1": 8, "2": 4, "3": 4}


class TestAPromptIsRefused:
    def test_by_a_network_that_writes_no_tokens(self, chip):
        with pytest.raises(InputError, match=r"network: got 'gpt', which writes no tokens; did you mean 'gpt2'"):
            time_language_model("gpt", chip, 8)

    @pytest.mark.parametrize(("prompt", "generate"), [(0, 1), (8, -1), (8.0, 1), (10**9, 1)])
    def test_of_a_number_that_is_none(self, chip, prompt, generate):
        with pytest.raises(InputError, match=r"(prompt|generate): got .*accepted: whole numbers from . to 1000000"):
            time_language_model("tiny", chip, prompt, generate)

    def test_with_shares_that_are_not_one_for_each_expert(self, chip):
        with pytest.raises(InputError, match=r"routing: got 3 shares, accepted: 4 shares, one for each expert"):
            time_language_model("tiny-mixture", chip, 8, routing=(1, 1, 1))
        with pytest.raises(InputError, match=r"routing: got 2 shares, accepted: none, as tiny has no experts"):
            time_language_model("tiny", chip, 8, routing=(1, 1))

    def test_with_a_cache_that_the_chip_does_not_have(self):
        with pytest.raises(
            InputError, match=r"cache: got 'DRAM', which chip reram-512 does not have; accepted: buffer"
        ):
            time_language_model("tiny", "reram-512", 8, cache="DRAM")
