"""Which runs are meant, and what of them: filters, orders and columns, as SQL over the views."""

from __future__ import annotations

import re
import sqlite3
import statistics
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.conditions import SQL, compile_condition, unknown
from kerasprov_agent.store.views import EPOCH_SECONDS

if TYPE_CHECKING:
    from kerasprov_agent.read.record import Record

AGES = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SQL_FUNCTIONS = ("min", "max", "avg", "std", "median", "count")
HYPERPARAMETERS = ("optimizer", "learning_rate", "batch_size", "activation", "dropout", "epochs")
LESS_IS_BETTER = re.compile("loss|err|mse|mae|mape|perplexity|divergence")
SEED = "seed"
OF_TRIALS = {
    "score": "(SELECT t.score FROM trial t WHERE t.id = runs.trial_id)",
    "trial": "(SELECT t.name FROM trial t WHERE t.id = runs.trial_id)",
}
"""What a run knows of the trial of a search that it belongs to."""
TEXTS = frozenset(("loss",))
"""Columns of the view `runs` that bear the name of a metric: the name means the metric."""


class RunColumns:
    """What may be said of a run: columns of the view `runs`, metrics, params.

    A metric by itself is that of the last epoch. Where a name means several things, `run.NAME`,
    `metric.NAME` and `param.NAME` tell which. `tag.NAME` is a tag, `seed` the seed of Keras.
    """

    def __init__(self, connection: sqlite3.Connection, of_epochs: bool = False) -> None:
        """`of_epochs`: `epoch` is one as well, of the table `e`."""
        self._of_epochs = of_epochs
        self._run = _names(connection, "SELECT name FROM pragma_table_info('runs')")
        self._metrics = {
            name.lower(): column
            for name, column in connection.execute("SELECT name, column_name FROM metric")
        }
        self._metric_names = _names(connection, "SELECT name FROM metric")
        self._epoch = _names(connection, "SELECT name FROM pragma_table_info('epoch')")
        self._connection = connection

    @cached_property
    def _params(self) -> dict[str, str]:
        # Of many runs there are very many: they are looked at only where a name is nothing else.
        return {SEED: SEED, **_names(self._connection, "SELECT DISTINCT name FROM param")}

    @cached_property
    def _tags(self) -> dict[str, str]:
        query = (
            "SELECT key FROM execution e, json_each(e.tags) "
            "UNION SELECT key FROM run r, json_each(r.tags)"
        )
        return _names(self._connection, query)

    def names(self) -> Iterable[str]:
        """All names."""
        tags = (f"tag.{name}" for name in self._tags.values())
        return [
            *self._run.values(),
            *OF_TRIALS,
            *self._metric_names.values(),
            *self._params.values(),
            *tags,
        ]

    def column(self, name: str) -> SQL | None:
        """A value of a run."""
        if self._of_epochs and name.lower() == "epoch":
            return SQL("e.epoch")
        kind, _, rest = name.partition(".")
        if rest and kind in ("run", "metric", "param", "tag"):
            return getattr(self, f"_{kind}_column")(rest.lower())  # type: ignore[no-any-return]
        folded = name.lower()
        ways = (self._run_column, self._metric_column, self._param_column, self._trial_column)
        if folded in TEXTS and folded in self._metrics:
            ways = (self._metric_column, *ways)  # type: ignore[assignment]
        return next((expression for way in ways if (expression := way(folded)) is not None), None)

    def aggregate(self, function: str, name: str) -> SQL | None:
        """A value over the epochs of a run: of a metric, or of a column of `epoch`."""
        column = self._metrics.get(name.lower()) or self._epoch.get(name.lower())
        if column is None and name.lower() != "seconds":
            return None
        quoted = _quoted(column) if column else EPOCH_SECONDS
        if function in SQL_FUNCTIONS:
            return SQL(f"(SELECT {function}({quoted}) FROM epoch p WHERE p.run = runs.run)")
        order = "ASC" if function == "first" else "DESC"
        of_run = f"SELECT {quoted} FROM epoch p WHERE p.run = runs.run"
        return SQL(f"({of_run} ORDER BY p.epoch {order} LIMIT 1)")

    def _run_column(self, name: str) -> SQL | None:
        column = self._run.get(name)
        return column and SQL(f"runs.{_quoted(column)}")  # type: ignore[return-value]

    def _metric_column(self, name: str) -> SQL | None:
        return self.aggregate("last", name) if name in self._metrics else None

    def _param_column(self, name: str) -> SQL | None:
        true_name = self._params.get(name)
        if true_name is None:
            return None
        which = "(q.source = 'seed' OR q.name = ?)" if true_name == SEED else "q.name = ?"
        # What Keras was given counts more than what the command line says.
        return SQL(
            f"(SELECT value FROM param q WHERE q.run_id = runs.id AND {which} "
            "AND q.value IS NOT NULL ORDER BY q.source = 'trial' DESC, q.source = 'argument', "
            "q.name = 'keras' DESC LIMIT 1)",
            (true_name,),
        )

    def _trial_column(self, name: str) -> SQL | None:
        return SQL(OF_TRIALS[name]) if name in OF_TRIALS else None

    def _tag_column(self, name: str) -> SQL | None:
        true_name = self._tags.get(name)
        if true_name is None:
            return None
        # A tag is a text where it was set in a shell: `tag.fold = 3` means it too.
        query = (
            "(SELECT CASE WHEN CAST(CAST(value AS INTEGER) AS TEXT) = value "
            "OR CAST(CAST(value AS REAL) AS TEXT) = value THEN value + 0 ELSE value END "
            "FROM json_each(runs.tags) WHERE key = ?)"
        )
        return SQL(query, (true_name,))


