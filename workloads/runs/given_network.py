"""A network as a user names it, as weight layers and operations: found without torch if it ships as a graph.

Graphs of the zoo ship as data, compressed, in ``workloads/zoo/graphs``: one file for each network, and one for it in
training where that is another graph. `make shipped` runs this module, which writes them anew from the modules.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpusim.arch.network.as_data import of_data, to_data
from rpusim.arch.network.network import Network
from rpusim.errors import InputError
from rpusim.workloads.zoo.networks import NETWORKS, build

if TYPE_CHECKING:
    from torch import nn

    GivenNetwork = str | Network | tuple[nn.Module, Any]
    """A network as a user names it: one of the zoo, ``file.py:function``, a torch module with the shape of a sample (or
    whatever else `rpusim.capture` takes for it), or what `rpusim.capture` found."""

GRAPHS = Path(__file__).parents[1] / "zoo" / "graphs"
"""Where graphs of the zoo lie."""
_PLAIN, _TRAINING = "{}.json.xz", "{}.training.json.xz"


def load_network(given: GivenNetwork, training: bool = False) -> Network:
    """Return the layers of a network of the zoo, of ``file.py:function``, or those given as a value.

    training: whether it is wanted as it is in training; else as in evaluation.

    No weight is allocated, so networks far larger than this machine's memory can be asked about. Raises InputError if
    there is no such network, or it cannot be captured.
    """
    if isinstance(given, Network):
        return given
    if isinstance(given, str) and given in NETWORKS and (shipped := _shipped(given, training)) is not None:
        return shipped
    return captured(given, training)


def captured(given: GivenNetwork, training: bool) -> Network:
    """Capture a network anew; arguments and errors as of `load_network`."""
    import torch
    from torch import nn

    from rpusim.workloads.capture.capture import capture

    if isinstance(given, tuple):
        module, input_shape = given
        return capture(module, input_shape, training=training)
    if isinstance(given, nn.Module):
        raise InputError(f"network: got a {type(given).__name__} alone, accepted: (module, shape of one sample)")
    assert isinstance(given, str)
    try:
        with torch.device("meta"):
            module, input_shape = build(given)
    except InputError as error:
        if not isinstance(error.__cause__, NotImplementedError | RuntimeError):
            raise
        module, input_shape = build(given)  # its function reads values, which are not there on "meta"
    return capture(module, input_shape, given, training)


def _shipped(name: str, training: bool) -> Network | None:
    """Read the graph of a network of the zoo; None if it does not ship."""
    names = [_TRAINING, _PLAIN] if training else [_PLAIN]
    path = next((found for each in names if (found := GRAPHS / each.format(name)).exists()), None)
    return None if path is None else of_data(json.loads(lzma.decompress(path.read_bytes())))


def graphs(name: str) -> dict[str, bytes]:
    """Capture a network of the zoo, and return the files of its graphs: their names and bytes."""
    plain, trained = (json.dumps(to_data(captured(name, mode)), separators=(",", ":")) for mode in (False, True))
    found = {_PLAIN.format(name): plain} | ({_TRAINING.format(name): trained} if trained != plain else {})
    return {file: lzma.compress(text.encode(), preset=9) for file, text in found.items()}


if __name__ == "__main__":
    GRAPHS.mkdir(exist_ok=True)
    for old in GRAPHS.iterdir():
        old.unlink()
    for name in NETWORKS:
        for file, content in graphs(name).items():
            (GRAPHS / file).write_bytes(content)
            print(f"{file}: {len(content)} bytes", flush=True)
