"""Networks of the zoo as they were captured before: what torch traced once is kept on disk, as compiled loops are.

It lies beside this module, where Python keeps what it compiles, under a name that says all it depends on: the module,
the sources of the zoo, of capture and of networks, and the versions of Python and torch. A file that is not whole is
made anew; where nothing can be written, and of networks that would be large, nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from rpusim.arch.network.network import Network
from rpusim.arch.network.operations import WeightLayer

FOLDER = Path(__file__).parent / "__pycache__"
MOST_BYTES = 2**24
"""Larger networks are not kept: what says where every value is would fill the disk."""
_DIGEST = 32
_SOURCES = ("arch/network", "arch/parts", "workloads/capture", "workloads/zoo")


def captured_once(name: str, says: str, make: Callable[[], Network]) -> Network:
    """Return a network that was captured before, by this process or another; else capture it, and keep it.

    name: of the network. says: all that it depends on, beside sources and versions. make: captures it.
    """
    return _once(name, f"{name}\n{says}", "network", Network, make)


class Footprint:
    """The weight layers of a network, without what lies between them.

    name:    of the network.
    layers:  in execution order.
    """

    def __init__(self, name: str, layers: tuple[WeightLayer, ...]) -> None:
        self.name, self.layers = name, layers

    def uses(self, layer: int) -> tuple[int, ...]:
        """List the layers that use the same weight as one, itself among them, in execution order."""
        weight = self.layers[layer].parameter
        return tuple(index for index, other in enumerate(self.layers) if other.parameter == weight)


def footprint_once(name: str, make: Callable[[], Network]) -> Footprint:
    """Return the weight layers of a network of the zoo that was asked for before; else capture it, and keep them.

    Other than whole networks, they are kept of the largest ones, too. name: in the zoo. make: captures it.
    """
    return _once(name, name, "weights", Footprint, lambda: Footprint(name, make().layers))


_Kept = TypeVar("_Kept")


def _once(name: str, says: str, ending: str, kind: type[_Kept], make: Callable[[], _Kept]) -> _Kept:
    """Return what is kept under a name that says all it depends on; else make it, and keep it if it is not large."""
    key = hashlib.sha256(f"{_versions()}\n{says}".encode()).hexdigest()[:32]
    path = FOLDER / f"{name}.{key}.{ending}"
    with contextlib.suppress(OSError, ValueError, pickle.UnpicklingError, EOFError, AttributeError, ImportError):
        whole = path.read_bytes()
        if hashlib.sha256(whole[_DIGEST:]).digest() == whole[:_DIGEST]:
            found = pickle.loads(whole[_DIGEST:])
            if isinstance(found, kind):
                return found
    found = make()
    written = pickle.dumps(found)
    if len(written) <= MOST_BYTES:
        with contextlib.suppress(OSError):
            FOLDER.mkdir(exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}")
            part.write_bytes(hashlib.sha256(written).digest() + written)
            part.replace(path)
    return found


@cache
def _versions() -> str:
    """Describe sources and versions by a digest."""
    found = hashlib.sha256(f"{sys.version} {version('torch')} {version('networkx')} {version('numpy')}".encode())
    root = Path(__file__).parents[2]
    for folder in _SOURCES:
        for path in sorted((root / folder).glob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()
