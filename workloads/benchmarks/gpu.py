"""Whole training steps on a GPU, beside torch in floating point on it and beside this package on the CPU.

    python -m rpusim.workloads.benchmarks.gpu [--seconds 2] [--networks fcn lenet-2017 vgg8 lstm-text] [--profile]

For each network, mini-batches of 100 samples, and each way to train: samples per second on the GPU, of plain torch in
floating point there, and of the same model on the CPU in a loop of torch's modules; then, with ``--profile``, where the
time of a step goes. Inputs are random, and a first step, in which kernels are compiled, is not counted. Each figure
takes about ``--seconds``; the defaults were chosen for ten minutes in all, which no GPU has confirmed yet.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rpusim.kernels import AnalogSGD, configuration, convert
from rpusim.workloads.zoo.networks import NETWORKS

BATCH = 100
NAMES = ("fcn", "lenet-2017", "vgg8", "lstm-text")
WAYS = {
    "plain": "reram-es",
    "tiki-taka": "tiki-taka-reram-es",
    "ttv2": "ttv2-reram-es",
    "agad": "agad-reram-es",
}
"""Ways to train, by what they are called in the table."""
SLOW = 30.0
"""Seconds that one step on the CPU may take; what takes longer is not repeated."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status, 2 where torch sees no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    parser.add_argument("--networks", nargs="+", choices=sorted(NETWORKS), default=list(NAMES))
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--without-cpu", action="store_true", help="leave out the column of the CPU")
    parser.add_argument("--profile", action="store_true", help="where the time of a step goes")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("torch sees no GPU here, so nothing is measured; `rpusim doctor` says what is missing", file=sys.stderr)
        return 2
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; samples per second, batch {given.batch}")
    print(f"{'network':12} {'way':10} {'GPU':>12} {'float on GPU':>14} {'CPU':>12}")
    for name in given.networks:
        x, y = samples(name, given.batch)
        torch.manual_seed(1)
        digital = network(name)
        exactly = rate(step_of(digital, torch.optim.SGD(digital.to("cuda").parameters(), 0.01), x, y, "cuda"), given)
        for way, preset in WAYS.items():
            model = convert(network(name), configuration(preset).config, seed=1)
            on_cpu = float("nan")
            if not given.without_cpu:
                on_cpu = rate(step_of(model, AnalogSGD(model, 0.01), x, y, "cpu"), given)
            model.to("cuda")
            step = step_of(model, AnalogSGD(model, 0.01), x, y, "cuda")
            print(f"{name:12} {way:10} {rate(step, given):12.0f} {exactly:14.0f} {on_cpu:12.0f}", flush=True)
            if given.profile and way == "plain":
                print(profiled(step))
    return 0


def network(name: str) -> nn.Module:
    """Build a network of the zoo in floating point."""
    built: nn.Module = NETWORKS[name].builder()
    return built


def samples(name: str, batch: int) -> tuple[Tensor, Tensor]:
    """Draw a mini-batch for a network: inputs of its shape, and as many classes as it has outputs."""
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(batch, *NETWORKS[name].input_shape, generator=generator)
    with torch.no_grad():
        outputs = network(name).eval()(x[:1])
    return x, torch.randint(outputs.shape[-1], (batch, *outputs.shape[1:-1]), generator=generator)


def step_of(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, device: str
) -> Callable[[], None]:
    """Make a function that trains a model by one mini-batch on a device, and waits until that is done."""
    x, y = x.to(device), y.to(device)

    def step() -> None:
        optimizer.zero_grad()
        outputs = model(x)
        torch.autograd.backward(nn.functional.nll_loss(outputs.reshape(-1, outputs.shape[-1]), y.reshape(-1)))
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return step


def rate(step: Callable[[], None], given: Any) -> float:
    """Count samples per second; a first step, in which kernels are compiled, is left out.

    given: the arguments, of which ``seconds`` and ``batch`` count.
    """
    began = time.perf_counter()
    step()
    first = time.perf_counter() - began
    if first > SLOW:
        return float(given.batch / first)
    began, number = time.perf_counter(), 0
    while number == 0 or time.perf_counter() - began < given.seconds:
        step()
        number += 1
    return float(given.batch * number / (time.perf_counter() - began))


def profiled(step: Callable[[], None]) -> str:
    """Return a table of what takes the time of a step on the GPU."""
    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as seen:
        step()
    return str(seen.key_averages().table(sort_by="cuda_time_total", row_limit=15))


if __name__ == "__main__":
    sys.exit(main())
