"""Times AIHWKit, IBM's analog hardware acceleration kit, on the cases of `rpusim bench`. Runs alone, without rpusim.

    PYTHON aihwkit_peer.py THREADS

reads one JSON object a line and answers each with a line, {"seconds": what the next mini-batches took}, or {"error":
why not}. The object has "name" (a case; its training goes on from one question to the next), "layers" (class names of
torch.nn with their arguments), "preset" (class name), "update" (fields of the preset's update), "samples" (an .npz file
with x and y), "batch", "rate", "seed", and "steps", how many mini-batches to train. Only the peer's public interface is
used: convert_to_analog, AnalogRNN, AnalogSGD and the presets. It gets what we have: one array per matrix, the bias as a
column.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Train = Callable[[int], None]
"""Trains so many mini-batches: forward, backward, update."""


class Characters(nn.Module):
    """Predict the next character: two layers of a long short-term memory of ``hidden`` units, and a readout.

    characters: how many there are. Reads (samples, steps, characters), one-hot, and returns the logarithms of the
    probabilities of the next one, in the same shape. ``steps_first``: whether ``lstm`` was replaced by a module that
    reads (steps, samples, characters).
    """

    def __init__(self, characters: int, hidden: int) -> None:
        super().__init__()
        self.lstm: nn.Module = nn.LSTM(characters, hidden, num_layers=2, batch_first=True)
        self.readout: nn.Module = nn.Linear(hidden, characters)
        self.steps_first = False

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.lstm(x.transpose(0, 1))[0].transpose(0, 1) if self.steps_first else self.lstm(x)[0]
        return torch.log_softmax(self.readout(hidden), dim=-1)


def module_of(layers: Sequence[tuple[str, list[Any], dict[str, Any]]]) -> nn.Module:
    """Build a sequence of torch.nn modules, each given by its class name, arguments and keyword arguments.

    A single `Characters` is built as itself.
    """
    if layers[0][0] == "Characters":
        return Characters(*layers[0][1])
    return nn.Sequential(*(getattr(nn, name)(*given, **options) for name, given, options in layers))


def clock(threads: int) -> Callable[[], float]:
    """Return what counts seconds: those of this process alone where it has one thread, as others may be at work."""
    return time.process_time if threads == 1 else time.perf_counter


def measure(train: Train, steps: int, now: Callable[[], float]) -> float:
    """Train so many mini-batches. Returns the seconds that it took, by the clock ``now``."""
    start = now()
    train(steps)
    return now() - start


def trainer(model: nn.Module, optimizer: Any, x: Tensor, y: Tensor, batch: int) -> Train:
    """Return what trains a model on samples in their order, again and again; the losses of a batch add up.

    x, y: samples, and their classes, one for each sample or one for each of its steps.
    """
    number = len(x) // batch * batch
    batches = list(zip(torch.split(x[:number], batch), torch.split(y[:number], batch), strict=True))
    loss_of, place = nn.NLLLoss(reduction="sum"), [0]

    def train(steps: int) -> None:
        for _ in range(steps):
            inputs, labels = batches[place[0]]
            place[0] = (place[0] + 1) % len(batches)
            optimizer.zero_grad()
            loss_of(model(inputs).flatten(0, -2), labels.flatten()).backward()
            optimizer.step()

    return train


def analog(case: dict[str, Any]) -> Train:
    """Return what trains a case on the peer's arrays; case: the JSON object above."""
    from aihwkit.nn import AnalogLSTMCell, AnalogRNN
    from aihwkit.nn.conversion import convert_to_analog
    from aihwkit.optim import AnalogSGD
    from aihwkit.simulator import presets

    torch.manual_seed(case["seed"])
    config = getattr(presets, case["preset"])()
    config.mapping.digital_bias = False
    config.mapping.max_input_size = config.mapping.max_output_size = 0
    for name, value in case["update"].items():
        assert hasattr(config.update, name), name
        setattr(config.update, name, value)
    module = module_of(case["layers"])
    if isinstance(module, Characters):
        sizes = module.lstm.input_size, module.lstm.hidden_size
        module.lstm = AnalogRNN(AnalogLSTMCell, *sizes, bias=True, rpu_config=config, num_layers=2)
        module.readout, module.steps_first = convert_to_analog(module.readout, config), True
        model: nn.Module = module
    else:
        model = convert_to_analog(module, config)
    optimizer = AnalogSGD(model.parameters(), lr=case["rate"])
    optimizer.regroup_param_groups(model)
    samples = np.load(case["samples"])
    return trainer(model, optimizer, torch.from_numpy(samples["x"]), torch.from_numpy(samples["y"]), case["batch"])


def main() -> None:
    """Answer questions from stdin until it ends. The peer's own words go to stderr."""
    warnings.simplefilter("ignore")
    threads = int(sys.argv[1])
    torch.set_num_threads(threads)
    answer, sys.stdout = sys.stdout, sys.stderr
    trains: dict[str, Train] = {}
    for line in sys.stdin:
        case = json.loads(line)
        reply: dict[str, Any]
        try:
            if case["name"] not in trains:
                trains.clear()
                trains[case["name"]] = analog(case)
            reply = {"seconds": measure(trains[case["name"]], case["steps"], clock(threads))}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answer, flush=True)


if __name__ == "__main__":
    main()
