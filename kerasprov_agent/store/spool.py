"""Where operations wait that the database would not take: a file of JSON lines, one a transaction.

It lies beside the database, or in the user's state directory where that can't be written. The
next writer that gets through takes it in.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import escape, glob
from io import BufferedRandom
from typing import Any

from kerasprov_agent.store import text
from kerasprov_agent.store.operations import Operation, Row

try:
    import fcntl
except ImportError:  # Windows: a spool is then read by one process at a time only
    fcntl = None  # type: ignore[assignment]


def state_directory() -> str:
    """The user's own place for such files (`XDG_STATE_HOME`)."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "kerasprov")


def _stems(database: str) -> tuple[str, str]:
    digest = hashlib.sha256(os.fsencode(database)).hexdigest()[:16]
    return f"{database}.spool-", os.path.join(state_directory(), f"{digest}.spool-")


def append(database: str, execution_id: str, operations: Sequence[Operation]) -> str:
    """Write one transaction down; returns the file. Raises OSError where no place takes it."""
    line = json.dumps([_gated(one) for one in operations]).encode() + b"\n"
    beside, away = _stems(database)
    try:
        return _append(f"{beside}{execution_id}.jsonl", line)
    except OSError:
        os.makedirs(state_directory(), exist_ok=True)
        return _append(f"{away}{execution_id}.jsonl", line)


def _gated(operation: Operation) -> Operation:
    """What goes into the file has passed the gate, as has what goes into the database.

    Of source texts secrets have been blanked out before, as far as that is wished for.
    """
    what, table, row, further = operation
    return (what, table, row if table == "source" else text.gated(row), text.gated(further))


def _passed(what: str, table: str, row: Row, further: Row) -> Operation:
    return (what, table, row if table == "source" else text.passed(row), text.passed(further))


def discard(database: str, execution_id: str) -> None:
    """Delete the spool of an execution whose operations have all reached the database."""
    for stem in _stems(database):
        path = f"{stem}{execution_id}.jsonl"
        if os.path.exists(path):
            os.unlink(path)


def _append(path: str, line: bytes) -> str:
    while True:
        with open(path, "ab") as file, _locked(file):
            if os.fstat(file.fileno()).st_nlink:  # else a reader took it in while we waited
                file.write(line)
                return path


def waiting(database: str) -> list[str]:
    """The spool files of a database."""
    return sorted(path for stem in _stems(database) for path in glob(f"{escape(stem)}*.jsonl"))


@contextmanager
def taken(path: str) -> Iterator[list[list[Operation]]]:
    """Read a spool file; it is deleted when the block ends without an exception."""
    with open(path, "r+b") as file, _locked(file):
        yield list(_lines(file))
        os.unlink(path)


def _lines(file: BufferedRandom) -> Iterator[list[Operation]]:
    for line in file:
        try:
            yield [_passed(*one) for one in json.loads(line)]
        except ValueError:
            # A line cut short by the end of its process was never promised to be there.
            continue


@contextmanager
def _locked(file: Any) -> Iterator[None]:
    if fcntl is None:
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
