"""numpy files: one .npz with samples and labels, or a folder of .npy files of the same names."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError
from rpusim.workloads.data.dataset import Dataset, checked

_NAMES = (
    ("train_x", "train_y", "test_x", "test_y"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("x", "y", "", ""),
)
"""By which names samples and labels go; without test arrays some samples are drawn for testing."""
MOST_BYTES = 2**32
"""The largest array that is read."""


def is_one(path: Path) -> bool:
    """Tell whether a path is such a file or folder."""
    return path.suffix == ".npz" or (path.is_dir() and any(path.glob("*.npy")))


def load(path: Path) -> Dataset:
    """Load samples and labels. Raises InputError if they are not there, or are no plain arrays."""
    names = [file.stem for file in sorted(path.glob("*.npy"))] if path.is_dir() else _inside(path)
    wanted = next((each for each in _NAMES if set(filter(None, each)) <= set(names)), None)
    if wanted is None:
        raise InputError(
            f"data: {path} holds {shown(', '.join(names) or 'nothing')}, accepted: x and y, or train_x, train_y, "
            "test_x and test_y (or x_train and so on)"
        )
    x, y, test_x, test_y = (_array(path, name) if name else None for name in wanted)
    return checked(f"numpy arrays in {path.absolute()}", (x, y), None if test_x is None else (test_x, test_y))


def _inside(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"data: {path} cannot be read ({error}), accepted: a file that numpy.savez wrote") from None


def _array(path: Path, name: str) -> Any:
    """Read one array, of numbers and of bearable size; nothing in it is run."""
    try:
        if path.is_dir():
            array = np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            size = array.nbytes
        else:
            with zipfile.ZipFile(path) as archive:
                size = archive.getinfo(f"{name}.npy").file_size
            array = np.load(path, allow_pickle=False)[name] if size <= MOST_BYTES else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"data: {name} in {path} cannot be read ({error}), accepted: plain arrays of numbers"
        ) from None
    if size > MOST_BYTES:
        raise InputError(f"data: {name} in {path} has {size} bytes, accepted: at most {MOST_BYTES}")
    return array
