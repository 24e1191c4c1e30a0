"""What belongs in a document: the rows of an execution, or of some runs in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.documents.vocabulary import Name, ncname
from kerasprov_agent.store import liveness

FULL_EPOCHS = 1000
"""A run of more epochs is told in the profile `summary`, if neither is asked for."""


class Scope:
    """The activities of a document, and when each of them ended.

    An activity whose end was not seen (it is still going, or its process vanished) ends with the
    last thing recorded of it.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        prefix: str,
        execution_id: str,
        run_ids: frozenset[str] | None = None,
        profile: str | None = None,
    ) -> None:
        self.connection, self.prefix, self.profile = connection, prefix, profile
        self.partial = run_ids is not None
        """Whether only some runs of the execution are wanted."""
        self.execution = self.rows("SELECT * FROM execution WHERE id = ?", execution_id)[0]
        self.is_lost = self.execution["status"] == "running" and liveness.is_gone(self.execution)
        runs = self.rows("SELECT * FROM run WHERE execution_id = ? ORDER BY number", execution_id)
        self.runs = [row for row in runs if run_ids is None or row["id"] in run_ids]
        self.evaluations = self._of_execution("evaluation", run_ids)
        self.predictions = self._of_execution("activity", run_ids)
        # A search is of several runs: it stands in the document of the whole execution.
        self.searches = [] if self.partial else self._of_execution("search")
        self.trials = [] if self.partial else self.rows(
            "SELECT t.* FROM trial t JOIN search s ON s.id = t.search_id "
            "WHERE s.execution_id = ? ORDER BY t.started_at",
            execution_id,
        )  # fmt: skip
        self.compiles = self.rows(
            "SELECT * FROM compile WHERE execution_id = ? ORDER BY ended_at", execution_id
        )
        if self.partial:
            wanted = {run["compile_id"] for run in self.runs}
            self.compiles = [row for row in self.compiles if row["id"] in wanted]
        self.seen_compiles = [row for row in self.compiles if row["started_at"]]
        self.activities = {execution_id} | {
            row["id"]
            for rows in (
                self.runs,
                self.evaluations,
                self.predictions,
                self.searches,
                self.trials,
                self.seen_compiles,
            )
            for row in rows
        }
        self.settings: dict[tuple[str, str], Name] = {}
        """The entity of a setting, by the compile or run and its name: the latest one."""
        self.metrics = {table: self._metrics(table) for table in ("epoch", "evaluation")}
        """Of each metric of a table its place in the rows, its name, and its name in PROV."""
        self.ends = self._find_ends()

    def _of_execution(self, table: str, run_ids: frozenset[str] | None = None) -> list[sqlite3.Row]:
        rows = self.rows(
            f"SELECT * FROM {table} WHERE execution_id = ? ORDER BY started_at",
            self.execution["id"],
        )
        return [row for row in rows if run_ids is None or row["run_id"] in run_ids]

    def columns(self, table: str) -> dict[str, int]:
        """The place of each column of a table in its rows."""
        query = "SELECT name FROM pragma_table_info(?) ORDER BY cid"
        return {name: place for place, (name,) in enumerate(self.tuples(query, table))}

    def _metrics(self, table: str) -> list[tuple[int, str, Name]]:
        columns = self.columns(table)
        return [
            (columns[column], name, Name(f"metric:{ncname(name)}"))
            for column, name in self.tuples("SELECT column_name, name FROM metric")
            if column in columns
        ]

    def local(self, row_id: str) -> Name:
        """`run:fit-1` for `<execution id>#fit-1`."""
        return Name(f"{self.prefix}:{row_id.partition('#')[2] or 'execution'}")

    def own(self, name: str) -> Name:
        """What the execution has one of, such as `run:environment`."""
        return Name(f"{self.prefix}:{name}")

    def title(self) -> str:
        """What a bundle is about."""
        names = [str(run["name"]) for run in self.runs]
        if self.partial or len(names) == 1:
            return ", ".join(names)
        return str(self.execution["label"] or self.execution["script"] or self.execution["kind"])

    def status(self, row: sqlite3.Row) -> str | None:
        """How an activity ended; what ran in a process that is gone is lost."""
        status: str | None = row["status"]
        return "lost" if status == "running" and self.is_lost else status

    def is_summary(self, run: sqlite3.Row) -> bool:
        """Whether the epochs of a run are told together; if nobody says so, those of a long one."""
        if self.profile is not None:
            return self.profile == "summary"
        query = "SELECT count(*) FROM epoch WHERE run = ?"
        return int(self.tuples(query, run["number"])[0][0]) > FULL_EPOCHS

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """What a query returns, columns by name."""
        cursor = self.connection.cursor()
        cursor.row_factory = sqlite3.Row
        return cursor.execute(query, values).fetchall()

    def tuples(self, query: str, *values: Any) -> list[Any]:
        """What a query returns."""
        cursor = self.connection.cursor()
        cursor.row_factory = None
        return cursor.execute(query, values).fetchall()

    def software(self) -> dict[str, tuple[str, str | None]]:
        """Framework, backend and ourselves, by role."""
        execution = self.execution
        role = "importer" if execution["kind"] == "import" else "recorder"
        agents = {role: ("kerasprov_agent", execution["agent_version"])}
        if execution["keras_package"]:
            agents["framework"] = (execution["keras_package"], execution["keras_version"])
        if execution["backend"]:
            agents["backend"] = (execution["backend"], execution["backend_version"])
        return agents

    def lies_within(self, run_id: str | None, row: sqlite3.Row) -> bool:
        """Whether a use of a model took place while a run of this document went on."""
        run = next((row for row in self.runs if row["id"] == run_id), None)
        if run is None:
            return False
        # Of what was imported the times may not be known: then nothing is claimed.
        begun, ended = run["started_at"] or "~", self.ends[run["id"]] or ""
        return bool(begun <= (row["started_at"] or "") and (self.ends[row["id"]] or "~") <= ended)

    def _find_ends(self) -> dict[str, str | None]:
        """The end of each activity: as recorded, else the last moment that was recorded of it."""
        ends: dict[str, str | None] = {}
        for row in (*self.evaluations, *self.predictions):
            ends[row["id"]] = row["ended_at"] or row["started_at"]
        for row in self.seen_compiles:
            ends[row["id"]] = row["ended_at"]
        for run in reversed(self.runs):  # a run within a run comes after it
            ends[run["id"]] = run["ended_at"] or self._last_of_run(run, ends)
        for table, key in ((self.trials, "trial_id"), (self.searches, "search_id")):
            parts = self.runs if table is self.trials else self.trials
            for row in table:
                last = [ends[part["id"]] for part in parts if part[key] == row["id"]]
                ends[row["id"]] = row["ended_at"] or _latest([row["started_at"], *last])
        execution = self.execution
        latest = _latest([execution["started_at"], *ends.values(), *self._seen(execution["id"])])
        ends[execution["id"]] = execution["ended_at"] or latest
        return ends

    def _last_of_run(self, run: sqlite3.Row, ends: dict[str, str | None]) -> str | None:
        moments = [run["started_at"], run["training_started_at"]]
        last = self.tuples(
            "SELECT max(started_at + coalesce(train_seconds, 0) + coalesce(validation_seconds, 0)"
            " + coalesce(callback_seconds, 0) + coalesce(whole_seconds, 0)) FROM epoch "
            "WHERE run = ?",
            run["number"],
        )[0][0]
        if last is not None:
            moments.append(clock.iso(last))
        moments += [
            ends[row["id"]]
            for row in self.evaluations
            if row["run_id"] == run["id"] and row["epoch"] is not None
        ]
        moments += [ends[row["id"]] for row in self.runs if row["parent_id"] == run["id"]]
        moments += [
            at for (at,) in self.tuples("SELECT at FROM change WHERE run_id = ?", run["id"])
        ]
        moments += [at for (at,) in self.tuples(
            "SELECT at FROM generated WHERE activity_id = ?", run["id"]
        )]  # fmt: skip
        return _latest(moments)

    def _seen(self, execution_id: str) -> list[str]:
        return [
            at
            for (at,) in self.tuples(
                "SELECT max(e.seen_at) FROM entity e JOIN execution x ON x.id = e.execution_id "
                "WHERE x.id = ? AND x.kind IS NOT 'import'",
                execution_id,
            )
        ]


def _latest(moments: Iterable[str | None]) -> str | None:
    return max((moment for moment in moments if moment), default=None)
