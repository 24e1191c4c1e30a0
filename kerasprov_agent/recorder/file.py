"""A file in one version, and a set of files, as the recorder remembers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.tracing import hashing, versions
from kerasprov_agent.tracing.origins import Origin


class File:
    """A version of a file."""

    __slots__ = (
        "entity_id", "hash", "hashed", "origins", "path", "pinned", "role", "seen_at", "version",
    )  # fmt: skip

    def __init__(self, path: str, version: versions.Version | None, seen_at: float) -> None:
        self.path, self.version, self.seen_at = path, version, seen_at
        self.entity_id: str | None = None
        self.role: str | None = None
        self.hash: hashing.Hash = hashing.UNKNOWN
        self.hashed = False
        self.origins: list[Origin] = []
        self.pinned = False
        """Something came from it, or it is of a kind of its own: it stays when files are folded."""

    def look(self) -> bool:
        """Whether it has changed since the last look; it is then another version."""
        found = versions.of_path(self.path)
        if found == self.version:
            return False
        self.version, self.hash, self.hashed = found, hashing.UNKNOWN, False
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
    """Files of one directory, or below it, that belong together."""

    __slots__ = (
        "changed_at", "complete", "entity_id", "hashed", "members", "origins", "path", "written",
    )  # fmt: skip

    def __init__(self, path: str, entity_id: str, complete: bool) -> None:
        self.path, self.entity_id, self.complete = path, entity_id, complete
        self.members: dict[str, File] = {}
        self.changed_at = clock.now()
        self.hashed = False
        self.origins: list[Origin] = []
        """What its files came from, if the program has written them."""
        self.written = 0
        """So many members the database knows of."""

    def add(self, file: File) -> None:
        """One more file."""
        if file.path not in self.members:
            self.members[file.path] = file
            self.changed_at, self.hashed = clock.now(), False

    def replace(self, file: File) -> None:
        """A file that the program has written, in place of the one that had its path before."""
        self.members.pop(file.path, None)
        self.add(file)

    def renamed(self, paths: Mapping[str, str]) -> None:
        """Files of it have other paths; each file knows its own already."""
        if paths.keys() & self.members.keys():
            files, self.members = list(self.members.values()), {}
            for file in files:
                self.replace(file)

    def size(self) -> dict[str, Any]:
        """The columns that tell how much it is."""
        versions = [file.version for file in self.members.values()]
        return {"files": len(versions), "bytes": sum(one[2] for one in versions if one)}
