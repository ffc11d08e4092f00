"""IDX files, as MNIST comes: the four files of a folder, plain or .gz, with bytes of images and of labels."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpusim.errors import InputError
from rpusim.workloads.data.dataset import Dataset

_FILES = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
_UNSIGNED_BYTES = 8


def load(folder: Path) -> Dataset:
    """Load the four files of a folder. Raises InputError if one is missing, or is not what it should be."""
    parts = []
    for images_name, labels_name in _FILES:
        images, labels = _read_idx(folder, images_name, 3), _read_idx(folder, labels_name, 1)
        if len(images) != len(labels):
            raise InputError(
                f"{folder}: {images_name} has {len(images)} images but {labels_name} has {len(labels)} labels, "
                "accepted: one label per image"
            )
        parts.append(((images / np.float32(255))[:, np.newaxis].astype(np.float32), labels.astype(np.int64)))
    (train_x, train_y), (test_x, test_y) = parts
    if train_x.shape[1:] != test_x.shape[1:]:
        raise InputError(f"{folder}: training images are {train_x.shape[2:]} but test images {test_x.shape[2:]}")
    source = f"IDX files in {folder.absolute()}, {len(train_x)} / {len(test_x)} samples as given"
    classes = int(max(train_y.max(), test_y.max())) + 1
    return Dataset(train_x, train_y, test_x, test_y, classes, source)


def _read_idx(folder: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes: magic number 0, 0, 8, dimensions; sizes as big-endian int32; then bytes."""
    dotted = name.replace("-idx", ".idx")  # as some archives unpack it
    candidates = [folder / file for file in (name, f"{name}.gz", dotted, f"{dotted}.gz")]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        raise InputError(f"no {name} or {name}.gz in {folder.absolute()}, accepted: the four MNIST IDX files")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, _UNSIGNED_BYTES, dimensions])
    if content[:4] != magic or len(content) < header:
        raise InputError(
            f"{path} begins with {content[:4].hex(' ') or 'nothing'}, accepted: the IDX magic number {magic.hex(' ')}"
        )
    sizes = np.frombuffer(content, ">i4", dimensions, offset=4).tolist()
    if min(sizes) < 1:
        raise InputError(f"{path} is empty: it announces sizes {sizes}, accepted: at least one sample")
    if len(content) - header != math.prod(sizes):
        raise InputError(f"{path} has {len(content) - header} bytes of data, accepted: {math.prod(sizes)} as announced")
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)
