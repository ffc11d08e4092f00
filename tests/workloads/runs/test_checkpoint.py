"""A run that is killed, wherever it is, goes on when the same command is given again, and ends with the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import rpusim
from rpusim.errors import InputError
from rpusim.reports.cli.commands import main
from rpusim.workloads.clock import coupling
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.runs import checkpoint, settings, simulate, training_loop

PAUSE = {"after_epoch": 1, "time": "0.3 s", "source": "a test"}
IDLE = {"per_mini_batch": "1 ms", "pauses": [PAUSE], "source": "a test"}


class Stop(Exception):
    """What a test stops a run with."""


def chosen(few_digits: Path, experiment: str = "fcn-digits", **changes: object) -> settings.Experiment:
    return settings.changed(settings.load(experiment), {"data": str(few_digits), "epochs": 2, **changes})


def bytes_of(found: rpusim.Result) -> tuple[str, ...]:
    """All of a result but the time that this machine took."""
    document = json.dumps({key: value for key, value in found.document.items() if key != "wall"})
    columns = found.trace.columns() | found.details if found.trace else {}
    return document, *(f"{name} {column.tolist()}" for name, column in columns.items())


def stopping(at: int) -> Callable[[str, float], None]:
    """Watches a run, and stops it at the n-th sign of progress in its stages."""
    signs = [0]

    def watch(stage: str, fraction: float) -> None:
        signs[0] += stage != "compiling"
        if signs[0] == at:
            raise Stop

    return watch


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of a few mini-batches, each with a checkpoint."""
    monkeypatch.setattr(training_loop, "MINI_BATCHES_PER_PIECE", 9)
    monkeypatch.setattr(coupling, "MINI_BATCHES_PER_PIECE", 9)
    monkeypatch.setattr(checkpoint, "PATIENCE", 0)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(
    ("device", "changes"),
    [
        ("rpu-baseline-2016", {"epochs": 1}),
        ("ttv2-reram-sb", {"chip": "reram-512", "batch": 3}),
        ("agad-reram-sb", {"chip": "reram-512", "epochs": 1}),
        ("chip", {"chip": "cmos-rpu-2017", "idle": IDLE}),
        ("chip", {"chip": "cmos-rpu-2017", "batch": 2, "epochs": 1, "elapse": "vector"}),
        ("mixed-precision-pcm", {"chip": "reram-512", "batch": 7, "timing": {"sampled": 3}}),
        ("ecram", {"chip": "reram-512", "batch": 3, "schedule": "asynchronous"}),
    ],
)
def test_a_run_stopped_anywhere_ends_with_the_same_bytes(
    device: str, changes: dict[str, Any], few_digits: Path, tmp_path: Path
) -> None:
    experiment = chosen(few_digits, device=device, **changes)
    whole = bytes_of(simulate.run(experiment))
    kept = tmp_path / "run.checkpoint"
    for at in (1, 3, 2):  # each goes on from where the one before it stopped
        with pytest.raises(Stop):
            simulate.run(experiment, stopping(at), kept)
    assert bytes_of(simulate.run(experiment, kept=kept)) == whole


@pytest.mark.usefixtures("often")
def test_an_experiment_that_infers_goes_on_from_every_stage(few_digits: Path, tmp_path: Path) -> None:
    """Stopped in training, in retraining, and after each time since programming."""
    experiment = chosen(few_digits, experiment="lenet-digits-pcm", epochs=1, batch=20)
    assert experiment.inference is not None and experiment.inference.retraining is not None
    retraining = experiment.inference.retraining.model_dump() | {"epochs": 1}
    inference = experiment.inference.model_dump() | {"retraining": retraining, "times": ["1 s", "1 day", "1 year"]}
    experiment = settings.changed(experiment, {"inference": inference})
    seen: list[str] = []
    whole = bytes_of(simulate.run(experiment, lambda stage, fraction: seen.append(stage)))
    seen = [stage for stage in seen if stage != "compiling"]
    assert set(seen) == {"digital", "hardware-aware", "aging"}
    kept = tmp_path / "run.checkpoint"
    for _ in seen:
        with pytest.raises(Stop):
            simulate.run(experiment, stopping(1), kept)
    assert bytes_of(simulate.run(experiment, kept=kept)) == whole


