"""The page on the experiment file has the fields as they are."""

from __future__ import annotations

from pathlib import Path

from rpusim.reports.guide.pages import experiment_page


def test_the_page_is_as_it_is_written() -> None:
    page = Path(__file__).parents[3] / "docs" / "experiment-file.md"
    assert page.read_text(encoding="utf-8") == experiment_page(), "`make shipped` writes it anew"
