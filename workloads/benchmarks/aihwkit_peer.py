"""Times AIHWKit, IBM's analog hardware acceleration kit, on the cases of `rpusim bench`. Runs alone, without rpusim.

    PYTHON aihwkit_peer.py THREADS

reads one JSON object a line, {"layers": [...], "preset": class name, "shape": [...], "batch": n, "seconds": s,
"seed": n}, and answers each with a line: {"value": samples per second}, or {"error": why not}. Only the peer's public
interface is used: convert_to_analog, AnalogSGD and the presets. It gets what we have: one array per layer, the bias as
a column.
"""

import json
import sys
import time
import warnings


def module_of(layers):
    """torch.nn modules from [name, arguments, keyword arguments]."""
    from torch import nn

    return nn.Sequential(*(getattr(nn, name)(*given, **options) for name, given, options in layers))


def images(batch, shape, seed):
    """Random images of which a fifth of the pixels are lit, as in MNIST, and their classes."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(batch, *shape, generator=generator)
    lit = torch.rand(batch, *shape, generator=generator) < 0.2
    return pixels * lit, torch.randint(0, 10, (batch,), generator=generator)


def measure(step, batch, seconds):
    """Samples per second of repeated steps, for at least one step and this many seconds."""
    count, start = 0, time.perf_counter()
    while True:
        step()
        count += 1
        passed = time.perf_counter() - start
        if passed >= seconds:
            return count * batch / passed


def rate_of(batch):
    """The learning rate per sample: 0.01 for single samples, and by the square-root rule for batches."""
    return 0.01 / batch**0.5


def trainer(model, optimizer, batch, shape, seed):
    """One whole training step on the next of at least 200 samples; the losses of a batch add up."""
    import torch

    number = max(2, 200 // batch)
    pixels, labels = images(number * batch, shape, seed)
    batches = list(zip(pixels.split(batch), labels.split(batch), strict=True))
    loss_of = torch.nn.NLLLoss(reduction="sum")

    def step():
        batches.append(batches.pop(0))
        x, label = batches[-1]
        optimizer.zero_grad()
        loss_of(model(x), label).backward()
        optimizer.step()

    return step


def analog(case):
    """A training step of the peer."""
    import torch
    from aihwkit.nn.conversion import convert_to_analog  # type: ignore[import-not-found]
    from aihwkit.optim import AnalogSGD  # type: ignore[import-not-found]
    from aihwkit.simulator import presets  # type: ignore[import-not-found]

    torch.manual_seed(case["seed"])
    config = getattr(presets, case["preset"])()
    config.mapping.digital_bias = False
    config.mapping.max_input_size = config.mapping.max_output_size = 0
    model = convert_to_analog(module_of(case["layers"]), config)
    optimizer = AnalogSGD(model.parameters(), lr=rate_of(case["batch"]))
    optimizer.regroup_param_groups(model)
    return trainer(model, optimizer, case["batch"], case["shape"], case["seed"])


def main():
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(int(sys.argv[1]))
    answer, sys.stdout = sys.stdout, sys.stderr
    steps: dict = {}
    for line in sys.stdin:
        case = json.loads(line)
        key = json.dumps([case["layers"], case["preset"], case["batch"]])
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
