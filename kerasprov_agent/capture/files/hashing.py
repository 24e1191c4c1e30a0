"""Hashing the files that a program opens, each in the version in which it was seen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from kerasprov_agent.capture.files.versions import Version, of_path, of_status
from kerasprov_agent.contents import Hash, of_parts, of_whole

UNKNOWN: Hash = (None, None)


def of_file(path: str, expected: Version, limit: int, go_on: Callable[[], bool]) -> Hash:
    """Hash a file; what is no longer the expected version, or could not be finished, is unknown.

    Files of more than `limit` bytes are known by parts of them. Never waits for a FIFO or a device.
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
            digests: Hash = (None, of_parts(descriptor, size))
        else:
            digests = (of_whole(descriptor, go_on), None)
        return digests if of_status(os.fstat(descriptor)) == expected else UNKNOWN
    except OSError:
        return UNKNOWN
    finally:
        os.close(descriptor)


def files_below(directory: str, limit: int) -> list[str]:
    """The regular files in a directory and below, at most `limit`; links are not followed."""
    paths: list[str] = []
    for place, _, names in os.walk(directory):
        for name in names:
            path = str(Path(place, name))
            if not os.path.islink(path) and of_path(path) is not None:
                paths.append(path)
                if len(paths) >= limit:
                    return paths
    return paths
