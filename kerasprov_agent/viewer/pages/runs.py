"""The table of runs, what may be said of them, and what goes on now."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.plots.series import common_metrics
from kerasprov_agent.read.conditions import SQL
from kerasprov_agent.read.record import Record, Row
from kerasprov_agent.read.selection import RunColumns
from kerasprov_agent.read.wording import usual_first
from kerasprov_agent.viewer.pages.values import count, plain

WINDOW = 200
"""Rows that are given at once, if the page asks for no other number."""
MOST = 1000
ALWAYS = ("run", "name", "status", "started_at", "seconds", "epochs_finished")
SETTINGS = (
    "kind", "model", "optimizer", "learning_rate", "batch_size", "epochs", "activation",
    "dropout", "layers", "parameters", "samples", "script", "backend", "keras_version", "host",
    "user", "imported_from",
)  # fmt: skip
"""Columns of the view `runs` that are shown where runs differ in them."""
FURTHER = (
    "stopped_early", "steps", "validation_samples", "validation_source", "steps_per_epoch",
    "git_commit", "job", "rank", "exception_type", "exception", "ended_at", "note",
)  # fmt: skip
FIRST_METRICS = 4
"""So many metrics are columns, if the page asks for none."""


def runs(
    record: Record,
    where: str = "",
    sort: str = "",
    columns: Sequence[str] = (),
    offset: int = 0,
    limit: int = WINDOW,
) -> dict[str, Any]:
    """A window of the table of runs.

    where: a condition, as for `kerasprov runs --where`; sort: a column, with `-` before it from
    the greatest down; columns: names of columns, metrics (of the last epoch), parameters and tags;
    without them those in which the runs differ. Returns `columns`, `rows` (a list of values each),
    `total` (how many runs the condition holds for), `all` (how many there are), `varying` (columns
    in which they differ). Raises `KerasProvError`.
    """
    query = record.runs_query(where=where or None)
    total = count(record, query)
    varying = _varying(record, query)
    shown = list(columns) or [
        *ALWAYS,
        *varying,
        *usual_first(record.metrics.values())[:FIRST_METRICS],
    ]
    of_view = {*ALWAYS, *SETTINGS, *FURTHER, "tags", "label", "id"}
    # `loss` is the metric here; the view's column of that name has the loss function.
    listed = record.window(
        columns=[name for name in shown if name not in of_view],
        where=where or None,
        sort=sort or None,
        offset=max(offset, 0),
        limit=min(max(limit, 0), MOST),
    )
    rows = [[plain(row.get(name)) for name in shown] for row in listed]
    return {
        "columns": shown,
        "rows": rows,
        "offset": max(offset, 0),
        "total": total,
        "all": total if not where else count(record, record.runs_query()),
        "varying": varying,
    }


def _varying(record: Record, query: SQL) -> list[str]:
    """The settings in which runs differ; NULL beside a value is a difference."""
    parts = ", ".join(
        f"count(DISTINCT {name}) + (count({name}) BETWEEN 1 AND count(*) - 1) AS {name}"
        for name in SETTINGS
    )
    row = next(iter(record.query(f"SELECT {parts} FROM ({query.text})", query.values)))
    names = [name for name, count in row.items() if count > 1]
    noted = f"SELECT 1 FROM ({query.text}) WHERE note IS NOT NULL LIMIT 1"
    names += ["note"] if list(record.query(noted, query.values)) else []
    return [*names, *(f"tag.{name}" for name in _tags(record))]


def _tags(record: Record) -> list[str]:
    query = (
        "SELECT DISTINCT key FROM execution e, json_each(e.tags) "
        "UNION SELECT key FROM run r, json_each(r.tags) ORDER BY 1"
    )
    return [row["key"] for row in record.query(query)]


def names(record: Record) -> dict[str, list[str]]:
    """What may be said of runs, for completion: `settings`, `metrics`, `parameters`, `tags`.

    `drawn`: the metrics that are drawn if none are chosen.
    """
    every = list(dict.fromkeys(RunColumns(record.connection).names()))
    settings, metrics = [*ALWAYS, *SETTINGS, *FURTHER], list(record.metrics.values())
    tags = [name for name in every if name.startswith("tag.")]
    known = {*settings, *metrics, *tags}
    return {
        "settings": settings,
        "metrics": metrics,
        "drawn": _drawn(metrics),
        "parameters": [name for name in every if name not in known],
        "tags": tags,
    }


def _drawn(metrics: Sequence[str]) -> list[str]:
    try:
        return common_metrics([{"metrics": dict.fromkeys(metrics)}])
    except KerasProvError:  # there are none yet
        return []


def live(record: Record, runs: Sequence[int] = (), after: Sequence[int] = ()) -> dict[str, Any]:
    """What has come since the page last asked.

    runs: the runs whose curves are shown; after: the last epoch that is known of each, -1 for
    none. Returns `newest` (the greatest number of a run), `going` (runs that go on: `run`, `name`,
    `status`, `epochs_finished`, `epochs`, `seconds_left`) and `epochs` (how many have come, by
    run).
    """
    newest = next(iter(record.query("SELECT max(number) AS n, count(*) AS c FROM run")))
    marks = json.dumps(list(runs))
    query = "WHERE runs.status = 'running' OR runs.run IN (SELECT value FROM json_each(?))"
    going = record.with_status(record.query(f"SELECT * FROM runs {query}", (marks,)))
    counts = {}
    for run, last in zip(runs, after, strict=False):
        query = "SELECT count(*) AS n FROM epoch WHERE run = ? AND epoch > ?"
        counts[str(run)] = next(iter(record.query(query, (run, last))))["n"]
    return {
        "newest": newest["n"],
        "count": newest["c"],
        "going": [_going(record, row) for row in going],
        "epochs": counts,
    }


def _going(record: Record, row: Row) -> dict[str, Any]:
    done, planned = row["epochs_finished"], row["epochs"]
    left = None
    if row["status"] == "running" and done and planned and planned > done:
        query = (
            "SELECT avg(coalesce(train_seconds, whole_seconds) + coalesce(validation_seconds, 0) "
            "+ coalesce(callback_seconds, 0)) AS mean FROM "
            "(SELECT * FROM epoch WHERE run = ? ORDER BY epoch DESC LIMIT 5)"
        )
        mean = next(iter(record.query(query, (row["run"],))))["mean"]
        left = None if mean is None else mean * (planned - done)
    facts = {name: row[name] for name in ("run", "name", "status", "epochs")}
    return {**facts, "epochs_finished": done, "seconds_left": left}
