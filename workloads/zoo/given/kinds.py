"""Networks that a user gives by file or by the name of another library: which kind a name is of, and building it.

FILE.py:FUNCTION             a function of the user's own, see `own`
NAME.yaml, NAME.yml          a list of layers, see `layers_file`
NAME.onnx                    an ONNX graph, see `onnx_file`
hf:TYPE, hf:FOLDER           a configuration of Hugging Face's transformers, see `hugging_face`
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from rpusim.workloads.zoo.given import hugging_face, layers_file, onnx_file, own

ACCEPTED = "file.py:function, a .yaml file with layers, a .onnx file, or hf:TYPE"
"""What may be given beside the names of the zoo."""


def built(given: str | Mapping[str, Any]) -> tuple[nn.Module, tuple[Any, ...]] | None:
    """Build a network of one of these kinds: a fresh module, and what one sample is; None if it is of none.

    given: a name, or the mapping that a file of layers holds. Raises InputError if something is wrong with it.
    """
    if isinstance(given, Mapping):
        return layers_file.of(given, "network")
    if ".py:" in given:
        return own.build(*given.rsplit(":", 1))
    if given.startswith(hugging_face.PREFIX):
        return hugging_face.build(given)
    if given.lower().endswith((".yaml", ".yml")):
        return layers_file.build(given)
    return onnx_file.build(given) if given.lower().endswith(".onnx") else None
