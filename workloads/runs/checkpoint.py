"""What a run needs to go on where it was killed: one file beside its folder, gone once the run is done.

A checkpoint is a dictionary of numbers, words and tensors, written whole or not at all (`files.replace`) and read
without running anything in it. It says what it is a checkpoint of; another experiment does not go on from it. It begins
with a digest of its content, without which it is not read: a flipped bit would be learned from in silence.

When it is written changes nothing in the result, so that is a matter of time alone: after a group of mini-batches, if
the time since the last one is at least `PATIENCE` times what writing takes. So at most 1 / (1 + PATIENCE) of a run goes
into checkpoints, and whoever is killed loses what was done since the last one.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import torch

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError
from rpusim.workloads.results import files
from rpusim.workloads.runs.callbacks import Callback
from rpusim.workloads.runs.process import RandomNumbers

SCHEMA = "rpusim-checkpoint-1"
MAGIC = b"rpusim checkpoint 2\n"
_HEADER = struct.Struct(f"{len(MAGIC)}s32s")
"""What a file begins with: `MAGIC`, and the SHA-256 of all that follows."""
PATIENCE = 19
"""A checkpoint waits for so many times the seconds that the one before it took: 5 % of the time, at most."""


class Checkpoint:
    """The state of one run in a file.

    path:    of the file; None keeps nothing.
    inputs:  all that the result depends on, by name; a state of a run with other inputs is refused.
    """

    def __init__(self, path: Path | None, inputs: Mapping[str, str]) -> None:
        self._path, self._inputs = path, dict(inputs)
        self._due = 0.0

    def load(self) -> dict[str, Any] | None:
        """Return the state that was kept; None if there is none.

        Raises InputError if the file is another run's, is no checkpoint, or cannot be read.
        """
        if self._path is None:
            return None
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{shown(str(self._path))}: cannot be read ({reason}); choose another --out") from None
        kept = _read(content)
        if isinstance(kept, str):
            raise InputError(f"{shown(str(self._path))}: {kept}; remove it, or choose another --out")
        if (changed := _difference(kept["inputs"], self._inputs)) is not None:
            raise InputError(
                f"{self._path}: is of an unfinished run with {changed}; give the same command to go on with it, or "
                "remove the file to begin anew, or choose another --out"
            )
        state: dict[str, Any] = kept["state"]
        return state

    @property
    def keeps(self) -> bool:
        """Whether there is a file to keep anything in."""
        return self._path is not None

    @property
    def due(self) -> bool:
        """Whether enough time has passed to save again."""
        return self._path is not None and time.monotonic() >= self._due

    def save(self, state: dict[str, Any]) -> None:
        """Keep this state in place of the one before.

        Where the file cannot be written, as the disk is full, the one before stays, and the next time may be better;
        InputError if there is none before.
        """
        assert self._path is not None
        began = time.monotonic()
        content = io.BytesIO()
        torch.save({"schema": SCHEMA, "inputs": self._inputs, "state": state}, content)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            header = _HEADER.pack(MAGIC, hashlib.sha256(content.getbuffer()).digest())
            files.replace(self._path, header + content.getvalue())
        except (InputError, OSError) as error:
            if not self._path.exists():
                raise (
                    error
                    if isinstance(error, InputError)
                    else InputError(
                        f"{shown(str(self._path))}: cannot be written ({error.strerror}); a writable folder is needed"
                    )
                ) from None
        ended = time.monotonic()
        self._due = ended + PATIENCE * (ended - began)

    def remove(self) -> None:
        """Remove the file, as the run is done, or cannot go on."""
        if self._path is not None:
            files.remove(self._path)


class Paused(Exception):
    """A run is not done, but pauses as it was asked to. curve: what each epoch on the chip led to so far."""

    def __init__(self, curve: list[dict[str, Any]]) -> None:
        super().__init__(f"paused after {len(curve)} epochs")
        self.curve = curve


class Stage(Protocol):
    """A part of a run that can be kept and goes on; no other part of the run has its ``name``."""

    name: str

    def state_dict(self) -> dict[str, Any]:
        """Return all that it takes to go on, in numbers, words and tensors."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        ...


