"""What all activities share in PROV: times, outcome, tags, and what they are part of."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import Statement, Value, associated, present
from kerasprov_agent.documents.vocabulary import Name, software


def activity(
    scope: Scope,
    row: sqlite3.Row,
    types: tuple[str, ...],
    label: str,
    *attributes: tuple[str, Value | None],
    part_of: str | None = None,
) -> Iterator[Statement]:
    """An activity with its times, its outcome, and its place in the one that it is part of."""
    name, columns = scope.local(row["id"]), row.keys()
    outcome = [
        ("kp:status", scope.status(row) if "status" in columns else None),
        *(
            (f"kp:{key}", row[column])
            for key, column in (("exceptionType", "exception_type"), ("exception", "exception"))
            if column in columns
        ),
    ]
    tags = json.loads((row["tags"] if "tags" in columns else None) or "{}")
    parent = scope.local(part_of) if part_of else None
    yield Statement(
        "activity",
        name,
        (row["started_at"], scope.ends[row["id"]]),
        present(
            *(("prov:type", Name(kind)) for kind in types),
            ("prov:label", label),
            ("dcterms:isPartOf", parent),
            *outcome,
            *attributes,
            *(("kp:tag", f"{key}={value}") for key, value in tags.items() if value is not None),
        ),
    )
    if parent is None:
        return
    yield Statement("wasStartedBy", Name(f"{name}-start"), (name, None, parent, row["started_at"]))
    framework = scope.software().get("framework")
    if framework:
        yield associated(name, software(*framework), None, "framework")


def boolean(value: int | None) -> bool | None:
    """SQLite's 0 and 1 as what they mean."""
    return None if value is None else bool(value)
