"""Curves: what each epoch measured, of single runs and of groups of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.record import Record, Row
from kerasprov_agent.read.selection import RunColumns
from kerasprov_agent.store.operations import quoted
from kerasprov_agent.viewer.pages.values import plain, table

VALIDATION = "val_"
MARKED = ("stopped", "resumed", "nan", "saved", "restored")
"""Events that are marked on curves."""


def curves(
    record: Record, runs: Sequence[int], metrics: Sequence[str] = (), after: int = -1
) -> dict[str, Any]:
    """The epochs of runs, in columns.

    metrics: names; without them all that the runs have. after: only epochs beyond this one.
    Returns `runs`, each with `run`, `name`, `settings`, `epoch`, `seconds` (of training since the
    run began, at each epoch's end; pauses left out), `clock` (seconds since 1970), `metrics`
    (values by name, null where there is none, `NaN` as a text) and `marks` (changes of the
    learning rate and events: `epoch`, `kind`, `text`). Raises `KerasProvError` for unknown runs.
    """
    return {"runs": [_curve(record, row, metrics, after) for row in _rows(record, runs)]}


def _rows(record: Record, runs: Sequence[int]) -> list[Row]:
    query = "SELECT * FROM runs WHERE run IN (SELECT value FROM json_each(?))"
    rows = {row["run"]: row for row in record.query(query, (json.dumps(list(runs)),))}
    missing = [run for run in runs if run not in rows]
    if missing:
        raise KerasProvError(f"there is no run {', '.join(map(str, missing))} in this record")
    return [rows[run] for run in runs]


def _curve(record: Record, row: Row, metrics: Sequence[str], after: int) -> dict[str, Any]:
    epochs = record.epochs(row)
    seconds, total = [], 0.0
    for epoch in epochs:
        total += (epoch["seconds"] or 0.0) + (epoch["callback_seconds"] or 0.0)
        seconds.append(total if epoch["seconds"] is not None else None)
    kept = [place for place, epoch in enumerate(epochs) if epoch["epoch"] > after]
    names = list(metrics) or list(dict.fromkeys(n for e in epochs for n in e["metrics"]))
    wanted = dict.fromkeys([*names, *(VALIDATION + name for name in metrics)])
    values = {
        name: [plain(_number(epochs[place]["metrics"].get(name))) for place in kept]
        for name in wanted
    }
    rates = [epochs[place]["learning_rate"] for place in kept]
    return {
        "run": row["run"],
        "name": row["name"],
        "status": row["status"],
        "settings": {name: row[name] for name in ("optimizer", "learning_rate", "batch_size")},
        "epoch": [epochs[place]["epoch"] for place in kept],
        "seconds": [seconds[place] for place in kept],
        "clock": [_ended(epochs[place]) for place in kept],
        "metrics": {name: column for name, column in values.items() if _has_numbers(column)},
        "learning_rate": rates if _has_numbers(rates) else None,
        "marks": _marks(record, row),
    }


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) else None


def _has_numbers(column: Sequence[Any]) -> bool:
    return any(value is not None for value in column)


def _ended(epoch: Row) -> float | None:
    if epoch["started_at"] is None:
        return None
    return float(epoch["started_at"] + (epoch["seconds"] or 0.0))


def _marks(record: Record, row: Row) -> list[dict[str, Any]]:
    changes = [
        {
            "epoch": change["epoch"],
            "kind": "change",
            "text": f"{change['name']} {plain(change['old'])} → {plain(change['new'])}"
            + (f", by {change['by']}" if change["by"] else ""),
        }
        for change in record.changes(row)
        if change["epoch"] is not None
    ]
    events = [
        {
            "epoch": event["epoch"],
            "kind": event["kind"],
            "text": event["kind"] + (f", by {event['by']}" if event["by"] else ""),
        }
        for event in record.events(row)
        if event["epoch"] is not None and event["kind"] in MARKED
    ]
    return [*changes, *events]


def groups(
    record: Record, by: str, metrics: Sequence[str], where: str = "", runs: Sequence[int] = ()
) -> dict[str, Any]:
    """Curves of all runs that have a value of a hyperparameter in common.

    by: a column, parameter or tag; where: a condition; runs: only these. Returns `groups`, each
    with `value`, `runs` (numbers) and for each metric the columns `epoch`, `mean`, `deviation` (of
    the sample; null of a single run) and `count` (how many runs have this epoch). Every run of a
    group counts, whether its line is shown or not. `summary` is a table with a row for each group
    and metric: the mean, deviation, least and greatest of the runs' last values, and how many they
    are. Raises `KerasProvError`.
    """
    column = RunColumns(record.connection).column(by)
    if column is None:
        raise KerasProvError(f"no run has {by!r}")
    rows = record.runs_query(columns=[by], where=where or None)
    values: dict[Any, list[int]] = {}
    for row in record.query(*rows):
        if not runs or row["run"] in runs:
            values.setdefault(row[by], []).append(row["run"])
    columns = {name: column for column, name in record.metrics.items()}
    wanted = [n for metric in metrics for n in (metric, VALIDATION + metric) if n in columns]
    ordered = sorted(values.items(), key=lambda item: _order(item[0]))
    return {
        "by": by,
        "summary": table(
            {by: value, "metric": name, **_last(record, columns[name], numbers)}
            for value, numbers in ordered
            for name in wanted
        ),
        "groups": [
            {
                "value": plain(value),
                "runs": numbers,
                "metrics": {name: _mean(record, columns[name], numbers) for name in wanted},
            }
            for value, numbers in ordered
        ],
    }


def _order(value: Any) -> tuple[int, float, str]:
    if value is None:
        return (2, 0.0, "")
    if isinstance(value, (int, float)):
        return (0, float(value), "")
    return (1, 0.0, str(value))


def _mean(record: Record, column: str, runs: Sequence[int]) -> Mapping[str, list[Any]]:
    value = quoted(column)
    query = (
        f"SELECT epoch, count({value}) AS n, avg({value}) AS mean, "
        f"sum({value} * {value}) AS squares, sum({value}) AS total FROM epoch "
        f"WHERE run IN (SELECT value FROM json_each(?)) AND {value} IS NOT NULL "
        "GROUP BY epoch ORDER BY epoch"
    )
    rows = list(record.query(query, (json.dumps(list(runs)),)))
    return {
        "epoch": [row["epoch"] for row in rows],
        "mean": [plain(row["mean"]) for row in rows],
        "deviation": [plain(_deviation(row)) for row in rows],
        "count": [row["n"] for row in rows],
    }


def _last(record: Record, column: str, runs: Sequence[int]) -> Row:
    """What the last values of runs come to."""
    value = quoted(column)
    query = (
        f"SELECT count({value}) AS n, avg({value}) AS mean, sum({value} * {value}) AS squares, "
        f"sum({value}) AS total, min({value}) AS least, max({value}) AS greatest "
        "FROM json_each(?) r CROSS JOIN epoch e ON e.run = r.value "
        "AND e.epoch = (SELECT max(o.epoch) FROM epoch o WHERE o.run = r.value)"
    )
    row = next(iter(record.query(query, (json.dumps(list(runs)),))))
    told = {"mean": row["mean"], "deviation": _deviation(row)}
    return {**told, "least": row["least"], "greatest": row["greatest"], "runs": row["n"]}


def _deviation(row: Row) -> float | None:
    count = row["n"]
    if count < 2:
        return None
    return math.sqrt(max(row["squares"] - row["total"] * row["mean"], 0.0) / (count - 1))
