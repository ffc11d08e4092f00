"""What replicas of a layer have learned: how alike their filters are, each of which saw its share of vectors only."""

from __future__ import annotations

from typing import Any

from torch import nn

from rpusim.kernels.layers.replicated import Replicated


def similarity(model: nn.Module) -> dict[str, float]:
    """Compute by layer with replicas the mean cosine between two replicas' weights of one output.

    model: on arrays; layers are called as in the network.
    """
    return {name: part.similarity() for name, part in model.named_modules() if isinstance(part, Replicated)}


def rows_of_replicas(model: nn.Module, first: dict[str, float]) -> list[dict[str, Any]] | None:
    """Write what result.json says of replicas, layer by layer; None if no layer has any.

    model: on arrays. first: what `similarity` gave of the first weights.
    """
    rows = [
        {
            "layer": name,
            "replicas": part.replication.number,
            "training": part.replication.training.value,
            "inference": part.replication.inference.value,
            "first_weights": part.replication.first_weights,
            "average_every": part.replication.average_every,
            "learning_rate": part.replication.learning_rate,
            "similarity_at_first": first[name],
            "similarity": part.similarity(),
        }
        for name, part in model.named_modules()
        if isinstance(part, Replicated)
    ]
    return rows or None
