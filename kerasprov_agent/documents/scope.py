"""What belongs in a document: the rows of an execution, or of one run in it."""

from __future__ import annotations

import sqlite3
from typing import Any

from kerasprov_agent import clock


class Scope:
    """The activities of a document, and when each of them ended.

    An activity whose end was not seen (it is still going, or its process vanished) ends with the
    last thing recorded of it.
    """

    def __init__(
        self, connection: sqlite3.Connection, execution_id: str, run_id: str | None
    ) -> None:
        self.connection = connection
        self.run_id = run_id
        self.execution = self.rows("SELECT * FROM execution WHERE id = ?", execution_id)[0]
        condition, key = ("id = ?", run_id) if run_id else ("execution_id = ?", execution_id)
        self.runs = self.rows(f"SELECT * FROM run WHERE {condition} ORDER BY number", key)
        condition, key = ("run_id = ?", run_id) if run_id else ("execution_id = ?", execution_id)
        self.evaluations = self.rows(
            f"SELECT * FROM evaluation WHERE {condition} ORDER BY started_at", key
        )
        self.predictions = self.rows(
            f"SELECT * FROM activity WHERE {condition} ORDER BY started_at", key
        )
        # A search is of several runs: it stands in the document of the whole execution.
        self.searches = (
            []
            if run_id
            else self.rows(
                "SELECT * FROM search WHERE execution_id = ? ORDER BY started_at", execution_id
            )
        )
        self.trials = (
            []
            if run_id
            else self.rows(
                "SELECT t.* FROM trial t JOIN search s ON s.id = t.search_id "
                "WHERE s.execution_id = ? ORDER BY t.started_at",
                execution_id,
            )
        )
        self.compiles = self.rows(
            "SELECT * FROM compile WHERE execution_id = ? ORDER BY ended_at", execution_id
        )
        if run_id:
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
        self.contents: set[str] = set()
        """The contents that are stated already: several files may have the same."""
        self.metrics = dict(self.tuples("SELECT column_name, name FROM metric"))
        self.ends = self._find_ends()

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
        found = {"recorder": ("kerasprov_agent", execution["agent_version"])}
        if execution["keras_package"]:
            found["framework"] = (execution["keras_package"], execution["keras_version"])
        if execution["backend"]:
            found["backend"] = (execution["backend"], execution["backend_version"])
        return found

    def lies_within(self, run_id: str | None, row: sqlite3.Row) -> bool:
        """Whether a use of a model took place while a run of this document went on."""
        run = next((one for one in self.runs if one["id"] == run_id), None)
        return run is not None and bool(
            run["started_at"] <= row["started_at"] and self.ends[row["id"]] <= self.ends[run["id"]]
        )

    def _find_ends(self) -> dict[str, str]:
        """The end of each activity: as recorded, else the last moment that was recorded of it."""
        ends: dict[str, str] = {}
        for row in (*self.evaluations, *self.predictions):
            ends[row["id"]] = row["ended_at"] or row["started_at"]
        for row in self.seen_compiles:
            ends[row["id"]] = row["ended_at"]
        for run in reversed(self.runs):  # a run within a run comes after it
            ends[run["id"]] = run["ended_at"] or self._last_of_run(run, ends)
        for table, key in ((self.trials, "trial_id"), (self.searches, "search_id")):
            parts = self.runs if table is self.trials else self.trials
            for row in table:
                last = [ends[one["id"]] for one in parts if one[key] == row["id"]]
                ends[row["id"]] = row["ended_at"] or max([row["started_at"], *last])
        execution = self.execution
        latest = max([execution["started_at"], *ends.values(), *self._seen(execution["id"])])
        ends[execution["id"]] = execution["ended_at"] or latest
        return ends

    def _last_of_run(self, run: sqlite3.Row, ends: dict[str, str]) -> str:
        moments = [run["started_at"], run["training_started_at"] or ""]
        last = self.tuples(
            "SELECT max(started_at + coalesce(train_seconds, 0) + coalesce(validation_seconds, 0)"
            " + coalesce(callback_seconds, 0)) FROM epoch WHERE run = ?",
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
        moments += [at for (at,) in self.tuples(
            "SELECT at FROM generated WHERE activity_id = ?", run["id"]
        )]  # fmt: skip
        return max(map(str, moments))

    def _seen(self, execution_id: str) -> list[str]:
        return [
            at
            for (at,) in self.tuples(
                "SELECT max(seen_at) FROM entity WHERE execution_id = ?", execution_id
            )
            if at
        ]
