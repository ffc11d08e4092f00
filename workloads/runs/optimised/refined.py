"""Refine how a network is mapped: the kind of tile of each layer, and blocks that are smaller than an array.

With the fit, replicas and places that were best so far; balanced replicas are balanced anew. First the kinds, where the
chip has several: if there are no more than `EVERY` assignments of kinds to layers, all of them are timed; else each
kind for all layers, and then layer by layer every other kind, as long as one helps. Then the cuts: layer by layer, the
most rows and the most columns of its blocks are halved, as long as that helps. Smaller blocks of rows (outputs) share
their converters among fewer lines; smaller ones of columns (inputs) give more partial sums. Layers come in the order of
what they are likely to take: vectors over replicas, for energy multiply-accumulates, for area blocks. At the end fits,
replicas and places are tried once more, with the kinds and cuts that were found.

The search for kinds and cuts is bounded: it times at most `MOST` combinations, and fewer of large networks, so that no
more than `MOST_ROWS` vectors on blocks are timed in all, but `LEAST` in any case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from rpusim.workloads.runs.optimised.combinations import OneLayer, Timer, Tried

Way = tuple[str, str | None, str]
"""Fit, replicas and placing."""

EVERY = 32
"""The most assignments of kinds to layers that are all timed."""
MOST, LEAST, MOST_ROWS = 60, 12, 1_000_000
"""The bound on the work, see the module."""


@dataclass
class Refinement:
    """What was tried beside the ways to fit, replicas and places.

    best:     the best so far.
    bound:    how many combinations may be timed.
    tried:    those that were.
    by:       how many of them, by what was varied: "kinds", "cuts", and "ways" for the ways that were tried once more.
    stopped:  whether the bound ended the search.
    """

    best: Tried
    bound: int
    tried: list[Tried] = field(default_factory=list)
    by: dict[str, int] = field(default_factory=lambda: {"kinds": 0, "cuts": 0, "ways": 0})
    stopped: bool = False
    _seen: set[str] = field(default_factory=set)

    def better(self, timer: Timer, what: str, **changed: Any) -> bool:
        """Time the best combination with something changed, and keep it if it is better.

        what: "kinds" or "cuts". changed: fields of its `Fit`. Returns whether it is.
        """
        fit = replace(self.best.fit, **changed)
        if str(fit) in self._seen:
            return False
        if len(self.tried) >= self.bound:
            self.stopped = True
            return False
        self._seen.add(str(fit))
        return self._kept_if_better(timer.tried(fit, self.best.replicas, self.best.placing), what)

    def once_more(self, timer: Timer, ways: Iterable[Way]) -> None:
        """Time other fits, replicas and places with the kinds and cuts that were found, if some were."""
        fit, best = self.best.fit, (self.best.fit.way, self.best.replicas, self.best.placing)
        if fit.kinds or fit.cuts:
            for way, replicas, placing in ways:
                if (way, replicas, placing) != best:
                    self._kept_if_better(timer.tried(replace(fit, way=way), replicas, placing), "ways")

    def _kept_if_better(self, found: Tried, what: str) -> bool:
        """Note a combination, and keep it if it is better than the best so far."""
        self.tried.append(found)
        self.by[what] += 1
        assert self.best.value is not None
        if found.value is None or (found.value, found.tiles) >= (self.best.value, self.best.tiles):
            return False
        self.best = found
        return True

    def document(self) -> dict[str, Any]:
        """Describe the search: what was timed, at most how much, and whether that bound ended it."""
        return {**self.by, "bound": self.bound, "stopped": self.stopped}


def refined(timer: Timer, best: Tried, ways: Iterable[Way] = ()) -> Refinement:
    """Search for better kinds of tiles and cuts.

    timer: times combinations. best: what to begin with. ways: fits, replicas and places to try once more at the end.
    """
    rows = sum(layer.vectors * layer.tiles for layer in best.layers)
    search = Refinement(best, max(LEAST, min(MOST, MOST_ROWS // max(rows, 1))))
    kinds = [kind.name for kind in timer.chip.tiles]
    if len(kinds) > 1:
        _kinds(search, timer, kinds)
    if timer.aim != "area":  # smaller blocks never take fewer tiles
        _cuts(search, timer)
    search.once_more(timer, ways)
    return search


def _kinds(search: Refinement, timer: Timer, kinds: list[str]) -> None:
    """Vary the kind of tile of every layer."""
    layers = _by_weight(search.best, timer.aim)
    search._seen.add(str(replace(search.best.fit, kinds={layer.name: layer.kind for layer in layers})))
    names = [layer.name for layer in layers]
    if len(kinds) ** len(names) <= EVERY:
        for chosen in product(kinds, repeat=len(names)):
            search.better(timer, "kinds", kinds=dict(zip(names, chosen, strict=True)))
        return
    for kind in kinds:
        search.better(timer, "kinds", kinds=dict.fromkeys(names, kind))
    while any([_another_kind(search, timer, name, kinds) for name in names]) and not search.stopped:
        pass


def _another_kind(search: Refinement, timer: Timer, name: str, kinds: list[str]) -> bool:
    """Try every other kind for one layer; returns whether one was better."""
    before = search.best
    for kind in kinds:
        now = {layer.name: layer.kind for layer in search.best.layers}
        if now[name] != kind:
            search.better(timer, "kinds", kinds={**now, name: kind})
    return search.best is not before


def _cuts(search: Refinement, timer: Timer) -> None:
    """Halve rows or columns of blocks, layer by layer."""
    for name in [layer.name for layer in _by_weight(search.best, timer.aim)]:
        while any(search.better(timer, "cuts", cuts=cuts) for cuts in _halved(search.best, name)):
            pass
        if search.stopped:
            return


def _halved(best: Tried, name: str) -> Iterator[dict[str, tuple[int, int]]]:
    """Yield the cuts with the blocks of one layer half as high, and half as wide."""
    layer = next(layer for layer in best.layers if layer.name == name)
    rows, columns = layer.rows, layer.columns
    if rows > 1:
        yield {**best.fit.cuts, name: (-(-rows // 2), columns)}
    if columns > 1:
        yield {**best.fit.cuts, name: (rows, -(-columns // 2))}


def _by_weight(best: Tried, aim: str) -> list[OneLayer]:
    """Order layers by what they are likely to take."""

    def weight(layer: OneLayer) -> float:
        of_time = layer.vectors / layer.replicas
        return {"energy": float(layer.macs), "area": float(layer.tiles)}.get(aim, of_time)

    return sorted(best.layers, key=weight, reverse=True)
