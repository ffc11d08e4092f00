"""Docstrings of rpusim as Markdown: lines ``name:  meaning`` become a list of what is given.

listed('Do it.\\n\\nseed:   of the noise,\\n        from 0 on.')
# Do it.
#
# * **seed**: of the noise, from 0 on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

try:
    from griffe import Extension
except ImportError:  # where no site is built, `listed` is all that is needed
    if not TYPE_CHECKING:
        Extension = object

_FIELD = re.compile(r"^(``)?(\w+(?:, ?\w+)*)\1?: {1,}(\S.*)$")


def listed(text: str) -> str:
    """Turn the lines of a docstring that say what names mean into a Markdown list; all else stays as it is.

    text: of a docstring, without its indent. A line of the list begins with the names and a colon, and goes on in lines
    that are indented; in a paragraph that begins with one, every line belongs to a name.
    """
    paragraphs = re.split(r"\n[ \t]*\n", text)
    return "\n\n".join(map(_paragraph, paragraphs))


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    if not lines or not _FIELD.match(lines[0]) or lines[0].startswith(("Raises", "Returns")):
        return text
    items: list[str] = []
    for line in lines:
        if found := _FIELD.match(line):
            items.append(f"* **{found[2]}**: {found[3]}")
        else:
            items[-1] += f" {line.strip()}"
    return "\n".join(items)


class HouseStyle(Extension):  # type: ignore[misc]
    """Have griffe read docstrings as they are meant."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Turn the docstring of a class, a function or a module (called by griffe)."""
        if obj.docstring is not None:
            obj.docstring.value = listed(obj.docstring.value)
