"""Heed Ctrl-C and SIGTERM within a second, whatever the process is at, and say how to go on.

An exception that is raised wherever the process happens to be gets lost inside an import, or a loop that is compiled;
and Python raises none while compiled code runs. So a signal is only noted. What asks for it (`Heed.check`, at every
sign of progress) stops in good order; where nobody asks in time, a thread that waits for signals ends the process. That
loses nothing: files are written whole or not at all, and a run goes on from its checkpoint.

Only the standard library is imported here, as Ctrl-C counts while all the rest is loaded.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

PATIENCE = 1.0
"""Seconds for which what runs may go on to a place where it can stop in good order."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Stops in good order what runs; not a KeyboardInterrupt, below which click would print an empty line."""


class Heed:
    """What is known of an interruption.

    number:      of the signal that came; 0 as long as none has.
    checkpoint:  from which the same command goes on, if it is there by then.
    written:     what was written whole before the signal came; empty if nothing was.
    """

    number = 0
    checkpoint: Path | None = None
    written = ""

    def begin(self) -> None:
        """Forget what an earlier command in the same process has left here."""
        self.number, self.checkpoint, self.written = 0, None, ""

    @property
    def status(self) -> int:
        """The exit status: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + (self.number or signal.SIGINT)

    def sentence(self) -> str:
        """Say that the command was interrupted, and what there is to go on from."""
        if self.written:
            return f"interrupted; {self.written} was written"
        if self.checkpoint is not None and self.checkpoint.exists():
            return f"interrupted; the same command goes on from {self.checkpoint}"
        return "interrupted; nothing was written"

    def check(self) -> None:
        """Raise `Interrupted` if there was a signal."""
        if self.number:
            raise Interrupted


HEED = Heed()
"""Of the command that is running."""


@contextmanager
def heeded() -> Iterator[Heed]:
    """Heed Ctrl-C and SIGTERM meanwhile; not in a thread, nor signals that the process was told to ignore.

    Inside another one of these, nothing is done a second time.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    ours = [number for number, handler in before.items() if handler in (signal.default_int_handler, signal.SIG_DFL)]
    if _note in before.values():
        yield HEED
        return
    HEED.begin()
    if threading.current_thread() is not threading.main_thread() or not ours:
        yield HEED
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    waker = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # written to at once, also in compiled code
    done = threading.Event()
    threading.Thread(target=_wait, args=(reader, done, os.getpid()), daemon=True, name="rpusim-signals").start()
    for number in ours:
        signal.signal(number, _note)
    try:
        yield HEED
    finally:
        done.set()
        for number in ours:
            signal.signal(number, before[number])
        signal.set_wakeup_fd(waker)
        os.close(writer)  # ends the thread, which closes the reader


def _note(number: int, frame: FrameType | None) -> None:
    """Note a signal, and nothing else; the process may be anywhere."""
    HEED.number = HEED.number or number


def _wait(reader: int, done: threading.Event, process: int) -> None:
    """Wait for a signal, in a thread of its own; end the process if the main thread does not do so in good order."""
    with open(reader, "rb", buffering=0) as signals:
        while came := signals.read(1):
            if came[0] in SIGNALS and os.getpid() == process:
                HEED.number = HEED.number or came[0]
                if not done.wait(PATIENCE):
                    leave_now(HEED.sentence(), HEED.status)
                return


def leave_now(sentence: str, status: int) -> None:
    """Print a sentence on stderr, below what stands there, and end the process without any further ado."""
    try:
        clear = "\r\x1b[2K\x1b[?25h" if sys.__stderr__ is not None and sys.__stderr__.isatty() else ""  # bars hide it
        os.write(2, f"{clear}rpusim: {sentence}\n".encode(errors="backslashreplace"))
    except OSError:  # nobody listens
        pass
    os._exit(status)
