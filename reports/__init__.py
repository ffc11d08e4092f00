"""What a person sees: tables, the HTML report, the command line. Everything shown is a view of a result's document.

Importing this package loads nothing heavy, so that the command line answers at once.
"""

from __future__ import annotations

from rpusim.reports.page.saving import save

__all__ = ["save"]
