"""What a run needs of the process for itself, and gives back: torch's number of threads, and its random numbers.

torch has one generator of random numbers for all threads of Python. A run has numbers of its own, a function of its
seed: they take the generator's place while the run draws, and the user's are put back. Only one run draws at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_DRAWING = threading.RLock()
# The thread that held it does not live on in a forked process.
os.register_at_fork(after_in_child=_DRAWING._at_fork_reinit)  # type: ignore[attr-defined]


class RandomNumbers:
    """torch's random numbers of one run.

    seed:  of the numbers, as for ``torch.manual_seed``. The attribute ``state`` says how far they are.
    """

    def __init__(self, seed: int) -> None:
        self.state: Tensor = torch.Generator().manual_seed(seed).get_state()

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Let what is done here draw from these numbers, and go on where it ended the next time."""
        with _DRAWING:
            before = torch.get_rng_state()
            torch.set_rng_state(self.state)
            try:
                yield
            finally:
                self.state = torch.get_rng_state()
                torch.set_rng_state(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: sums of floats depend on how threads share them, results must not; it is also faster.

    Other threads of Python, also those that begin meanwhile, compute on as many as before.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    if threads > 1:  # torch gives a new thread of Python the number that was set last, in whatever thread
        other = threading.Thread(target=torch.set_num_threads, args=(threads,))
        other.start()
        other.join()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
