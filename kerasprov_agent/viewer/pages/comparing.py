"""Two to five runs beside each other: only what they differ in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.comparison import compare
from kerasprov_agent.read.record import Record
from kerasprov_agent.viewer.pages.values import plain, table

MOST = 5


def comparison(record: Record, runs: Sequence[int]) -> dict[str, Any]:
    """What runs differ in.

    runs: the numbers of two to five runs. Returns `runs` (`run` and `name` of each), `sections`
    (settings, layers, outcome, data, environment, packages, machine: a table each, with a column
    for each run) and `code` (`run`, `name`, `diff`: unified, against the first run). Raises
    `KerasProvError`.
    """
    if not 2 <= len(runs) <= MOST:
        raise KerasProvError(f"choose two to {MOST} runs to compare; these are {len(runs)}")
    rows = [record.find(str(run)) for run in runs]
    sections = compare(record, rows)
    code = sections.pop("code")
    return {
        "runs": [{"run": row["run"], "name": row["name"]} for row in rows],
        "sections": {name: table(listed) for name, listed in sections.items() if listed},
        "code": plain(code),
    }
