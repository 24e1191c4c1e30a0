"""What led to a model: the runs, programs, data files and code behind it, asked once.

Cards, checks of files, signatures and exports are written from this.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from kerasprov_agent.read.lineage import Lineage
from kerasprov_agent.read.record import Record, Row
from kerasprov_agent.store.text import decoded

RUN = "SELECT * FROM run WHERE id = ?"
USED = (
    "SELECT u.entity_id FROM used u JOIN entity e ON e.id = u.entity_id AND e.kind = 'dataset' "
    "WHERE u.activity_id = :run UNION "
    "SELECT v.data_id FROM evaluation v WHERE v.run_id = :run AND v.data_id IS NOT NULL"
)
SAVED = (
    "SELECT f.entity_id FROM derived d JOIN file f ON f.entity_id = d.entity_id "
    "WHERE d.source_id = ? AND f.written_at IS NOT NULL"
)
LATER = (
    "SELECT o.entity_id FROM file f JOIN entity e ON e.id = f.entity_id JOIN file o "
    "ON o.path = f.path AND o.entity_id <> f.entity_id AND o.written_at IS NOT NULL "
    "AND o.written_at > coalesce(f.written_at, e.seen_at) "
    "AND o.sha256 IS NOT f.sha256 WHERE f.entity_id = ? ORDER BY o.written_at DESC LIMIT 1"
)


class Known(NamedTuple):
    """A file as it is recorded: one that led to the model, the model's own, or code."""

    path: str
    kind: str
    """data, code, or what a saved model's file is: model, weights, checkpoint, ..."""
    bytes: int | None
    sha256: str | None
    partial_sha256: str | None
    """Of parts of it, where it is larger than the setting `hash_size`."""
    directory: str | None
    """Of a set of files: what they have in common."""
    set_sha256: str | None
    """Of a set of files: the digest of their list."""
    entity_id: str | None
    """None of code."""
    replaced_by: str | None
    """The execution that wrote another version of it later, if that is recorded."""


class Origin:
    """What led to what a path, a run or a hash stands for; raises `UnknownRun`."""

    def __init__(self, record: Record, what: str) -> None:
        self.record, self.what = record, what
        self.lineage = Lineage(record)
        self.start = self.lineage.find(what)
        self.reached = self.lineage.reach(self.start, "back")

    @cached_property
    def runs(self) -> list[Row]:
        """The runs that trained it and its ancestors, the first one first: rows of `runs`."""
        ids = set()
        for entity_id, sources in self.reached.items():
            for state_id in self.lineage.states(entity_id):
                query = "SELECT activity_id FROM generated WHERE entity_id = ?"
                ids |= {row["activity_id"] for row in self.record.query(query, (state_id,))}
            ids |= {row["activity_id"] for row in sources.values()}
        if not self.start:  # an imported run, which left no model
            ids = {self.record.find(self.what)["id"]}
        rows = [
            row
            for run_id in ids
            if run_id
            for row in self.record.query("SELECT * FROM runs WHERE id = ?", (run_id,))
        ]
        return sorted(self.record.with_status(rows), key=lambda r: (str(r["started_at"]), r["run"]))

    @cached_property
    def executions(self) -> list[Row]:
        """The programs that took part, the first one first: rows of `execution`."""
        return executions_of(self.record, self.entities, self.runs)

    @cached_property
    def own(self) -> list[str]:
        """The model itself: what was asked for, and the files into which it was saved."""
        saved = {
            row["entity_id"]
            for entity_id in self.start
            for state_id in self.lineage.states(entity_id)
            for row in self.record.query(SAVED, (state_id,))
        }
        return [*self.start, *sorted(saved - {*self.start})]

    @cached_property
    def entities(self) -> list[str]:
        """What led to it, what its runs were validated and tested on, and what was saved of it."""
        further = {
            row["entity_id"]
            for run in self.runs
            for row in self.record.query(USED, {"run": run["id"]})
        }
        return [*self.lineage.reach([*self.reached, *sorted(further)], "back"), *self.own]

    def files(self) -> Iterator[Known]:
        """The files of data and models, sets file by file, and the code; each version once."""
        seen = set()
        of_data = sorted(self._of_data(), key=lambda known: known.directory is None)  # sets first
        for known in (*of_data, *self._of_code()):
            version = (known.path, known.sha256, known.partial_sha256)
            if version not in seen:
                seen.add(version)
                yield known

    def _of_data(self) -> Iterator[Known]:
        for entity_id in dict.fromkeys(self.entities):
            for file in self.record.query("SELECT * FROM file WHERE entity_id = ?", (entity_id,)):
                yield from of_entity(self.record, file)

    def _of_code(self) -> Iterator[Known]:
        for execution in self.executions:
            yield from of_code(self.record, execution)


