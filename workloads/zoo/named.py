"""Sequences whose layers have names."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def named(**layers: nn.Module) -> nn.Sequential:
    """Build a sequence whose layers have names, in which maps, reports and errors speak of them."""
    return nn.Sequential(OrderedDict(layers))
