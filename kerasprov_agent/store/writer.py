"""Writes operations into the database, one transaction at a time, on the thread that asks.

Nothing that was handed over is lost: what the database will not take goes to the spool, and what
that will not take stays in memory until one of them does.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.store import database, liveness, spool
from kerasprov_agent.store.copying import copy_execution
from kerasprov_agent.store.operations import Catalogue, Operation, apply
from kerasprov_agent.tracebacks import is_of_a_signal_handler

CHECK_SECONDS = 1.0
"""Seconds between checks that `path` is still the file that we have open."""
MEMORY_LIMIT = 20_000
"""So many operations are kept in memory while neither database nor spool takes any."""
PAUSES = (0.0, 0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds until the database is tried again, after so many failures in a row.

What waits is applied as a whole each time: to try at every epoch would cost ever more.
"""

_inherited: list[sqlite3.Connection] = []
"""Connections of a parent process, which SQLite forbids a forked child even to close; and those to
files that went away, which would take the logs of others along when they are closed."""


class Writer:
    """The connection of one process to its database; opened at the first write."""

    def __init__(self, path: str, execution_id: str) -> None:
        self.path, self.execution_id = path, execution_id
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._logs: dict[str, tuple[int, int] | None] = {}
        self._kept: sqlite3.Connection | None = None
        self._checked = 0.0
        self._catalogue = Catalogue()
        self._number = 0
        self._waiting: list[spool.Entry] = []
        self._is_spooled = False
        self._failures = 0
        self._retry_at = 0.0

    def write(self, operations: Sequence[Operation]) -> None:
        """Store operations, all or none; raises `Unusable` where that can never work.

        What the database can't take now is kept, and stored in its order as soon as it can.
        """
        with self._lock:
            self._number += 1
            if (self._is_spooled or self._waiting) and perf_counter() < self._retry_at:
                self._set_aside(operations, None)
            else:
                self._try(operations)

    def _try(self, operations: Sequence[Operation]) -> None:
        try:
            self._write(operations)
        except BaseException as exc:
            is_the_programs = not isinstance(exc, Exception) or is_of_a_signal_handler(exc)
            if is_passing(exc) and not is_the_programs:
                self._failures += 1
                pause = PAUSES[min(self._failures, len(PAUSES)) - 1]
                self._retry_at = perf_counter() + pause
                self._set_aside(operations, exc)
                return
            if operations and is_the_programs:  # nothing is forgotten all the same
                self._waiting.append((self._number, list(operations)))
            raise
        self._failures = 0

    def _write(self, operations: Sequence[Operation]) -> None:
        is_waiting = self._is_spooled or bool(self._waiting)
        is_epoch = not is_waiting and len(operations) == 1 and self._catalogue.know(operations[0])
        if self._connection is None:
            self._open()
        elif not is_epoch or perf_counter() - self._checked > CHECK_SECONDS:
            self._checked = perf_counter()
            if self._identity != _identity(self.path):
                self._rescue()
        connection = self._connection
        assert connection is not None
        if is_epoch and self._catalogue.know(operations[0]):
            # An epoch is one statement, which is a transaction by itself, at half the cost.
            apply(connection, operations[0], self._catalogue)
            return
        if self._is_spooled:
            with spool.taken(self.path, self.execution_id) as (entries, unreadable):
                self._commit(connection, [*entries, *self._waiting], operations, unreadable)
        else:
            self._commit(connection, self._waiting, operations, [])
        self._is_spooled = False
        self._waiting = []

    def _commit(
        self,
        connection: sqlite3.Connection,
        entries: Sequence[spool.Entry],
        operations: Sequence[Operation],
        unreadable: Sequence[str],
        execution_id: str | None = None,
    ) -> None:
        """Apply transactions in their order, and `operations`, in one transaction."""
        in_order = sorted(entries, key=lambda entry: entry[0])
        everything = [operation for _, several in in_order for operation in several] + list(
            operations
        )
        rejected: list[Any] = list(unreadable)
        try:
            connection.execute("BEGIN IMMEDIATE")
            problem = guard.refusal(self._apply, connection, everything)
            if problem is not None:
                if is_passing(problem):
                    raise problem
                connection.execute("ROLLBACK")
                self._catalogue.forget()
                connection.execute("BEGIN IMMEDIATE")
                rejected += self._apply_one_by_one(connection, everything)
            if rejected:
                where = spool.reject(self.path, execution_id or self.execution_id, rejected)
                guard.warn(f"{len(rejected)} operations can't be applied and are kept in {where}")
            connection.execute("COMMIT")
        except BaseException:
            self._catalogue.forget()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _apply(self, connection: sqlite3.Connection, operations: Sequence[Operation]) -> None:
        for operation in operations:
            apply(connection, operation, self._catalogue)

    def _apply_one_by_one(
        self, connection: sqlite3.Connection, operations: Sequence[Operation]
    ) -> list[Any]:
        """Apply all that can be applied; returns the rest, each with what was wrong with it."""
        rest = []
        for operation in operations:
            connection.execute("SAVEPOINT one")
            problem = guard.refusal(apply, connection, operation, self._catalogue)
            if problem is not None:
                if is_passing(problem) or guard.debugging():
                    raise problem
                connection.execute("ROLLBACK TO one")
                self._catalogue.forget()
                rest.append([guard.in_words(problem), operation])
            connection.execute("RELEASE one")
        return rest

    def _open(self) -> None:
        connection = database.open_for_writing(self.path)
        try:
            self._catalogue.forget()
            self._take_in(connection)
            if self._kept is not None:
                copy_execution(self._kept, connection, self.execution_id)
                self._kept.close()
                self._kept = None
            liveness.settle(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._identity = connection, _identity(self.path)
        self._logs = {name: _identity(name) for name in _logs(self.path)}
        self._checked = perf_counter()
        try:
            liveness.sweep_reports(self.path, connection)
        except OSError as exc:
            if is_of_a_signal_handler(exc):
                raise
            guard.debug("a report stays: %s", exc)

    def _take_in(self, connection: sqlite3.Connection) -> None:
        """Apply what other programs left in spool files."""
        for execution_id in spool.executions(self.path):
            if execution_id == self.execution_id and self._is_spooled:
                continue
            try:
                with spool.taken(self.path, execution_id) as (entries, unreadable):
                    self._commit(connection, entries, (), unreadable, execution_id)
            except (OSError, sqlite3.Error) as exc:
                if is_of_a_signal_handler(exc):
                    raise
                guard.debug("the spool of %s stays: %s", execution_id, type(exc).__name__)

    def _rescue(self) -> None:
        """The file was moved, deleted or replaced while we had it open: keep our rows.

        The log and the shared memory still lie under the old name. A file that comes there would be
        taken for theirs, and SQLite would play the log into it: so they go first, after what they
        hold has gone into the file that they belong to.
        """
        lost, self._connection = self._connection, None
        assert lost is not None
        guard.warn(f"{self.path} was moved or deleted; its record of this program is written anew")
        if self._kept is None:
            self._kept = database.in_memory()
        try:
            copy_execution(lost, self._kept, self.execution_id)
            # SQLite itself leaves the log as it is where the file has gone away.
            lost.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as exc:
            guard.warn(f"what {self.path} held of this program can't be read any more ({exc})")
        ours = [name for name in _logs(self.path) if _identity(name) == self._logs.get(name)]
        if len(ours) == len(_logs(self.path)):
            lost.close()
        else:
            _inherited.append(lost)
        for name in ours:
            if _identity(name) is not None and _identity(name) == self._logs.get(name):
                os.unlink(name)
        self._open()

    def _set_aside(self, operations: Sequence[Operation], problem: BaseException | None) -> None:
        """Keep operations in the spool; in memory where that can't be written."""
        if not operations:
            return
        try:
            place = spool.append(self.path, self.execution_id, operations, self._number)
        except OSError as exc:
            self._waiting.append((self._number, list(operations)))
            self._keep_within_memory()
            guard.warn(f"can't write {self.path} ({problem}) nor a spool file ({exc})")
        else:
            self._is_spooled = True
            if problem is not None and not _is_busy(problem):
                guard.warn(f"can't write {self.path} ({problem}); recording to {place} for now")

    def _keep_within_memory(self) -> None:
        """Where there are too many operations keep the newest state of each row, then epochs."""
        if _count(self._waiting) <= MEMORY_LIMIT:
            return
        self._waiting = _newest_states(self._waiting)
        dropped = 0
        while _count(self._waiting) > MEMORY_LIMIT * 0.9 and dropped < len(self._waiting):
            number, operations = self._waiting[dropped]
            self._waiting[dropped] = (
                number,
                [operation for operation in operations if operation[0] != "measured"],
            )
            dropped += 1
        if dropped:
            guard.warn(
                f"neither {self.path} nor a spool file can be written: of more than {MEMORY_LIMIT} "
                "operations that wait in memory the oldest epochs are dropped"
            )

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query; none where the file can't be asked now."""
        with self._lock:
            try:
                if self._connection is not None:
                    return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as exc:
                guard.debug("can't ask: %s", exc)
            return []

    def checkpoint(self) -> bool:
        """Move the write-ahead log into the file, so that a copy of the file is whole.

        Returns whether all of it went there: what others still read has to stay in the log.
        """
        with self._lock:
            if self._connection is None:
                return True
            try:
                query = "PRAGMA wal_checkpoint(PASSIVE)"
                is_busy, in_log, moved = self._connection.execute(query).fetchone()
            except sqlite3.Error as exc:
                guard.debug("no checkpoint: %s", exc)
                return False
            return not is_busy and in_log == moved

    def close(self) -> None:
        """Store what still waits, and close the file."""
        if self._waiting or self._is_spooled:
            self._retry_at = 0.0
            self.write(())
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def abandon(self) -> None:
        """In a forked child: never touch the parent's connection again, not even to close it."""
        if self._connection is not None:
            _inherited.append(self._connection)
            self._connection = None


def _count(entries: Sequence[spool.Entry]) -> int:
    return sum(len(operations) for _, operations in entries)


def _newest_states(entries: Sequence[spool.Entry]) -> list[spool.Entry]:
    """The operations without updates that later ones overwrite."""
    set_later: dict[tuple[str, str], set[str]] = {}
    kept: list[spool.Entry] = []
    for number, operations in reversed(entries):
        left = []
        for operation in reversed(operations):
            what, table, row, key = operation
            if what == "update":
                names = set_later.setdefault((table, repr(sorted(key.items()))), set())
                row = {name: value for name, value in row.items() if name not in names}
                names.update(row)
                operation = (what, table, row, key)
            if row:
                left.append(operation)
        kept.append((number, left[::-1]))
    return kept[::-1]


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError as exc:
        if is_of_a_signal_handler(exc):
            raise
        return None
    return status.st_dev, status.st_ino


def _logs(path: str) -> tuple[str, str]:
    true_path = os.path.realpath(path)
    return f"{true_path}-wal", f"{true_path}-shm"


PASSING = ("locked", "busy", "disk i/o", "readonly", "read-only", "unable to open", "full",
           "malformed", "not a database", "disk image")  # fmt: skip
"""What SQLite says of troubles that may pass, with whatever is written. The rest are defects."""


def is_passing(problem: BaseException) -> bool:
    """Whether an error may pass, so that the same operations can be tried again later."""
    if isinstance(problem, sqlite3.DatabaseError):
        return any(words in str(problem).lower() for words in PASSING)
    return isinstance(problem, OSError)


def _is_busy(problem: BaseException) -> bool:
    return isinstance(problem, sqlite3.OperationalError) and "locked" in str(problem)
