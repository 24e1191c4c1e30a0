"""Sending to a central store goes on in another process: a training never waits for a server.

That process is no child of this one, which may wait for all its children. It ends by itself when
no program records to the database any more. `central/following.py` is what it does.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path

from kerasprov_agent import guard, identity

PAUSE = 0.05
SHELL = "/bin/sh"
IN_BACKGROUND = '"$0" "$@" </dev/null >/dev/null 2>&1 &'
"""The shell ends at once, and the process that it started belongs to nobody."""
FOLLOW = (
    "import sys; sys.path[:1] = []; sys.path.append(sys.argv.pop(1)); "
    "from kerasprov_agent.central.following import main; main()"
)


def keep(path: str, url: str) -> None:
    """Start the process that sends the database at `path`, if there is none.

    It lives as long as a program records to the database.
    """
    if not sys.executable or not os.path.exists(SHELL) or not hasattr(os, "posix_spawn"):
        guard.warn("here `kerasprov push --follow` sends to the central store, not the agent")
        return
    if find_spec("psycopg") is None:
        guard.warn("KERASPROV_CENTRAL needs psycopg: pip install 'kerasprov_agent[central]'")
        return
    from kerasprov_agent.store import turns

    if turns.is_taken(path):
        return
    packages = str(Path(__file__).absolute().parents[2])
    own = (str(os.getpid()), identity.process_key() or "")
    command = (sys.executable, "-c", FOLLOW, packages, path, *own)
    # The address may hold a password, which all could read among the words of a command.
    environment = {**os.environ, "KERASPROV_CENTRAL": url, "KERASPROV_DISABLED": "1"}
    shell = os.posix_spawn(SHELL, [SHELL, "-c", IN_BACKGROUND, *command], environment)
    with suppress(ChildProcessError):  # a program that ignores its children has none to wait for
        os.waitpid(shell, 0)


def wait(path: str, seconds: float) -> None:
    """Wait until all that is recorded was sent; after so many seconds tell how much was not."""
    until = time.monotonic() + seconds
    while (waiting := _waiting(path)) and time.monotonic() < until:
        time.sleep(PAUSE)
    if waiting:
        from kerasprov_agent.store import turns

        why = turns.told(path)
        guard.warn(
            f"{waiting} changes wait in {path} for the central store{f' ({why})' if why else ''}; "
            "the next training sends them, or `kerasprov push`"
        )


def _waiting(path: str) -> int:
    """How many changes were noted and not sent; one if the log was not even begun."""
    with closing(sqlite3.connect(path, timeout=PAUSE, isolation_level=None)) as connection:
        try:
            (sent,) = connection.execute(
                "SELECT coalesce(max(value), 0) FROM meta WHERE key LIKE 'central %'"
            ).fetchone()
            query = "SELECT count(*) FROM outbox WHERE seq > ?"
            (count,) = connection.execute(query, (sent,)).fetchone()
        except sqlite3.OperationalError:
            return 1
    return int(count)
