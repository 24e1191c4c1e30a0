"""Lineage: what a file, a model or a run came of, and what was made of it, across programs.

Reads the view `lineage`; docs/lineage.md tells the same as a query in SQL and in SPARQL.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kerasprov_agent.errors import UnknownRun
from kerasprov_agent.query import Record, Row
from kerasprov_agent.store.text import bindable

HASH = re.compile(r"[0-9a-f]{6,64}")
DIRECTIONS = ("back", "forward")


class Lineage:
    """The graph of what came of what in one database.

    A node is an entity: `id`, `kind` (model, dataset, file, files), `label`, and what is known of
    it. An edge goes from an entity to its source.
    """

    def __init__(self, record: Record, perhaps: bool = False) -> None:
        """`perhaps`: also what is known only to have been read before."""
        self.record = record
        self.sources: dict[str, dict[str, Row]] = defaultdict(dict)
        self.results: dict[str, dict[str, Row]] = defaultdict(dict)
        query = "SELECT * FROM lineage"
        for row in record.query(query if perhaps else f"{query} WHERE confidence <> 'read_before'"):
            if row["source_id"] is not None:
                self.sources[row["id"]][row["source_id"]] = row
                self.results[row["source_id"]][row["id"]] = row

    def find(self, text: str) -> list[str]:
        """The entities that a path, a run or a hash stands for; raises `UnknownRun`."""
        found = self._of_path(text) or self._of_hash(text)
        if not found:
            try:
                run = self.record.find(text)
            except UnknownRun as exc:
                message = f"nothing recorded of {text!r}: no such path, no such hash; {exc}"
                raise UnknownRun(message) from exc
            row = self._one("SELECT * FROM run WHERE id = ?", run["id"])
            found = [row["trained_model_id"] or row["initial_model_id"] or ""]
            if not any(found):  # imported: the files that it made stand for its model
                made = "SELECT entity_id FROM generated WHERE activity_id = ?"
                found = [one["entity_id"] for one in self.record.query(made, (run["id"],))]
        return [one for one in found if one]

    def _of_path(self, text: str) -> list[str]:
        path = os.path.abspath(os.path.expanduser(text))
        if os.path.isfile(path):
            # What lies there now, by its content: the file may have been moved or copied here.
            with Path(path).open("rb") as stream:
                digest = (
                    hashlib.file_digest(stream, "sha256").hexdigest()
                    if hasattr(hashlib, "file_digest")
                    else hashlib.sha256(stream.read()).hexdigest()
                )
            found = self._files("sha256 = ?", digest, path)
            if found:
                return found
        return self._files("path = ?", bindable(path))

    def _of_hash(self, text: str) -> list[str]:
        digest = text.lower().removeprefix("sha256:").removeprefix("data:sha256-")
        if not HASH.fullmatch(digest):
            return []
        return self._files("sha256 GLOB ? || '*'", digest)

    def _files(self, condition: str, value: str, path: str = "") -> list[str]:
        """The entity of a file: of several that at `path`, the one written, the newest."""
        query = (
            f"SELECT f.entity_id FROM file f JOIN entity e ON e.id = f.entity_id "
            f"LEFT JOIN generated g ON g.entity_id = f.entity_id WHERE f.{condition} "
            "ORDER BY f.path = ? DESC, g.at IS NULL, e.seen_at DESC LIMIT 1"
        )
        return [row["entity_id"] for row in self.record.query(query, (value, path))]

    def reach(self, start: Iterable[str], direction: str) -> dict[str, dict[str, Row]]:
        """The part of the graph that is reached from some entities, back or forward."""
        graph = self.sources if direction == "back" else self.results
        found: dict[str, dict[str, Row]] = {}
        waiting = list(start)
        while waiting:
            one = waiting.pop()
            if one not in found:
                found[one] = graph.get(one, {})
                waiting += found[one]
        return found

    def node(self, entity_id: str) -> Row:
        """What is known of an entity."""
        row = self._one("SELECT * FROM entity WHERE id = ?", entity_id)
        found: Row = {"id": entity_id, "kind": row["kind"], "name": row["name"]}
        if row["kind"] in ("file", "files"):
            file = self._one("SELECT * FROM file WHERE entity_id = ?", entity_id)
            names = ("path", "role", "bytes", "modified_at", "sha256", "partial_sha256")
            found.update({name: file[name] for name in names})
            found["files"] = file["files"] if row["kind"] == "files" else None
        elif row["kind"] == "dataset":
            found.update(class_name=row["class_name"], samples=row["samples"])
        else:
            found["class_name"] = row["class_name"]
        made = self._one("SELECT * FROM generated WHERE entity_id = ?", entity_id)
        found["made_by"] = self.activity(made["activity_id"]) if made else None
        found["execution_id"] = row["execution_id"]
        return found

    def activity(self, activity_id: str | None) -> Row | None:
        """What an activity was: a run with its settings, a save, a step, a whole program."""
        if activity_id is None:
            return None
        execution = self._one("SELECT * FROM execution WHERE id = ?", activity_id.partition("#")[0])
        code = ("script", "script_sha256", "git_commit", "git_dirty", "host", "label")
        found: Row = {"id": activity_id, "program": {name: execution[name] for name in code}}
        run = self._one("SELECT * FROM runs WHERE id = ?", activity_id)
        if run is not None:
            names = ("run", "name", "model", "optimizer", "learning_rate", "batch_size",
                     "epochs_finished", "loss")  # fmt: skip
            return {**found, "kind": run["kind"], **{name: run[name] for name in names}}
        other = self._one("SELECT * FROM activity WHERE id = ?", activity_id)
        if other is not None:
            return {**found, "kind": other["kind"], "name": other["name"], "by": other["by"]}
        return {**found, "kind": activity_id.partition("#")[2].partition("-")[0] or "program"}

    def members(self, entity_id: str) -> list[str]:
        """The paths of a set's files."""
        query = "SELECT directory, path FROM members WHERE set_id = ? ORDER BY path"
        return [os.path.join(d, p) for d, p in self.record.connection.execute(query, (entity_id,))]

    def files(self, found: Iterable[str]) -> list[str]:
        """The raw files among some entities: those that come of no file that is known."""
        raw: dict[str, None] = {}
        kinds = {row["id"]: row["kind"] for row in self.record.query("SELECT id, kind FROM entity")}
        files = {entity_id for entity_id, kind in kinds.items() if kind in ("file", "files")}
        for entity_id in files.intersection(found):
            if files & self.reach(self.sources[entity_id], "back").keys():
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
            "WHERE u.entity_id = :id AND a.calls IS NOT NULL ORDER BY 4"
        )
        return list(self.record.query(query, {"id": entity_id}))

    def as_graph(self, start: list[str], direction: str) -> dict[str, Any]:
        """The lineage as plain values: `start`, `nodes`, `edges` (from, to: its source)."""
        found = self.reach(start, direction)
        edges = []
        for one, others in found.items():
            for other, row in others.items():
                pair = (one, other) if direction == "back" else (other, one)
                edges.append({"from": pair[0], "to": pair[1], "confidence": row["confidence"],
                              "activity": row["activity_id"]})  # fmt: skip
        return {
            "start": start,
            "direction": direction,
            "nodes": [self.node(one) for one in found],
            "edges": edges,
            "raw_files": self.files(found) if direction == "back" else None,
        }

    def _one(self, query: str, value: str) -> Any:
        cursor = self.record.connection.cursor()
        cursor.row_factory = sqlite3.Row
        return cursor.execute(query, (value,)).fetchone()
