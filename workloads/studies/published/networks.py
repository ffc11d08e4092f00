"""Published figures of networks on resistive arrays: what they need, how fast they are, what replicas bring."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rpusim.workloads.studies.published.case import Simulated
from rpusim.workloads.studies.published.timed import inferred, network, one_layer


def mapping() -> Simulated:
    """Count weights and vectors of networks."""
    return {
        "mapping/fcn-weights": lambda: float(network("fcn").weights),
        "mapping/lenet-weights": lambda: float(network("lenet-2017").weights),
        "mapping/lenet-vectors": lambda: float(sum(layer.vectors for layer in network("lenet-2017").layers)),
    }


def resistive_processing_unit() -> Simulated:
    """Find speeds of the RPU chip's tile, and of AlexNet on such tiles."""

    def tops() -> float:
        return 2 * 4096**2 / one_layer("rpu-2016", 0, 4096).cycle * 1e-12

    def pipelined() -> float:
        events = inferred("alexnet", 3, "layer-pipelined").events
        done = [events.end[(events.layer == 7) & (events.vector == sample)].max() for sample in (1, 2)]
        return float(done[1] - done[0]) * 1e-6

    def one_by_one() -> float:
        timed = inferred("alexnet", 1, "sequential")
        return sum(80e-3 * len(timed.driving(layer)) for layer in range(8))

    return {
        "rpu/tile": tops,
        "rpu/tiles": lambda: 50 * tops(),
        "alexnet/pipelined": pipelined,
        "alexnet/serial": one_by_one,
    }


def replicas_of_layers() -> Simulated:
    """Find how much faster copies of layers are, in array time."""

    def serial(*replicas: int) -> float:
        timed = inferred("rapa-cifar", 1, "sequential", replicas)
        return sum(float(len(timed.driving(layer))) for layer in range(3))

    def pipelined(*replicas: int) -> float:
        """Find what three more images take; the distance of two would not do, as images overtake each other."""
        few, more = (inferred("rapa-cifar", images, "layer-pipelined", replicas).seconds for images in (3, 6))
        return more - few

    def faster(taken: Callable[..., float], replicas: tuple[int, ...]) -> float:
        return taken(1, 1, 1) / taken(*replicas)

    found: Simulated = {}
    for replicas in ((16, 4, 1), (64, 16, 4)):
        found[f"rapa/pipelined-{replicas[0]}"] = partial(faster, pipelined, replicas)
        found[f"rapa/serial-{replicas[0]}"] = partial(faster, serial, replicas)
    return found
