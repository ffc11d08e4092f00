"""Data: the real digits, and MNIST files that a user has on disk."""

from __future__ import annotations

import gzip
import struct
import sys

import numpy as np
import pytest

from rpusim.errors import InputError
from rpusim.workloads.data.dataset import Dataset
from rpusim.workloads.data.kinds import load

NAMES = {
    ("train", 3): "train-images-idx3-ubyte",
    ("train", 1): "train-labels-idx1-ubyte",
    ("test", 3): "t10k-images-idx3-ubyte",
    ("test", 1): "t10k-labels-idx1-ubyte",
}


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


@pytest.fixture
def mnist(tmp_path):
    """A folder with 6 training and 3 test images of 2 x 4 pixels; one file is compressed."""
    for (part, dimensions), name in NAMES.items():
        count = 6 if part == "train" else 3
        array = np.arange(count * 8).reshape(count, 2, 4) * 5 if dimensions == 3 else np.arange(count) % 3
        (tmp_path / name).write_bytes(idx(array.astype(np.uint8)))
    packed = tmp_path / NAMES["test", 3]
    (tmp_path / f"{packed.name}.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    return tmp_path


def test_digits_are_1437_training_and_360_test_images_between_0_and_1():
    data = load("digits")
    assert data.train_x.shape == (1437, 1, 8, 8)
    assert data.test_x.shape == (360, 1, 8, 8)
    assert (data.train_x.dtype, data.train_y.dtype) == (np.float32, np.int64)
    assert (data.train_x.min(), data.train_x.max()) == (0.0, 1.0)
    assert (data.classes, data.input_shape) == (10, (1, 8, 8))


def test_digits_split_is_stratified_disjoint_and_always_the_same():
    data, again = load("digits"), load("digits")
    assert np.array_equal(data.test_x, again.test_x)
    assert np.array_equal(data.train_y, again.train_y)
    assert set(np.bincount(data.test_y)) <= {35, 36, 37}
    everything = np.concatenate([data.train_x, data.test_x]).reshape(1797, 64)
    from sklearn.datasets import load_digits

    assert np.array_equal(np.unique(everything, axis=0), np.unique(load_digits().data / 16, axis=0).astype(np.float32))


def test_flat_digits_are_the_same_values():
    assert np.array_equal(load("digits").shaped((64,)).train_x, load("digits").train_x.reshape(1437, 64))


def test_data_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        load("digits").train_x[0] = 0


def test_data_take_the_shape_of_the_network_or_say_why_not():
    data = load("digits")
    assert data.shaped((64,)).input_shape == (64,)
    with pytest.raises(InputError, match=r"network reads samples of shape \(784,\) but the data have \(1, 8, 8\)"):
        data.shaped((784,))


def test_mnist_files_are_read_plain_or_compressed(mnist):
    data = load(mnist)
    assert data.train_x.shape == (6, 1, 2, 4)
    assert data.test_x.shape == (3, 1, 2, 4)
    assert data.train_x[1, 0, 1, 3] == np.float32(15 * 5 / 255)
    assert data.train_y.tolist() == [0, 1, 2, 0, 1, 2]
    assert data.classes == 3
    assert str(mnist) in data.source


def test_unknown_names_say_where_was_looked(tmp_path):
    with pytest.raises(
        InputError, match=r"no data 'digit' \(there is no folder /.*/digit, nor a file\); did you mean 'digits'"
    ):
        load("digit")
    with pytest.raises(InputError, match=r"there is no folder .*, nor a file\); .*a folder with MNIST IDX files"):
        load(tmp_path / "absent")


def test_an_absent_file_is_named_with_its_folder(mnist):
    (mnist / NAMES["test", 1]).unlink()
    with pytest.raises(InputError, match=rf"no t10k-labels-idx1-ubyte or .*\.gz in {mnist}, accepted"):
        load(mnist)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "begins with nothing, accepted: the IDX magic number 00 00 08 01"),
        (idx(np.zeros((3, 2, 2), np.uint8)), "begins with 00 00 08 03, accepted: the IDX magic number 00 00 08 01"),
        (idx(np.zeros(0, np.uint8)), "is empty: it announces sizes"),
        (idx(np.zeros(5, np.uint8)), "has 6 images but train-labels-idx1-ubyte has 5 labels"),
        (idx(np.zeros(6, np.uint8))[:-1], "has 5 bytes of data, accepted: 6 as announced"),
    ],
)
def test_damaged_files_are_refused(mnist, content, sentence):
    (mnist / NAMES["train", 1]).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        load(mnist)


def test_a_damaged_archive_is_refused(mnist):
    packed = mnist / f"{NAMES['test', 3]}.gz"
    content = packed.read_bytes()
    for damaged in (content[:12], b"no archive", content[:10] + b"\xff" * 20):
        packed.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read"):
            load(mnist)


def test_without_scikit_learn_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match=r"pip install rpusim\[examples\]"):
        load("digits")


def test_empty_and_impossible_data_are_refused():
    x, y = np.ones((2, 3), np.float32), np.array([0, 1])
    with pytest.raises(InputError, match="the test data are empty"):
        Dataset(x.copy(), y.copy(), x[:0].copy(), y[:0].copy(), 2, "made up")
    with pytest.raises(InputError, match=r"training labels are 0 to 1, accepted: 0 to 0"):
        Dataset(x.copy(), y.copy(), x.copy(), y.copy(), 1, "made up")
    with pytest.raises(InputError, match="not finite numbers"):
        Dataset(x * np.nan, y.copy(), x.copy(), y.copy(), 2, "made up")


def test_the_digits_come_enlarged_for_networks_made_for_mnist() -> None:
    small, large = load("digits"), load("digits-28")
    assert large.train_x.shape == (1437, 1, 28, 28)
    assert np.allclose(large.train_x[:, :, ::27, ::27], small.train_x[:, :, ::7, ::7])  # the corners stay
    assert large.train_x.max() <= 1.0 and np.array_equal(large.test_y, small.test_y)
    assert "enlarged to 28 x 28" in large.source
