"""What is in the files: hashed beside the program, and found again by the file's version."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from kerasprov_agent import clock
from kerasprov_agent.recorder.file import File, FileSet
from kerasprov_agent.recorder.files import Files
from kerasprov_agent.store.operations import forget_entity, manifest, update
from kerasprov_agent.tracing import hashing

SET_QUIET_SECONDS = 3.0
"""A set to which nothing was added for so long is hashed."""
WRITTEN_QUIET_SECONDS = 1.0
"""A file that was not changed for so long is taken as written."""
RACY_SECONDS = 2.0
"""A file that was changed later than this may be changed again within the same time stamp."""
MEMBERS_AT_ONCE = 1000
"""So many files of a set are written down in one transaction."""

GoOn = Callable[[], bool]


class Contents(Files):
    """Records what is in files."""

    def hash_files(self, go_on: GoOn, at_end: bool = False) -> bool:
        """Hash what was seen, while there is time; returns whether something is left to be done."""
        with self._guarding:
            waiting, self._unhashed = self._unhashed, []
            changed = [file for file in self._written.values() if not file.hashed]
            sets = [found for found in self._all_sets() if not found.hashed]
        left, sets_left = list[File](), False
        for file in dict.fromkeys([*waiting, *changed]):
            if not self._hash_file(file, go_on, at_end):
                left.append(file)
        for found in sets:
            quiet = found.complete or clock.now() - found.changed_at > SET_QUIET_SECONDS
            if not (at_end or quiet) or not self._hash_set(found, go_on):
                sets_left = True
        with self._guarding:
            self._unhashed += left
            sets_left = sets_left or any(not found.hashed for found in self._all_sets())
        return bool(left) or sets_left

    def _hash_file(self, file: File, go_on: GoOn, at_end: bool) -> bool:
        """Hash a file and write it down; returns whether that is done."""
        with self._guarding:
            being_written = self._written.get(file.path) is file
            if being_written:
                file.look()
                if not at_end and not file.pinned and file.age() < WRITTEN_QUIET_SECONDS:
                    return False
            if file.entity_id is None:
                return True
            if being_written and file.version is None:
                return self._gone(file)
        if not self._hash(file, go_on):
            return False
        whole, parts = file.hash
        row = {**file.state(), "sha256": whole, "partial_sha256": parts, "version": _key(file)}
        self._write(update("file", row, {"entity_id": file.entity_id}))
        return True

    def _gone(self, file: File) -> bool:
        """A temporary file, gone again, leaves no trace; one that mattered stays unknown."""
        file.hashed = True
        if not file.pinned and file.entity_id is not None:
            self._write(forget_entity(file.entity_id))
            file.entity_id = None
        return True

    def _hash(self, file: File, go_on: GoOn) -> bool:
        """Find the hash of a file's version; returns whether that is done, known or not."""
        if file.hashed or file.version is None:
            return True
        key = _key(file)
        cached = key and self.execution.ask(
            "SELECT sha256, partial_sha256 FROM file WHERE version = ? "
            "AND coalesce(sha256, partial_sha256) IS NOT NULL LIMIT 1",
            key,
        )
        if cached:
            file.hash, file.hashed = (cached[0][0], cached[0][1]), True
        elif go_on():
            limit = self.execution.settings.hash_size
            _hash(file, limit, go_on)
        return file.hashed

    def _hash_set(self, found: FileSet, go_on: GoOn) -> bool:
        """Hash a set's files and write its manifest; returns whether that is done."""
        with self._guarding:
            self._link_set(found)
            for path, file in list(found.members.items()):
                if self._written.get(path) is file:
                    file.look()
                    if file.version is None:  # it is gone again
                        del found.members[path]
            members = sorted(found.members.items())
        keys = [_key(file) for _, file in members]
        version = None
        if None not in keys:
            version = hashlib.sha256("\n".join(map(str, keys)).encode()).hexdigest()
            cached = self.execution.ask(
                "SELECT sha256 FROM file WHERE version = ? AND sha256 IS NOT NULL LIMIT 1", version
            )
            if cached:
                return self._set_hashed(found, members, cached[0][0], version)
        limit = self.execution.settings.hash_size
        for _, file in members:
            if not file.hashed and file.version is not None:
                _hash(file, limit, go_on)
                if not file.hashed:
                    return False
        names = [os.path.relpath(path, found.path) for path, _ in members]
        files = [file for _, file in members]
        digest = hashing.of_set((name, file.hash) for name, file in zip(names, files, strict=True))
        if digest is not None:
            entries = [
                [name, file.version and file.version[2], *file.hash]
                for name, file in zip(names, files, strict=True)
            ]
            # The training waits for as long as one of these takes.
            for start in range(0, len(entries), MEMBERS_AT_ONCE):
                is_last = start + MEMBERS_AT_ONCE >= len(entries)
                some = entries[start : start + MEMBERS_AT_ONCE]
                self._write(manifest(digest, some, len(entries) if is_last else None))
        return self._set_hashed(found, members, digest, version)

    def _set_hashed(
        self,
        found: FileSet,
        members: list[tuple[str, File]],
        digest: str | None,
        version: str | None,
    ) -> bool:
        with self._guarding:
            if len(found.members) != len(members):
                return False  # it has grown since: its hash is that of another set
            found.hashed = True
            row = {"sha256": digest, "version": version, **found.size()}
            self._write(update("file", row, {"entity_id": found.entity_id}))
        return True


def _hash(file: File, limit: int, go_on: GoOn) -> None:
    """Hash a file; what was not finished in time is left for later, or for another thread."""
    if file.version is not None:
        found = hashing.of_file(file.path, file.version, limit, go_on)
        if found != hashing.UNKNOWN or go_on():
            file.hash, file.hashed = found, True


def _key(file: File) -> str | None:
    """By what a hash is found again; None where the time stamp could hide a later change."""
    if file.version is None or file.age() < RACY_SECONDS:
        return None
    host = os.uname().nodename if hasattr(os, "uname") else ""
    return "/".join((host, *map(str, file.version)))
