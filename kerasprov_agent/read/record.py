"""Reading the record: runs, epochs, evaluations as plain rows. Never creates or changes a file."""

from __future__ import annotations

import difflib
import json
import math
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from kerasprov_agent.errors import KerasProvError, UnknownRun, Unusable
from kerasprov_agent.store import liveness, reading
from kerasprov_agent.store.text import from_bytes
from kerasprov_agent.store.views import EPOCH_SECONDS

if TYPE_CHECKING:
    from kerasprov_agent.read.conditions import SQL

Row = dict[str, Any]

INTERRUPTED = "interrupted"
"""What SQLite says where Ctrl-C stopped it."""

PROCESS = (
    "script", "arguments", "working_directory", "user", "host", "platform", "cpu", "cpu_count",
    "gpus", "python", "keras_package", "keras_version", "backend", "backend_version",
    "agent_version", "git_commit", "git_branch", "git_remote", "git_dirty", "job", "rank",
    "world_size", "role",
)  # fmt: skip
"""Columns of `execution` that tell where and with what a program ran."""


def _dicts(cursor: sqlite3.Cursor) -> Iterator[Row]:
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, row, strict=True)) for row in cursor)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _all_encodable(values: Sequence[Any] | Mapping[str, Any]) -> Any:
    if isinstance(values, Mapping):
        return dict(zip(values, _all_encodable(list(values.values())), strict=True))
    return [_encodable(value) if isinstance(value, str) else value for value in values]


