"""AIHWKit as a competitor: a process of its own (`aihwkit_peer`), in this interpreter or in another that has it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np

from rpusim.errors import InputError
from rpusim.workloads.benchmarks import aihwkit_peer, cases
from rpusim.workloads.benchmarks.cases import Case

# How the peer calls what is in the names of our presets.
_WORDS = {
    "sb": "SB",
    "es": "ES",
    "ecram": "EcRam",
    "reram": "ReRam",
    "mo": "MO",
    "pcm": "PCM",
    "ttv2": "TTv2",
    "agad": "AGAD",
}


def peer_preset(name: str) -> str:
    """Name the class of the peer that holds the same numbers as a preset of ours.

    >>> peer_preset("chopped-ttv2-reram-sb")
    'ChoppedTTv2ReRamSBPreset'
    """
    return "".join(_WORDS.get(word, word.capitalize()) for word in name.split("-")) + "Preset"


class Peer:
    """AIHWKit in a process of its own; it loses no speed by that, since we wait while it runs.

    python: the interpreter that has aihwkit. threads: how many it may use.
    """

    def __init__(self, python: str, threads: int) -> None:
        limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | limits
        self._samples = tempfile.TemporaryDirectory(prefix="rpusim-bench-")
        self._process = subprocess.Popen(
            [python, str(Path(aihwkit_peer.__file__)), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def train(self, case: Case, steps: int) -> float:
        """Train the next mini-batches of a case. Returns seconds; InputError with the peer's own words."""
        question = {
            "name": str(case),
            "layers": cases.described(cases.module(case.network)),
            "preset": peer_preset(case.preset),
            "update": cases.REGIMES[case.regime].update,
            "samples": self._file(case),
            "batch": case.batch,
            "rate": case.rate,
            "seed": cases.SEED,
            "steps": steps,
        }
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        reply = json.loads(line) if line else {"error": "the process ended"}
        if "error" in reply:
            raise InputError(f"peer: {case}: {reply['error']}")
        return float(reply["seconds"])

    def _file(self, case: Case) -> str:
        """Write what a case learns to a file, once."""
        path = Path(self._samples.name) / f"{case.network}-{case.regime}.npz"
        if not path.exists():
            x, y = cases.samples(case.network, case.regime)
            np.savez(path, x=x.numpy(), y=y.numpy())
        return str(path)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)
        self._samples.cleanup()
