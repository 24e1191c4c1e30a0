"""Files and folders that are there when they are whole, and never by halves.

They are made in a private folder beside their target, under whatever name: nobody can foresee it
or put a link in their way, and what is made there has the rights that every new file gets.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from kerasprov_agent.visible import UNSEEN

PREFIX = ".kerasprov-"
NAME_BYTES = 255
"""A file's name is no longer on any system that is in use."""
DEVICES = ("/dev/", "/proc/")


@contextmanager
def replaced(path: str) -> Iterator[str]:
    """A path to write to. What lies there in the end takes the place of the file `path`.

    A device or a pipe is its own path: there is nothing to replace. Raises OSError; `path` is then
    as it was before.
    """
    if is_stream(path):
        yield path
        return
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "is a directory; name a file", path)
    with _beside(path, os.path.dirname(path)) as private:
        beside = os.path.join(private, "whole")
        yield beside
        os.replace(beside, path)


@contextmanager
def replaced_folder(path: str) -> Iterator[str]:
    """A folder to write to. What lies there in the end is put into the folder `path`.

    A folder that was not there before appears at once. In one that was, each file takes the place
    of the one of its name after all have been written. Raises OSError.
    """
    path = os.path.abspath(path)
    if os.path.lexists(path) and not os.path.isdir(path):
        raise NotADirectoryError(errno.ENOTDIR, "is no folder; name another", path)
    is_new = not os.path.isdir(path)
    with _beside(path, os.path.dirname(path) if is_new else path) as private:
        beside = os.path.join(private, "whole")
        os.mkdir(beside)
        yield beside
        if is_new:
            os.rename(beside, path)
        else:
            for name in os.listdir(beside):
                os.replace(os.path.join(beside, name), os.path.join(path, name))


def is_stream(path: str) -> bool:
    """Whether a path leads to a device or a pipe, into which is written as it comes."""
    if os.path.abspath(path).startswith(DEVICES):
        return True
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


@contextmanager
def _beside(path: str, directory: str) -> Iterator[str]:
    try:
        private = TemporaryDirectory(
            prefix=PREFIX, dir=directory or os.curdir, ignore_cleanup_errors=True
        )
    except OSError as exc:
        # Of the folder the person knows nothing.
        raise type(exc)(exc.errno, exc.strerror, path) from exc
    with private as name:
        yield name


def file_name(stem: str, ending: str) -> str:
    """A file's name: `stem` without what no name can hold, cut to the room there is, and `ending`.

    The ending stays whole.
    """
    plain = re.sub(f"[{UNSEEN}/\\\\]", "_", stem).encode()
    return plain[: NAME_BYTES - len(ending.encode())].decode(errors="ignore") + ending
