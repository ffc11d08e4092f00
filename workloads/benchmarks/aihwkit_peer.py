"""Times AIHWKit, IBM's analog hardware acceleration kit, on the cases of `rpusim bench`. Runs alone, without rpusim.

    PYTHON aihwkit_peer.py THREADS

reads one JSON object a line, {"layers": [...], "preset": class name, "shape": [...], "batch": n, "seconds": s,
"seed": n}, and answers each with a line: {"value": samples per second}, or {"error": why not}. Only the peer's public
interface is used: convert_to_analog, AnalogSGD and the presets. It gets what we have: one array per layer, the bias as
a column.
"""

from __future__ import annotations

import json
import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Step = Callable[[], None]
"""One whole training step: forward, backward, update."""


def module_of(layers: Sequence[tuple[str, list[Any], dict[str, Any]]]) -> nn.Module:
    """Build a sequence of torch.nn modules, each given by its class name, arguments and keyword arguments."""
    return nn.Sequential(*(getattr(nn, name)(*given, **options) for name, given, options in layers))


def images(batch: int, shape: Sequence[int], seed: int) -> tuple[Tensor, Tensor]:
    """Draw ``batch`` random images of which a fifth of the pixels are lit, as in MNIST, and their classes of ten."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(batch, *shape, generator=generator)
    lit = torch.rand(batch, *shape, generator=generator) < 0.2
    return pixels * lit, torch.randint(0, 10, (batch,), generator=generator)


def measure(step: Step, batch: int, seconds: float) -> float:
    """Repeat a step for at least so many seconds, once at least. Returns samples per second, ``batch`` in each step."""
    count, start = 0, time.perf_counter()
    while True:
        step()
        count += 1
        passed = time.perf_counter() - start
        if passed >= seconds:
            return count * batch / passed


def rate_of(batch: int) -> float:
    """Return the learning rate per sample: 0.01 for single samples, and by the square-root rule for batches."""
    return 0.01 / math.sqrt(batch)


def trainer(model: nn.Module, optimizer: Any, batch: int, shape: Sequence[int], seed: int) -> Step:
    """Return a training step of a model, on the next of at least 200 samples; the losses of a batch add up."""
    number = max(2, 200 // batch)
    pixels, labels = images(number * batch, shape, seed)
    batches = list(zip(torch.split(pixels, batch), torch.split(labels, batch), strict=True))
    loss_of = nn.NLLLoss(reduction="sum")

    def step() -> None:
        batches.append(batches.pop(0))
        x, label = batches[-1]
        optimizer.zero_grad()
        loss_of(model(x), label).backward()
        optimizer.step()

    return step


def analog(case: dict[str, Any]) -> Step:
    """Return a training step of the peer; case: the JSON object above."""
    from aihwkit.nn.conversion import convert_to_analog
    from aihwkit.optim import AnalogSGD
    from aihwkit.simulator import presets

    torch.manual_seed(case["seed"])
    config = getattr(presets, case["preset"])()
    config.mapping.digital_bias = False
    config.mapping.max_input_size = config.mapping.max_output_size = 0
    model = convert_to_analog(module_of(case["layers"]), config)
    optimizer = AnalogSGD(model.parameters(), lr=rate_of(case["batch"]))
    optimizer.regroup_param_groups(model)
    return trainer(model, optimizer, case["batch"], case["shape"], case["seed"])


def main() -> None:
    """Answer questions from stdin until it ends. The peer's own words go to stderr."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(int(sys.argv[1]))
    answer, sys.stdout = sys.stdout, sys.stderr
    steps: dict[str, Step] = {}
    for line in sys.stdin:
        case = json.loads(line)
        key = json.dumps([case["layers"], case["preset"], case["batch"]])
        reply: dict[str, Any]
        try:
            if key not in steps:
                steps.clear()
                steps[key] = analog(case)
                steps[key]()
            reply = {"value": measure(steps[key], case["batch"], case["seconds"])}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answer, flush=True)


if __name__ == "__main__":
    main()
