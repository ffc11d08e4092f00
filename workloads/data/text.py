"""Text, character by character: each is to be told from those before it.

Texts ship with every Python: its licence, the aphorisms of the module this, the source of a module, the reference in
pydoc_data.topics; or a file of the user's. They differ between versions of Python, so a result names the text by its
SHA-256, and a name may pin it: "text:difflib#1f2e3d" is refused if the digest does not begin so.

The alphabet is fixed: the 95 printable characters of ASCII and the end of a line; what is none of them becomes "?". A
sample is a window of the text, its labels the next character of each; windows do not overlap. The last tenth of the
text is for testing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError
from rpusim.workloads.data.dataset import Dataset

PREFIX = "text:"
ALPHABET = "\n" + "".join(map(chr, range(32, 127)))
"""Characters by their number."""
TEST_SHARE = 0.1
SUFFIXES = (".txt", ".md", ".rst", ".py", ".log")
"""Of files that are texts without being called so."""


@dataclass(frozen=True)
class Text:
    """A text to learn from.

    characters:  numbers in `ALPHABET`, one for each character.
    source:      one sentence: where it comes from.
    """

    characters: NDArray[np.int64]
    source: str

    @property
    def classes(self) -> int:
        """Characters that there are."""
        return len(ALPHABET)

    def shaped(self, input_shape: tuple[int, ...]) -> Dataset:
        """Cut the text into windows.

        input_shape: (characters,) for the number of each in `ALPHABET`, or (characters, 96) for a 1 in its place.
        Raises InputError for other shapes, and if the text is too short.
        """
        one_hot = len(input_shape) == 2 and input_shape[1] == self.classes
        if len(input_shape) != 1 and not one_hot:
            raise InputError(
                f"the network reads samples of shape {input_shape} but the data are a text ({self.source}), accepted: "
                f"(characters,) or (characters, {self.classes})"
            )
        length = input_shape[0]
        number = (len(self.characters) - 1) // length
        tested = max(round(TEST_SHARE * number), 1)
        if number < 2:
            raise InputError(
                f"the text has {len(self.characters)} characters ({self.source}), accepted: more than two windows of "
                f"{length}"
            )
        x, y = (self.characters[at : at + number * length].reshape(number, length) for at in (0, 1))
        given: NDArray[Any] = np.eye(self.classes, dtype=np.float32)[x] if one_hot else x
        cut = number - tested
        source = f"{self.source}, {cut} / {tested} windows of {length} characters, the last ones for testing"
        return Dataset(given[:cut], y[:cut], given[cut:], y[cut:], self.classes, source)


def is_one(given: str, path: Path) -> bool:
    """Tell whether a name is of a text."""
    return given.startswith(PREFIX) or path.suffix.lower() in SUFFIXES


def load(given: str) -> Text:
    """Load a text: "text:NAME" of one that ships with Python, "text:FILE", or a file, each with or without "#DIGEST".

    Raises InputError if there is none, or it is not the one that is pinned.
    """
    name, _, pinned = given.removeprefix(PREFIX).partition("#")
    path, what = _found(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"data: {shown(name)} cannot be read ({error.strerror}), accepted: a text") from None
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(pinned.lower()):
        raise InputError(
            f"data: the text {shown(name)} has the SHA-256 {digest[:16]}..., not {shown(pinned)}, as it is of another "
            "version; accepted: the same text, or a name without '#'"
        )
    text = content.decode("utf-8", errors="replace").replace("\r\n", "\n")
    place = np.full(0x110000, ALPHABET.index("?"), np.int64)
    place[[ord(character) for character in ALPHABET]] = np.arange(len(ALPHABET))
    place[ord("\t")] = ALPHABET.index(" ")
    characters = place[np.frombuffer(text.encode("utf-32-le", errors="replace"), np.uint32)]
    others = sum(character not in ALPHABET and character != "\t" for character in text)
    said = f", {others} of other alphabets as '?'" if others else ""
    return Text(characters, f"{what}, {len(characters)} characters{said}, SHA-256 {digest[:16]}")


def _found(name: str) -> tuple[Path, str]:
    """Find the file of a text, and say what it is."""
    if name == "licence":
        return Path(sysconfig.get_paths()["stdlib"]) / "LICENSE.txt", "Python's licence"
    try:
        file = Path(name).expanduser()
        if file.is_file():
            return file, f"the text {file.absolute()}"
    except (OSError, RuntimeError, ValueError):
        pass
    try:
        found = importlib.util.find_spec(name) if name.replace(".", "").replace("_", "").isalnum() else None
    except (ImportError, ValueError, AttributeError):
        found = None
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise InputError(
            f"data: no text {shown(repr(name))}, accepted: a file, or text:NAME with licence, or a module whose source "
            "is there, such as difflib"
        )
    return Path(found.origin), f"the source of Python's module {name}"
