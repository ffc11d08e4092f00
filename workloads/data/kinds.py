"""Finds out what kind of data a user names, and loads it.

>>> load("digits").shaped((64,)).train_x.shape
(1437, 64)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError, nearest
from rpusim.workloads.data import cifar, csv_files, digits, idx, numpy_files, own, text
from rpusim.workloads.data.dataset import Data

ACCEPTED = (
    *digits.NAMES,
    "a folder with MNIST IDX files",
    "a folder with the binary files of CIFAR",
    "a .npz file or a folder of .npy files",
    "a .csv file",
    "text:NAME or a text file",
    "file.py:function",
)
"""What may be named."""


def load(given: Any) -> Data:
    """Load data by name, from files, or from a value.

    given: one of `ACCEPTED`, ``~`` standing for the user's home; or a value, see `rpusim.workloads.data.own.of`.

    Raises InputError if there are no such data, or the files are not what they should be.
    """
    if not isinstance(given, str | Path):
        return own.of(given, f"given as {type(given).__name__}")
    name, (path, folder, file) = str(given), _there(given)
    if name in digits.NAMES:
        return digits.load(name)
    if own.is_one(name):
        return own.load(name)
    if text.is_one(name, path):
        return text.load(name)
    if folder and cifar.is_one(path):
        return cifar.load(path)
    if (folder or file) and numpy_files.is_one(path):
        return numpy_files.load(path)
    if file and csv_files.is_one(path):
        return csv_files.load(path)
    if folder:
        return idx.load(path)
    known = f"{shown(path.suffix or 'a file without a suffix')} is of no kind that is known" if file else ""
    missing = known or f"there is no folder {shown(str(path.absolute()))}, nor a file"
    raise InputError(f"no data {shown(repr(name))} ({missing}){nearest(name, ACCEPTED)}")


def _there(given: str | Path) -> tuple[Path, bool, bool]:
    """Return the path that a name may be, and whether it is a folder or a file."""
    try:
        path = Path(given).expanduser()
        return path, path.is_dir(), path.is_file()
    except (OSError, RuntimeError, ValueError):  # a name too long, no such user, a NUL
        return Path(given), False, False
