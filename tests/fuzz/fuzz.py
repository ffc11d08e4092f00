"""Tries altered inputs of every kind: ``python tests/fuzz/fuzz.py --number 10000 --seed 0``.

Every input follows from the seed and its number alone. It has to be taken or refused with an `InputError` of one
sentence, within `SECONDS` of computing and `MEGABYTES` of memory beyond what the process has when it is ready. What
fails is printed with its number; ``--only 0:1234`` tries that one alone and shows the traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parent))

SECONDS, WAITING = 5.0, 60.0
"""The most seconds of computing for an input; a process that says nothing for so long is taken to hang."""
MEGABYTES = 2048
LONGEST = 700
"""The most characters of a sentence."""


class TooLong(BaseException):
    """An input took more than `SECONDS`; no handler of the code that is tried catches it."""


def outcome(tried: Callable[[random.Random], None], chance: random.Random) -> tuple[str, str]:
    """Try one input: ("taken" or "refused", the sentence), or what went wrong and how."""
    from targets import Wrong

    from rpusim.errors import InputError

    try:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            tried(chance)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except InputError as error:
        said = str(error)
        if not said or "\n" in said or len(said) > LONGEST or "Traceback" in said:
            return "not one sentence", said[:2000]
        return "refused", said
    except TooLong:
        return "hang", traceback.format_exc()
    except MemoryError:
        return "memory", traceback.format_exc()
    except Wrong as error:
        return "wrong", str(error)
    except BaseException:  # SystemExit as well
        return "traceback", traceback.format_exc()
    return "taken", ""


def ready(folder: Path) -> dict[str, Callable[[random.Random], None]]:
    """Load everything, try each kind of input once, and then set the limits."""
    import torch
    from targets import Targets

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    kinds = Targets(folder).kinds
    for number in range(10 * len(kinds)):
        outcome_of(kinds, -1, number)

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    signal.signal(signal.SIGPROF, stop)
    return kinds


def limit_memory() -> None:
    """Allow the process `MEGABYTES` beyond the address space that it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEGABYTES * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def outcome_of(kinds: dict[str, Callable[[random.Random], None]], seed: int, number: int) -> tuple[str, str, str]:
    """Try the input of a number; returns its kind, and what `outcome` says."""
    kind = list(kinds)[number % len(kinds)]
    return kind, *outcome(kinds[kind], random.Random(f"{seed}:{number}"))


def work(seed: int, first: int, stop: int, step: int) -> None:
    """Try every ``step``-th input, and print a line of JSON for each."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        kinds = ready(Path(folder))
        limit_memory()
        for number in range(first, stop, step):
            kind, how, said = outcome_of(kinds, seed, number)
            print(json.dumps([number, kind, how, said]), flush=True)


class Worker:
    """A process that tries every ``step``-th input; another takes its place if it dies or hangs."""

    def __init__(self, seed: int, first: int, stop: int, step: int) -> None:
        self.next, self._seed, self._stop, self._step = first, seed, stop, step
        self._begin()

    def _begin(self) -> None:
        numbers = [str(n) for n in (self._seed, self.next, self._stop, self._step)]
        command = [sys.executable, "-W", "ignore", __file__, "--work", *numbers]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        self.stream = self._process.stdout
        self.heard = time.monotonic() + 300  # it gets ready first

    def line(self) -> tuple[int, str, str, str] | None:
        """Read a result; of an input with which the process died, that; None at the end."""
        while said := self.stream.readline():
            self.heard = time.monotonic()
            if said.startswith("["):  # whatever else was printed by what is tried
                number, kind, how, words = json.loads(said)
                self.next = number + self._step
                return number, kind, how, words
        self._process.wait()
        return self.lost("died") if self.next < self._stop else None

    def lost(self, how: str) -> tuple[int, str, str, str]:
        """End a process that died or hangs, and begin after the input with which it did."""
        self._process.kill()
        self._process.wait()
        number, self.next = self.next, self.next + self._step
        self._begin()
        return number, "?", how, ""


def fuzz(number: int, seed: int, processes: int, report: Callable[[int, str, str, str], None]) -> None:
    """Try so many inputs, and report each."""
    workers = [Worker(seed, first, number, processes) for first in range(processes)]
    while workers:
        streams = {worker.stream.fileno(): worker for worker in workers}
        heard, _, _ = select.select(list(streams), [], [], 1.0)
        for worker in [streams[one] for one in heard]:
            if (found := worker.line()) is None:
                workers.remove(worker)
            else:
                report(*found)
        for worker in workers:
            if time.monotonic() - worker.heard > WAITING:
                report(*worker.lost("hang"))


def main() -> int:
    """Try inputs as the command line says; returns 1 if any went wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--only", metavar="SEED:NUMBER")
    parser.add_argument("--work", nargs=4, type=int)
    given = parser.parse_args()
    if given.work:
        work(*given.work)
        return 0
    if given.only:
        seed, number = map(int, given.only.split(":"))
        with tempfile.TemporaryDirectory() as folder:
            print(*outcome_of(ready(Path(folder)), seed, number), sep="\n")
        return 0
    tally: Counter[tuple[str, str]] = Counter()
    failed: list[str] = []

    def report(number: int, kind: str, how: str, said: str) -> None:
        tally[kind, how] += 1
        if how not in ("taken", "refused"):
            failed.append(f"{given.seed}:{number} {kind}: {how}")
            print(failed[-1], said.strip().splitlines()[-1:] or "", flush=True)

    began = time.monotonic()
    fuzz(given.number, given.seed, given.processes, report)
    for (kind, how), count in sorted(tally.items()):
        print(f"{kind:12} {how:18} {count}")
    print(f"{sum(tally.values())} inputs in {time.monotonic() - began:.0f} s, {len(failed)} failed")
    return 1 if failed or sum(tally.values()) != given.number else 0


if __name__ == "__main__":
    sys.exit(main())
