"""A few lines that write SVG: elements as strings, everything escaped, numbers short."""

from __future__ import annotations

from html import escape

WIDTH = 960.0
"""Width of a drawing in the report, in units of its own."""


def element(tag: str, *content: str, **attributes: object) -> str:
    """Write an element ``<tag attribute="value">content</tag>``.

    content:     markup, taken as it is.
    attributes:  values are escaped; in a name ``_`` means ``-``, and one at the end nothing (for ``class_``).

    >>> element("rect", x=1.26, class_="forward")
    '<rect x="1.3" class="forward"/>'
    """
    written = "".join(f' {_name(name)}="{escape(_number(value))}"' for name, value in attributes.items())
    return f"<{tag}{written}>{''.join(content)}</{tag}>" if content else f"<{tag}{written}/>"


def text(words: str, x: float, y: float, **attributes: object) -> str:
    """Write words at a place; ``y`` is their base line."""
    return element("text", escape(words), x=x, y=y, **attributes)


def tip(words: str) -> str:
    """Write what a browser shows when the pointer rests on the element around it, and a screen reader reads."""
    return element("title", escape(words))


def drawing(*content: str, width: float, height: float, label: str, class_: str = "chart") -> str:
    """Write a drawing that scales with the page; ``label`` says in words what it shows."""
    return element(
        "svg",
        tip(label),
        *content,
        viewBox=f"0 0 {_number(float(width))} {_number(float(height))}",
        role="img",
        class_=class_,
    )


def figure(label: str, style: str, width: float, height: float, *content: str) -> str:
    """Write a drawing that is a file of its own, on paper; ``style``: its sheet, which says how paper looks."""
    return element(
        "svg",
        tip(label),
        element("style", style),
        element("rect", width=width, height=height, class_="paper"),
        *content,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
    )


def path(points: list[tuple[float, float]]) -> str:
    """Write the ``d`` of a line through points."""
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _name(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
