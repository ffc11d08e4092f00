"""The networks that papers of the field were measured on, as plain torch modules, and two cut to scikit-learn's digits.

Each function returns a module with torch's own initial weights and float32; on ``torch.device("meta")`` it allocates
nothing. `build` finds one by name. All end in a log-softmax over the classes, so the loss is `torch.nn.NLLLoss`.

>>> module, input_shape = build("lenet-digits")
>>> input_shape
(1, 8, 8)
"""

from __future__ import annotations

import itertools
import operator
import os
import runpy
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from torch import Tensor, dtype, nn

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError, nearest, written
from rpusim.workloads.zoo import given
from rpusim.workloads.zoo.text import CHARACTERS, WINDOW, lstm_text, transformer_text


def fcn(inputs: int = 784, classes: int = 10) -> nn.Module:
    """Build the fully connected network of Gokmen & Vlasov 2016: sigmoid layers of 256 and 128, log-softmax out.

    inputs:   values of a sample; its shape is (inputs,), or any shape with that many values.
    classes:  number of outputs.

    Arrays (bias column included) 256 x 785, 128 x 257, 10 x 129: 235,146 weights.
    """
    return _sequence(
        flatten=nn.Flatten(),
        fc1=nn.Linear(inputs, 256),
        sigmoid1=nn.Sigmoid(),
        fc2=nn.Linear(256, 128),
        sigmoid2=nn.Sigmoid(),
        fc3=nn.Linear(128, classes),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def lenet_2017() -> nn.Module:
    """Build the convolutional network of Gokmen, Onen & Haensch 2017 on 28 x 28 images: tanh, max pooling, log-softmax.

    Arrays (bias column included) 16 x 26, 32 x 401, 128 x 513, 10 x 129: 80,202 weights; 576, 64, 1 and 1 vectors.
    """
    return _sequence(
        conv1=nn.Conv2d(1, 16, 5),
        tanh1=nn.Tanh(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(16, 32, 5),
        tanh2=nn.Tanh(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(512, 128),
        tanh3=nn.Tanh(),
        fc2=nn.Linear(128, 10),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def lenet_digits() -> nn.Module:
    """Build the same on 8 x 8 images: 3 x 3 kernels, both convolutions padded, pooling after each.

    Arrays (bias column included) 16 x 10, 32 x 145, 64 x 129, 10 x 65: 13,706 weights; 64, 16, 1 and 1 vectors.
    """
    return _sequence(
        conv1=nn.Conv2d(1, 16, 3, padding=1),
        tanh1=nn.Tanh(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(16, 32, 3, padding=1),
        tanh2=nn.Tanh(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(128, 64),
        tanh3=nn.Tanh(),
        fc2=nn.Linear(64, 10),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def alexnet() -> nn.Module:
    """Build AlexNet in one tower, as mapped in Gokmen, Onen & Haensch 2017: 227 x 227 images, 1000 classes.

    Arrays (without bias) 96 x 363, 256 x 2400, 384 x 2304, 384 x 3456, 256 x 3456, 4096 x 9216, 4096 x 4096,
    1000 x 4096; 3025, 729, 169, 169, 169, 1, 1 and 1 vectors. Local response normalisation is left out.
    """
    return _sequence(
        conv1=nn.Conv2d(3, 96, 11, stride=4),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(3, stride=2),
        conv2=nn.Conv2d(96, 256, 5, padding=2),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(3, stride=2),
        conv3=nn.Conv2d(256, 384, 3, padding=1),
        relu3=nn.ReLU(),
        conv4=nn.Conv2d(384, 384, 3, padding=1),
        relu4=nn.ReLU(),
        conv5=nn.Conv2d(384, 256, 3, padding=1),
        relu5=nn.ReLU(),
        pool3=nn.MaxPool2d(3, stride=2),
        flatten=nn.Flatten(),
        dropout1=nn.Dropout(),
        fc1=nn.Linear(9216, 4096),
        relu6=nn.ReLU(),
        dropout2=nn.Dropout(),
        fc2=nn.Linear(4096, 4096),
        relu7=nn.ReLU(),
        fc3=nn.Linear(4096, 1000),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def rapa_cifar() -> nn.Module:
    """Build three convolutions with pooling and a readout, for 32 x 32 images (Rasch, Gokmen, Rigotti & Haensch 2019).

    Arrays (bias column included) 32 x 76, 32 x 801, 64 x 801, 10 x 1025; 1024, 256, 64 and 1 vectors.
    """
    return _sequence(
        conv1=nn.Conv2d(3, 32, 5, padding=2),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(32, 32, 5, padding=2),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        conv3=nn.Conv2d(32, 64, 5, padding=2),
        relu3=nn.ReLU(),
        pool3=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc=nn.Linear(1024, 10),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def vgg8() -> nn.Module:
    """Build the default network of DNN+NeuroSim V2 for CIFAR-10: six 3 x 3 convolutions, two linear layers, no biases.

    Arrays 128 x 27, 128 x 1152, 256 x 1152, 256 x 2304, 512 x 2304, 512 x 4608, 1024 x 8192, 10 x 1024: 12,973,440
    weights; 1024, 1024, 256, 256, 64, 64, 1 and 1 vectors.
    """
    layers: list[tuple[str, nn.Module]] = []
    for block, (before, after) in enumerate([(3, 128), (128, 256), (256, 512)], start=1):
        for half, inputs in (("a", before), ("b", after)):
            layers.append((f"conv{block}{half}", nn.Conv2d(inputs, after, 3, padding=1, bias=False)))
            layers.append((f"relu{block}{half}", nn.ReLU()))
        layers.append((f"pool{block}", nn.MaxPool2d(2)))
    return _sequence(
        **dict(layers),
        flatten=nn.Flatten(),
        fc1=nn.Linear(8192, 1024, bias=False),
        relu4=nn.ReLU(),
        fc2=nn.Linear(1024, 10, bias=False),
        log_softmax=nn.LogSoftmax(dim=1),
    )


class Bottleneck(nn.Module):
    """The block of ResNet-50: 1 x 1, 3 x 3 and 1 x 1 convolutions with batch normalisation, beside a shortcut.

    inputs:  channels that come in.
    width:   channels inside; four times as many go out.
    stride:  of the 3 x 3 convolution.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1, self.norm1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.norm3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = _sequence(
                conv=nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm=nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm3(self.conv3(self.relu(self.norm2(self.conv2(y)))))
        return cast(Tensor, self.relu(y + self.shortcut(x)))


def resnet50() -> nn.Module:
    """Build ResNet-50 (He et al. 2016) for 224 x 224 images and 1000 classes, strides in the 3 x 3 convolutions.

    25.5 million weights in 53 convolutions and a linear layer.
    """
    layers: list[tuple[str, nn.Module]] = []
    inputs = 64
    for stage, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], start=1):
        for block in range(blocks):
            layers.append((f"stage{stage}{'abcdef'[block]}", Bottleneck(inputs, width, 2 if stage > 1 > block else 1)))
            inputs = 4 * width
    return _sequence(
        conv=nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
        norm=nn.BatchNorm2d(64),
        relu=nn.ReLU(),
        pool=nn.MaxPool2d(3, stride=2, padding=1),
        **dict(layers),
        mean=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(2048, 1000),
        log_softmax=nn.LogSoftmax(dim=1),
    )


class Basic(nn.Module):
    """The block of the small residual networks: two 3 x 3 convolutions with batch normalisation, beside a shortcut.

    inputs:   channels that come in.
    outputs:  channels that go out.
    stride:   of the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = _sequence(
                conv=nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm=nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        return cast(Tensor, self.relu(y + self.shortcut(x)))


def resnet20() -> nn.Module:
    """Build ResNet-20 (He et al. 2016) for 32 x 32 images and 10 classes, with 1 x 1 convolutions where sizes change.

    270,896 weights in 21 convolutions and a linear layer, biases aside.
    """
    layers: list[tuple[str, nn.Module]] = []
    inputs = 16
    for stage, outputs in enumerate([16, 32, 64], start=1):
        for block in range(3):
            layers.append((f"stage{stage}{'abc'[block]}", Basic(inputs, outputs, 2 if stage > 1 > block else 1)))
            inputs = outputs
    return _sequence(
        conv=nn.Conv2d(3, 16, 3, padding=1, bias=False),
        norm=nn.BatchNorm2d(16),
        relu=nn.ReLU(),
        **dict(layers),
        mean=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(64, 10),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def _sequence(**layers: nn.Module) -> nn.Sequential:
    """Build a sequence whose layers have names, in which maps, reports and errors speak of them."""
    return nn.Sequential(OrderedDict(layers))


@dataclass(frozen=True)
class Entry:
    """A network of the zoo.

    builder:      makes the module, with torch's own initial weights.
    input_shape:  of one sample.
    title:        what it is, in a line.
    source:       where the network comes from.
    """

    builder: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    title: str
    source: str


_FCN = "Gokmen & Vlasov 2016, Front. Neurosci. 10:333"
_CNN = "Gokmen, Onen & Haensch 2017, Front. Neurosci. 11:538"
_FCN_TITLE = "The fully connected network of Gokmen & Vlasov 2016: sigmoid layers of 256 and 128, log-softmax out"
NETWORKS: dict[str, Entry] = {
    "fcn": Entry(fcn, (784,), _FCN_TITLE, f"{_FCN}: 784-256-128-10 on MNIST"),
    "fcn-digits": Entry(partial(fcn, 64), (64,), _FCN_TITLE, f"the hidden layers of {_FCN}, on 8 x 8 digits"),
    "lenet-2017": Entry(
        lenet_2017,
        (1, 28, 28),
        "The convolutional network of Gokmen, Onen & Haensch 2017 on 28 x 28 images: tanh, max pooling, log-softmax",
        f"{_CNN}: the network trained on MNIST",
    ),
    "lenet-digits": Entry(
        lenet_digits,
        (1, 8, 8),
        "The same idea on 8 x 8 images: 3 x 3 kernels, both convolutions padded, pooling after each",
        f"after {_CNN}, cut by us to 8 x 8 digits",
    ),
    "rapa-cifar": Entry(
        rapa_cifar,
        (3, 32, 32),
        "Three convolutions with pooling on 32 x 32 images, as in Rasch, Gokmen, Rigotti & Haensch 2019, and a readout",
        "Rasch, Gokmen, Rigotti & Haensch 2019, Front. Neurosci. 13:753; channels recalled",
    ),
    "lstm-text": Entry(
        lstm_text,
        (WINDOW, CHARACTERS),
        "Two layers of LSTM of width 64 that tell the next character of a text, from 32 before it",
        "after Gokmen, Rasch & Haensch 2018, Front. Neurosci. 12:745, which has two layers of 64; alphabet of ours",
    ),
    "transformer-text": Entry(
        transformer_text,
        (WINDOW,),
        "Two blocks of a transformer of width 32 that tell the next character of a text, from 32 before it",
        "after Radford et al. 2019 (GPT-2): its block, norms first; sizes of ours",
    ),
    "vgg8": Entry(
        vgg8,
        (3, 32, 32),
        "The default network of DNN+NeuroSim V2 for CIFAR-10: six 3 x 3 convolutions, two linear layers, no biases",
        "DNN+NeuroSim V2.1 (NetWork.csv): its default training network on CIFAR-10",
    ),
    "resnet20": Entry(
        resnet20,
        (3, 32, 32),
        "ResNet-20 (He et al. 2016) for 32 x 32 images and 10 classes, 1 x 1 convolutions where sizes change",
        "He, Zhang, Ren & Sun 2016, CVPR: deep residual learning, section 4.2 (with shortcuts of option B)",
    ),
    "resnet50": Entry(
        resnet50,
        (3, 224, 224),
        "ResNet-50 (He et al. 2016) for 224 x 224 images and 1000 classes, strides in the 3 x 3 convolutions",
        "He, Zhang, Ren & Sun 2016, CVPR: deep residual learning, 50 layers",
    ),
    "alexnet": Entry(
        alexnet,
        (3, 227, 227),
        "AlexNet in one tower, as mapped in Gokmen, Onen & Haensch 2017: 227 x 227 images, 1000 classes",
        f"{_CNN}: the mapping example, after Krizhevsky et al. 2012",
    ),
}


_RUNNING = threading.RLock()
"""Held while a user's file is run: meanwhile it is the program that `sys` knows, for all threads."""

# The thread that held it does not live on in a forked process.
os.register_at_fork(after_in_child=_RUNNING._at_fork_reinit)  # type: ignore[attr-defined]


def build(name: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """Build a network by name: a fresh module, and the shape of one sample.

    name: one of `NETWORKS`, or ``file.py:function`` for a function of the user's own, without arguments, that returns
          (module, input_shape); the file is run as a program, with the user's rights. Its input_shape may be whatever
          `rpusim.capture` takes: one shape, several, shapes with dtypes, examples. Other kinds of files and names are
          told in `rpusim.workloads.zoo.given`.

    Torch's random state settles the weights. Raises InputError with the nearest name if there is no such network, and
    if the user's function does not return what it should.
    """
    if (found := given.built(name)) is not None:
        return found
    if ".py:" in name:
        return _from_file(*name.rsplit(":", 1))
    if name not in NETWORKS:
        raise InputError(f"no network {name!r}{nearest(name, NETWORKS)}; or give {given.ACCEPTED}")
    return NETWORKS[name].builder(), NETWORKS[name].input_shape


def _from_file(path: str, function: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """Call the user's function; whatever is wrong with it is said in one sentence."""
    try:
        there = Path(path).is_file()
    except (OSError, ValueError):  # a name too long, a NUL
        there = False
    if not there:
        raise InputError(f"network: there is no file {shown(path)}; accepted: a name of the zoo, or file.py:function")
    try:
        with _RUNNING:
            defined = runpy.run_path(path)
    except (Exception, SystemExit) as error:
        raise InputError(f"network: {path} cannot be run ({type(error).__name__}: {_first_line(error)})") from error
    if not callable(defined.get(function)):
        functions = [key for key, value in defined.items() if callable(value) and not key.startswith("_")]
        raise InputError(f"network: {path} has no function {function!r}{nearest(function, functions)}")
    try:
        module, input_shape = defined[function]()
        if isinstance(input_shape, dict):
            input_shape = (input_shape,)
        if isinstance(input_shape, Tensor):
            input_shape = (input_shape,)
        if isinstance(input_shape, str | bytes | set | frozenset):
            raise TypeError(f"the shape is {shown(written(input_shape), 60)}, not numbers in an order")
        shape: tuple[Any, ...] = tuple(map(_size, itertools.islice(input_shape, 1000)))
    except (Exception, SystemExit) as error:
        raise InputError(
            f"network: {function} in {path} did not return (module, input_shape) "
            f"({type(error).__name__}: {_first_line(error)})"
        ) from error
    if not isinstance(module, nn.Module):
        raise InputError(f"network: {function} in {path} returned {type(module).__name__}; a torch module is needed")
    return module, shape


def _size(given: Any) -> Any:
    """Return a size as a whole number; what is no number (a shape or an example of one of several inputs) as it is."""
    return given if isinstance(given, list | tuple | dict | Tensor | dtype) else operator.index(given)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")
