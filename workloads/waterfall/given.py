"""The way in for a network of one's own: where its accuracy is lost on its chip, as a value that shows itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.workloads.results.result import Documented, Drawing, finite, pandas_for, view
from rpusim.workloads.waterfall.divide import DRAWS, divide

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, repr=False, eq=False)
class Waterfall(Documented):
    """What each cause adds to a network's test error, and the signal to noise of its layers.

    document:  the same as ``waterfall`` of a result, see docs/results.md; a mapping as well: ``found["causes"]``.

    ``print`` shows the tables; a notebook shows tables and drawings.
    """

    document: dict[str, Any]

    def summary(self) -> str:
        """Return the tables as text."""
        return view("waterfall text/plain", self.document)

    def plot(self, what: str = "causes") -> Drawing:
        """Draw what each cause adds ("causes"), or the signal to noise of each layer ("layers")."""
        _check("plot", what)
        return Drawing(view(f"waterfall image/svg+xml {what}", self.document))

    def to_dataframe(self, what: str = "causes") -> pandas.DataFrame:
        """Return a pandas table, of "causes" or of "layers" (mean, lower and upper end of each ratio, in decibels)."""
        _check("to_dataframe", what)
        table: pandas.DataFrame = pandas_for("to_dataframe").json_normalize(self.document[what])
        return table

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return view("waterfall text/html", self.document)


def _check(caller: str, what: str) -> None:
    if what not in ("causes", "layers"):
        raise InputError(f"{caller}: got {what!r}; accepted: causes, layers")


def waterfall(
    model: nn.Module,
    x: Tensor | ArrayLike,
    y: Tensor | ArrayLike,
    *,
    seconds: float = 0.0,
    draws: int = DRAWS,
    seed: int = 0,
    batch: int = 100,
) -> Waterfall:
    """Find where a network loses accuracy on its chip, cause by cause, and how clean its layers' signals are.

    model:    on arrays whose cells are programmed, with its trained weights: what ``rpusim.convert(module,
              InferenceConfig())`` or ``rpusim.place(module, chip, shape, device="inference-pcm")`` returns. Afterwards
              it is as it was, and nothing of this is in the chip's account.
    x, y:     a test set: samples (samples, ...), and the number of the class of each (samples,), or of each of its
              positions (samples, positions).
    seconds:  after programming.
    draws:    of noise, programming and drift, over which figures are means.
    seed:     of the first draw; the next ones have the next seeds.
    batch:    samples at once.

    Raises InputError on what cannot be used: another model, no samples, a time that the cells' noise model does not
    cover.
    """
    checks.instance("model", model, nn.Module)
    checks.number("seconds", seconds, low=0.0)
    for name, value in (("draws", draws), ("batch", batch)):
        checks.integer(name, value, low=1)
    samples, classes = _tensor("x", x), _tensor("y", y)
    if samples.dim() < 1 or len(samples) == 0 or len(samples) != len(classes):
        raise InputError(
            f"y: got {len(classes)} classes for {len(samples)} samples; accepted: a class for each, and at least one"
        )
    return Waterfall(finite(divide(model, samples, classes, seconds, draws=draws, seed=seed, batch=batch)))


def _tensor(name: str, given: Tensor | ArrayLike) -> Tensor:
    """Return samples or classes as a tensor; floating-point numbers as float32."""
    try:
        found = given.detach() if isinstance(given, Tensor) else torch.from_numpy(np.asarray(given))
    except TypeError:
        raise InputError(f"{name}: got {type(given).__name__}; accepted: a tensor or an array of numbers") from None
    if found.dim() < 1:
        raise InputError(f"{name}: got a single number; accepted: a tensor or an array, one entry for each sample")
    return found.float() if found.is_floating_point() else found
