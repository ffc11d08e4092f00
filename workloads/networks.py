"""The networks that the RPU papers were measured on, as plain torch modules, and two cut to scikit-learn's digits.

Each function returns a module with torch's own initial weights and float32; on ``torch.device("meta")`` it allocates
nothing. `build` finds one by name. All end in a log-softmax over the classes, so the loss is `torch.nn.NLLLoss`.

>>> module, input_shape = build("lenet-digits")
>>> input_shape
(1, 8, 8)
"""

from __future__ import annotations

import runpy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn

from rpusim.arch.configuration import shown
from rpusim.errors import InputError, nearest


def fcn(inputs: int = 784, classes: int = 10) -> nn.Module:
    """The fully connected network of Gokmen & Vlasov 2016: sigmoid layers of 256 and 128, log-softmax out.

    Arrays (bias column included) 256 x 785, 128 x 257, 10 x 129: 235,146 weights. Takes samples of shape (inputs,),
    or of any shape with that many values.
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
    """The convolutional network of Gokmen, Onen & Haensch 2017 on 28 x 28 images: tanh, max pooling, log-softmax.

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
    """The same idea on 8 x 8 images: 3 x 3 kernels, both convolutions padded, pooling after each.

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
    """AlexNet in one tower, as mapped in Gokmen, Onen & Haensch 2017: 227 x 227 images, 1000 classes.

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


def _sequence(**layers: nn.Module) -> nn.Sequential:
    """A sequence whose layers have names, in which maps, reports and errors speak of them."""
    return nn.Sequential(OrderedDict(layers))


@dataclass(frozen=True)
class Entry:
    """One line of `NETWORKS`: how to build the module, the shape of one sample, where the network comes from."""

    builder: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    source: str


_FCN = "Gokmen & Vlasov 2016, Front. Neurosci. 10:333"
_CNN = "Gokmen, Onen & Haensch 2017, Front. Neurosci. 11:538"
NETWORKS: dict[str, Entry] = {
    "fcn": Entry(fcn, (784,), f"{_FCN}: 784-256-128-10 on MNIST"),
    "fcn-digits": Entry(partial(fcn, 64), (64,), f"the hidden layers of {_FCN}, on 8 x 8 digits"),
    "lenet-2017": Entry(lenet_2017, (1, 28, 28), f"{_CNN}: the network trained on MNIST"),
    "lenet-digits": Entry(lenet_digits, (1, 8, 8), f"after {_CNN}, cut by us to 8 x 8 digits"),
    "alexnet": Entry(alexnet, (3, 227, 227), f"{_CNN}: the mapping example, after Krizhevsky et al. 2012"),
}


def build(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """A fresh module and the shape of one sample; torch's random state settles the weights.

    ``name`` is one of `NETWORKS`, or ``file.py:function`` for a function of the user's own, without arguments, that
    returns (module, input_shape). `InputError` with the nearest name if there is no such network.
    """
    if ".py:" in name:
        return _from_file(*name.rsplit(":", 1))
    if name not in NETWORKS:
        raise InputError(f"no network {name!r}{nearest(name, NETWORKS)}; or give file.py:function")
    return NETWORKS[name].builder(), NETWORKS[name].input_shape


def _from_file(path: str, function: str) -> tuple[nn.Module, tuple[int, ...]]:
    """What the user's function returns; whatever is wrong with it is said in one sentence."""
    try:
        there = Path(path).is_file()
    except (OSError, ValueError):  # a name too long, a NUL
        there = False
    if not there:
        raise InputError(f"network: there is no file {shown(path)}; accepted: a name of the zoo, or file.py:function")
    try:
        defined = runpy.run_path(path)
    except (Exception, SystemExit) as error:
        raise InputError(f"network: {path} cannot be run ({type(error).__name__}: {_first_line(error)})") from error
    if not callable(defined.get(function)):
        functions = [key for key, value in defined.items() if callable(value) and not key.startswith("_")]
        raise InputError(f"network: {path} has no function {function!r}{nearest(function, functions)}")
    try:
        module, input_shape = defined[function]()
        shape = tuple(int(size) for size in input_shape)
    except (Exception, SystemExit) as error:
        raise InputError(
            f"network: {function} in {path} did not return (module, input_shape) "
            f"({type(error).__name__}: {_first_line(error)})"
        ) from error
    if not isinstance(module, nn.Module):
        raise InputError(f"network: {function} in {path} returned {type(module).__name__}; a torch module is needed")
    return module, shape


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")
