"""Fully connected networks."""

from __future__ import annotations

from torch import nn

from rpusim.workloads.zoo.named import named


def fcn(inputs: int = 784, classes: int = 10) -> nn.Module:
    """Build the fully connected network of Gokmen & Vlasov 2016: sigmoid layers of 256 and 128, log-softmax out.

    inputs:   values of a sample; its shape is (inputs,), or any shape with that many values.
    classes:  number of outputs.

    Arrays (bias column included) 256 x 785, 128 x 257, 10 x 129: 235,146 weights.
    """
    return named(
        flatten=nn.Flatten(),
        fc1=nn.Linear(inputs, 256),
        sigmoid1=nn.Sigmoid(),
        fc2=nn.Linear(256, 128),
        sigmoid2=nn.Sigmoid(),
        fc3=nn.Linear(128, classes),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def fcn_large(inputs: int = 784, classes: int = 10) -> nn.Module:
    """Build a network of millions of weights: ReLU layers of 2,048 and 1,024, log-softmax out.

    inputs, classes:  as of `fcn`.

    Arrays (bias column included) 2048 x 785, 1024 x 2049, 10 x 1025: 3,716,106 weights.
    """
    return named(
        flatten=nn.Flatten(),
        fc1=nn.Linear(inputs, 2048),
        relu1=nn.ReLU(),
        fc2=nn.Linear(2048, 1024),
        relu2=nn.ReLU(),
        fc3=nn.Linear(1024, classes),
        log_softmax=nn.LogSoftmax(dim=1),
    )
