"""Sends a database for as long as programs record to it, and what was left when they have ended.

Of all processes that want to send one database, one does: the others wait for their turn, which
comes when that one ends. The agent starts such a process for each program (`capture/sending.py`);
`kerasprov push --follow` is the same at the terminal.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing

from kerasprov_agent import identity
from kerasprov_agent.central import sending, source
from kerasprov_agent.errors import KerasProvError, Unusable
from kerasprov_agent.settings import Values
from kerasprov_agent.store import liveness, reading, turns
from kerasprov_agent.store.turns import turn

PAUSE = 0.2
"""Seconds between looks at the file."""
HEARTBEAT = 20.0
"""Seconds after which the server hears of us though nothing has changed."""
LONGEST_PAUSE = 60.0
FIRST_PAUSE = 0.5
LEAST_SECONDS = 1.0

Told = Callable[["sending.Sent | Exception"], None]


def follow(
    path: str,
    url: str,
    goes_on: Callable[[], bool],
    last_seconds: float,
    told: Told = lambda _: None,
) -> None:
    """Send a database as it grows, until `goes_on` is false and all was sent.

    After that it is tried for `last_seconds` more at most. `told` is given what was sent, and the
    first problem of several. Nothing is raised: what fails is tried again, after longer and longer
    pauses.
    """
    failures, try_at, beat_at, seen = 0, 0.0, 0.0, None
    until: float | None = None
    waits, position = True, -1
    while True:
        now = time.monotonic()
        if until is None and not goes_on():
            until = now + last_seconds
            try_at = min(try_at, now)
        state = _state(path)
        if state != seen and not waits:
            waits = _has_news(path, position)
            seen = state
        if now >= try_at and (waits or now >= beat_at):
            try:
                source.prepare(path)
                sent = sending.send(path, url)
            except (KerasProvError, sqlite3.Error, OSError) as exc:
                if failures == 0 and not isinstance(exc, Unusable):
                    told(exc)
                failures += 1
                pause = min(FIRST_PAUSE * 2**failures, LONGEST_PAUSE)
                # Many that lost one server do not come back at the same moment.
                pause *= random.uniform(0.5, 1.0)
                if until is not None:
                    pause = min(pause, FIRST_PAUSE)
                try_at, waits = now + pause, True
            else:
                if failures or sent.units or sent.epochs:
                    told(sent)
                failures, waits, position = 0, bool(sent.waiting), sent.position
                seen, beat_at = state, now + HEARTBEAT
                if waits:
                    continue
        if until is not None and ((not waits and _state(path) == seen) or time.monotonic() > until):
            return
        time.sleep(PAUSE)


def _has_news(path: str, position: int) -> bool:
    """Whether something was noted beyond a position; also where that can't be told now."""
    try:
        with source.opened(path) as opened:
            return opened.waiting(position) > 0
    except (KerasProvError, sqlite3.Error, OSError):
        return True


def _state(path: str) -> tuple[tuple[int, int, int] | None, ...]:
    """What is another one when something was written."""
    return tuple(_stamp(path + ending) for ending in ("", "-wal"))


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        known = os.stat(path)
    except OSError:
        return None
    return known.st_ino, known.st_size, known.st_mtime_ns


def any_program(path: str) -> bool:
    """Whether a program of this machine records to the database."""
    if not os.path.exists(path):
        return False
    query = "SELECT host, pid, process FROM execution WHERE status = 'running' AND host = ?"
    try:
        with closing(reading.open_for_reading(path)) as connection:
            rows = connection.execute(query, (identity.host(),)).fetchall()
            return any(not liveness.is_gone(row) for row in rows)
    except (KerasProvError, sqlite3.Error):
        return False


def _is_alive(pid: int, key: str) -> bool:
    if key:
        return identity.process_key(pid) == key
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def main() -> None:
    """Send `path` while the process `pid`, whose key is given, records: `path pid key`."""
    path, pid, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    told_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told_to_end.append(number))
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    values = Values()
    url = values.central
    if url is None:
        return

    def is_wanted() -> bool:
        return not told_to_end and _is_alive(pid, key)

    # What a program has left when it ends, is sent by whoever has the turn then.
    with turn(path, is_wanted) as is_ours:
        if is_ours:
            turns.tell(path, "")
            seconds = max(values.central_seconds, LEAST_SECONDS)
            follow(
                path, url,
                lambda: is_wanted() or (not told_to_end and any_program(path)),
                seconds,
                lambda news: turns.tell(path, str(news) if isinstance(news, Exception) else ""),
            )  # fmt: skip