def mapping(text: str | None) -> Row:
    """An object that is stored as JSON; none of what somebody altered so that it is none."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def listed(text: str | None) -> list[Any]:
    """As `mapping`, of an array."""
    try:
        found = json.loads(text or "[]")
    except (ValueError, TypeError):
        return []
    return found if isinstance(found, list) else []


def flat(row: Row) -> Row:
    """A row with its metrics as columns, those that bear the name of one with `metric.` before."""
    metrics = row.pop("metrics")
    return row | {f"metric.{k}" if k in row else k: v for k, v in metrics.items()}


@contextmanager
def open_record(path: str) -> Iterator[Record]:
    """Open a database for reading and close it after; raises `Unusable`.

    What is read meanwhile was true at one moment.
    """
    connection = reading.open_for_reading(path)
    try:
        yield Record(connection)
    except sqlite3.Error as exc:
        if str(exc) == INTERRUPTED:
            raise KeyboardInterrupt from exc
        raise Unusable(f"can't read {path}: {exc}") from exc
    finally:
        connection.close()


class Record:
    """What one database holds."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.metrics: dict[str, str] = {
            row["column_name"]: row["name"] for row in self.query("SELECT * FROM metric")
        }
        self._gone: dict[str, bool] = {}

    def query(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Iterator[Row]:
        """The rows that a query returns, as dicts."""
        return _dicts(self._executed(query, values))

    def ask(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of a SELECT which a person wrote; raises `KerasProvError`."""
        reading.only_questions(self.connection)
        try:
            cursor = self._executed(query, values)
            if cursor.description is None:
                raise KerasProvError("there is no SELECT in that")
            return list(_dicts(cursor))
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as exc:
            if str(exc) == INTERRUPTED:
                raise KeyboardInterrupt from exc
            if "not authorized" in str(exc) or "prohibited" in str(exc):
                raise KerasProvError("only a SELECT can be asked; nothing is changed") from exc
            raise KerasProvError(f"SQLite says: {exc}") from exc

    def _executed(self, query: str, values: Any) -> sqlite3.Cursor:
        cursor = self.connection.cursor()
        cursor.row_factory = None
        try:
            return cursor.execute(query, values)
        except (
            UnicodeEncodeError
        ):  # an argument that is no UTF-8, which the database has as escapes
            return cursor.execute(_encodable(query), _all_encodable(values))

    def runs(
        self,
        limit: int | None = None,
        *,
        columns: Sequence[str] = (),
        where: str | None = None,
        name: str | None = None,
        since: str | None = None,
        status: str | None = None,
        sort: str | None = None,
    ) -> list[Row]:
        """Runs, the newest first: the columns of the view `runs`, those asked for, and `metrics`.

        `metrics` holds what Keras reported of the last epoch. A run whose process vanished has
        the status `lost`. For the other arguments see `selection.runs_query`. Raises
        `KerasProvError`.
        """
        query = self.runs_query(columns, where, name, since, sort)
        # That a process is gone, SQL can't tell.
        rows = (self._told(row) for row in self.query(*query))
        return list(islice((row for row in rows if status in (None, row["status"])), limit))

    def runs_query(
        self,
        columns: Sequence[str] = (),
        where: str | None = None,
        name: str | None = None,
        since: str | None = None,
        sort: str | None = None,
    ) -> SQL:
        """The SQL by which `runs` asks."""
        from kerasprov_agent.read import selection

        known = selection.RunColumns(self.connection)
        return selection.runs_query(known, columns, where, name, since, sort)

    def window(
        self,
        columns: Sequence[str] = (),
        where: str | None = None,
        sort: str | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> list[Row]:
        """Some of the runs, as `runs` orders them, without `metrics`: cheap however many there are.

        Raises `KerasProvError`.
        """
        query = self.runs_query(columns, where, sort=sort)
        rows = self.query(f"{query.text} LIMIT ? OFFSET ?", (*query.values, limit, offset))
        return self.with_status(rows)

    def with_status(self, rows: Iterable[Row]) -> list[Row]:
        """Rows of runs, `lost` where it says running and the process has vanished."""
        return [{**row, "status": self._status(row["status"], row["execution_id"])} for row in rows]

    def find(self, text: str) -> Row:
        """The run of that number or name, whose id begins so, or `last`; raises `UnknownRun`."""
        if text == "last":
            rows = list(self.query("SELECT * FROM runs ORDER BY run DESC LIMIT 1"))
        else:
            named = "SELECT * FROM runs WHERE name = :text OR CAST(run AS TEXT) = :text"
            begins = "SELECT * FROM runs WHERE substr(id, 1, length(:text)) = :text LIMIT 9"
            given = {"text": text}
            rows = list(self.query(named, given)) or list(self.query(begins, given))
        if len(rows) == 1 or (rows and rows[0]["name"] == text):
            return self._told(rows[0])
        raise UnknownRun(self._unknown(text, rows))

    def find_execution(self, text: str) -> tuple[str, str | None]:
        """The ids of a run's execution and of the run; or of an execution that trained nothing.

        That is found by its label, the newest, or the beginning of its id; raises `UnknownRun`.
        """
        try:
            run = self.find(text)
        except UnknownRun:
            query = (
                "SELECT id FROM execution WHERE label = :text OR substr(id, 1, length(:text)) = "
                ":text ORDER BY started_at DESC LIMIT 1"
            )
            for row in self.query(query, {"text": text}):
                return row["id"], None
            raise
        return run["execution_id"], run["id"]

    def parts(
        self, texts: Sequence[str], each: bool = False, whole: bool = False
    ) -> list[tuple[str, frozenset[str] | None]]:
        """Executions, with the runs of them that are meant; None: all of each. No texts: all.

        each: a part for each text; otherwise runs of one execution are one part.
        """
        if not texts:
            query = "SELECT id FROM execution ORDER BY started_at"
            ids = [row["id"] for row in self.query(query)]
            if not ids:
                raise UnknownRun("nothing has been recorded in this database yet")
            return [(part_id, None) for part_id in ids]
        parts: dict[Any, tuple[str, frozenset[str] | None]] = {}
        for text in texts:
            execution_id, run_id = self.find_execution(text)
            runs = None if whole or run_id is None else frozenset((run_id,))
            key = (execution_id, runs) if each else execution_id
            _, before = parts.get(key, (None, frozenset[str]()))
            together = None if runs is None or before is None else runs | before
            parts[key] = execution_id, together
        return list(parts.values())

    def _unknown(self, text: str, rows: list[Row]) -> str:
        if rows:
            names = ", ".join(str(row["name"]) for row in rows)
            return f"{text!r} may be any of the runs {names}; give a longer prefix or the name"
        known = [row["name"] for row in self.query("SELECT name FROM run")]
        if not known:
            return "there are no runs in this database yet"
        near = difflib.get_close_matches(text, known, 3, 0.4) or known[-3:]
        return f"no run {text!r}; there is {', '.join(near)} (all of them: kerasprov runs)"

    def epochs(self, run: Row) -> list[Row]:
        """The epochs of a run: the columns of `epoch`, `seconds`, `metrics` by their true names."""
        query = f"SELECT *, {EPOCH_SECONDS} AS seconds FROM epoch WHERE run = ? ORDER BY epoch"
        rows = self.query(query, (run["run"],))
        return [self._measured(row) for row in rows]

    def evaluations(self, run: Row) -> list[Row]:
        """The evaluations of a run's model, with `metrics`."""
        rows = self.query(
            "SELECT * FROM evaluation WHERE run_id = ? ORDER BY started_at", (run["id"],)
        )
        return [
            self._measured({**row, "status": self._status(row["status"], row["execution_id"])})
            for row in rows
        ]

    def layers(self, run: Row) -> list[Row]:
        """The layers of a run's model, in their order."""
        return self._of_run("layers", run, "position")

    def params(self, run: Row) -> list[Row]:
        """All arguments and hyperparameters of a run, with the place each came from."""
        return self._of_run("params", run, "source, name")

    def arguments(self, runs: Sequence[Row]) -> dict[str, Row]:
        """What the command lines said for runs: by the run's id, value by name."""
        arguments: dict[str, Row] = {run["id"]: {} for run in runs}
        query = (
            "SELECT run_id, name, value FROM param "
            "WHERE source = 'argument' AND run_id IN (SELECT value FROM json_each(?))"
        )
        for row in self.query(query, (json.dumps(list(arguments)),)):
            arguments[row["run_id"]][row["name"]] = row["value"]
        return arguments

    def callbacks(self, run: Row) -> list[Row]:
        """The callbacks of a run with their settings."""
        return self._of_run("callbacks", run, "position")

    def inputs(self, run: Row) -> list[Row]:
        """The arrays that a run was fed."""
        return self._of_run("inputs", run, "used_as, role, path")

    def optimizers(self, run: Row) -> list[Row]:
        """The optimizers of a run."""
        return self._of_run("optimizers", run, "position")

    def changes(self, run: Row) -> list[Row]:
        """The hyperparameters that were altered while a run trained."""
        return self._of_run("changes", run, "at")

    def events(self, run: Row) -> list[Row]:
        """What callbacks and the program did to a run."""
        return self._of_run("events", run, "at")

    def trial(self, run: Row) -> Row | None:
        """The trial of a search that a run belongs to."""
        query = "SELECT * FROM trials WHERE id = ?"
        return next(iter(self.query(query, (run["trial_id"],))), None) if run["trial_id"] else None

    def source(self, run: Row) -> Row | None:
        """What an import tells: `path`, `repairs`, `left_out`; None: the run was recorded."""
        query = "SELECT * FROM imports WHERE execution_id = ?"
        return next(iter(self.query(query, (run["execution_id"],))), None)

    def activities(self, run: Row) -> list[Row]:
        """What a run's model was used for."""
        return self._of_run("activities", run, "started_at")

    def steps(self, run: Row) -> list[Row]:
        """The steps that a run's program told, or an import."""
        query = "SELECT * FROM activity WHERE execution_id = ? AND kind = 'step' ORDER BY id"
        return list(self.query(query, (run["execution_id"],)))

    def execution(self, run: Row) -> Row:
        """The process in which a run took place."""
        row = next(iter(self.query("SELECT * FROM execution WHERE id = ?", (run["execution_id"],))))
        return {**row, "status": self._status(row["status"], row["id"])}

    def files(self, run: Row) -> list[Row]:
        """The files that a run's program read and wrote: path, role, bytes, sha256, by what."""
        query = "SELECT * FROM files WHERE execution_id = ? ORDER BY path"
        return list(self.query(query, (run["execution_id"],)))

    def environment(self, run: Row) -> list[Row]:
        """Machine, software, packages and variables of a run's process: `kind`, `name`, `value`."""
        execution = self.execution(run)
        facts = [("process", name, execution[name]) for name in PROCESS]
        variables = mapping(execution["environment"])
        facts += [("variable", name, value) for name, value in variables.items()]
        query = "SELECT name, version FROM packages WHERE execution_id = ? ORDER BY name"
        packages = self.query(query, (run["execution_id"],))
        facts += [("package", row["name"], row["version"]) for row in packages]
        return [
            {"kind": kind, "name": name, "value": value}
            for kind, name, value in facts
            if value is not None
        ]

    def code(self, run: Row) -> list[Row]:
        """The code of a run: `kind` (script, module, cell, git diff), `name`, `text`.

        Cells are in the order in which they ran, up to the one that called `fit`.
        """
        query = """
            SELECT 1 AS place, 'script' AS kind, e.script AS name, 0 AS number, s.zlib
            FROM execution e JOIN source s ON s.sha256 = e.script_sha256 WHERE e.id = :id
            UNION ALL
            SELECT 2, 'module', m.path, 0, s.zlib
            FROM module m JOIN source s ON s.sha256 = m.sha256 WHERE m.execution_id = :id
            UNION ALL
            SELECT 3, 'cell', 'In [' || c.number || ']', c.number, s.zlib
            FROM cell c JOIN source s ON s.sha256 = c.sha256
            WHERE c.execution_id = :id AND c.number <= coalesce(:cell, c.number)
            UNION ALL
            SELECT 4, 'git diff', substr(e.git_commit, 1, 12), 0, s.zlib
            FROM execution e JOIN source s ON s.sha256 = e.git_diff_sha256 WHERE e.id = :id
            ORDER BY 1, 4, 3
        """
        (cell,) = self.connection.execute(
            "SELECT cell FROM run WHERE id = ?", (run["id"],)
        ).fetchone()
        given = {"id": run["execution_id"], "cell": cell}
        return [
            {
                "kind": row["kind"],
                "name": row["name"],
                "text": from_bytes(zlib.decompress(row["zlib"])),
            }
            for row in self.query(query, given)
        ]

    def compiled(self, run: Row) -> Row | None:
        """The `compile` in force for a run."""
        query = "SELECT c.* FROM compile c JOIN run r ON r.compile_id = c.id WHERE r.id = ?"
        return next(iter(self.query(query, (run["id"],))), None)

    def _of_run(self, view: str, run: Row, order: str) -> list[Row]:
        query = f"SELECT * FROM {view} WHERE run = ? ORDER BY {order}"
        return list(self.query(query, (run["run"],)))

    def _told(self, row: Row) -> Row:
        last = self.query(
            "SELECT * FROM epoch WHERE run = ? ORDER BY epoch DESC LIMIT 1", (row["run"],)
        )
        metrics: Row = next((self._measured(epoch)["metrics"] for epoch in last), {})
        status = self._status(row["status"], row["execution_id"])
        return {**row, "status": status, "metrics": metrics}

    def _measured(self, row: Row) -> Row:
        """Put the metrics of a row together, under the names that Keras gave them."""
        nonfinite = mapping(row.pop("nonfinite", None))
        metrics = mapping(row.pop("more", None))
        for column, name in self.metrics.items():
            value = row.pop(column, None)
            if nonfinite.get(name) == "NaN":
                value = math.nan
            if value is not None:
                metrics[name] = value
        return {**row, "metrics": metrics}

    def _status(self, status: str, execution_id: str) -> str:
        if status != "running":
            return status
        if execution_id not in self._gone:
            row = self.connection.execute(
                "SELECT host, pid, process FROM execution WHERE id = ?", (execution_id,)
            ).fetchone()
            self._gone[execution_id] = liveness.is_gone(row)
        return "lost" if self._gone[execution_id] else status
