"""How long a language model takes to read a prompt and to write what follows: `rpusim time gpt2 --prompt --generate`.

All tokens of the prompt go through at once; their keys and values go to a cache. Then each step sends one token
through, reads the cache, and writes one more word. Weights lie where they lie for the prompt; experts that no token
reaches leak.

Only a few steps are timed. From one step to the next a little more is read and multiplied, so the others are taken to
be on straight lines between those that are timed, and no step to take less than the one before. How far that can be off
at most is in the result: what is left if every step between two timed ones took as much as the one or the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import torch

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.chips.chip import GivenChip, load_chip
from rpusim.arch.contract.activity import EMPTY
from rpusim.arch.contract.cell_layout import SINGLE
from rpusim.arch.contract.configuration import shown
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.arch.mapping.assumed_activity import PLAIN, STATEMENT
from rpusim.arch.mapping.assumed_work import AssumedWork, check
from rpusim.arch.mapping.fit.wanted import AS_IS, GivenFit
from rpusim.arch.mapping.placement import Bias, Placement, place, place_beside
from rpusim.arch.network.network import Network
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import Schedule
from rpusim.errors import InputError, nearest
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.results import document, reloading
from rpusim.workloads.results.result import Result
from rpusim.workloads.runs.inputs import GivenDevice, load_cells
from rpusim.workloads.zoo.language_models import Tokens
from rpusim.workloads.zoo.networks import NETWORKS

Cache = Literal["buffer", "global buffer", "DRAM"]
"""Where keys and values of tokens before are."""
TIMED = 3
"""How many steps are timed, if there are more: the first, those between, and the last."""


@dataclass(frozen=True)
class _Step:
    """Hold what one step took. before: tokens in the cache."""

    before: int
    ledger: Ledger


def time_language_model(
    network: str,
    chip: GivenChip,
    prompt: int,
    generate: int = 0,
    schedule: Schedule = "sequential",
    bias: Bias = "column",
    device: GivenDevice | None = None,
    cache: Cache | None = None,
    routing: Sequence[float] = (),
    fit: GivenFit = AS_IS,
) -> Result:
    """Find the time and energy of reading a prompt and writing what follows it, with assumed activity.

    network:  a language model of the zoo.
    chip:     a preset, a YAML file, or a `Chip`.
    prompt:   tokens that are read at once.
    generate: steps after that, each of which reads the token before and writes one.
    schedule: sequential or layer-pipelined; what may overlap.
    bias, device, fit: as for `rpusim.time_network`.
    cache:    where keys and values are; None: in the tiles' buffers where they have room, else in the global buffer,
              else in DRAM.
    routing:  of a mixture of experts, the share of tokens that goes to each; empty: all alike.

    Returns the result of both together, as of one sample, with each by itself in ``language``. Raises InputError for
    what is no language model, or for a cache that the chip does not have or that is too small.
    """
    if network not in NETWORKS or NETWORKS[network].writes is None:
        known = [name for name, entry in NETWORKS.items() if entry.writes is not None]
        raise InputError(f"network: got {shown(repr(network))}, which writes no tokens{nearest(network, known)}")
    for name, given, least in (("prompt", prompt, 1), ("generate", generate, 0)):
        if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= MOST_TOKENS:
            raise InputError(f"{name}: got {shown(repr(given))}, accepted: whole numbers from {least} to {MOST_TOKENS}")
    experts = NETWORKS[network].experts
    if len(routing) not in (0, experts):
        accepted = f"{experts} shares, one for each expert" if experts else f"none, as {network} has no experts"
        raise InputError(f"routing: got {len(routing)} shares, accepted: {accepted}")
    on = load_chip(chip)
    cells = None if device is None else load_cells(device, on)
    read = _captured(network, Tokens(prompt, 0, True, tuple(routing)))
    placement = place(read, on, bias, cells.layout if cells else SINGLE, fit=fit)
    check(placement, 1, False, schedule, 1)
    numbers = (prompt + generate) * _words(read, "to the cache") // prompt
    placement = replace(placement, cache=_where(placement, cache, numbers, prompt))
    meter = _metered(placement, schedule)
    steps = [
        _Step(
            before,
            _metered(
                place_beside(_captured(network, Tokens(1, before, True, tuple(routing))), placement), schedule
            ).ledger(),
        )
        for before in _timed(prompt, generate)
    ]
    first, measured = meter.ledger(), meter.measured()
    taking_turns = reloading.document(placement, first, lambda still: _metered(still, schedule).ledger())
    written = Ledger.total(_weighed(steps))
    both = Ledger.total([(1, first), (1, written)])
    last = _captured(network, Tokens(1, prompt + generate // 2, True, tuple(routing))) if generate else None
    operations = document.operations_per_sample(read, False)
    operations += generate * document.operations_per_sample(last, False) if last else 0
    language = {
        "prompt": prompt,
        "generate": generate,
        "cache": _cache_document(placement, numbers),
        "reading": _costs(first, prompt),
        **({"writing": _writing(steps, written, generate)} if generate else {}),
        "assumed": _assumed(network, routing, steps, generate),
    }
    return document.result(
        replace(measured, ledger=both, sensitivity={}),
        operations_per_sample=operations,
        provenance=[*on.provenance(), *(cells.provenance() if cells else ())],
        assumption=STATEMENT,
        last={"language": language, **taking_turns},
    )


MOST_TOKENS = 10**6
"""The most tokens of a prompt, and the most steps behind it."""


def _captured(network: str, tokens: Tokens) -> Network:
    """Capture a language model for given tokens, without storage."""
    writes = NETWORKS[network].writes
    assert writes is not None, "a language model"
    with torch.device("meta"):
        module = writes(tokens)
    return capture(module, ((tokens.new,), torch.int64), network)


def _metered(placement: Placement, schedule: Schedule) -> Meter:
    """Time one sample."""
    meter, work = Meter(make_plan(placement), schedule), AssumedWork(placement, 1, False, 1, PLAIN, EMPTY)
    if not (work.by_layer and meter.layers(work.by_layer)):
        meter.repeat(work.mini_batches, 1)
    return meter


def _timed(prompt: int, generate: int) -> list[int]:
    """Choose the steps that are timed, by how many tokens went before: the first, the last, and some between."""
    last = generate - 1
    chosen = range(generate) if generate <= TIMED else [number * last // (TIMED - 1) for number in range(TIMED)]
    return [prompt + number for number in chosen]


def _weighed(steps: Sequence[_Step]) -> list[tuple[Fraction, Ledger]]:
    """Say how often each timed step counts, so that all those between are on straight lines."""
    times = [Fraction(1)] * len(steps)
    for number, (one, other) in enumerate(itertools.pairwise(steps)):
        between = Fraction(other.before - one.before - 1, 2)
        times[number] += between
        times[number + 1] += between
    return [(each, step.ledger) for each, step in zip(times, steps, strict=True)]


def _off(steps: Sequence[_Step], what: str) -> int:
    """Return by how much the sum over all steps can be off at most; ``what``: of a ledger."""
    most = Fraction(0)
    for one, other in itertools.pairwise(steps):
        gap = other.before - one.before
        difference = abs(getattr(other.ledger, what) - getattr(one.ledger, what))
        most += sum(Fraction(max(place, gap - place), gap) for place in range(1, gap)) * difference
    return -(-most.numerator // most.denominator)


def _words(network: Network, function: str) -> int:
    """Count the numbers of a sample of a function."""
    stages = range(-1, len(network.layers) + len(network.sums))
    return sum(network.functions(stage).get(function, 0) for stage in stages)


def _where(placement: Placement, asked: str | None, numbers: int, prompt: int) -> str:
    """Choose where the cache is, and refuse what the chip does not have or what is too small."""
    chip, bits = placement.chip, _bits(placement, numbers)
    there = {"global buffer": chip.global_buffer, "DRAM": chip.memory}
    accepted = ["buffer", *(name for name, part in there.items() if part)]
    if asked is not None and asked not in accepted:
        raise InputError(
            f"cache: got {shown(repr(asked))}, which chip {chip.name} does not have; accepted: {', '.join(accepted)}"
        )
    if asked in (None, "buffer") and _lacking(placement, numbers) == 0:
        return "buffer"
    for name, part in there.items():
        if part and asked in (None, name):
            if part.capacity >= bits:
                return name
            if asked == name:
                raise InputError(
                    f"cache: keys and values take {bits} bits, but the {name} of chip {chip.name} has {part.capacity}; "
                    "accepted: fewer tokens, or a larger one"
                )
    return "buffer"


def _bits(placement: Placement, numbers: int) -> int:
    return numbers * placement.chip.tiles[0].digital.word_bits


def _lacking(placement: Placement, numbers: int) -> int:
    """Count the bits for which the buffers of the tiles that multiply keys and values have no room."""
    network, kinds = placement.network, placement.chip.tiles
    whole, lacking = max(_words(network, "to the cache"), 1), 0
    taken: dict[int, tuple[int, float]] = {}
    for stage in range(len(network.layers) + len(network.sums)):
        if words := network.functions(stage).get("to the cache", 0):
            homes = placement.layers[network.home(stage)].row_homes
            for home in homes:
                kind = kinds[home.kind]
                bits = numbers * words * kind.digital.word_bits // (whole * len(homes))
                taken[home.chip_tile] = taken.get(home.chip_tile, (0, 0))[0] + bits, kind.buffer.capacity
    for bits, capacity in taken.values():
        lacking += max(bits - round(capacity), 0)
    return lacking


def _cache_document(placement: Placement, numbers: int) -> dict[str, Any]:
    lacking = _lacking(placement, numbers) if placement.cache == "buffer" else 0
    return {"where": placement.cache, "b": _bits(placement, numbers), "lacking_b": lacking}


def _costs(ledger: Ledger, tokens: int) -> dict[str, float]:
    seconds, joules = ledger.time_ps / PICOSECONDS_PER_SECOND, ledger.total_zj / ZEPTOJOULES_PER_JOULE
    return {
        "total_s": seconds,
        "total_J": joules,
        "tokens_per_s": tokens / seconds,
        "per_token_J": joules / tokens,
    }


def _writing(steps: Sequence[_Step], written: Ledger, generate: int) -> dict[str, Any]:
    first, last = steps[0].ledger, steps[-1].ledger
    return {
        **_costs(written, generate),
        "first_s": first.time_ps / PICOSECONDS_PER_SECOND,
        "last_s": last.time_ps / PICOSECONDS_PER_SECOND,
        "timed_steps": [step.before for step in steps],
        "off_by_at_most_s": _off(steps, "time_ps") / PICOSECONDS_PER_SECOND,
        "off_by_at_most_J": _off(steps, "total_zj") / ZEPTOJOULES_PER_JOULE,
    }


def _assumed(network: str, routing: Sequence[float], steps: Sequence[_Step], generate: int) -> list[str]:
    """List what was assumed, in sentences."""
    found = []
    if generate > len(steps):
        found.append(
            f"{len(steps)} of {generate} steps were timed; the others are on straight lines between them, and no step "
            "takes less than the one before"
        )
    if NETWORKS[network].experts:
        shares = "all alike" if not routing else "shares " + ", ".join(f"{share:g}" for share in routing)
        found.append(
            f"tokens are dealt out to experts in turn ({shares}); a step with one token goes to the first of them"
        )
    return found
