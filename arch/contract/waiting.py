"""Nobody waits in silence: what takes long says so on stderr every half minute, whatever it is at.

It is said from a thread, as loops that are compiled, or an engine at work, ask for nothing meanwhile.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 30.0
"""Seconds between two lines."""


@contextmanager
def awaited(words: str | Callable[[], str]) -> Iterator[None]:
    """Say every half minute what is still being done: "rpusim: placing the network, 30 s so far".

    words: what is done; or called for it, and "" is not said.
    """
    done, began = threading.Event(), time.monotonic()

    def speak() -> None:
        while not done.wait(EVERY):
            if said := words if isinstance(words, str) else words():
                print(f"rpusim: {said}, {time.monotonic() - began:.0f} s so far", file=sys.stderr, flush=True)

    thread = threading.Thread(target=speak, daemon=True, name="rpusim-awaited")
    thread.start()
    try:
        yield
    finally:
        done.set()
