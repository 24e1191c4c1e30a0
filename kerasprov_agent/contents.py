"""What is in a file, by sha256: of its content, of parts of it; of a set, of its manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable

CHUNK = 1 << 22
"""So many bytes are hashed at once."""
PARTS = 16
PART_BYTES = 1 << 20
"""A file above the limit is known by so many parts of this size, evenly spaced, and its size."""

Hash = tuple[str | None, str | None]
"""sha256 of the whole content; or of parts of it. Neither: not known."""


def sha256(content: bytes) -> str:
    """The sha256 of some bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def of_whole(descriptor: int, go_on: Callable[[], bool]) -> str | None:
    """sha256 of an open file from where it stands; None if it was not to go on. Raises OSError."""
    digest = hashlib.sha256()
    while go_on():
        piece = os.read(descriptor, CHUNK)
        if not piece:
            return digest.hexdigest()
        digest.update(piece)
    return None


def of_parts(descriptor: int, size: int) -> str:
    """sha256 over the size as a decimal number and `PARTS` pieces of `PART_BYTES`."""
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
