"""The page of a study or of a comparison of runs: front, settings against goals, table, all in one HTML file.

`page` makes that of a study, `page` in `compare_page` that of a comparison.
"""

from __future__ import annotations

from rpusim.reports.study_page.report import page

__all__ = ["page"]