def runs_query(
    columns: RunColumns,
    chosen: Sequence[str] = (),
    where: str | None = None,
    name: str | None = None,
    since: str | None = None,
    sort: str | None = None,
) -> SQL:
    """The query for runs: all columns of the view `runs`, and those chosen that are none.

    where: a condition; name: of the run, `*` stands for anything; since: a time, or an age such as
    7d; sort: a name, with `-` before it from the greatest down. Without it the newest come first.
    """
    selected, values = ["runs.*"], list[Any]()
    for condition in chosen:
        expression = _known(columns, condition)
        selected.append(f"{expression.text} AS {_quoted(condition)}")
        values += expression.values
    conditions = []
    if where:
        conditions.append(compile_condition(where, columns))
    if name:
        conditions.append(SQL("runs.name GLOB ? OR runs.label GLOB ?", (name, name)))
    if since:
        conditions.append(SQL("julianday(runs.started_at) >= julianday(?)", (moment(since),)))
    text = f"SELECT {', '.join(selected)} FROM runs"
    if conditions:
        text += " WHERE " + " AND ".join(f"({condition.text})" for condition in conditions)
        values += [value for condition in conditions for value in condition.values]
    if sort:
        by = _known(columns, sort.removeprefix("-"))
        order = "DESC" if sort.startswith("-") else "ASC"
        text += f" ORDER BY {by.text} IS NULL, {by.text} {order}, runs.run DESC"
        values += [*by.values, *by.values]
    else:
        text += " ORDER BY runs.run DESC"
    return SQL(text, tuple(values))


def epochs_where(record: Record, where: str) -> set[tuple[int, int]]:
    """The runs and epochs for which a condition holds that speaks of `epoch` as well."""
    condition = compile_condition(where, RunColumns(record.connection, of_epochs=True))
    query = "SELECT runs.run, e.epoch FROM runs JOIN epoch e ON e.run = runs.run WHERE "
    rows = record.query(query + condition.text, condition.values)
    return {(row["run"], row["epoch"]) for row in rows}


