"""Of all processes that want to send one database, one does: this is how they take turns."""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST_BYTES = 1000
PAUSE = 1.0
"""Seconds until it is tried again, about."""


@contextmanager
def turn(path: str, wanted: Callable[[], bool]) -> Iterator[bool]:
    """Wait until no other process sends this database; gives whether it is our turn.

    False where `wanted` no longer holds.
    """
    descriptor = _opened(path)
    try:
        while not (is_ours := _take(descriptor)) and wanted():
            time.sleep(PAUSE * random.uniform(0.5, 1.0))
        yield is_ours
    finally:
        os.close(descriptor)


def is_taken(path: str) -> bool:
    """Whether a process sends this database."""
    descriptor = _opened(path)
    try:
        return not _take(descriptor)
    finally:
        os.close(descriptor)


def tell(path: str, problem: str) -> None:
    """Leave word of what keeps us from sending, for whoever waits; an empty text: nothing does."""
    descriptor = _opened(path)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, problem.encode("utf-8", "replace"))
    finally:
        os.close(descriptor)


def told(path: str) -> str:
    """What was told last."""
    descriptor = _opened(path)
    try:
        return os.read(descriptor, MOST_BYTES).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def _opened(path: str) -> int:
    """The file that whoever has the turn holds locked: it lies beside nobody's data."""
    true_path = os.path.realpath(path).encode("utf-8", "surrogateescape")
    name = f"kerasprov-{os.getuid()}-{hashlib.sha256(true_path).hexdigest()[:24]}.lock"
    place = os.path.join(tempfile.gettempdir(), name)
    return os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
