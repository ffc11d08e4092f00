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

from rpusim.arch.network.network import Network

FOLDER = Path(__file__).parent / "__pycache__"
MOST_BYTES = 2**24
"""Larger networks are not kept: what says where every value is would fill the disk."""
_DIGEST = 32
_SOURCES = ("arch/network", "arch/parts", "workloads/capture", "workloads/zoo")


def captured_once(name: str, says: str, make: Callable[[], Network]) -> Network:
    """Return a network that was captured before, by this process or another; else capture it, and keep it.

    name: of the network. says: all that it depends on, beside sources and versions. make: captures it.
    """
    key = hashlib.sha256("\n".join([_versions(), name, says]).encode()).hexdigest()[:32]
    path = FOLDER / f"{name}.{key}.network"
    with contextlib.suppress(OSError, ValueError, pickle.UnpicklingError, EOFError, AttributeError, ImportError):
        whole = path.read_bytes()
        if hashlib.sha256(whole[_DIGEST:]).digest() == whole[:_DIGEST]:
            found = pickle.loads(whole[_DIGEST:])
            if isinstance(found, Network):
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
