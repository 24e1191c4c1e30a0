"""A file in one version, and a set of files, as the recorder remembers them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kerasprov_agent import clock, contents
from kerasprov_agent.capture.files import hashing, versions
from kerasprov_agent.capture.files.marks import Marks
from kerasprov_agent.capture.files.versions import Version
from kerasprov_agent.capture.origins import Origin

MEMBERS_LIMIT = 100_000
"""A set has at most so many files; what follows is another one."""
FOLD = 10
"""More files than this of one directory, read or written by one activity, are one set."""
PACKED_AT_ONCE = 1000


class File:
    """A version of a file."""

    __slots__ = (
        "entity_id", "hash", "hashed", "origins", "path", "pinned", "role", "seen_at", "shared",
        "used_by", "version",
    )  # fmt: skip

    def __init__(self, path: str, version: Version | None, seen_at: float) -> None:
        self.path, self.version, self.seen_at = path, version, seen_at
        self.entity_id: str | None = None
        self.used_by: str | None = None
        self.role: str | None = None
        self.hash: contents.Hash = hashing.UNKNOWN
        self.hashed = False
        self.origins: list[Origin] = []
        self.pinned = False
        """Never folded into a set: something was derived from it, or it has a role."""
        self.shared = False
        """Several activities used it by itself: it stays an entity, and is a member of sets too."""

    def look(self) -> bool:
        """Whether it has changed since the last look; it is then another version."""
        version = versions.of_path(self.path)
        if version == self.version:
            return False
        self.version, self.hash, self.hashed = version, hashing.UNKNOWN, False
        return True

    def state(self) -> dict[str, Any]:
        """The columns that tell of its version."""
        if self.version is None:
            return {}
        _, _, size, changed = self.version
        return {"bytes": size, "modified_at": clock.iso(changed / 1e9)}

    def age(self) -> float:
        """Seconds since it was changed."""
        return clock.now() - self.version[3] / 1e9 if self.version else 0.0


class FileSet:
    """Files of one directory, or below it, that belong together.

    Of many files that were read each takes some 60 bytes here: they are packed.
    """

    __slots__ = (
        "_bytes", "_known", "_packed", "_packs", "_sum", "changed_at", "complete", "entity_id",
        "hashed", "loose", "members", "origins", "path", "written",
    )  # fmt: skip

    def __init__(self, path: str, entity_id: str, complete: bool) -> None:
        self.path, self.entity_id, self.complete = path, entity_id, complete
        self.members: dict[str, File] = {}
        """Those that are not packed, by their paths."""
        self._packs: list[bytes] = []
        self._packed = self._bytes = self._sum = 0
        self.loose = 0
        """So many members could not be packed when that was tried last."""
        self._known: Marks | None = None
        """The paths of those that are packed, here and in the sets before."""
        self.changed_at = clock.now()
        self.hashed = False
        self.origins: list[Origin] = []
        """What its files came from, if the program has written them."""
        self.written = 0
        """So many members the database knows of."""

    def __len__(self) -> int:
        return self._packed + len(self.members)

    @property
    def is_full(self) -> bool:
        """Whether further files make another set."""
        return len(self) >= MEMBERS_LIMIT

    def continued(self, entity_id: str) -> FileSet:
        """The set of what follows when this one is full."""
        following = FileSet(self.path, entity_id, self.complete)
        following._known = self._known
        return following

    def has_packed(self, path: str) -> bool:
        """Whether a file is among those that are packed, here or in the sets before."""
        return self._known is not None and hash(path) in self._known

    def add(self, file: File) -> None:
        """One more file."""
        if file.path not in self.members and not self.has_packed(file.path):
            self.members[file.path] = file
            self.changed_at, self.hashed = clock.now(), False

    def replace(self, file: File) -> None:
        """A file that the program has written, in place of the one that had its path before."""
        self.members.pop(file.path, None)
        self.add(file)

    def renamed(self, paths: Mapping[str, str]) -> None:
        """Follow the renaming of files of this set; each file knows its new path already."""
        if paths.keys() & self.members.keys():
            files, self.members = list(self.members.values()), {}
            for file in files:
                self.replace(file)

    def pack(self, files: Sequence[File]) -> None:
        """Keep these members, which nothing else needs any more, in few bytes."""
        if self._known is None:
            self._known = Marks(limit=None)
        for start in range(0, len(files), PACKED_AT_ONCE):
            some = files[start : start + PACKED_AT_ONCE]
            self._packs.append(_packed(some))
            for file in some:
                del self.members[file.path]
                self._known.add(hash(file.path))
            self._sum ^= _sum((file.path, file.version) for file in some)
            self._bytes += _bytes(some)
            self._packed += len(some)
        self.loose = len(self.members)

    def packs(self) -> Iterator[list[File]]:
        """The packed files, some at a time."""
        for pack in list(self._packs):
            yield _unpacked(pack)

    def repack(self, number: int, files: Sequence[File]) -> None:
        """Replace the files of a pack, of which more is known now."""
        self._packs[number] = _packed(files)

    def files(self) -> Iterator[File]:
        """All members."""
        loose = list(self.members.values())
        for some in self.packs():
            yield from some
        yield from loose

    def forget(self) -> None:
        """Drop the list of files of a full set; the database has it."""
        self._packs = []

    def is_of(self, wanted: Mapping[str, Version | None]) -> bool:
        """Whether it consists of these files, each in its version."""
        if len(self) != len(wanted):
            return False
        loose = {path: file.version for path, file in self.members.items()}
        packed = ((path, version) for path, version in wanted.items() if path not in loose)
        return loose.items() <= wanted.items() and self._sum == _sum(packed)

    def size(self) -> dict[str, Any]:
        """The columns that tell how much it is."""
        return {"files": len(self), "bytes": self._bytes + _bytes(self.members.values())}


def _sum(files: Iterable[tuple[str, Version | None]]) -> int:
    """A number that is the same for the same files in whatever order."""
    total = 0
    for file in files:
        total ^= hash(file)
    return total


def _bytes(files: Iterable[File]) -> int:
    return sum(file.version[2] for file in files if file.version)


def _packed(files: Sequence[File]) -> bytes:
    rows = [[file.path, file.version, file.seen_at, file.hash, file.hashed] for file in files]
    return zlib.compress(json.dumps(rows).encode())


def _unpacked(pack: bytes) -> list[File]:
    files = []
    for path, version, seen_at, digests, file_is_hashed in json.loads(zlib.decompress(pack)):
        file = File(path, version and tuple(version), seen_at)
        file.hash, file.hashed = tuple(digests), file_is_hashed
        files.append(file)
    return files
