"""CIFAR-10 and CIFAR-100 in their binary version: records of a label (or two) and 3 x 32 x 32 bytes.

Krizhevsky, "Learning multiple layers of features from tiny images" (2009). A record of CIFAR-10 is a label and an
image, one of CIFAR-100 a coarse label, a fine one (which is learned) and an image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpusim.errors import InputError
from rpusim.workloads.data.dataset import Dataset, checked

_IMAGE = 3 * 32 * 32
_TEN, _HUNDRED = ("data_batch_", "test_batch.bin"), ("train.bin", "test.bin")


def is_one(folder: Path) -> bool:
    """Tell whether a folder has such files."""
    return (folder / _TEN[1]).is_file() or all((folder / name).is_file() for name in _HUNDRED)


def load(folder: Path) -> Dataset:
    """Load a folder of such files. Raises InputError if one is missing, or is not what it should be."""
    ten = (folder / _TEN[1]).is_file()
    batches = sorted(folder.glob(f"{_TEN[0]}*.bin")) if ten else [folder / _HUNDRED[0]]
    if not batches:
        raise InputError(f"data: no {_TEN[0]}1.bin in {folder.absolute()}, accepted: the binary version of CIFAR")
    labels = 1 if ten else 2
    train = [_records(path, labels) for path in batches]
    test = _records(folder / (_TEN[1] if ten else _HUNDRED[1]), labels)
    together = tuple(np.concatenate(parts) for parts in zip(*train, strict=True))
    return checked(f"CIFAR-{'10' if ten else '100'} files in {folder.absolute()}", (together[0], together[1]), test)


def _records(path: Path, labels: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the records of one file: images (samples, 3, 32, 32) and labels."""
    content, size = np.fromfile(path, np.uint8), labels + _IMAGE
    if not len(content) or len(content) % size:
        raise InputError(f"data: {path} has {len(content)} bytes, accepted: records of {size} bytes each")
    records = content.reshape(-1, size)
    return records[:, labels:].reshape(-1, 3, 32, 32), records[:, labels - 1].astype(np.int64)
