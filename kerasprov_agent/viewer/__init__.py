"""The record in the browser: `pages` (the data of each page), `server`, `report`, `static`."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parent / "static"
"""The scripts and styles of the pages."""
