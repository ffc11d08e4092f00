"""How fast training is on this machine: whole steps (forward, backward, update) beside plain torch and AIHWKit.

Every case is one network, preset, batch size and number of threads. Its competitors take turns within one run, each for
a fraction of a second, several times over; the median counts. AIHWKit (`aihwkit_peer`) runs in an interpreter of its
own, this one if it has aihwkit, or another (``peer_python``), with the same network, preset, images, rate and threads.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from torch import nn

from rpusim.errors import InputError
from rpusim.kernels import AnalogSGD, preset
from rpusim.kernels.base.loops import Floats, Loop, Words, popcount
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.pulses import compiled
from rpusim.kernels.pulses.trains import Execution
from rpusim.kernels.tiles.presets import configuration
from rpusim.workloads.benchmarks import aihwkit_peer
from rpusim.workloads.zoo.networks import NETWORKS, build

SEED = 1
"""Seed of weights, devices and images."""
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
Row = dict[str, Any]
"""One figure beside a peer's: name, value and unit, peer, peer_value, and ratio = value over peer_value."""


@dataclass(frozen=True)
class Case:
    """What is timed: a network of the zoo, a preset of the kernel, samples of a step, and threads."""

    network: str
    preset: str
    batch: int
    threads: int

    def __str__(self) -> str:
        return f"{self.network} {self.preset} batch {self.batch} threads {self.threads}"


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
        self._process = subprocess.Popen(
            [python, str(Path(aihwkit_peer.__file__)), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def time(self, case: Case, seconds: float) -> float:
        """Measure a case for so many seconds. Returns samples per second; InputError with the peer's own words."""
        module, shape = build(case.network)
        question = {
            "layers": [_described(layer) for layer in module.children()],
            "shape": shape,
            "preset": peer_preset(case.preset),
            "batch": case.batch,
            "seconds": seconds,
            "seed": SEED,
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
        return float(reply["value"])

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)


def _described(layer: nn.Module) -> tuple[str, list[Any], dict[str, Any]]:
    """Describe a layer by class name and arguments, to be built again elsewhere."""
    options: dict[str, Any] = {}
    given: list[Any] = []
    if isinstance(layer, nn.Linear):
        given = [layer.in_features, layer.out_features]
    elif isinstance(layer, nn.Conv2d):
        given = [layer.in_channels, layer.out_channels, layer.kernel_size]
        options = {"stride": layer.stride, "padding": layer.padding}
    elif isinstance(layer, nn.MaxPool2d):
        given = [layer.kernel_size]
    elif isinstance(layer, nn.LogSoftmax):
        options = {"dim": layer.dim}
    return type(layer).__name__, given, options


def trainers(case: Case, executions: tuple[str, ...]) -> dict[str, Callable[[], None]]:
    """Return our training steps of a case, by name: one per execution, and plain torch as "floating-point"."""
    shape = NETWORKS[case.network].input_shape
    found = {}
    for name in (*executions, "floating-point"):
        torch.manual_seed(SEED)
        model, _ = build(case.network)
        if name == "floating-point":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=aihwkit_peer.rate_of(case.batch))
        else:
            config = configuration(case.preset).config
            model = convert(model, replace(config, update=replace(config.update, execution=Execution(name))))
            optimizer = AnalogSGD(model, lr=aihwkit_peer.rate_of(case.batch))
        found[name] = aihwkit_peer.trainer(model, optimizer, case.batch, shape, SEED)
    return found


def run(
    networks: tuple[str, ...] = ("fcn", "lenet-2017"),
    presets: tuple[str, ...] = ("gokmen-vlasov", "ecram", "reram-sb"),
    batches: tuple[int, ...] = (1, 10, 100),
    threads: tuple[int, ...] = (1, 2),
    executions: tuple[str, ...] = ("exact", "merged"),
    peer_python: str | None = None,
    repeats: int = 5,
    seconds: float = 0.25,
    watch: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Time all cases of these networks, presets, mini-batches and numbers of threads.

    networks:     of the zoo.
    presets:      of the kernel.
    batches:      samples of a step.
    threads:      of torch and numba, and of the peer.
    executions:   ways in which pulses are computed: exact, merged.
    peer_python:  an interpreter that has aihwkit; None: this one, if it has.
    repeats:      turns of every competitor; the median counts.
    seconds:      of a turn.
    watch:        called with each row as it comes.

    Returns one row per execution and peer (AIHWKit, and plain torch), and one for the merged update by itself. Raises
    InputError for what is unknown or out of range, and for what the peer cannot do.
    """
    _check(networks, presets, batches, threads, repeats)
    python = peer_python or (sys.executable if importlib.util.find_spec("aihwkit") else None)
    if python is not None and not os.access(python, os.X_OK):
        raise InputError(f"peer_python: {python!r} cannot be run; accepted is the path of a Python interpreter")
    rows: list[Row] = []

    def keep(row: Row) -> None:
        rows.append(row)
        watch(row)

    for number in threads:
        with _threads(number):
            peer = Peer(python, number) if python is not None else None
            try:
                for case in (Case(n, p, b, number) for n in networks for p in presets for b in batches):
                    for row in _case(case, executions, peer, repeats, seconds):
                        keep(row)
            finally:
                if peer is not None:
                    peer.close()
            keep(ceiling(number))
    return rows


def _case(case: Case, executions: tuple[str, ...], peer: Peer | None, repeats: int, seconds: float) -> Iterator[Row]:
    steps = trainers(case, executions)
    for step in steps.values():
        step()  # compiles, or reads what was compiled before
        step()
    values: dict[str, list[float]] = {name: [] for name in (*steps, "peer")}
    for _ in range(repeats):
        for name, step in steps.items():
            values[name].append(aihwkit_peer.measure(step, case.batch, seconds))
        if peer is not None:
            values["peer"].append(peer.time(case, seconds))
    medians = {name: statistics.median(found) for name, found in values.items() if found}
    for execution in executions:
        for name in ("peer", "floating-point"):
            if name in medians:
                yield {
                    "name": f"train {case} {execution}",
                    "value": medians[execution],
                    "unit": "samples/s",
                    "peer": "aihwkit" if name == "peer" else "torch floating-point",
                    "peer_value": medians[name],
                    "ratio": medians[execution] / medians[name],
                }


def _stream(row_words: Words, column_words: Words, cells: Floats, weights: Floats) -> None:
    """Do the least that any merged update must do: count bits, read every cell's numbers, write every weight."""
    numbers_ = cells.shape[1] // weights.shape[1]
    for i in range(weights.shape[0]):
        counts = np.zeros(weights.shape[1], np.int32)
        for word in range(len(row_words)):
            mask, bits = row_words[word, i], column_words[word]
            for j in range(len(counts)):
                counts[j] += np.int32(popcount(np.uint32(bits[j] & mask)))
        line, cell = weights[i], cells[i]
        for j in range(len(counts)):
            total = np.float32(counts[j])
            for k in range(numbers_):
                total += cell[j * numbers_ + k]
            line[j] = total


_STREAM = Loop(_stream)


def ceiling(threads: int) -> Row:
    """Measure how near the merged update comes to `_stream`, on 256 x 785 cells and 100 vectors."""
    rows, columns, vectors = 256, 785, 100
    named = preset("gokmen-vlasov")
    config, device = named.config, named.device
    cells = device.sample(rows, columns, (SEED,))
    weights = cells.clip(torch.zeros(rows, columns))
    generator = torch.Generator().manual_seed(SEED)
    x, d = torch.rand(vectors, columns, generator=generator), torch.randn(vectors, rows, generator=generator) * 0.03
    parameters = replace(config.update, execution=Execution.MERGED)
    words = [np.full((4, lines), 0x55555555, np.uint32) for lines in (rows, columns)]
    flat, scratch = cells.pulse.numpy().reshape(rows, -1), np.zeros((rows, columns), np.float32)
    sign = [1.0]

    def update() -> None:
        sign[0] = -sign[0]
        compiled.update(weights, cells, device, x, d * sign[0], 0.01, parameters, (SEED,), 0)

    works = {"stream": lambda: _STREAM(*words, flat, scratch), "update": update}
    found: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(10):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if turn:  # the first one compiles
                found[name].append(rows * columns * vectors / (time.perf_counter() - start))
    medians = {name: statistics.median(values) for name, values in found.items()}
    return {
        "name": f"merged update of 256 x 785, 100 vectors, threads {threads}",
        "value": medians["update"],
        "unit": "cells*vectors/s",
        "peer": "counting and streaming only",
        "peer_value": medians["stream"],
        "ratio": medians["update"] / medians["stream"],
    }


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch and numba use this many threads, for a while."""
    before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(number)
    numba.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])


def _check(
    networks: tuple[str, ...],
    presets: tuple[str, ...],
    batches: tuple[int, ...],
    threads: tuple[int, ...],
    repeats: int,
) -> None:
    for name in networks:
        build(name)
    for name in presets:
        configuration(name)
    for field, numbers in (("batch", batches), ("threads", threads), ("repeats", (repeats,))):
        for number in numbers:
            if number < 1:
                raise InputError(f"{field}: {number} was given; accepted is an integer >= 1")
    most = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    if max(threads) > most:
        raise InputError(f"threads: {max(threads)} was given; accepted are 1 to {most} on this machine")
