"""Workers, studies and schedulers that are killed: nothing is lost but what was in flight, nothing is there twice."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

FIELDS: dict[str, Any] = {
    "name": "s",
    "title": "Which converter?",
    "time": {"network": "lenet-2017", "chip": "reram-512"},
    "vary": {"tiles.0.adc.bits": [4, 5, 6, 7, 8], "tiles.0.adc.lines_per_adc": [2, 4, 8, 16], "batch": [1, 2, 3, 4, 5]},
}
POINTS = 100
PROGRAM = "from rpusim.reports.cli.commands import main; main()"


def started(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    file = folder.parent / "study.yaml"
    file.write_text(yaml.safe_dump(FIELDS))
    command = [sys.executable, "-c", PROGRAM, "study", str(file), "--out", str(folder), "--quiet", *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0)


def finished(folder: Path, *options: str) -> bytes:
    """Run the study to its end, and return its table."""
    study = started(folder, *options)
    _, said = study.communicate(timeout=300)
    assert study.returncode == 0, said.decode()
    return (folder / "points.csv").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    table = finished(tmp_path_factory.mktemp("whole") / "out")
    assert table.count(b"\n") == POINTS + 1 and table.count(b",done,") == POINTS
    return table


def records(folder: Path) -> list[Path]:
    """List the records that are whole; what a killed process was writing has another name."""
    return list((folder / "points").glob("[!.]*.json"))


def wait_for(folder: Path, number: int, study: subprocess.Popen[bytes]) -> None:
    """Wait until so many points are known, or the study has ended."""
    while len(records(folder)) < number and study.poll() is None:
        time.sleep(0.01)


def children(process: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True).stdout.split()
    return [int(one) for one in found]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_study_that_is_killed_goes_on_where_it_was(tmp_path: Path, undisturbed: bytes, seed: int) -> None:
    folder = tmp_path / "out"
    study = started(folder)
    wait_for(folder, random.Random(seed).randrange(1, POINTS), study)
    os.killpg(study.pid, signal.SIGKILL)
    study.communicate()
    before = {path: path.stat().st_mtime_ns for path in records(folder)}
    assert finished(folder) == undisturbed
    assert all(path.stat().st_mtime_ns == when for path, when in before.items()), "known points were evaluated again"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_worker_that_is_killed_loses_only_what_it_was_at(tmp_path: Path, undisturbed: bytes, seed: int) -> None:
    folder = tmp_path / "out"
    numbers, study = random.Random(seed), started(folder)
    wait_for(folder, numbers.randrange(1, POINTS // 2), study)
    workers = [child for child in children(study.pid) if b"loky" in Path(f"/proc/{child}/cmdline").read_bytes()]
    if workers:
        os.kill(numbers.choice(workers), signal.SIGKILL)
    _, said = study.communicate(timeout=300)
    assert study.returncode == 0, said.decode()
    assert (folder / "points.csv").read_bytes() == undisturbed


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and two workers on loopback; yields its address, and the processes: first the scheduler."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    distributed = [sys.executable, "-m", "distributed.cli"]
    scheduler = [*distributed[:2], "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    worker = [*distributed[:2], "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    processes = [subprocess.Popen([*scheduler, "--no-dashboard"], **quiet)]  # type: ignore[call-overload]
    processes += [subprocess.Popen(worker, **quiet) for _ in range(2)]  # type: ignore[call-overload]
    try:
        yield address, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


QUEUE = """#!/bin/sh
# A queue of one machine: every job is run at once. As Slurm does, it keeps the script, which is gone when this returns.
cp "$1" "$0.$$"
setsid sh "$0.$$" > /dev/null 2>&1 &
echo "Submitted batch job $!"
"""
CANCEL = """#!/bin/sh
kill -- "-$1"
"""
CONFIGURATION = {
    "jobqueue": {
        "slurm": {"cores": 1, "processes": 1, "memory": "1GB", "walltime": "00:10:00", "interface": "lo"},
    }
}


@pytest.mark.slow
def test_a_queue_of_slurm_finds_the_same(tmp_path: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run dask-jobqueue as it is, with a stand-in for the two commands of Slurm that it calls."""
    for name, text in (("sbatch", QUEUE), ("scancel", CANCEL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "jobqueue.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("DASK_CONFIG", str(tmp_path / "jobqueue.yaml"))
    assert finished(tmp_path / "out", "--slurm") == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["nobody", "worker", "worker", "scheduler", "scheduler"])
def test_a_cluster_finds_the_same_whoever_is_killed(tmp_path: Path, undisturbed: bytes, victim: str) -> None:
    folder = tmp_path / "out"
    with cluster(tmp_path) as (address, processes):
        study = started(folder, "--scheduler", address)
        wait_for(folder, POINTS // 4, study)
        if victim != "nobody":
            processes[0 if victim == "scheduler" else 1].kill()
        if victim == "scheduler":
            study.kill()  # it would wait for the scheduler to come back
        _, said = study.communicate(timeout=300)
        assert study.returncode == 0 or victim == "scheduler", said.decode()
    if victim == "scheduler":
        assert finished(folder) == undisturbed
    assert (folder / "points.csv").read_bytes() == undisturbed
    document = json.loads((folder / "study.json").read_text())
    assert len({point["id"] for point in document["points"]}) == POINTS