class Several:
    """What led to several runs, asked as an `Origin` is."""

    def __init__(self, record: Record, run_ids: Iterable[str]) -> None:
        self.record = record
        query = "SELECT * FROM runs WHERE id = ?"
        rows = [row for run_id in run_ids for row in record.query(query, (run_id,))]
        self.runs = record.with_status(sorted(rows, key=lambda r: (str(r["started_at"]), r["run"])))

    @cached_property
    def entities(self) -> list[str]:
        """What led to the models of the runs, and what these were tested on."""
        start: set[str] = set()
        for run in self.runs:
            start |= {row["entity_id"] for row in self.record.query(USED, {"run": run["id"]})}
            for row in self.record.query(RUN, (run["id"],)):
                start |= {row["initial_model_id"], row["trained_model_id"]} - {None}
        return list(Lineage(self.record).reach(sorted(start | {*self.own}), "back"))

    @cached_property
    def executions(self) -> list[Row]:
        """The programs that took part, the first one first: rows of `execution`."""
        return executions_of(self.record, self.entities, self.runs)

    @cached_property
    def own(self) -> list[str]:
        """The files into which the models were saved."""
        lineage = Lineage(self.record)
        saved = {
            row["entity_id"]
            for run in self.runs
            for model in self.record.query(RUN, (run["id"],))
            if model["trained_model_id"]
            for state_id in lineage.states(model["trained_model_id"])
            for row in self.record.query(SAVED, (state_id,))
        }
        return sorted(saved)


class Everything(Several):
    """All that a database holds, asked as an `Origin` is."""

    def __init__(self, record: Record) -> None:
        super().__init__(record, [row["id"] for row in record.query("SELECT id FROM run")])

    @cached_property
    def executions(self) -> list[Row]:
        """All programs, the first one first."""
        return list(self.record.query("SELECT * FROM execution ORDER BY started_at"))

    @cached_property
    def own(self) -> list[str]:
        """All model files that were written."""
        query = (
            "SELECT entity_id FROM file WHERE written_at IS NOT NULL "
            "AND role IN ('model', 'weights', 'checkpoint', 'export') ORDER BY entity_id"
        )
        return [row["entity_id"] for row in self.record.query(query)]

    def files(self) -> Iterator[Known]:
        """Each file in the newest of its versions."""
        yield from of_all(self.record)


def executions_of(record: Record, entities: Iterable[str], runs: Iterable[Row]) -> list[Row]:
    """The programs of some entities and runs, the first one first: rows of `execution`."""
    ids = {entity_id.partition("#")[0] for entity_id in entities}
    ids |= {run["execution_id"] for run in runs}
    query = "SELECT * FROM execution WHERE id = ?"
    rows = [row for each in ids for row in record.query(query, (each,))]
    return sorted(rows, key=lambda row: str(row["started_at"]))


def of_entity(record: Record, file: Row) -> Iterator[Known]:
    """The file of a row of `file`, or the files of the set that it is."""
    entity_id = file["entity_id"]
    later = next(record.query(LATER, (entity_id,)), None)
    replaced_by = later["entity_id"].partition("#")[0] if later else None
    kind = file["role"] or "data"
    set_of = "SELECT * FROM members WHERE set_id = ? ORDER BY path"
    entity = next(record.query("SELECT kind FROM entity WHERE id = ?", (entity_id,)))
    if entity["kind"] == "files":
        for member in record.query(set_of, (entity_id,)):
            path = os.path.join(decoded(member["directory"]), decoded(member["path"]))
            yield Known(path, kind, member["bytes"], member["sha256"], member["partial_sha256"],
                        decoded(member["directory"]), file["sha256"], entity_id,
                        replaced_by)  # fmt: skip
    else:
        yield Known(decoded(file["path"]), kind, file["bytes"], file["sha256"],
                    file["partial_sha256"], None, None, entity_id, replaced_by)  # fmt: skip


def of_code(record: Record, execution: Row) -> Iterator[Known]:
    """The script and the modules of a program, as files; a notebook's cells are none."""
    rows = [
        (execution["script"], execution["script_sha256"], execution["script_original_sha256"]),
        *(
            (row["path"], row["sha256"], row["original_sha256"])
            for row in record.query(
                "SELECT * FROM module WHERE execution_id = ? ORDER BY path", (execution["id"],)
            )
        ),
    ]
    for path, stored, original in rows:
        if not path or not stored or not os.path.isabs(decoded(path)):
            continue  # `-m package`, a text that was not kept
        size = next(record.query("SELECT bytes FROM source WHERE sha256 = ?", (stored,)), None)
        length = size["bytes"] if size and original is None else None
        yield Known(decoded(path), "code", length, original or stored, None, None, None, None, None)


def of_all(record: Record) -> Iterator[Known]:
    """Each file that the database knows, in the newest of its versions."""
    newest: dict[str, Known] = {}
    query = (
        "SELECT f.* FROM file f JOIN entity e ON e.id = f.entity_id "
        "WHERE coalesce(f.sha256, f.partial_sha256) IS NOT NULL "
        "ORDER BY coalesce(f.written_at, e.seen_at)"
    )
    for file in list(record.query(query)):
        newest.update((known.path, known) for known in of_entity(record, file))
    for execution in record.query("SELECT * FROM execution ORDER BY started_at"):
        newest.update((known.path, known) for known in of_code(record, execution))
    yield from newest.values()
