"""Networks of Hugging Face's transformers by their configuration, without weights and without anything downloaded.

    hf:gpt2                                  the type's own configuration (of GPT-2: its smallest model)
    hf:bert?tokens=64&num_hidden_layers=2    with some fields changed; ``tokens``: of a sample
    hf:FOLDER, hf:FOLDER/config.json         a configuration that is there, as ``save_pretrained`` writes it

Models that predict the next token come with their readout, all others as they are. Weights are torch's first ones; on
``torch.device("meta")`` nothing is allocated. The package transformers has to be installed by the user.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import torch
from torch import Tensor, nn

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError, nearest

PREFIX = "hf:"
TOKENS = 128
"""Tokens of a sample where nobody says how many; fewer if the model has fewer places."""
_PLACES = ("max_position_embeddings", "n_positions", "n_ctx")


class HuggingFace(nn.Module):
    """A model of transformers as a module of one tensor in and one out.

    model: of transformers. images: whether it reads images, not tokens.
    """

    def __init__(self, model: nn.Module, images: bool) -> None:
        super().__init__()
        self.model, self.images = model, images

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, or states, (samples, positions, ...), of tokens (samples, positions) or of images."""
        found = self.model(pixel_values=x) if self.images else self.model(input_ids=x, use_cache=False)
        return found[0]  # type: ignore[no-any-return]


def build(given: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """Build the model of a configuration: a module without pretrained weights, and what one sample is.

    given: as in the head of this file. Raises InputError if transformers is not installed, or knows no such model.
    """
    try:
        library = import_module("transformers")
    except ImportError as error:
        raise InputError(
            f"network: {shown(given)} is of the package transformers, which is not installed; accepted: after "
            "`pip install transformers`"
        ) from error
    name, _, query = given.removeprefix(PREFIX).partition("?")
    changes = {key: _value(value) for key, value in parse_qsl(query)}
    tokens = changes.pop("tokens", None)
    config = _configuration(library, name)
    for field, value in changes.items():
        if not hasattr(config, field):
            raise InputError(f"network: {shown(given)}: {shown(field)} is no field of this configuration")
        setattr(config, field, value)
    config._attn_implementation = "sdpa"
    predicts = type(config) in library.MODEL_FOR_CAUSAL_LM_MAPPING and getattr(config, "is_decoder", True) is not False
    maker = library.AutoModelForCausalLM if predicts else library.AutoModel
    try:
        model = maker.from_config(config)
    except Exception as error:  # whatever a model of the library may raise
        said = next(iter(str(error).splitlines()), "").rstrip(".")
        raise InputError(f"network: {shown(given)} cannot be built ({type(error).__name__}: {shown(said)})") from error
    images = hasattr(config, "image_size") and not hasattr(config, "vocab_size")
    if images:
        size = config.image_size
        return HuggingFace(model, True), (int(config.num_channels), int(size), int(size))
    most = next((int(getattr(config, place)) for place in _PLACES if getattr(config, place, None)), TOKENS)
    number = min(TOKENS, most) if tokens is None else tokens
    if not isinstance(number, int) or not 0 < number <= most:
        raise InputError(f"network: tokens: got {shown(str(number))}; accepted: a whole number from 1 to {most}")
    return HuggingFace(model, False), ((number,), torch.int64)


def _configuration(library: Any, name: str) -> Any:
    """Find a configuration: in a folder or file, or of a type of models."""
    path = Path(name).expanduser()
    if path.is_dir() or path.is_file():
        folder = path if path.is_dir() else path.parent
        try:
            return library.AutoConfig.from_pretrained(str(folder), local_files_only=True)
        except Exception as error:  # whatever the library raises at a file that is none
            raise InputError(f"network: {path} holds no configuration ({type(error).__name__})") from error
    try:
        return library.AutoConfig.for_model(name)
    except (ValueError, KeyError) as error:
        known = sorted(library.CONFIG_MAPPING.keys())
        raise InputError(
            f"network: transformers has no type {shown(repr(name))}{nearest(name, known)}; or a folder with config.json"
        ) from error


def _value(text: str) -> Any:
    """Read a value of a field: a number, a truth, or a word."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