def best(
    record: Record,
    metric: str,
    by: Sequence[str] = (),
    top: int = 1,
    greatest: bool | None = None,
    where: str | None = None,
) -> list[dict[str, Any]]:
    """The best epoch of each run by a metric: the `top` of all, or for each value of `by`.

    greatest: whether more is better; None: it is not for losses and errors. Rows have the epoch
    and the run's hyperparameters. Raises `KerasProvError`.
    """
    value, rows = _best_of_each(record, metric, by, greatest, where)
    groups_best, counts = list[dict[str, Any]](), dict[Any, int]()
    for row, run in rows:
        group = tuple(run[name] for name in by)
        folded = _folded(group)
        counts[folded] = counts.get(folded, 0) + 1
        if counts[folded] <= top:
            when = f"SELECT min(epoch) FROM epoch WHERE run = ? AND {value} = ?"
            key = (row["run"], row["value"])
            (epoch,) = record.connection.execute(when, key).fetchone()
            settings = {name: run[name] for name in HYPERPARAMETERS}
            heading = {"run": run["run"], "name": run["name"], "epoch": epoch}
            grouped = dict(zip(by, group, strict=True))
            groups_best.append({**grouped, metric: row["value"], **heading, **settings})
    return groups_best


def best_means(
    record: Record,
    metric: str,
    by: Sequence[str],
    greatest: bool | None = None,
    where: str | None = None,
) -> list[dict[str, Any]]:
    """For each value of `by` the mean of a metric over its runs, each in its best epoch.

    Rows have the mean under the metric's name, `std` (of the sample; None of a single run) and
    `runs`, how many they are; the best mean comes first. Raises `KerasProvError`.
    """
    _, best_rows = _best_of_each(record, metric, by, greatest, where)
    groups: dict[Any, tuple[tuple[Any, ...], list[float]]] = {}
    for row, run in best_rows:
        group = tuple(run[name] for name in by)
        groups.setdefault(_folded(group), (group, []))[1].append(row["value"])
    rows = [
        {
            **dict(zip(by, group, strict=True)),
            metric: statistics.fmean(values),
            "std": statistics.stdev(values) if len(values) > 1 else None,
            "runs": len(values),
        }
        for group, values in groups.values()
    ]
    return sorted(rows, key=lambda row: row[metric], reverse=_more_is_better(metric, greatest))


def _best_of_each(
    record: Record, metric: str, by: Sequence[str], greatest: bool | None, where: str | None
) -> tuple[str, list[tuple[dict[str, Any], dict[str, Any]]]]:
    """The column of a metric, and its best value of each run with the run, the best first."""
    column = next((c for c, n in record.metrics.items() if n.lower() == metric.lower()), None)
    if column is None:
        raise unknown(metric, record.metrics.values(), "metric")
    more = _more_is_better(metric, greatest)
    query, values = runs_query(RunColumns(record.connection), by, where)
    runs = {row["run"]: row for row in record.query(query, values)}
    value = _quoted(column)
    function = "max" if more else "min"
    each = f"SELECT run, {function}({value}) AS value FROM epoch GROUP BY run"
    rows = [row for row in record.query(each) if row["run"] in runs and row["value"] is not None]
    rows.sort(key=lambda row: (-row["value"] if more else row["value"], row["run"]))
    return value, [(row, runs[row["run"]]) for row in rows]


def _more_is_better(metric: str, greatest: bool | None) -> bool:
    return greatest if greatest is not None else not LESS_IS_BETTER.search(metric.lower())


def _folded(group: tuple[Any, ...]) -> tuple[Any, ...]:
    """By what a group is known: adam, as another tool wrote it, is Adam."""
    return tuple(part.casefold() if isinstance(part, str) else part for part in group)


def moment(text: str) -> str:
    """A time as ISO 8601: given so, as a date, or as an age such as 30m, 12h, 7d."""
    age = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if age:
        past = timedelta(**{AGES[age[2]]: float(age[1])})
        return (datetime.now(timezone.utc) - past).isoformat()
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise KerasProvError(
            f"{text!r} is no time such as 2026-11-23, 2026-11-23T14:00 or 7d"
        ) from None
    return parsed.astimezone(timezone.utc).isoformat()


def _known(columns: RunColumns, name: str) -> SQL:
    expression = columns.column(name)
    if expression is None:
        raise unknown(name, columns.names())
    return expression


def _names(connection: sqlite3.Connection, query: str) -> dict[str, str]:
    """The names that a query returns, by themselves in small letters."""
    rows: Iterator[tuple[str]] = connection.execute(query)
    return {name.lower(): name for (name,) in rows}


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
