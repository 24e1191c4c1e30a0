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

CHECK_SECONDS = 1.0
"""How often it is made sure that the path still leads to the open file; epochs may be faster."""
MEMORY_LIMIT = 5_000
"""So many operations are kept in memory while the database takes none; more are in the spool."""

_inherited: list[sqlite3.Connection] = []
"""Connections of a parent process. SQLite forbids a forked child even to close them."""


class Writer:
    """The connection of one process to its database; opened at the first write."""

    def __init__(self, path: str, execution_id: str) -> None:
        self.path, self.execution_id = path, execution_id
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._lost: sqlite3.Connection | None = None
        self._checked = 0.0
        self._catalogue = Catalogue()
        self._waiting: list[Operation] = []

    def write(self, operations: Sequence[Operation]) -> None:
        """Store operations, all or none; raises `Unusable` where that can never work."""
        with self._lock:
            try:
                self._write([*self._waiting, *operations])
            except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
                raise  # a defect of ours, which waiting would not cure
            except (sqlite3.Error, OSError) as exc:
                self._set_aside(operations, exc)
            else:
                if self._waiting:
                    self._settle_waiting()

    def _write(self, operations: Sequence[Operation]) -> None:
        is_epoch = len(operations) == 1 and self._catalogue.know(operations[0])
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
        connection.execute("BEGIN IMMEDIATE")
        try:
            for operation in operations:
                apply(connection, operation, self._catalogue)
            connection.execute("COMMIT")
        except BaseException:
            self._catalogue.forget()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _open(self) -> None:
        connection = database.open_for_writing(self.path)
        self._connection, self._identity = connection, _identity(self.path)
        self._checked = perf_counter()
        self._catalogue.forget()
        for path in spool.waiting(self.path):
            self._replay(connection, path)
        if self._lost is not None:
            copy_execution(self._lost, connection, self.execution_id)
            self._lost.close()
            self._lost = None
        liveness.settle(connection)

    def _replay(self, connection: sqlite3.Connection, path: str) -> None:
        try:
            with spool.taken(path) as transactions:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    for operation in (one for lines in transactions for one in lines):
                        apply(connection, operation, self._catalogue)
                    connection.execute("COMMIT")
                except BaseException:
                    self._catalogue.forget()
                    connection.execute("ROLLBACK")
                    raise
        except (OSError, sqlite3.Error) as exc:
            guard.debug("spool %s stays: %s", path, exc)

    def _rescue(self) -> None:
        """The file was moved or deleted under us: write what it had of ours into a new one."""
        self._lost, self._connection = self._connection, None
        guard.warn(f"{self.path} was moved or deleted; its record of this program is written anew")
        self._open()

    def _settle_waiting(self) -> None:
        """What was kept in memory is stored now; what was too much for it is in the spool alone."""
        if len(self._waiting) < MEMORY_LIMIT:
            spool.discard(self.path, self.execution_id)
        elif self._connection is not None:
            for path in spool.waiting(self.path):
                self._replay(self._connection, path)
        self._waiting.clear()

    def _set_aside(self, operations: Sequence[Operation], problem: Exception) -> None:
        if len(self._waiting) < MEMORY_LIMIT:
            self._waiting.extend(operations)
        try:
            place = spool.append(self.path, self.execution_id, operations)
        except OSError as exc:
            guard.warn(f"can't write {self.path} ({problem}) nor a spool file ({exc})")
        else:
            if not _is_busy(problem):
                guard.warn(f"can't write {self.path} ({problem}); recording to {place} for now")

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query; none where the file can't be asked now."""
        with self._lock:
            try:
                if self._connection is not None:
                    return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as exc:
                guard.debug("can't ask: %s", exc)
            return []

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file, so that a copy of the file is whole."""
        with self._lock:
            if self._connection is not None:
                try:
                    self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                except sqlite3.Error as exc:
                    guard.debug("no checkpoint: %s", exc)

    def close(self) -> None:
        """Store what still waits, and close the file."""
        if self._waiting:
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


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_busy(problem: Exception) -> bool:
    return isinstance(problem, sqlite3.OperationalError) and "locked" in str(problem)
