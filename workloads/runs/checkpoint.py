"""What a run needs to go on where it was killed: one file beside its folder, gone once the run is done.

A checkpoint is a dictionary of numbers, words and tensors, written whole or not at all (`files.replace`) and read
without running anything in it. It says what it is a checkpoint of; another experiment does not go on from it.

When it is written changes nothing in the result, so that is a matter of time alone: after a group of mini-batches, if
the time since the last one is at least `PATIENCE` times what writing takes. So at most 1 / (1 + PATIENCE) of a run goes
into checkpoints, and whoever is killed loses what was done since the last one.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError
from rpusim.workloads.results import files

SCHEMA = "rpusim-checkpoint-1"
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
        if kept is None:
            raise InputError(f"{self._path}: is not a checkpoint; remove it, or choose another --out")
        if (changed := _difference(kept["inputs"], self._inputs)) is not None:
            raise InputError(
                f"{self._path}: is of an unfinished run with {changed}; give the same command to go on with it, or "
                "remove the file to begin anew, or choose another --out"
            )
        state: dict[str, Any] = kept["state"]
        return state

    @property
    def due(self) -> bool:
        """Whether enough time has passed to save again."""
        return self._path is not None and time.monotonic() >= self._due

    def save(self, state: dict[str, Any]) -> None:
        """Keep this state in place of the one before; InputError if the file cannot be written."""
        assert self._path is not None
        began = time.monotonic()
        content = io.BytesIO()
        torch.save({"schema": SCHEMA, "inputs": self._inputs, "state": state}, content)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(self._path, content.getvalue())
        ended = time.monotonic()
        self._due = ended + PATIENCE * (ended - began)

    def remove(self) -> None:
        """Remove the file, as the run is done, or cannot go on."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


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
    """

    def __init__(self, checkpoint: Checkpoint, began: float) -> None:
        self.checkpoint = checkpoint
        self._state = checkpoint.load() or {"stages": {}, "wall": 0.0}
        self.began: float = began - self._state["wall"]
        self._stages: list[Stage] = []

    def goes_on_with(self, stage: Stage) -> None:
        """Keep a stage from now on; if it was kept before, put it (and torch's random numbers) where it was then."""
        self._stages.append(stage)
        if (before := self._state["stages"].get(stage.name)) is not None:
            stage.load_state_dict(before)
            torch.set_rng_state(self._state["random"])

    def keep(self) -> None:
        """Write all stages to the checkpoint, if it is time to."""
        if self.checkpoint.due:
            self.checkpoint.save(
                {
                    "stages": {stage.name: stage.state_dict() for stage in self._stages},
                    "random": torch.get_rng_state(),
                    "wall": time.perf_counter() - self.began,
                }
            )


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


def _read(content: bytes) -> dict[str, Any] | None:
    """Read what a file holds, if that is a checkpoint."""
    try:
        kept = torch.load(io.BytesIO(content), weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError):
        return None
    whole = isinstance(kept, dict) and kept.get("schema") == SCHEMA and {"inputs", "state"} <= set(kept)
    return kept if whole else None


def _difference(kept: Mapping[str, str], given: Mapping[str, str]) -> str | None:
    """Say which input is the first that is not the same; None if all are."""
    for name in dict.fromkeys((*given, *kept)):
        before, now = (shown(each.get(name, "nothing"), 60) for each in (kept, given))
        if before != now:
            return f"another {name}" if name.startswith("content of") else f"{name} {before}, not {now}"
    return None
