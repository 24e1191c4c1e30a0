"""W3C PROV documents of what the database holds: `statements` makes them, the formats write them.

Only reads the database. PROV-JSON and PROV-N need the standard library alone.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kerasprov_agent.documents.document import Document
from kerasprov_agent.documents.formats import FORMATS, of_ending
from kerasprov_agent.documents.statement import Statement
from kerasprov_agent.documents.statements import PROFILES
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.replacing import replaced
from kerasprov_agent.settings import BASE
from kerasprov_agent.store import reading

if TYPE_CHECKING:
    from prov.model import ProvDocument

__all__ = [
    "FORMATS",
    "Document",
    "of_ending",
    "provenance",
    "text",
    "write_file",
    "write_provenance",
    "write_to",
]


def write_to(
    path: str | None, document: Document, format: str, statements: Iterable[Statement] | None = None
) -> None:
    """Write a document beside `path`, then put it in its place: never half a file. None: stdout.

    statements: those of the document, if they are watched on their way. Raises OSError, and
    `KerasProvError` where the format can't take the document.
    """
    chosen = FORMATS[format]
    chosen.check(document)
    given = document.statements() if statements is None else statements
    if path is not None:
        replace_file(path, lambda out: chosen.write(document, given, out), chosen.binary)
    elif chosen.binary:
        chosen.write(document, given, sys.stdout.buffer)
    else:
        stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n")
        try:
            chosen.write(document, given, stream)
            stream.flush()
        finally:
            stream.detach()


def text(document: Document, format: str) -> str:
    """A document in one of the formats that are text."""
    chosen = FORMATS[format]
    chosen.check(document)
    stream: io.BytesIO | io.StringIO = io.BytesIO() if chosen.binary else io.StringIO()
    chosen.write(document, document.statements(), stream)
    content = stream.getvalue()
    return content if isinstance(content, str) else content.decode()


def provenance(
    *runs: str,
    db: str | None = None,
    profile: str | None = None,
    bundles: bool = False,
) -> ProvDocument:
    """The `prov.model.ProvDocument` of runs, by default of the last one.

    runs: numbers, names or beginnings of ids; "last"; none of them with `db` as it is by default.
    db: the database; by default that of the settings. profile: "full" or "summary". bundles: one
    bundle a run instead of all merged. Raises `UnknownRun`, `Unusable`.
    """
    with _opened(runs, db, profile, bundles, False) as document:
        return document.build()


def write_provenance(
    path: str | os.PathLike[str],
    *runs: str,
    format: str | None = None,
    db: str | None = None,
    profile: str | None = None,
    bundles: bool = False,
    detail: bool = False,
) -> Path:
    """Write the document of runs into a file; see `provenance`.

    format: one of `FORMATS`, by default what the path ends in; json where it has no ending.
    Raises `KerasProvError`, OSError.
    """
    chosen = format or of_ending(path) or "json"
    if chosen not in FORMATS:
        raise KerasProvError(f"{chosen!r} is no format; there are {', '.join(FORMATS)}")
    with _opened(runs, db, profile, bundles, detail) as document:
        write_to(os.fspath(path), document, chosen)
    return Path(path)


@contextmanager
def _opened(
    runs: tuple[str, ...], db: str | None, profile: str | None, bundles: bool, detail: bool
) -> Iterator[Document]:
    from kerasprov_agent.read.record import open_record
    from kerasprov_agent.settings import Values

    values = Values(strict=True)
    if profile not in (None, *PROFILES):
        raise KerasProvError(f"{profile!r} is no profile; there are {', '.join(PROFILES)}")
    with open_record(db or values.db) as record:
        parts = record.parts(runs or ("last",), bundles)
        yield Document(record.connection, parts, profile, bundles, values.base, detail)


def write_file(path_of_database: str, execution_id: str, path: str, base: str = BASE) -> None:
    """Write the PROV-JSON of a whole execution."""
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
        # The folder is ours: git and what follows it leave it alone.
        Path(folder, ".gitignore").write_text("# Created by kerasprov_agent.\n*\n")
    with closing(reading.open_for_reading(path_of_database)) as connection:
        write_to(path, Document(connection, [(execution_id, None)], base=base), "json")


def replace_file(path: str, fill: Callable[[IO[Any]], None], binary: bool = False) -> None:
    """Let `fill` write a file beside `path`, which then takes its place. Raises OSError."""
    how: dict[str, Any] = (
        {"mode": "wb"} if binary else {"mode": "w", "encoding": "utf-8", "newline": "\n"}
    )
    with replaced(path) as beside, open(beside, **how) as stream:
        fill(stream)
