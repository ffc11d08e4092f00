"""One browser for all pages."""

from __future__ import annotations

import pytest
from browser import Browser


@pytest.fixture(scope="package")
def browser():
    """A headless Chromium with every host blocked; tests that use it are left out where there is none."""
    opened = Browser()
    yield opened
    opened.close()
