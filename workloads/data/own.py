"""Data of a program of the user's: arrays, a torch Dataset, a DataLoader, or two of these for learning and testing.

A data set may be given as a value, or as ``file.py:function`` of a function without arguments that returns one. The
file is run as a program, with the user's rights. Samples are read once, in order, and kept as arrays.
"""

from __future__ import annotations

import itertools
import runpy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError, nearest
from rpusim.workloads.data.dataset import Data, Dataset, checked

MOST_VALUES = 2**30
"""The most values of all samples together."""


def is_one(given: str) -> bool:
    """Tell whether a name is of such a function."""
    return ".py:" in given


def load(given: str) -> Data:
    """Call the user's function, and take what it returns. Raises InputError if that is no data."""
    path, _, function = given.rpartition(":")
    if not Path(path).expanduser().is_file():
        raise InputError(f"data: there is no file {shown(path)}, accepted: file.py:function")
    try:
        defined = runpy.run_path(str(Path(path).expanduser()))
    except (Exception, SystemExit) as error:
        raise InputError(f"data: {path} cannot be run ({type(error).__name__}: {_first_line(error)})") from error
    if not callable(defined.get(function)):
        functions = [key for key, value in defined.items() if callable(value) and not key.startswith("_")]
        raise InputError(f"data: {path} has no function {function!r}{nearest(function, functions)}")
    try:
        found = defined[function]()
    except (Exception, SystemExit) as error:
        raise InputError(f"data: {function} in {path} failed ({type(error).__name__}: {_first_line(error)})") from error
    return of(found, f"{function} in {Path(path).absolute()}")


def of(given: Any, source: str) -> Data:
    """Make data of a value: a `Dataset` or whatever else has ``shaped`` and ``source``; (samples, labels); a torch
    Dataset or DataLoader; or a pair of those, for learning and for testing; or four arrays.

    source: what it is, in words. Raises InputError if it is none of these.
    """
    if isinstance(given, Dataset) or (hasattr(given, "shaped") and hasattr(given, "source")):
        return given  # type: ignore[no-any-return]
    if isinstance(given, dict):
        given = tuple(given.values())
    if _is_array(given) or isinstance(given, str | bytes) or not isinstance(given, Iterable | torch.utils.data.Dataset):
        raise _refused(given, source)
    if isinstance(given, tuple | list):
        if len(given) == 4 and all(map(_is_array, given)):
            return checked(source, (given[0], given[1]), (given[2], given[3]))
        if len(given) == 2 and all(map(_is_array, given)):
            return checked(source, (_array(given[0]), _array(given[1])))
        if len(given) == 2 and not any(map(_is_array, given)):
            return checked(source, *(_collected(each, source) for each in given))
        raise _refused(given, source)
    return checked(source, _collected(given, source))


def _collected(given: Any, source: str) -> tuple[Any, Any]:
    """Gather samples and labels of a torch Dataset, of a DataLoader in batches, or of a pair of arrays."""
    if isinstance(given, tuple | list) and len(given) == 2 and all(map(_is_array, given)):
        return _array(given[0]), _array(given[1])
    batches = isinstance(given, torch.utils.data.DataLoader) and given.batch_size is not None
    samples: list[Any] = []
    labels: list[Any] = []
    values = 0
    for number, one in enumerate(_each(given, source)):
        if not isinstance(one, Sequence) or len(one) != 2:
            raise InputError(
                f"data: sample {number} is {type(one).__name__} ({source}), accepted: a pair of a sample and its label"
            )
        x, y = _array(one[0]), _array(one[1])
        values += x.size
        if values > MOST_VALUES:
            raise InputError(f"data: more than {MOST_VALUES} values ({source}), accepted: what fits into memory")
        if samples and x.shape[batches:] != samples[0].shape[batches:]:
            raise InputError(
                f"data: sample {number} is of shape {x.shape[batches:]}, those before it of "
                f"{samples[0].shape[batches:]} ({source}), accepted: one shape for all"
            )
        samples.append(x)
        labels.append(y)
    if not samples:
        raise InputError(f"data: there is no sample ({source}), accepted: two or more")
    join = np.concatenate if batches else np.stack
    return join(samples), join(labels)


def _each(given: Any, source: str) -> Iterable[Any]:
    """Go through the samples of something once, whatever goes wrong in it being said in a sentence."""
    ordered = hasattr(given, "__getitem__") and hasattr(given, "__len__") and not isinstance(given, list | tuple)
    items = (given[number] for number in range(len(given))) if ordered else iter(given)
    for number in itertools.count():
        try:
            one = next(items)
        except StopIteration:
            return
        except (Exception, SystemExit) as error:
            raise InputError(
                f"data: sample {number} cannot be read ({type(error).__name__}: {_first_line(error)}; {source})"
            ) from error
        yield one


def _is_array(given: Any) -> bool:
    return isinstance(given, np.ndarray | torch.Tensor)


def _array(given: Any) -> Any:
    return given.detach().cpu().numpy() if isinstance(given, torch.Tensor) else np.asarray(given)


def _refused(given: Any, source: str) -> InputError:
    return InputError(
        f"data: got {type(given).__name__} ({source}), accepted: (samples, labels) as arrays, a torch Dataset or "
        "DataLoader, or a pair of those for learning and for testing"
    )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")
