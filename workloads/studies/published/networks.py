"""Published figures of networks on resistive arrays: what they need, how fast they are, what replicas bring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from rpusim.workloads.studies.published.case import Case
from rpusim.workloads.studies.published.timed import inferred, network, one_layer

RPU = "Gokmen & Vlasov 2016, Front. Neurosci. 10:333"
CNN = "Gokmen, Onen & Haensch 2017, Front. Neurosci. 11:538"
RAPA = "Rasch, Gokmen, Rigotti & Haensch 2019, Front. Neurosci. 13:753"


def mapping() -> Iterator[Case]:
    """List weights and vectors of networks, which are counted, not timed."""
    fcn = ("FCN 784-256-128-10: weights", "RPU concept and chip", RPU, "derived", 235_146.0, "weights")
    yield Case(*fcn, lambda: float(network("fcn").weights), 0.0)
    lenet = ("LeNet: weights", "CNN on RPU", CNN, "derived", 80_202.0, "weights")
    yield Case(*lenet, lambda: float(network("lenet-2017").weights), 0.0)
    vectors = ("LeNet: vectors per image", "CNN on RPU", CNN, "derived", 642.0, "vectors")
    yield Case(*vectors, lambda: float(sum(layer.vectors for layer in network("lenet-2017").layers)), 0.0)


def resistive_processing_unit() -> Iterator[Case]:
    """List speeds of the RPU chip, and of AlexNet on it."""

    def tops() -> float:
        return 2 * 4096**2 / one_layer("rpu-2016", 0, 4096).cycle * 1e-12

    yield Case("4096 x 4096 tile at 80 ns", "RPU concept and chip", RPU, "derived", 419.43, "TOPS", tops, 0.001)
    yield Case("50 such tiles", "RPU concept and chip", RPU, "recalled", 21_000.0, "TOPS", lambda: 50 * tops(), 0.01)

    def pipelined() -> float:
        events = inferred("alexnet", 3, "layer-pipelined").events
        done = [events.end[(events.layer == 7) & (events.vector == sample)].max() for sample in (1, 2)]
        return float(done[1] - done[0]) * 1e-6

    def one_by_one() -> float:
        timed = inferred("alexnet", 1, "sequential")
        return sum(80e-3 * len(timed.driving(layer)) for layer in range(8))

    what = "CNN on RPU", CNN, "derived"
    yield Case("AlexNet: between images, pipelined", *what, 242.0, "us", pipelined, 0.005)
    yield Case("AlexNet: array time, layer after layer", *what, 341.0, "us", one_by_one, 0.005)


def replicas_of_layers() -> Iterator[Case]:
    """List how much faster copies of layers are, in array time; the paper leaves out the readout, which is a vector."""

    def serial(*replicas: int) -> float:
        timed = inferred("rapa-cifar", 1, "sequential", replicas)
        return sum(float(len(timed.driving(layer))) for layer in range(3))

    def pipelined(*replicas: int) -> float:
        """Find what three more images take; the distance of two would not do, as images overtake each other."""
        few, more = (inferred("rapa-cifar", images, "layer-pipelined", replicas).seconds for images in (3, 6))
        return more - few

    def faster(taken: Callable[..., float], replicas: tuple[int, ...]) -> float:
        return taken(1, 1, 1) / taken(*replicas)

    what = "RAPA-ConvNets", RAPA, "derived"
    for replicas, together, one_by_one in (((16, 4, 1), 16.0, 7.0), ((64, 16, 4), 64.0, 28.0)):
        name = "RAPA: replicas " + ":".join(map(str, replicas))
        yield Case(
            f"{name}, speed-up pipelined",
            *what,
            together,
            "1",
            partial(faster, pipelined, replicas),
            0.1,
        )
        yield Case(
            f"{name}, speed-up layer after layer",
            *what,
            one_by_one,
            "1",
            partial(faster, serial, replicas),
            0.01,
        )
