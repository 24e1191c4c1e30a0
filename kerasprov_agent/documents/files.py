"""Files and sets of files in PROV, and their contents, by which documents join."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import Statement, present
from kerasprov_agent.documents.vocabulary import Name, content

TYPES = {
    "model": "kp:ModelFile",
    "weights": "kp:ModelFile",
    "checkpoint": "kp:Checkpoint",
    "backup": "kp:Checkpoint",
}
MEMBERS_LIMIT = 10_000
"""Of a larger set the document names the digest alone; its files stand in the database."""


def file_of(scope: Scope, row: sqlite3.Row) -> Iterator[Statement]:
    """A file, or a set of files, in one version; and its content, which is the same everywhere."""
    rows = scope.rows("SELECT * FROM file WHERE entity_id = ?", row["id"])
    if not rows:
        return
    file, name = rows[0], scope.local(row["id"])
    is_set = row["kind"] == "files"
    members = _members(scope, row["id"]) if is_set and (file["files"] or 0) <= MEMBERS_LIMIT else []
    special = TYPES.get(file["role"])
    yield Statement(
        "entity",
        name,
        (),
        present(
            ("prov:type", Name("kp:FileSet" if is_set else "kp:File")),
            *([("prov:type", Name("prov:Collection"))] if is_set else []),
            *([("prov:type", Name(special))] if special else []),
            ("prov:label", row["name"]),
            ("prov:location", file["path"]),
            ("schema:dateModified", file["modified_at"]),
            ("kp:role", file["role"]),
            ("kp:files", file["files"] if is_set else None),
            ("kp:bytes", file["bytes"]),
            ("kp:partialSha256", file["partial_sha256"]),
            *(("kp:member", member) for member in members),
        ),
    )
    if file["sha256"]:
        yield from content_of(name, file["sha256"], file["bytes"])


def content_of(name: str, sha256: str, size: int | None) -> Iterator[Statement]:
    """The content of a file: only what is the same on every machine, where documents are merged."""
    bytes_ = content(sha256)
    yield Statement(
        "entity",
        bytes_,
        (),
        present(
            ("prov:type", Name("kp:Content")),
            ("prov:label", f"sha256 {sha256[:12]}…"),
            ("schema:sha256", sha256),
            ("schema:contentSize", size),
        ),
    )
    yield Statement("specializationOf", None, (name, bytes_))


def _members(scope: Scope, entity_id: str) -> list[str]:
    """The paths of a set's files, below its directory."""
    query = "SELECT path FROM members WHERE set_id = ? ORDER BY path"
    return [path for (path,) in scope.tuples(query, entity_id)]