class Progress:
    """How far the stages of a run have come; each is kept with those before it, and goes on from there.

    checkpoint:  the file; what it holds is loaded at once, with InputError as from `Checkpoint.load`.
    began:       when this process began with the run, in seconds of `time.perf_counter`. The attribute of that name is
                 earlier by the time for which a killed process has been at work before.
    numbers:     torch's random numbers of the run, which are kept, too.
    pause:       epochs of the last stage after which `keep` writes all and raises `Paused`; None: never.
    callbacks:   told of every epoch.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        began: float,
        numbers: RandomNumbers,
        pause: int | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self._callbacks = callbacks
        self.checkpoint, self.numbers, self._pause = checkpoint, numbers, pause
        self._state = checkpoint.load() or {"stages": {}, "wall": 0.0}
        self.began: float = began - self._state["wall"]
        self._stages: list[Stage] = []

    def goes_on_with(self, stage: Stage) -> None:
        """Keep a stage from now on; if it was kept before, put it (and the run's random numbers) where it was then."""
        self._stages.append(stage)
        if (before := self._state["stages"].get(stage.name)) is not None:
            stage.load_state_dict(before)
            self.numbers.state = self._state["random"]

    def epoch(self, stage: str, led_to: Mapping[str, float]) -> None:
        """Tell all callbacks what an epoch of a stage led to."""
        for callback in self._callbacks:
            callback(stage, led_to)

    def keep(self) -> None:
        """Write all stages to the checkpoint, if it is time to, or to pause."""
        curve = getattr(self._stages[-1], "curve", [])
        if self._pause is not None and len(curve) >= self._pause:
            self.checkpoint.save(self._now())
            raise Paused(curve)
        if self.checkpoint.due:
            self.checkpoint.save(self._now())

    def end(self) -> None:
        """Write all stages once more, so that nothing has to be learned again if the result cannot be saved."""
        if self.checkpoint.keeps:
            with suppress(InputError):  # the result itself may still find a place
                self.checkpoint.save(self._now())

    def _now(self) -> dict[str, Any]:
        return {
            "stages": {stage.name: stage.state_dict() for stage in self._stages},
            "random": self.numbers.state,
            "wall": time.perf_counter() - self.began,
        }


def beside(folder: Path) -> Path:
    """Return where the checkpoint of a run folder is: beside it."""
    return folder.with_name(f"{folder.name}.checkpoint")


def digest(*parts: Any) -> str:
    """Return a short name, 16 hexadecimal digits, for words, tensors and numpy arrays that are too long to be kept."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            found.update(part.encode())
        else:
            found.update(f"{part.dtype} {tuple(part.shape)}".encode())
            found.update(part.numpy().tobytes() if isinstance(part, torch.Tensor) else part.tobytes())
    return found.hexdigest()[:16]


def _read(content: bytes) -> dict[str, Any] | str:
    """Read what a file holds; returns in words what is wrong with it if that is no checkpoint, or not a whole one."""
    if len(content) < _HEADER.size or not content.startswith(MAGIC):
        return "is not a checkpoint"
    body = memoryview(content)[_HEADER.size :]
    if hashlib.sha256(body).digest() != _HEADER.unpack_from(content)[1]:
        return "was damaged after it had been written (its digest is another one)"
    try:
        kept = torch.load(io.BytesIO(body), weights_only=True, map_location="cpu")
    except (ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError, TypeError, ValueError):
        return "is not a checkpoint"
    except pickle.UnpicklingError:
        return "is not a checkpoint"
    whole = isinstance(kept, dict) and kept.get("schema") == SCHEMA and {"inputs", "state"} <= set(kept)
    return kept if whole else "is not a checkpoint"


def _difference(kept: Mapping[str, str], given: Mapping[str, str]) -> str | None:
    """Say which input is the first that is not the same; None if all are."""
    for name in dict.fromkeys((*given, *kept)):
        before, now = (shown(each.get(name, "nothing"), 60) for each in (kept, given))
        if before != now:
            return f"another {name}" if name.startswith("content of") else f"{name} {before}, not {now}"
    return None
