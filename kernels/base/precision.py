"""Single precision on arrays, whatever torch.autocast has digital layers compute in.

Within torch.autocast products are taken in half precision. Those of arrays are not: cells, converters and their noise
are float32 whoever calls, so that a mini-batch gives the same numbers inside of it and outside.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

_is_at_work: Callable[[], bool] = torch._C._is_any_autocast_enabled


def casts() -> bool:
    """Tell whether torch.autocast is at work, on any device."""
    return _is_at_work()


def exactly(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which torch computes on ``device`` with the types of numbers that it is given."""
    return torch.autocast(device.type, enabled=False) if _is_at_work() else nullcontext()
