"""Which file a path means, and in which version: enough to see a change, and to find its hash."""

from __future__ import annotations

import os
import stat

Version = tuple[int, int, int, int]
"""Device, inode, size in bytes, time of the last change in nanoseconds."""


def absolute(path: str) -> str:
    """The absolute form of a path; the path itself if the working directory no longer exists."""
    if type(path) is not str:  # numpy's texts are none of Python's
        path = str.__str__(path)
    if path.startswith("/") and "/." not in path and "//" not in path and not path.endswith("/"):
        return path  # as nearly all are: thousands of modules are asked for
    try:
        return os.path.abspath(path)
    except OSError:
        return path


def of_path(path: str) -> Version | None:
    """The present version of a regular file; None if there is no such file."""
    try:
        return of_status(os.stat(path))
    except (OSError, ValueError):
        return None


def of_status(status: os.stat_result) -> Version | None:
    """The version that `os.stat` tells of."""
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
