"""The way in for an experiment: what it names is loaded, and it is trained on its chip, or programmed and used."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rpusim.errors import InputError
from rpusim.workloads.data import kinds
from rpusim.workloads.data.dataset import Data
from rpusim.workloads.results import files
from rpusim.workloads.results.result import Result
from rpusim.workloads.runs import inference_run, inputs, settings, training_run
from rpusim.workloads.runs.callbacks import Callback
from rpusim.workloads.runs.checkpoint import Checkpoint, Progress
from rpusim.workloads.runs.process import RandomNumbers, one_thread
from rpusim.workloads.runs.settings import Experiment
from rpusim.workloads.runs.training_loop import Watch


def simulate(
    experiment: str | Path | Experiment = "fcn-digits",
    *,
    checkpoint: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    **changes: Any,
) -> Result:
    """Train an experiment's network on its chip: accuracy, time, energy and area in one `Result`.

    experiment:  the name of one that ships, a YAML file, or an `Experiment`.
    checkpoint:  a file that keeps the state meanwhile; the same call goes on from it after the process was killed.
    callbacks:   told of every epoch (see `rpusim.workloads.runs.callbacks`), such as ``rpusim.TensorBoard("logs")``.
    changes:     replace fields of the experiment, such as ``chip="reram-512"`` or ``seed=1``, and those of its recipe,
                 such as ``epochs=5``. ``data`` may be arrays (samples, labels), a torch Dataset or a DataLoader, or a
                 pair of these for learning and for testing.

    Raises InputError on what cannot be used.
    """
    chosen = experiment if isinstance(experiment, Experiment) else settings.load(experiment)
    kept = Path(checkpoint) if checkpoint is not None else None
    given: Data | None = None
    if "data" in changes and not isinstance(changes["data"], str | Path):
        given = kinds.load(changes["data"])
        changes = changes | {"data": f"{type(changes['data']).__name__} given in Python"}
    found = run(settings.changed(chosen, changes), kept=kept, callbacks=callbacks, given=given)
    if kept is not None:
        files.remove(kept)
    return found


def check_device_type(device_type: str, experiment: Experiment) -> None:
    """Raise InputError if arrays cannot be computed on a kind of device here; "cpu" is always there."""
    if device_type == "cpu":
        return
    if not torch.cuda.is_available():
        why = "is built without CUDA" if torch.version.cuda is None else "sees no GPU"
        raise InputError(f"--device-type: {device_type} was given, but torch {why}; accepted here is cpu")
    if experiment.inference is not None:
        raise InputError(
            f"--device-type: {device_type} was given for an experiment that infers, which is computed on the CPU; "
            "accepted is cpu, or in Python model.to('cuda') of what `rpusim.convert` returns"
        )


def run(
    experiment: Experiment,
    watch: Watch = lambda stage, fraction: None,
    kept: Path | None = None,
    pause: int | None = None,
    callbacks: Sequence[Callback] = (),
    given: Data | None = None,
    device_type: str = "cpu",
) -> Result:
    """Run an experiment to its end, or on to its end if it was killed.

    watch:      told how far it is.
    kept:       a file in which the state is kept meanwhile (see `checkpoint`); it stays until whoever has saved the
                result removes it. None keeps nothing.
    callbacks:  told of every epoch that is trained now.
    given:      data to learn from, in place of those that the experiment names.
    pause:      epochs on the chip after which to stop for now, with the state in ``kept``; None: not before the end.

    device_type: where arrays that learn are computed, "cpu" or "cuda".

    An experiment with ``inference`` goes to `inference_run`, any other one to `training_run`. Raises InputError on what
    cannot be used, and `Paused` after so many epochs.
    """
    began = time.perf_counter()
    check_device_type(device_type, experiment)
    numbers = RandomNumbers(experiment.seed)
    with one_thread():
        with numbers.drawn():
            loaded = inputs.load(experiment, given)
        progress = Progress(Checkpoint(kept, loaded.contents()), began, numbers, pause, callbacks)
        with experiment.speaks():
            if experiment.inference is None:
                found = training_run.run(loaded, progress, watch, device_type)
            else:
                found = inference_run.run(loaded, progress, watch)
        progress.end()
        return found
