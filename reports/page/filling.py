"""The templates of pages: everything in them is escaped, and a name that nobody gave is an error."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

TEMPLATES = Path(__file__).parent / "templates"
"""Those of the report, which other pages share."""


def template(name: str, *folders: Path) -> Template:
    """Load a template. folders: where it and what it takes in are looked for, before those of the report."""
    environment = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