@pytest.mark.usefixtures("often")
def test_networks_with_dropout_and_normalisation_go_on_too(
    few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, 10),\n"
        "                         nn.LogSoftmax(dim=1)), (64,)\n"
    )
    monkeypatch.chdir(tmp_path)
    experiment = chosen(few_digits, network="net.py:net", batch=2)
    whole, kept = bytes_of(simulate.run(experiment)), tmp_path / "run.checkpoint"
    for at in (3, 6):
        with pytest.raises(Stop):
            simulate.run(experiment, stopping(at), kept)
    assert bytes_of(simulate.run(experiment, kept=kept)) == whole


class TestRefusals:
    @pytest.fixture
    def kept(self, few_digits: Path, tmp_path: Path) -> Path:
        kept = tmp_path / "run.checkpoint"
        with pytest.raises(Stop):
            simulate.run(chosen(few_digits), stopping(1), kept)
        return kept

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"epochs": 3}, r"run\.checkpoint: is of an unfinished run with recipe\.epochs 2, not 3; give the same"),
            ({"seed": 1}, "unfinished run with seed 0, not 1"),
            ({"chip": "reram-512"}, "unfinished run with chip rpu-2016, not reram-512"),
            (
                {"device": {"model": "constant-step"}},
                "with device rpu-baseline-2016, not {'model': 'constant-step'};",
            ),
        ],
    )
    def test_another_experiment_does_not_go_on_from_it(
        self, kept: Path, few_digits: Path, changes: dict[str, Any], said: str
    ) -> None:
        before = kept.read_bytes()
        with pytest.raises(InputError, match=said) as caught:
            simulate.run(chosen(few_digits, **changes), kept=kept)
        assert "\n" not in str(caught.value)
        assert kept.read_bytes() == before

    def test_other_data_under_the_same_name_do_not(self, kept: Path, few_digits: Path) -> None:
        images = few_digits / "t10k-images-idx3-ubyte"
        before = images.read_bytes()
        try:
            images.write_bytes(before[:-1] + b"\x07")
            with pytest.raises(InputError, match="unfinished run with another content of the data; give the same"):
                simulate.run(chosen(few_digits), kept=kept)
        finally:
            images.write_bytes(before)

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nothing", b"\x80\x02}."])
    def test_what_is_no_checkpoint_is_left_alone(self, content: bytes, few_digits: Path, tmp_path: Path) -> None:
        (tmp_path / "own").write_bytes(content)
        with pytest.raises(InputError, match="own: is not a checkpoint; remove it, or choose another --out"):
            simulate.run(chosen(few_digits), kept=tmp_path / "own")
        assert (tmp_path / "own").read_bytes() == content

    def test_a_flipped_bit_is_not_learned_from(self, kept: Path, few_digits: Path) -> None:
        whole = kept.read_bytes()
        for at in range(0, 8 * len(whole), 8 * len(whole) // 40 + 1):
            altered = bytearray(whole)
            altered[at // 8] ^= 1 << at % 8
            kept.write_bytes(altered)
            with pytest.raises(InputError, match=r"run\.checkpoint: (is not a checkpoint|was damaged after)"):
                simulate.run(chosen(few_digits), kept=kept)
        kept.write_bytes(whole[:-1])
        with pytest.raises(InputError, match=r"run\.checkpoint: was damaged after"):
            simulate.run(chosen(few_digits), kept=kept)

    def test_a_full_disk_leaves_the_checkpoint_before(
        self, kept: Path, few_digits: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise InputError("cannot be written (No space left on device)")

        before = kept.read_bytes()
        monkeypatch.setattr(checkpoint.files, "replace", full)
        simulate.run(chosen(few_digits), kept=kept)  # the result may still find a place
        assert kept.read_bytes() == before
        kept.unlink()
        with pytest.raises(InputError, match="No space left"):
            simulate.run(chosen(few_digits), kept=kept)

    def test_nothing_in_a_checkpoint_is_run(self, few_digits: Path, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> Any:
                return os.mkdir, (str(tmp_path / "owned"),)

        content = io.BytesIO()
        torch.save({"schema": checkpoint.SCHEMA, "inputs": {}, "state": Evil()}, content)
        digest = hashlib.sha256(content.getvalue()).digest()
        (tmp_path / "own").write_bytes(checkpoint.MAGIC + digest + content.getvalue())
        with pytest.raises(InputError, match="is not a checkpoint"):
            simulate.run(chosen(few_digits), kept=tmp_path / "own")
        assert not (tmp_path / "owned").exists()

    def test_a_run_that_cannot_go_on_leaves_none(
        self, kept: Path, few_digits: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def diverged(*_: object) -> None:
            raise InputError("diverged")

        monkeypatch.setattr(training_loop, "test_error", diverged)
        with pytest.raises(InputError, match="diverged"):
            simulate.run(chosen(few_digits), kept=kept)
        assert not kept.exists()


def test_checkpoints_take_at_most_a_twentieth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock of our own: writing takes 2 s, a group 1 s."""
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint.files, "replace", lambda path, content: now.__setitem__(0, now[0] + 2.0))
    kept, written = checkpoint.Checkpoint(tmp_path / "kept", {}), 0
    for _ in range(1000):
        now[0] += 1.0
        if kept.due:
            kept.save({})
            written += 1
    assert written * 2.0 <= now[0] / 20 + 2.0
    assert written > 20


def test_all_that_a_meter_knows_is_kept_or_can_be_made_again(few_digits: Path) -> None:
    """A new attribute of the meter, or of what it consists of, has to be put into its state, or here."""
    meter = _meter()
    made_again = {"plan", "schedule", "timing", "management", "_price", "_modes", "_counted", "_training"}
    kept = {
        "samples",
        "timed_samples",
        "mini_batch",
        "mini_batches",
        "counts",
        "staleness",
        "_timed",
        "_idle",
        "_whole",
        "_steps",
        "_rested",
    }
    assert set(vars(meter)) == made_again | kept | {"_sample", "_beginning", "_evaluation"}
    assert set(vars(meter._sample)) == {"seconds", "joules"}
    made_again = {"_plan", "_schedule", "_price", "_traced", "_events", "_analysis"}
    assert set(vars(meter._beginning)) == made_again | {"_kept", "_to_keep"}


def _meter() -> Meter:
    from rpusim.arch.chips.chip import Chip
    from rpusim.arch.mapping.placement import place
    from rpusim.arch.schedule.plan import make_plan
    from rpusim.workloads.runs.given_network import load_network

    return Meter(make_plan(place(load_network("fcn-digits"), Chip.load("rpu-2016"))), "sequential")


def killed_after(seconds: float, arguments: list[str]) -> bool:
    """Give the command in a process of its own and kill it after some time; whether it was still running."""
    process = os.fork()
    if process == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            main(arguments)
        except SystemExit as left:
            os._exit(int(left.code or 0))
        finally:
            os._exit(99)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return False
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """The files of a run folder; the result without the time that this machine took."""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix not in (".html", "")}
    document = json.loads(found["result.json"])
    del document["wall"]
    return found | {"result.json": json.dumps(document).encode()}


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.slow)])
def test_kill_9_at_random_moments_changes_no_byte(
    kills: int, few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often as the run ends it begins anew, so that kills come in all of its stages, and while files are written."""
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "--data", str(few_digits), "--epochs", "2", "--out", "run", "--quiet"]
    began = time.monotonic()
    assert not killed_after(600.0, arguments)
    takes, whole = time.monotonic() - began, folder_bytes(tmp_path / "run")
    moments, killed, compared = random.Random(0), 0, 0
    while killed < kills or compared == 0:
        if killed_after(takes * moments.uniform(0.0, 1.1) if killed < kills else 600.0, arguments):
            killed += 1
            continue
        assert folder_bytes(tmp_path / "run") == whole
        assert [path.name for path in tmp_path.iterdir()] == ["run"]
        compared += 1
