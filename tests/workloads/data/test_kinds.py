"""Every kind of data becomes the same samples and labels; what is wrong with any of it is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, StackDataset, TensorDataset

import rpusim
from rpusim.errors import InputError
from rpusim.workloads.data.dataset import Dataset, checked
from rpusim.workloads.data.kinds import load
from rpusim.workloads.data.text import ALPHABET

X = np.arange(24, dtype=np.float32).reshape(12, 2) / 24
Y = np.arange(12) % 3
PARTS = ("train_x", "train_y", "test_x", "test_y")


def _csv(folder: Path) -> Any:
    lines = [f"{a!r},{'abc'[y]},{b!r}" for (a, b), y in zip(X.tolist(), Y, strict=True)]
    (folder / "d.csv").write_text("one,label,two\n" + "\n".join(lines))
    return folder / "d.csv"


def _npz(folder: Path) -> Any:
    np.savez(folder / "d.npz", x=X, y=Y)
    return str(folder / "d.npz")


def _npy(folder: Path) -> Any:
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", Y)
    return folder


def _function(folder: Path) -> Any:
    text = "import numpy as np\ndef load():\n    x = np.arange(24, dtype=np.float32).reshape(12, 2) / 24\n"
    text += "    return x, np.arange(12) % 3\n"
    (folder / "mine.py").write_text(text)
    return f"{folder}/mine.py:load"


def _tensors() -> TensorDataset:
    return TensorDataset(torch.tensor(X), torch.tensor(Y))


GIVEN = {
    "csv with words as labels": _csv,
    "npz": _npz,
    "npy": _npy,
    "a function": _function,
    "arrays": lambda _: (X, Y),
    "tensors": lambda _: (torch.tensor(X), torch.tensor(Y)),
    "a torch Dataset": lambda _: _tensors(),
    "a DataLoader": lambda _: DataLoader(_tensors(), batch_size=5),
    "by name": lambda _: {"x": X, "y": Y},
}


@pytest.mark.parametrize("kind", GIVEN)
def test_the_same_samples_come_of_every_kind(kind: str, tmp_path: Path) -> None:
    found, wanted = load(GIVEN[kind](tmp_path)).shaped((2,)), checked("arrays", (X, Y))
    for part in PARTS:
        assert np.array_equal(getattr(found, part), getattr(wanted, part)), part
    assert found.classes == 3 and "split 10 / 2 with seed 2016" in found.source


def test_a_split_leaves_out_nothing_and_doubles_nothing() -> None:
    found = checked("arrays", (X, Y))
    rows = np.concatenate([found.train_x, found.test_x])
    assert np.array_equal(rows[np.argsort(rows[:, 0])], X)


def test_two_of_a_kind_are_for_learning_and_for_testing() -> None:
    found = load((_tensors(), DataLoader(TensorDataset(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)))))
    assert (len(found.shaped((2,)).train_x), len(found.shaped((2,)).test_x)) == (12, 3)


def test_records_of_cifar_are_images_and_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (5, 3, 32, 32), np.uint8), np.arange(5, dtype=np.uint8)
    records = np.concatenate([labels[:, None], images.reshape(5, -1)], 1)
    records[:3].tofile(tmp_path / "data_batch_1.bin")
    records[3:].tofile(tmp_path / "test_batch.bin")
    found = load(tmp_path).shaped((3, 32, 32))
    assert np.array_equal(found.train_x, images[:3] / np.float32(255)) and found.test_y.tolist() == [3, 4]
    (tmp_path / "test_batch.bin").write_bytes(b"\x00" * 100)
    with pytest.raises(InputError, match=r"test_batch.bin has 100 bytes, accepted: records of 3073 bytes each"):
        load(tmp_path)


def test_labels_of_a_text_are_the_next_characters(tmp_path: Path) -> None:
    written = "to be or not to be\tthat is the question é\n" * 4
    (tmp_path / "t.txt").write_text(written, encoding="utf-8")
    text = load(tmp_path / "t.txt")
    found = text.shaped((5,))
    characters = "".join(ALPHABET[place] for place in np.concatenate([found.train_x, found.test_x]).ravel())
    expected = written.replace("\t", " ").replace("é", "?")
    assert expected.startswith(characters) and len(expected) - len(characters) < 6
    following = np.concatenate([found.train_x.ravel(), found.test_x.ravel()])[1:]
    assert np.array_equal(np.concatenate([found.train_y.ravel(), found.test_y.ravel()])[:-1], following)
    one_hot = text.shaped((5, 96))
    assert one_hot.train_x.dtype == np.float32 and np.array_equal(one_hot.train_x.argmax(-1), found.train_x)
    assert "4 of other alphabets as '?'" in found.source


def test_texts_of_python_are_named_by_their_digest() -> None:
    source = load("text:difflib").source
    digest = source.rpartition("SHA-256 ")[2][:16]
    assert load(f"text:difflib#{digest}").source == source and "Python's licence" in load("text:licence").source
    with pytest.raises(InputError, match=r"the text difflib has the SHA-256 .*, not 0000, as"):
        load("text:difflib#0000")


WRONG: dict[str, tuple[Any, str]] = {
    "NaN": ((np.full((4, 2), np.nan), np.arange(4)), r"not finite numbers, in 3 of 3 samples .*accepted: finite"),
    "a negative label": ((np.zeros((4, 2)), np.array([0, 1, -1, 2])), r"labels are -1 to \d, accepted: 0 to"),
    "fractions as labels": ((np.zeros((4, 2)), np.full(4, 0.5)), r"labels are float64, \[0.5\].*whole numbers from 0"),
    "too few labels": ((np.zeros((4, 2)), np.arange(3)), r"4 samples but 3 labels"),
    "one sample": ((np.zeros((1, 2)), np.zeros(1)), r"1 samples .*accepted: two or more"),
    "no axis of samples": ((np.zeros(4), np.arange(4)), r"shape \(4,\).*accepted: numbers of shape \(samples, ...\)"),
    "words": ((np.array([["a"]]), np.arange(1)), r"samples are <U1"),
    "a number": (5, r"got int .*accepted: \(samples, labels\) as arrays"),
    "samples of two shapes": (
        StackDataset([torch.zeros(2), torch.zeros(3)], [0, 1]),
        r"sample 1 is of shape \(3,\), those before it of \(2,\) .*accepted: one shape for all",
    ),
    "a list of numbers": ([1, 2, 3], r"got list"),
    "no such text": ("text:nope", r"no text 'nope', accepted: a file, or text:NAME"),
    "no such function": ("nowhere.py:load", r"there is no file nowhere.py, accepted: file.py:function"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_sentence(what: str) -> None:
    given, said = WRONG[what]
    with pytest.raises(InputError, match=said) as refusal:
        load(given).shaped((2,))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2,0\n1,2\n", "line 2 of .* has 2 fields"),
        ("a,b,label\n1,x,0\n", "line 2 of .* has '1,x,0'"),
        ("", "has no line"),
    ],
)
def test_a_line_that_is_not_like_the_others_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        load(tmp_path / "d.csv")


def test_numbers_of_rows_stay_whole_where_a_network_reads_a_table() -> None:
    whole = checked("arrays", (np.arange(12).reshape(6, 2), np.arange(6) % 2))
    assert whole.train_x.dtype == np.int64 and whole.of_type(False).train_x.dtype == np.float32
    assert whole.of_type(False).of_type(True).train_x.dtype == np.int64
    with pytest.raises(InputError, match=r"reads whole numbers, for rows of a table, but samples hold fractions"):
        checked("arrays", (X, Y)).of_type(True)


def test_an_experiment_learns_a_torch_dataset() -> None:
    x = torch.rand(30, 64)
    result = rpusim.simulate("fcn-digits", data=TensorDataset(x, (x[:, 0] > 0.5).long()), epochs=1)
    assert result["accuracy"]["test_samples"] == 6 and result["training"]["data"] == "TensorDataset given in Python"
    sources = [row["source"] for row in result["provenance"] if row["field"] == "data"]
    assert sources == ["given as TensorDataset, split 24 / 6 with seed 2016"]


def test_whoever_has_data_of_a_new_kind_needs_two_names() -> None:
    class Mine:
        source = "mine"

        def shaped(self, input_shape: tuple[int, ...]) -> Dataset:
            return checked("mine", (np.zeros((4, *input_shape)), np.arange(4) % 2))

    assert load(Mine()).shaped((3,)).train_x.shape == (3, 3)
