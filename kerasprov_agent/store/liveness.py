"""Does the process of an execution still run? If not, what was running in it is lost."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from glob import escape, glob
from typing import Any

from kerasprov_agent.identity import host, process_key
from kerasprov_agent.store.text import bindable

RUNNING = (
    ("trial", "search_id IN (SELECT id FROM search WHERE execution_id = ?)"),
    ("search", "execution_id = ?"),
    ("run", "execution_id = ?"),
    ("evaluation", "execution_id = ?"),
    ("activity", "execution_id = ?"),
    ("execution", "id = ?"),
)
"""What may have been going on in a process, and how it belongs to its execution."""


def is_gone(execution: Mapping[str, Any] | sqlite3.Row) -> bool:
    """Whether the process of a running execution has vanished.

    `execution` has `host`, `pid` and `process`. False where that can't be told from here: the
    process ran on another machine or in another container.
    """
    if execution["host"] != bindable(host()):
        return False
    pid, recorded = execution["pid"], execution["process"]
    own = process_key()
    if recorded is None or own is None:
        return not _exists(pid)
    boot, namespace, _ = recorded.split("/", 2)
    own_boot, own_namespace, _ = own.split("/", 2)
    if boot != own_boot:
        return True  # the machine has been restarted since
    return namespace == own_namespace and (process_key(pid) != recorded or _is_zombie(pid))


def sweep_reports(path: str, connection: sqlite3.Connection) -> None:
    """Remove the empty files in which children of programs that have ended would have told.

    Whoever is killed can't do that. One in which something stands is left where it is. Raises
    OSError.
    """
    beginning, ending = f"{path}-", ".files"
    for report in glob(f"{escape(beginning)}*{ending}"):
        execution_id = report[len(beginning) : -len(ending)]
        query = "SELECT status FROM execution WHERE id = ?"
        status = connection.execute(query, (execution_id,)).fetchone()
        if status is not None and status[0] != "running" and os.path.getsize(report) == 0:
            os.unlink(report)


def settle(connection: sqlite3.Connection) -> None:
    """Mark as lost what was running in processes that are gone."""
    rows = connection.execute(
        "SELECT id, host, pid, process FROM execution WHERE status = 'running'"
    ).fetchall()
    names = ("id", "host", "pid", "process")
    gone = [row[0] for row in rows if is_gone(dict(zip(names, row, strict=True)))]
    if not gone:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for execution_id in gone:
            for table, condition in RUNNING:
                connection.execute(
                    f"UPDATE {table} SET status = 'lost' WHERE {condition} AND status = 'running'",
                    (execution_id,),
                )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
