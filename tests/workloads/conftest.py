"""A data set of a few samples, so that whole experiments run in a second."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MNIST files of 60 + 20 of scikit-learn's digits (8 x 8)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    folder = tmp_path_factory.mktemp("digits")
    for name, chosen in (("train", slice(0, 60)), ("t10k", slice(60, 80))):
        images = (digits.images[chosen] * 15).astype(np.uint8)
        labels = digits.target[chosen].astype(np.uint8)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(
            struct.pack(">IIII", 0x803, *images.shape) + images.tobytes()
        )
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(labels)) + labels.tobytes())
    return folder
