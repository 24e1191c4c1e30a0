"""What is in a file: sha256 of its content, and of a set of files the digest of its manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from kerasprov_agent.capture.files.versions import Version, of_path, of_status

CHUNK = 1 << 22
"""So much is hashed between two looks at the clock."""
PARTS = 16
PART_BYTES = 1 << 20
"""A file above the limit is known by so many parts of this size, evenly spaced, and its size."""

Hash = tuple[str | None, str | None]
"""sha256 of the whole content; or of parts of it. Neither: not known."""
UNKNOWN: Hash = (None, None)


def of_file(path: str, expected: Version, limit: int, go_on: Callable[[], bool]) -> Hash:
    """Hash a file; what is no longer the expected version, or could not be finished, is unknown.

    Files of more than `limit` bytes are known by their parts: sha256 over the size as a decimal
    number and `PARTS` pieces of `PART_BYTES`. Never waits for a FIFO or a device.
    """
    if of_path(path) != expected:
        return UNKNOWN
    try:
        # O_NONBLOCK: a FIFO that takes the file's place meanwhile would be waited for.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return UNKNOWN
    try:
        if of_status(os.fstat(descriptor)) != expected:
            return UNKNOWN
        size = expected[2]
        if size > limit:
            found: Hash = (None, _of_parts(descriptor, size))
        else:
            found = (_of_whole(descriptor, go_on), None)
        return found if of_status(os.fstat(descriptor)) == expected else UNKNOWN
    except OSError:
        return UNKNOWN
    finally:
        os.close(descriptor)


def _of_whole(descriptor: int, go_on: Callable[[], bool]) -> str | None:
    digest = hashlib.sha256()
    while go_on():
        piece = os.read(descriptor, CHUNK)
        if not piece:
            return digest.hexdigest()
        digest.update(piece)
    return None


def _of_parts(descriptor: int, size: int) -> str:
    digest = hashlib.sha256(f"{size}\n".encode())
    for part in range(PARTS):
        os.lseek(descriptor, (size - PART_BYTES) * part // (PARTS - 1), os.SEEK_SET)
        digest.update(os.read(descriptor, PART_BYTES))
    return digest.hexdigest()


def of_set(members: Iterable[tuple[str, Hash]]) -> str | None:
    """The digest of a set of files, each a path relative to the set's directory and its hash.

    It is the sha256 of what `sha256sum` prints of them in the order of their paths; a file that is
    known by parts has `partial:` before its hash. None where a file's content is not known.
    """
    digest = hashlib.sha256()
    for path, (whole, parts) in sorted(members):
        if whole is None and parts is None:
            return None
        digest.update(f"{whole or f'partial:{parts}'}  {path}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def files_below(directory: str, limit: int) -> list[str]:
    """The regular files in a directory and below, at most `limit`; links are not followed."""
    found: list[str] = []
    for place, _, names in os.walk(directory):
        for name in names:
            path = str(Path(place, name))
            if not os.path.islink(path) and of_path(path) is not None:
                found.append(path)
                if len(found) >= limit:
                    return found
    return found
