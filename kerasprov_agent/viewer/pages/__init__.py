"""The data of each page: plain functions from a `Record` and arguments to values for JSON.

Nothing here knows of the web. The server gives each function of `__all__` to the browser under its
name, and a report has what it needs of them within it.
"""

from __future__ import annotations

from kerasprov_agent.viewer.pages.ask import answer, entities
from kerasprov_agent.viewer.pages.comparing import comparison
from kerasprov_agent.viewer.pages.curves import curves, groups
from kerasprov_agent.viewer.pages.lineage import lineage
from kerasprov_agent.viewer.pages.run import code, run
from kerasprov_agent.viewer.pages.runs import live, names, runs

__all__ = [
    "answer", "code", "comparison", "curves", "entities", "groups", "lineage", "live", "names",
    "run", "runs",
]  # fmt: skip
