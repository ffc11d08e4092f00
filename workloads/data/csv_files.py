"""CSV files: a row for each sample, of numbers, its label in the column that is called label (or the last one)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError
from rpusim.workloads.data.dataset import Dataset, checked

LABELS = ("label", "class", "target", "y")
"""What the column of labels may be called."""


def is_one(path: Path) -> bool:
    """Tell whether a path is such a file."""
    return path.suffix.lower() in (".csv", ".tsv")


def load(path: Path) -> Dataset:
    """Load a file, with a line of names or without one; labels may be words, which are numbered by the alphabet.

    Raises InputError if a line is not like the others, or has something that is no number.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",") if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"data: {path} cannot be read ({error}), accepted: lines of numbers in UTF-8") from None
    if not rows:
        raise InputError(f"data: {path} has no line, accepted: one for each sample")
    names = None if _numbers(rows[0][:-1]) else [name.strip().lower() for name in rows[0]]
    body = rows[1:] if names else rows
    column = next((names.index(label) for label in LABELS if label in names), -1) if names else -1
    column %= len(rows[0])
    values, labels = [], []
    for line, row in enumerate(body, 2 if names else 1):
        numbers = _numbers(row[:column] + row[column + 1 :]) if len(row) == len(rows[0]) else None
        if numbers is None:
            what = f"{len(row)} fields" if len(row) != len(rows[0]) else shown(repr(",".join(row)))
            raise InputError(
                f"data: line {line} of {path} has {what}, accepted: {len(rows[0]) - 1} numbers and a label, as before"
            )
        values.append(numbers)
        labels.append(row[column].strip())
    if not values or not values[0]:
        raise InputError(f"data: {path} has no sample, accepted: lines of numbers and a label")
    whole = _numbers(labels)
    words = sorted(set(labels))
    found = [words.index(label) for label in labels] if whole is None else whole
    said = "" if whole is not None else f", labels {shown(', '.join(words))} numbered by the alphabet"
    return checked(f"{path.absolute()}{said}", (np.array(values, np.float32), np.array(found)))


def _numbers(fields: list[str]) -> list[float] | None:
    """Read fields as numbers; None if one is none."""
    try:
        return [float(field) for field in fields]
    except ValueError:
        return None
