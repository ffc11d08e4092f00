"""Vary every assumed number of a chip and its cards, and price the same work again: which assumptions carry the total?

What was done is not changed. From some events of the work it is counted how often each part did each of its actions,
and how its pauses lie; with other cards these counts give another energy of each part at work and at rest, and the
ledger of the whole work is scaled by the ratio, part by part and state by state. Where parts would be woken otherwise,
because of ``gating``, or as they wake in another time or draw nothing while they wait, or where wires are longer as
cells are larger, operations begin at other times: then the same rows of activity are timed again, and what rests is
that of the new times.

A number is assumed if its source says so, or if its card is one of basis "assumption". It is varied over the range
that its card states (``ranges``), else from half to twice its value. Choices of the chip's file that its sources call
assumptions (``gating``, ``leakage``) are varied, too. Not varied are leakages that ``leakage: low-standby`` replaces,
numbers on which more of the time depends (rates, clocks, sizes, counts), for they change what is done, and areas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from rpusim.arch.account.ledger import RESTING, Ledger
from rpusim.arch.account.pauses import Pauses
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.account.rest import Rest
from rpusim.arch.chips import library
from rpusim.arch.chips.bill_of_parts import BillOfParts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.corner import at_low_standby
from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.activity import Activity
from rpusim.arch.contract.quantity import ZEPTOJOULES_PER_JOULE, picoseconds
from rpusim.arch.engine.events import Events
from rpusim.arch.parts.part import Action, Card, Part
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, run

MOST = 10
"""How many assumptions a result shows, those that change the total most."""
MOST_ROWS = 100_000
"""Rows of activity that are timed again, at most; of larger work the times are kept as they were."""
_UNIT_ZJ = 10**6
"""What an action costs whose number is counted."""
_NOT_PRICED = ("area", "node", "rated_bits", "rated_rate", "rated_bandwidth")


@dataclass(frozen=True)
class Assumption:
    """Say what the total energy would be with other values of one assumed number.

    field:   where it stands, as in the provenance.
    value:   as it was taken; a choice is a word.
    unit:    of the value; "" of a choice.
    source:  what is said of it.
    low:     the value that is tried below.
    high:    the value that is tried above.
    low_J:   total energy with ``low``.
    high_J:  total energy with ``high``.
    """

    field: str
    value: float | str
    unit: str
    source: str
    low: float | str
    high: float | str
    low_J: float
    high_J: float

    def swing(self, total: float) -> float:
        """Return by how much the total changes at most (J)."""
        return max(abs(self.low_J - total), abs(self.high_J - total))


class Sensitivity:
    """Price work again with other cards.

    Args:
        plan: of the chip and network.
        ledger: of the whole work.
        events: some of the work.
        activity: the rows that these events come from.
        schedule: by which they were timed.

    Attributes:
        times_again: whether work is timed again where operations would begin at other times.
    """

    def __init__(self, plan: Plan, ledger: Ledger, events: Events, activity: Activity, schedule: Schedule) -> None:
        self._plan, self._ledger, self._events, self._activity = plan, ledger, events, activity
        self._schedule = schedule
        last = activity.step[events.row[events.row >= 0]].max(initial=-1)
        self._rows = activity.select(activity.step <= last)
        self.times_again = len(self._rows) <= MOST_ROWS
        self._chip = plan.placement.chip
        self._bill = plan.placement.bill
        self._timed = {(plan.waking, _hop_ps(self._bill)): events}
        self._counts = self._counted()
        self._at_work, self._at_rest = self._working(self._bill), self._resting(self._plan, self._bill, events)

    def rows(self, most: int = MOST) -> tuple[list[dict[str, Any]], int]:
        """Return the assumptions that change the total most, as keys of a result, and how many were tried."""
        total = self.total(self._chip)
        tried = [*self._choices(), *self._numbers()]
        tried.sort(key=lambda one: -one.swing(total))
        return [asdict(one) for one in tried[:most] if one.swing(total) > 0], len(tried)

    def total(self, chip: Chip) -> float:
        """Return the energy (J) of the whole work on a chip that differs in prices alone."""
        plan = replace(self._plan, placement=replace(self._plan.placement, chip=chip))
        bill = plan.placement.bill
        working, resting = self._working(bill), self._resting(plan, bill, self._events_of(plan, bill))
        total = 0.0
        for (part, phase, _), zeptojoules in self._ledger.energy.items():
            if phase not in RESTING:
                total += zeptojoules * _ratio(working, self._at_work, part)
            elif self._at_rest.get((part, phase)):
                total += zeptojoules * _ratio(resting, self._at_rest, (part, phase))
        # What rests now and did not before grows with time.
        time = self._ledger.time_ps / max(self._events.makespan_ps, 1)
        total += sum(zj * time for key, zj in resting.items() if not self._at_rest.get(key))
        return total / ZEPTOJOULES_PER_JOULE

    # --- what is tried ------------------------------------------------------------------------------------------------

    def _choices(self) -> Iterator[Assumption]:
        for name, others in (("gating", ("none", "idle", "tile")), ("leakage", ("low-standby", "as-published"))):
            source = self._chip.sources.get(name, self._chip.source)
            taken = getattr(self._chip, name)
            if name not in self._chip.sources or not _assumed(source):
                continue
            totals = {other: self.total(self._chip.model_copy(update={name: other})) for other in others}
            low, high = min(totals, key=lambda other: totals[other]), max(totals, key=lambda other: totals[other])
            yield Assumption(f"chip.{name}", taken, "", source, low, high, totals[low], totals[high])

    def _numbers(self) -> Iterator[Assumption]:
        for card in self._cards():
            prefix = f"cards.{card.name}."
            stated = [*card.numbers(prefix.rstrip(".")), *self._unsaid(card)]
            for number in stated:
                field, value = number["field"].removeprefix(prefix), number["value"]
                if field.partition(".")[0] in _NOT_PRICED or not isinstance(value, float) or not value:
                    continue
                if not _assumed(number["source"]) or (field == "leakage" and self._leaks_otherwise(card)):
                    continue
                low, high = card.range(_last(field)) if _last(field) in card.ranges else (value / 2, value * 2)
                low_j, high_j = (self._with(card, field, other) for other in (low, high))
                yield Assumption(number["field"], value, number["unit"], number["source"], low, high, low_j, high_j)

    def _leaks_otherwise(self, card: Card) -> bool:
        """Tell whether the chip brings a card to a corner, so that the leakage that the card states is nowhere."""
        return self._chip.leakage == "low-standby" and at_low_standby(card) is not card

    def _cards(self) -> list[Card]:
        """Return the cards of all parts in use, as they are before they are scaled."""
        cards = {card.name: card for card in self._bill.originals}
        scaled = tuple(f"{name} at " for name in cards)
        for part in self._bill.all_parts():
            name = part.card.name
            if not name.startswith(scaled) or name in self._chip.cards:
                cards.setdefault(name, self._chip.cards.get(name) or library.library().get(name) or part.card)
        return [cards[name] for name in sorted(cards)]

    def _unsaid(self, card: Card) -> list[dict[str, Any]]:
        """List what is assumed as the card does not say it."""
        return [row for part in self._bill.all_parts() if part.card.name == card.name for row in part.assumed()][:2]

    def _with(self, card: Card, field: str, value: float) -> float:
        """Return the total energy (J) with another number on a card; not a number where it cannot have that."""
        head, _, inner = field.partition(".")
        if head == "energy":
            update: dict[str, Any] = {"energy": {**card.energy, inner: value}}
        elif head == "cmos":
            assert card.cmos is not None
            cell = card.cmos.model_copy(update={inner: value})
            update = {"cmos": cell, "leakage": cell.standby, "area": cell.area}
        elif inner:
            update = {head: getattr(card, head).model_copy(update={inner: value})}
        else:
            update = {head: value}
        other = card.model_copy(update=update)
        tiles = tuple(
            kind.model_copy(update={"adc": kind.adc.model_copy(update={"card": card.name})})
            if not isinstance(kind.adc.card, str) and self._converter(kind).name == card.name
            else kind
            for kind in self._chip.tiles
        )
        return self.total(
            self._chip.model_copy(update={"tiles": tiles, "cards": {**self._chip.cards, card.name: other}})
        )

    def _converter(self, kind: TileKind) -> Card:
        """Return the card of the converters of a kind of tile."""
        return kind.adc.converter(lambda name: library.find(name, self._chip.cards, "card"))

    # --- what the events say ------------------------------------------------------------------------------------------

    def _counted(self) -> dict[tuple[int, str, str], float]:
        """Count the actions of the parts in the events: by kind of tile (-1: of the chip), part and action."""
        found = {}
        kinds = [*enumerate(self._bill.tiles), (-1, self._bill.chip_wide)]
        used = {block.kind for block in self._plan.placement.blocks()} | {-1}
        for k, parts in kinds:
            for part in parts.values() if k in used else ():
                for action in part.actions:
                    bill = _only(self._bill, k, action)
                    priced = Pricer(self._plan, bill).priced(self._events, self._activity)
                    number = sum(float(zj.astype(float).sum()) for name, _, zj in priced if name == part.name)
                    found[k, part.name, action] = number / _UNIT_ZJ
        return found

    def _working(self, bill: BillOfParts) -> dict[str, float]:
        """Return the energy (zJ) of the events by part; of support circuits their power."""
        found: dict[str, float] = {}
        for (k, name, action), number in self._counts.items():
            part = (bill.chip_wide if k < 0 else bill.tiles[k])[name]
            cost = part.actions[action].energy_zj if action in part.actions else 0
            found[name] = found.get(name, 0.0) + number * cost
        for part in bill.all_parts():
            if not part.actions:
                found[part.name] = found.get(part.name, 0.0) + part.units * (part.card.power or 0.0)
        return found

    def _events_of(self, plan: Plan, bill: BillOfParts) -> Events:
        """Return the same events as they are on a plan in which parts are woken otherwise, or hops are longer."""
        when = plan.waking, _hop_ps(bill)
        if when not in self._timed:
            if not self.times_again:
                return self._events
            again = run(make_plan(plan.placement), self._rows, self._schedule)
            self._timed[when] = again.first(len(self._events))
        return self._timed[when]

    def _resting(self, plan: Plan, bill: BillOfParts, events: Events) -> dict[tuple[str, str], float]:
        """Return what is drawn (zJ) by part and phase besides the events."""
        rest, ledger = Rest(plan, bill), Ledger(time_ps=events.makespan_ps)
        busy = events.busy_ps(len(plan.stations)).tolist()
        rest.book(ledger, busy, Pauses.of(events, rest.groups) if rest.groups else Pauses.none(0))
        return {(part, phase): float(zj) for (part, phase, _), zj in ledger.energy.items()}


def _only(bill: BillOfParts, k: int, action: str) -> BillOfParts:
    """Return a bill in which, of all parts with actions, one action on one kind of tile costs something.

    k: which kind; -1: of the parts that the chip has once.
    """

    def free(part: Part, here: bool) -> Part:
        costs = {
            one: Action(of.latency_ps, _UNIT_ZJ if here and one == action else 0) for one, of in part.actions.items()
        }
        return replace(part, actions=costs)

    tiles = tuple(
        {one: free(part, number == k) for one, part in parts.items()} for number, parts in enumerate(bill.tiles)
    )
    return replace(bill, tiles=tiles, chip_wide={one: free(part, k < 0) for one, part in bill.chip_wide.items()})


def _hop_ps(bill: BillOfParts) -> int:
    """Return how long a message is on its way from router to router (ps), which grows with the area of a tile."""
    return picoseconds(bill.hop_seconds)


def _ratio(now: Mapping[Any, float], before: Mapping[Any, float], key: object) -> float:
    """Return what a key has now over what it had; 1 where it had nothing."""
    had = before.get(key, 0.0)
    return now.get(key, 0.0) / had if had else 1.0


def _assumed(source: str) -> bool:
    return "assum" in source.lower()


def _last(field: str) -> str:
    return field.rpartition(".")[2]
