"""The statement that is sealed: in-toto v1 with SLSA's provenance, over models and the record.

Its subjects are the model's files and the PROV document; its by-products are the digests of the
record of each program that took part, from `read/canonical`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read import canonical
from kerasprov_agent.read.canonical import Digest
from kerasprov_agent.read.origin import Everything, Known, Origin
from kerasprov_agent.read.record import Record, Row
from kerasprov_agent.version import __version__

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD = "https://w3id.org/kerasprov/training/v1"
RECORD = "record of a program"
ROWS_LISTED = 5000
"""Of a table with more rows of one program the rows are not listed singly."""


def of(origin: Origin | Everything, documents: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    """The statement about what led to something; `documents`: names and sha256 of PROV documents.

    Raises `KerasProvError` while one of its runs still goes.
    """
    going = [str(run["run"]) for run in origin.runs if run["status"] == "running"]
    if going:
        raise KerasProvError(f"run {', '.join(going)} is still going; seal it when it has ended")
    files = list(origin.files())
    if not origin.executions:
        raise KerasProvError("nothing is recorded yet that could be sealed")
    run = origin.runs[-1] if origin.runs else None
    return {
        "_type": STATEMENT,
        "subject": [
            *map(_subject, (known for known in files if known.entity_id in origin.own)),
            *({"name": name, "digest": {"sha256": digest}} for name, digest in documents),
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {
                    "runs": [{"id": each["id"], "name": each["name"]} for each in origin.runs]
                },
                "internalParameters": {"sealedAt": clock.stamp()},
                "resolvedDependencies": [
                    _subject(known) for known in files if known.entity_id not in origin.own
                ],
            },
            "runDetails": {
                "builder": {"id": BUILD, "version": {"kerasprov_agent": __version__}},
                "metadata": {
                    "invocationId": run["id"] if run else origin.executions[-1]["id"],
                    "startedOn": run and run["started_at"],
                    "finishedOn": run and run["ended_at"],
                },
                "byproducts": [_record(origin.record, row) for row in origin.executions],
            },
        },
    }


def _subject(known: Known) -> dict[str, Any]:
    digest = {"sha256": known.sha256} if known.sha256 else {"partialSha256": known.partial_sha256}
    return {"name": known.path.encode("utf-8", "backslashreplace").decode(), "digest": digest}


def _record(record: Record, execution: Row) -> dict[str, Any]:
    """The digests of the record of one program, with its rows and columns."""
    found = canonical.digests(canonical.rows(record, execution["id"]))
    tables = {
        table: {
            "sha256": digest.whole,
            "columns": digest.columns,
            "rows": digest.rows if len(digest.rows) <= ROWS_LISTED else len(digest.rows),
        }
        for table, digest in found.items()
    }
    name = execution["label"] or execution["script"] or execution["kind"]
    return {
        "name": RECORD,
        "digest": {"sha256": canonical.whole(found)},
        "annotations": {"execution": execution["id"], "program": name, "tables": tables},
    }


def bytes_of(statement: dict[str, Any]) -> bytes:
    """A statement as the bytes that are signed."""
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


def differences(statement: dict[str, Any], record: Record) -> Iterator[str]:
    """What the record holds otherwise than when it was sealed, a line each."""
    for sealed in statement["predicate"]["runDetails"]["byproducts"]:
        told = sealed["annotations"]
        now = canonical.digests(canonical.rows(record, told["execution"]))
        if canonical.whole(now) == sealed["digest"]["sha256"]:
            continue
        program = f"{told['program']} ({told['execution'][:13]})"
        for table in sorted(told["tables"].keys() | now.keys()):
            for line in _of_table(table, told["tables"].get(table), now.get(table)):
                yield f"{program}: {line}"


def _of_table(table: str, sealed: dict[str, Any] | None, now: Digest | None) -> Iterator[str]:
    """What differs in a table: which columns of which rows, as far as the seal tells them."""
    if sealed is None:
        yield f"{table} has rows that it had not"
        return
    if now is None:
        yield f"all rows of {table} are gone"
        return
    if sealed["sha256"] == now.whole:
        return
    columns = sorted(
        name
        for name in sealed["columns"].keys() | now.columns.keys()
        if sealed["columns"].get(name) != now.columns.get(name)
    )
    if not isinstance(sealed["rows"], dict):
        yield f"{table}: {', '.join(columns) or 'its rows'}"
        return
    rows: dict[str, str] = sealed["rows"]
    for key in sorted(rows.keys() | now.rows.keys()):
        if key not in now.rows:
            yield f"{table} {_key(key)} is gone"
        elif key not in rows:
            yield f"{table} {_key(key)} was added"
        elif rows[key] != now.rows[key]:
            yield f"{table} {_key(key)}: {', '.join(columns)}"


def _key(key: str) -> str:
    """A row's key without the execution's id, which is said before."""
    return " ".join(str(part).rpartition("#")[2] for part in json.loads(key))


def subjects(statement: dict[str, Any], folder: str) -> list[Known]:
    """The files that a statement is about, as they were; the document lies in the seal's folder."""
    found = []
    for one in statement["subject"]:
        path = os.path.abspath(os.path.join(folder, one["name"]))
        whole, parts = one["digest"].get("sha256"), one["digest"].get("partialSha256")
        found.append(Known(path, "sealed", None, whole, parts, None, None, None, None))
    return found
