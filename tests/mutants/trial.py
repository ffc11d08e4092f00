"""Tries the tests of a room on mutants of its code: ``python tests/mutants/trial.py --room arch/parts --sample 25``.

The checkout is copied to a temporary folder for every worker, and only the copies are changed. A mutant is killed if
the tests of its room (`ROOMS`) fail on it, or take much longer than on the code as it is; else it has survived, unless
`equivalent.yaml` says why it does what the code does. The sample depends on the seed and the code alone. Loops are
compiled anew: every mutant gets its own copy of a cache that the code as it is has filled.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import yaml
from mutations import Mutant, mutants

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
ROOMS = {
    "arch/parts": ["tests/arch/odd_chip", "tests/arch/parts", "tests/arch/chips", "tests/arch/account/test_ledger.py"],
    "arch/account": ["tests/arch/odd_chip", "tests/arch/account"],
    "kernels/pulses": ["tests/kernels/pulses"],
    "kernels/mvm": ["tests/kernels/mvm"],
}
"""Rooms whose code is changed, and the tests that have to notice."""
PACKAGE = ("arch", "kernels", "workloads", "reports", "tests", "docs", "__init__.py", "errors.py", "pyproject.toml")
ENOUGH = 0.95
"""Share of the mutants that are not equivalent which the tests have to kill."""


class Workplace:
    """A copy of the package in which one mutant at a time is tried."""

    def __init__(self, folder: Path) -> None:
        self.root, self._cache, self._spare = folder / "package", folder / "cache", folder / "spare"
        unwanted = shutil.ignore_patterns(".hypothesis", ".pytest_cache", ".mypy_cache", ".ruff_cache")
        self.root.mkdir(parents=True)
        for name in PACKAGE:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.root / name, symlinks=True, ignore=unwanted)
            else:
                shutil.copy2(ROOT / name, self.root / name)
        self._cache.mkdir()

    def passes(self, tests: Sequence[str], cache: Path, seconds: float | None) -> bool:
        """Whether the tests pass in time."""
        paths = {"PYTHONPATH": str(self.root / "tests/.dev"), "NUMBA_CACHE_DIR": str(cache)}
        options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", "--hypothesis-seed=0"]
        command = [sys.executable, "-m", "pytest", *options, *tests]
        try:
            done = subprocess.run(
                command, cwd=self.root, env={**os.environ, **paths, "PYTHONDONTWRITEBYTECODE": "1"}, timeout=seconds,
                capture_output=True, text=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        assert done.returncode != 5, f"no tests in {', '.join(tests)}"
        self.said = done.stdout
        return done.returncode == 0

    def prepare(self, tests: Sequence[str]) -> float:
        """Run the tests of a room on the code as it is, twice, as the first time compiles; returns seconds."""
        for _ in range(2):
            began = time.monotonic()
            if not self.passes(tests, self._cache, None):
                raise SystemExit(f"the tests fail on the code as it is:\n{self.said[-3000:]}")
        return time.monotonic() - began

    def kills(self, mutant: Mutant, tests: Sequence[str], seconds: float) -> bool:
        """Whether the tests notice the mutant; those named after its file go first, as the first failure is enough."""
        path = self.root / mutant.path
        source, stat = path.read_text(encoding="utf-8"), path.stat()
        about = [str(t.relative_to(self.root)) for t in (self.root / "tests").rglob(f"test_{path.stem}*.py")]
        first = sorted(t for t in about if any(t.startswith(one) for one in tests))
        shutil.rmtree(self._spare, ignore_errors=True)
        shutil.copytree(self._cache, self._spare, copy_function=os.link)  # numba replaces files, it never writes in one
        path.write_text(mutant.of(source), encoding="utf-8")
        try:
            return not self.passes([*first, *tests], self._spare, seconds)
        finally:
            path.write_text(source, encoding="utf-8")
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # what was compiled from it is good again


def found(room: str, root: Path | None = None) -> list[Mutant]:
    """All mutants of the files that a room has in this checkout, or in a copy of it."""
    root = root or ROOT
    paths = sorted((root / room).rglob("*.py"))
    return [m for path in paths for m in mutants(str(path.relative_to(root)), path.read_text(encoding="utf-8"))]


def sample(every: Sequence[Mutant], number: int, seed: int) -> list[Mutant]:
    """So many of them, or all."""
    return random.Random(seed).sample(every, min(number, len(every)))


@dataclass(frozen=True)
class Equivalents:
    """Mutants that do what the code does: by function and line, what the line becomes; None: whatever it becomes."""

    lines: dict[tuple[str, str], set[str] | None]

    @staticmethod
    def listed() -> Equivalents:
        """Those of `equivalent.yaml`, which says why for each."""
        lines: dict[tuple[str, str], set[str] | None] = {}
        for entry in yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")):
            assert len(entry["because"]) > 10, f"why is it equivalent? {entry}"
            key, becomes = (entry["where"], entry["line"]), entry.get("becomes")
            assert key not in lines and not isinstance(becomes, str), f"one entry per line, a list of mutants: {entry}"
            lines[key] = None if becomes is None else set(becomes)
        return Equivalents(lines)

    def __contains__(self, mutant: Mutant) -> bool:
        becomes = self.lines.get((mutant.where, mutant.line), set())
        return becomes is None or mutant.becomes in becomes

    def gone(self, rooms: Sequence[str]) -> list[tuple[str, str]]:
        """Lines of these rooms that are on the list, but no longer in the code."""
        there = {(mutant.where, mutant.line) for room in rooms for mutant in found(room)}
        return [key for key in self.lines if key not in there and any(key[0].startswith(room) for room in rooms)]


def try_room(room: str, number: int, seed: int, places: Sequence[Workplace], only: str) -> Counter[str]:
    """Try a sample of a room's mutants; prints what became of each, and returns how many were killed and survived."""
    every, known = [m for m in found(room, places[0].root) if only in m.where], Equivalents.listed()
    chosen, free = sample(every, number, seed), Queue[Workplace]()
    wanted = any(mutant not in known for mutant in chosen)
    slowest = max(place.prepare(ROOMS[room]) for place in places) if wanted else 0.0
    for place in places:
        free.put(place)

    def judged(mutant: Mutant) -> tuple[Mutant, str]:
        if mutant in known:
            return mutant, "equivalent"
        place = free.get()
        try:
            return mutant, "killed" if place.kills(mutant, ROOMS[room], 60 + 5 * slowest) else "survived"
        finally:
            free.put(place)

    tally = Counter[str]()
    with ThreadPoolExecutor(len(places)) as pool:
        for mutant, fate in pool.map(judged, chosen):
            tally[fate] += 1
            print(f"{fate:<10} {mutant}", flush=True)
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--room", choices=list(ROOMS), action="append", help="only this one (may be repeated)")
    parser.add_argument("--sample", type=int, default=20, help="mutants of each room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="mutants tried at a time")
    parser.add_argument("--only", default="", help="only mutants in whose path or function this occurs")
    given = parser.parse_args(arguments)
    tallies: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        places = [Workplace(Path(folder) / str(number)) for number in range(given.jobs)]
        for room in given.room or ROOMS:
            tallies[room] = try_room(room, given.sample, given.seed, places, given.only)
    total = sum(tallies.values(), Counter[str]())
    print(f"\nseed {given.seed:<12} killed  survived  equivalent")
    for room, tally in [*tallies.items(), ("all", total)]:
        print(f"{room:<17} {tally['killed']:>6}  {tally['survived']:>8}  {tally['equivalent']:>10}")
    for where, line in Equivalents.listed().gone(list(tallies)):
        print(f"no longer there, take it off {EQUIVALENT.name}: {where}: {line}")
    return 0 if total["killed"] >= ENOUGH * (total["killed"] + total["survived"]) else 1


if __name__ == "__main__":
    sys.exit(main())
