"""Are the files still what they were? Each by its hash, wherever it lies now."""

from __future__ import annotations

import os
import stat
import zlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from typing import NamedTuple

from kerasprov_agent import contents
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.origin import Known
from kerasprov_agent.read.record import Record
from kerasprov_agent.store.text import decoded

HOLDS = ("same", "moved", "replaced")
"""States that take nothing from the record: of `replaced` the record itself tells by what."""


class Checked(NamedTuple):
    """A file as it is recorded, and what has become of it."""

    known: Known
    state: str
    """same, moved, replaced, changed, gone; unknown: the record has no hash of it."""
    found_at: str | None
    """Where its content lies now, if it was moved."""


class Files:
    """The files of this machine: each is read once, and only where its size is the right one."""

    def __init__(self, directories: Iterable[str], told: Callable[[int], object]) -> None:
        """`directories` are searched for what was moved; `told` hears of bytes that were read.

        Raises `KerasProvError` where a directory is not there.
        """
        self._directories = list(directories)
        for directory in self._directories:
            if not os.path.isdir(directory):
                raise KerasProvError(f"{directory} is no folder to search; name another")
        self._told = told
        self._digests: dict[tuple[str, bool], str | None] = {}
        self._by_size: dict[int, list[str]] | None = None

    def check(self, known: Known) -> Checked:
        """What has become of a file."""
        if not (known.sha256 or known.partial_sha256):
            return Checked(known, "unknown", None)
        if self._holds(known.path, known):
            return Checked(known, "same", None)
        for path in self._candidates(known):
            if self._holds(path, known):
                return Checked(known, "moved", path)
        if known.replaced_by:
            return Checked(known, "replaced", None)
        return Checked(known, "changed" if os.path.lexists(known.path) else "gone", None)

    def _holds(self, path: str, known: Known) -> bool:
        """Whether a file has the content that is known."""
        size = _size(path)
        if size is None or known.bytes not in (None, size):
            return False
        in_parts = known.sha256 is None
        expected = known.partial_sha256 if in_parts else known.sha256
        return self._digest(path, size, in_parts) == expected

    def _digest(self, path: str, size: int, in_parts: bool) -> str | None:
        if (path, in_parts) not in self._digests:
            self._digests[path, in_parts] = _digest(path, size, in_parts)
            self._told(size)
        return self._digests[path, in_parts]

    def _candidates(self, known: Known) -> Iterable[str]:
        """The files below the directories that may be it: of its size, those of its name first."""
        if self._by_size is None:
            self._by_size = defaultdict(list)
            for directory in self._directories:
                for place, _, names in os.walk(directory):
                    for name in names:
                        path = os.path.join(place, name)
                        size = _size(path)
                        if size is not None:
                            self._by_size[size].append(path)
        if known.bytes is None:
            found = [path for paths in self._by_size.values() for path in paths]
            found = [path for path in found if path.endswith((".py", ".ipynb"))]
        else:
            found = self._by_size.get(known.bytes, [])
        name = os.path.basename(known.path)
        return sorted(found, key=lambda path: os.path.basename(path) != name)


def _size(path: str) -> int | None:
    """The size of a regular file; None of anything else."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _digest(path: str, size: int, in_parts: bool) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    try:
        if in_parts:
            return contents.of_parts(descriptor, size) if size >= contents.PART_BYTES else None
        return contents.of_whole(descriptor, lambda: True)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def to_read(expected: Iterable[Known]) -> int:
    """The bytes of those files whose size is still the right one: so many are going to be read."""
    sizes = {known.path: _size(known.path) for known in expected}
    return sum(
        sizes[known.path] or 0
        for known in {(k.path, k.bytes): k for k in expected}.values()
        if known.bytes in (None, sizes[known.path])
    )


def problems(record: Record, sets: Container[str | None] | None = None) -> Iterator[str]:
    """What is wrong within the database itself: its structure, texts and sets by their own hashes.

    `sets`: the sets of files to look at; by default all of them.
    """
    for row in record.connection.execute("PRAGMA integrity_check"):
        if row[0] != "ok":
            yield row[0]
    for row in record.query("SELECT sha256, zlib FROM source"):
        try:
            text = zlib.decompress(row["zlib"])
        except (zlib.error, TypeError):
            yield f"source {row['sha256'][:12]} can't be unpacked"
            continue
        if contents.sha256(text) != row["sha256"]:
            yield f"source {row['sha256'][:12]} is not the text of that hash"
    query = (
        "SELECT f.entity_id, f.path, f.sha256 FROM file f JOIN entity e ON e.id = f.entity_id "
        "WHERE e.kind = 'files' AND f.sha256 IS NOT NULL"
    )
    seen = set()
    for row in list(record.query(query)):
        if (sets is not None and row["entity_id"] not in sets) or row["sha256"] in seen:
            continue
        seen.add(row["sha256"])
        members = record.query("SELECT * FROM members WHERE set_id = ?", (row["entity_id"],))
        digest = contents.of_set(
            (decoded(member["path"]), (member["sha256"], member["partial_sha256"]))
            for member in members
        )
        if digest != row["sha256"]:
            yield f"the list of the files of {row['path']} is not that of its hash"
