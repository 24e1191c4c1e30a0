"""Lineage: what a file, a model or a run came of, and what was made of it, across programs.

Reads the view `lineage`; docs/lineage.md tells the same as a query in SQL and in SPARQL.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kerasprov_agent.errors import UnknownRun
from kerasprov_agent.read.record import Record, Row
from kerasprov_agent.store.text import bindable

HOW_KNOWN = {
    "same_buffer": "the same memory",
    "content_match": "by what it holds",
    "pipeline": "read by the input",
    "same_content": "the same content",
    "declared": "as the program tells",
    "read_before": "perhaps: was read before",
}
"""How a step is known, in words; what was done by Keras needs none."""
HASH = re.compile(r"[0-9a-f]{6,64}")
FILES = (
    "SELECT f.entity_id FROM file f JOIN entity e ON e.id = f.entity_id "
    "LEFT JOIN generated g ON g.entity_id = f.entity_id"
)
STATES = (
    "SELECT e.id FROM generated g JOIN run r ON r.id = g.activity_id "
    "JOIN entity s ON s.id = g.entity_id AND s.kind = 'model' "
    "JOIN generated o ON o.activity_id = r.id "
    "JOIN entity e ON e.id = o.entity_id AND +e.kind = 'model' "
    "WHERE g.entity_id = ? ORDER BY e.id = r.trained_model_id, e.seen_at, e.id"
)
"""The states that a run made of the model of which one is given, the one that it left last."""
NEWEST = "g.at IS NULL, e.seen_at DESC"
"""First what was written, and of that the newest."""


class Lineage:
    """The graph of what came of what in one database; asked step by step, as it is walked.

    A node is an entity: `id`, `kind` (model, dataset, file, files), `label`, and what is known of
    it. An edge goes from an entity to its source. The states that a model had within one run, as
    checkpoints hold them, are one node: the model as that run left it.
    """

    def __init__(self, record: Record, perhaps: bool = False) -> None:
        """`perhaps`: also what is known only to have been read before."""
        self.record = record
        self._condition = "" if perhaps else " AND confidence <> 'read_before'"
        self._steps: dict[tuple[str, str], dict[str, Row]] = {}
        self._states: dict[str, list[str]] = {}

    def steps(self, entity_id: str, direction: str) -> dict[str, Row]:
        """What an entity came of (back), or was made into (forward), by id, and how: a row each."""
        if (entity_id, direction) not in self._steps:
            here, there = ("id", "source_id") if direction == "back" else ("source_id", "id")
            query = f"SELECT * FROM lineage WHERE {here} = ?{self._condition}"
            by_entity: dict[str, Row] = {}
            states = self.states(entity_id)
            for state_id in states:
                for row in self.record.query(query, (state_id,)):
                    other = self.states(row[there])[-1]
                    if other != states[-1]:
                        by_entity.setdefault(other, row)
            self._steps[entity_id, direction] = by_entity
        return self._steps[entity_id, direction]

    def leaves_out(self, entity_ids: Iterable[str]) -> bool:
        """Whether some of these have sources that are only known to have been read before."""
        query = "SELECT 1 FROM derived WHERE confidence = 'read_before' AND entity_id = ?"
        return any(
            self._one(query, state_id) is not None
            for entity_id in entity_ids
            for state_id in self.states(entity_id)
        )

    def states(self, entity_id: str) -> list[str]:
        """The states of a model within a run of which this is one; the last stands for them all."""
        if entity_id not in self._states:
            self._states[entity_id] = self._ids(STATES, entity_id) or [entity_id]
        return self._states[entity_id]

    def find(self, text: str) -> list[str]:
        """The entities that a path, a run or a hash stands for; raises `UnknownRun`.

        Of the same content several programs may tell. Those that come of another one are left out:
        whoever walks forward from that one meets them.
        """
        known = self._of_path(text) or self._of_hash(text) or self._of_run(text)
        entities = dict.fromkeys(self.states(entity_id)[-1] for entity_id in known)
        return [
            entity_id
            for entity_id in entities
            if not (self.steps(entity_id, "back").keys() - {entity_id}) & entities.keys()
        ] or list(entities)

    def _of_run(self, text: str) -> list[str]:
        try:
            run = self.record.find(text)
        except UnknownRun as exc:
            message = f"nothing recorded of {text!r}: no such path, no such hash; {exc}"
            raise UnknownRun(message) from exc
        row = self._one("SELECT * FROM run WHERE id = ?", run["id"])
        model_id = row["trained_model_id"] or row["initial_model_id"]
        if model_id:
            return [model_id]
        # One that was imported: the files that it made stand for its model.
        made = "SELECT entity_id FROM generated WHERE activity_id = ?"
        return self._ids(made, run["id"])

    def _of_path(self, text: str) -> list[str]:
        path = os.path.abspath(os.path.expanduser(text))
        # What lies there now, by its content: the file may have been moved or copied here.
        if os.path.isfile(path) and os.path.getsize(path):
            with Path(path).open("rb") as stream:
                digest = (
                    hashlib.file_digest(stream, "sha256").hexdigest()
                    if hasattr(hashlib, "file_digest")
                    else hashlib.sha256(stream.read()).hexdigest()
                )
            entities = self._of_content(digest, bindable(path))
            if entities:
                return entities
        return self._at(bindable(path))

    def _of_hash(self, text: str) -> list[str]:
        digest = text.lower().removeprefix("sha256:").removeprefix("data:sha256-")
        if not HASH.fullmatch(digest):
            return []
        for table in ("file", "members"):
            query = f"SELECT sha256 FROM {table} WHERE sha256 BETWEEN ? AND ? LIMIT 1"
            for known in self._ids(query, digest, f"{digest}g"):
                return self._of_content(known)
        return []

    def _of_content(self, digest: str, path: str = "") -> list[str]:
        """The files of a content, those at `path` first, and the sets of which one is a member."""
        files = f"{FILES} WHERE f.sha256 = ? ORDER BY f.path = ? DESC, {NEWEST}"
        sets = f"{FILES} WHERE f.entity_id IN (SELECT set_id FROM members WHERE sha256 = ?)"
        return self._ids(files, digest, path) + self._ids(f"{sets} ORDER BY {NEWEST}", digest)

    def _at(self, path: str) -> list[str]:
        """What lay at a path: a file, a set, a member of a set; of a directory what lay in it."""
        newest = f"{FILES} WHERE f.path = ? ORDER BY {NEWEST} LIMIT 1"
        for entity_id in self._ids(newest, path):
            digest = self._one("SELECT sha256 FROM file WHERE entity_id = ?", entity_id)["sha256"]
            return [entity_id, *self._of_content(digest, path), *self._read_sets(path)]
        above = f"{FILES} WHERE f.entity_id IN (SELECT set_id FROM members WHERE directory = ?"
        within = (f"{path}/", f"{path}0")  # "0" comes next after "/"
        return (
            [
                entity_id
                for directory, name in _splits(path)
                for entity_id in self._ids(f"{above} AND path = ?)", directory, name)
            ]
            or self._ids(f"{FILES} WHERE f.path BETWEEN ? AND ? ORDER BY {NEWEST}", *within)
            or [
                entity_id
                for directory, name in _splits(path)
                for entity_id in self._ids(
                    f"{above} AND path BETWEEN ? AND ?)", directory, f"{name}/", f"{name}0"
                )
            ]
        )

    def _read_sets(self, path: str) -> list[str]:
        """What programs read of a directory: each time it may have been other files."""
        return self._ids(
            f"{FILES} WHERE f.path = ? AND e.kind = 'files' AND g.entity_id IS NULL "
            f"ORDER BY {NEWEST}",
            path,
        )

    def _ids(self, query: str, *values: str) -> list[str]:
        return [next(iter(row.values())) for row in self.record.query(query, values)]

    def reach(self, start: Iterable[str], direction: str) -> dict[str, dict[str, Row]]:
        """The part of the graph that is reached from some entities, back or forward."""
        reached: dict[str, dict[str, Row]] = {}
        waiting = list(start)
        while waiting:
            entity_id = waiting.pop()
            if entity_id not in reached:
                reached[entity_id] = self.steps(entity_id, direction)
                waiting += reached[entity_id]
        return reached

    def node(self, entity_id: str) -> Row:
        """What is known of an entity."""
        row = self._one("SELECT * FROM entity WHERE id = ?", entity_id)
        node: Row = {"id": entity_id, "kind": row["kind"], "name": row["name"]}
        if row["kind"] in ("file", "files"):
            file = self._one("SELECT * FROM file WHERE entity_id = ?", entity_id)
            names = ("path", "role", "bytes", "modified_at", "sha256", "partial_sha256")
            node.update({name: file[name] for name in names})
            node["files"] = file["files"] if row["kind"] == "files" else None
        elif row["kind"] == "dataset":
            node.update(class_name=row["class_name"], samples=row["samples"])
        else:
            node["class_name"] = row["class_name"]
        made = self._one("SELECT * FROM generated WHERE entity_id = ?", entity_id)
        node["made_by"] = self.activity(made["activity_id"]) if made else None
        node["execution_id"] = row["execution_id"]
        return node

    def activity(self, activity_id: str | None) -> Row | None:
        """What an activity was: a run with its settings, a save, a step, a whole program."""
        if activity_id is None:
            return None
        execution = self._one("SELECT * FROM execution WHERE id = ?", activity_id.partition("#")[0])
        code = ("script", "script_sha256", "git_commit", "git_dirty", "host", "label")
        node: Row = {"id": activity_id, "program": {name: execution[name] for name in code}}
        run = self._one("SELECT * FROM runs WHERE id = ?", activity_id)
        if run is not None:
            names = ("run", "name", "model", "optimizer", "learning_rate", "batch_size",
                     "epochs_finished", "loss")  # fmt: skip
            return {**node, "kind": run["kind"], **{name: run[name] for name in names}}
        other = self._one("SELECT * FROM activity WHERE id = ?", activity_id)
        if other is not None:
            return {**node, "kind": other["kind"], "name": other["name"], "by": other["by"]}
        return {**node, "kind": activity_id.partition("#")[2].partition("-")[0] or "program"}

    def members(self, entity_id: str) -> list[str]:
        """The paths of a set's files."""
        query = "SELECT directory, path FROM members WHERE set_id = ? ORDER BY path"
        return [os.path.join(d, p) for d, p in self.record.connection.execute(query, (entity_id,))]

    def files(self, reached: Mapping[str, Iterable[str]]) -> list[str]:
        """The raw files among what was reached back: those that come of no file that is known."""
        kinds = {
            entity_id: self._one("SELECT kind FROM entity WHERE id = ?", entity_id)[0]
            for entity_id in reached
        }
        files = [entity_id for entity_id in reached if kinds[entity_id] in ("file", "files")]
        results: dict[str, list[str]] = defaultdict(list)
        for entity_id, sources in reached.items():
            for source_id in sources:
                results[source_id].append(entity_id)
        of_files: set[str] = set()
        waiting = [result for entity_id in files for result in results[entity_id]]
        while waiting:
            entity_id = waiting.pop()
            if entity_id not in of_files:
                of_files.add(entity_id)
                waiting += results[entity_id]
        raw: dict[str, None] = {}
        for entity_id in files:
            if entity_id in of_files:
                continue
            if kinds[entity_id] == "files":
                raw.update(dict.fromkeys(self.members(entity_id)))
            else:
                raw[self.node(entity_id)["path"]] = None
        return sorted(raw)

    def uses(self, entity_id: str) -> list[Row]:
        """What used an entity and made nothing of it: evaluations, predictions."""
        query = (
            "SELECT v.id, 'evaluate' AS kind, v.data_id, v.started_at FROM evaluation v "
            "JOIN used u ON u.activity_id = v.id WHERE u.entity_id = :id UNION ALL "
            "SELECT a.id, a.kind, a.data_id, a.started_at FROM activity a "
            "JOIN used u ON u.activity_id = a.id "
            "WHERE u.entity_id = :id AND a.calls IS NOT NULL"
        )
        rows = [
            row
            for state_id in self.states(entity_id)
            for row in self.record.query(query, {"id": state_id})
        ]
        return sorted(rows, key=lambda row: str(row["started_at"]))

    def as_graph(self, start: list[str], direction: str) -> dict[str, Any]:
        """The lineage as plain values: `start`, `nodes`, `edges` (from, to: its source)."""
        reached = self.reach(start, direction)
        edges = []
        for entity_id, others in reached.items():
            for other, row in others.items():
                pair = (entity_id, other) if direction == "back" else (other, entity_id)
                edges.append({"from": pair[0], "to": pair[1], "confidence": row["confidence"],
                              "activity": row["activity_id"]})  # fmt: skip
        return {
            "start": start,
            "direction": direction,
            "nodes": [self.node(entity_id) for entity_id in reached],
            "edges": edges,
            "raw_files": self.files(reached) if direction == "back" else None,
        }

    def _one(self, query: str, value: str) -> Any:
        cursor = self.record.connection.cursor()
        cursor.row_factory = sqlite3.Row
        return cursor.execute(query, (value,)).fetchone()


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """Each directory above a path, with the path below it; the nearest first."""
    directory = os.path.dirname(path)
    while directory != path:
        yield directory, os.path.relpath(path, directory)
        if directory == os.path.dirname(directory):
            return
        directory = os.path.dirname(directory)
