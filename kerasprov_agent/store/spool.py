"""Where operations wait that the database would not take: a file of JSON lines, one a transaction.

It lies beside the database, or in the user's state directory where that can't be written. The
next writer that gets through takes it in, in the order in which the operations were made. What no
database takes is kept in a file of its own.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from glob import escape, glob
from typing import Any

from kerasprov_agent.store import text
from kerasprov_agent.store.operations import Operation, Row

try:
    import fcntl
except ImportError:  # Windows: a spool is then read by one process at a time only
    fcntl = None  # type: ignore[assignment]

LOCK_SECONDS = 0.05
"""So long a training waits for another process that holds a spool file."""
ENDING = ".jsonl"
REJECTED = ".rejected"

Entry = tuple[int, list[Operation]]
"""A transaction, with its number among those of its execution; 0 where that is not known."""


def state_directory() -> str:
    """The user's own place for such files (`XDG_STATE_HOME`)."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "kerasprov")


def _stems(database: str) -> tuple[str, str]:
    digest = hashlib.sha256(os.fsencode(database)).hexdigest()[:16]
    return f"{database}.spool-", os.path.join(state_directory(), f"{digest}.spool-")


def append(
    database: str, execution_id: str, operations: Sequence[Operation], number: int = 0
) -> str:
    """Write one transaction down; returns the file. Raises OSError where no place takes it."""
    line = json.dumps([number, [_gated(operation) for operation in operations]]).encode() + b"\n"
    return _written(database, f"{execution_id}{ENDING}", line)


def reject(database: str, execution_id: str, pieces: Iterable[Any]) -> str:
    """Keep what can't be applied where `doctor` tells of it; returns the file. Raises OSError."""
    lines = b"".join(json.dumps(piece, default=repr).encode() + b"\n" for piece in pieces)
    return _written(database, f"{execution_id}{REJECTED}", lines)


def _written(database: str, name: str, lines: bytes) -> str:
    beside, away = _stems(database)
    try:
        return _append(f"{beside}{name}", lines)
    except OSError:
        os.makedirs(state_directory(), exist_ok=True)
        return _append(f"{away}{name}", lines)


def _gated(operation: Operation) -> Operation:
    """What goes into the file has passed the gate, as has what goes into the database.

    Of source texts secrets have been blanked out before, as far as that is wished for.
    """
    what, table, row, further = operation
    return (what, table, row if table == "source" else text.gated(row), text.gated(further))


def _passed(what: str, table: str, row: Row, further: Row) -> Operation:
    if not isinstance(what, str) or not isinstance(table, str):
        raise TypeError("an operation begins with two names")
    return (what, table, row if table == "source" else text.passed(row), text.passed(further))


def _append(path: str, lines: bytes) -> str:
    while True:
        with _opened(path, os.O_RDWR | os.O_APPEND | os.O_CREAT) as descriptor:
            before = os.fstat(descriptor)
            if not before.st_nlink:  # a reader took it in while we waited
                continue
            size = before.st_size
            # What a full disk cut short ends where it ended: the next line is one of its own.
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                lines = b"\n" + lines
            try:
                rest = lines
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            except OSError:
                os.ftruncate(descriptor, size)
                raise
            return path


def waiting(database: str) -> list[str]:
    """The spool files of a database."""
    return _files(database, ENDING)


def rejected(database: str) -> list[str]:
    """The files of what could not be applied."""
    return _files(database, REJECTED)


def _files(database: str, ending: str) -> list[str]:
    paths = (path for stem in _stems(database) for path in glob(f"{escape(stem)}*{ending}"))
    return sorted(path for path in paths if _is_regular(path))


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def executions(database: str) -> list[str]:
    """The ids of the executions of which something waits."""
    stems = _stems(database)
    names = {
        path[len(stem) : -len(ENDING)]
        for path in waiting(database)
        for stem in stems
        if path.startswith(stem)
    }
    return sorted(names)


@contextmanager
def taken(database: str, execution_id: str) -> Iterator[tuple[list[Entry], list[str]]]:
    """Read what waits of an execution, at whatever place; and the lines that say nothing.

    The files are deleted when the block ends without an exception. Raises OSError, also where
    another process holds one of them.
    """
    with ExitStack() as stack:
        paths = [
            path
            for path in (f"{stem}{execution_id}{ENDING}" for stem in _stems(database))
            if _is_regular(path)
        ]
        entries: list[Entry] = []
        unreadable: list[str] = []
        for path in paths:
            descriptor = stack.enter_context(_opened(path, os.O_RDWR))
            with os.fdopen(os.dup(descriptor), "rb") as file:
                _read(file.read(), entries, unreadable)
        entries.sort(key=lambda entry: entry[0])  # stable: without numbers as they stand there
        yield _once(entries), unreadable
        for path in paths:
            os.unlink(path)


def _read(content: bytes, entries: list[Entry], unreadable: list[str]) -> None:
    lines = content.split(b"\n")
    cut_short = lines.pop()  # by the end of its process: it was never promised to be there
    for line in filter(None, [*lines, cut_short]):
        try:
            entries.append(_entry(json.loads(line)))
        except (ValueError, TypeError, RecursionError, AttributeError):
            if line is not cut_short:
                unreadable.append(line.decode("utf-8", "backslashreplace"))


def _entry(parsed: Any) -> Entry:
    number, operations = parsed if isinstance(parsed[0], int) else (0, parsed)
    return number, [_passed(*operation) for operation in operations]


def _once(entries: list[Entry]) -> list[Entry]:
    seen: set[int] = set()
    paths = []
    for number, operations in entries:
        if number not in seen:
            paths.append((number, operations))
        if number:
            seen.add(number)
    return paths


@contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    """A regular file's descriptor, for this process alone; raises OSError.

    A link, a pipe or a device of that name may lead anywhere, or never answer.
    """
    safe = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags | safe, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", path)
        _lock(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)  # which gives the lock back


def _lock(descriptor: int, path: str) -> None:
    end = time.perf_counter() + LOCK_SECONDS
    while fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.perf_counter() > end:
                raise BlockingIOError(errno.EAGAIN, "is held by another process", path) from None
            time.sleep(0.002)
        else:
            return
