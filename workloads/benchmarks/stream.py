"""How near the merged update comes to what any merged update must do: count bits, and stream the cells' numbers."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from rpusim.kernels import preset
from rpusim.kernels.base.loops import Floats, Loop, Words, popcount
from rpusim.kernels.pulses import compiled
from rpusim.kernels.pulses.trains import Execution
from rpusim.workloads.benchmarks.cases import SEED


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


def ceiling(threads: int) -> dict[str, Any]:
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
