"""What is in the files: hashed beside the program, and found again by the file's version."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from kerasprov_agent import clock, contents
from kerasprov_agent.capture.files import hashing
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.recorder.file import File, FileSet
from kerasprov_agent.capture.recorder.files import Files
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.store.operations import forget_entity, manifest, update

SET_QUIET_SECONDS = 3.0
"""A set to which nothing was added for so long is hashed."""
WRITTEN_QUIET_SECONDS = 1.0
"""A file that was not changed for so long is taken as written."""
RACY_SECONDS = 2.0
"""A file that was changed later than this may be changed again within the same time stamp."""
BEHIND = 5000
"""Where the program opens so many files meanwhile, they are written down before more is hashed."""
MEMBERS_AT_ONCE = 1000
"""So many files of a set are written down in one transaction."""

GoOn = Callable[[], bool]


class Contents:
    """Records what is in files."""

    def __init__(self, ledger: Ledger, files: Files) -> None:
        self._ledger = ledger
        self._files = files
        self._catalog = files.catalog

    def hash(self, go_on: GoOn, at_end: bool = False) -> bool:
        """Hash what was seen, while there is time; returns whether something is left to be done."""
        with self._catalog.lock:
            waiting, self._catalog.unhashed = self._catalog.unhashed, []
            changed = [file for file in self._catalog.written.values() if not file.hashed]
            sets = [file_set for file_set in self._files.all_sets() if not file_set.hashed]
        left, sets_left = list[File](), False
        for file in dict.fromkeys([*waiting, *changed]):
            if not self._hash_file(file, go_on, at_end):
                left.append(file)
        for file_set in sets:
            quiet = file_set.complete or clock.now() - file_set.changed_at > SET_QUIET_SECONDS
            if not (at_end or quiet) or not self._hash_set(file_set, go_on):
                sets_left = True
        with self._catalog.lock:
            self._catalog.unhashed += left
            sets_left = sets_left or any(not file_set.hashed for file_set in self._files.all_sets())
        return bool(left) or sets_left

    def _hash_file(self, file: File, go_on: GoOn, at_end: bool) -> bool:
        """Hash a file and write it down; returns whether that is done."""
        with self._catalog.lock:
            being_written = self._catalog.written.get(file.path) is file
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
        self._ledger.write(update("file", row, {"entity_id": file.entity_id}))
        return True

    def _gone(self, file: File) -> bool:
        """Forget a temporary file that is gone; keep one that mattered, its content unknown."""
        file.hashed = True
        if not file.pinned and file.entity_id is not None:
            self._ledger.write(forget_entity(file.entity_id))
            file.entity_id = None
        return True

    def _hash(self, file: File, go_on: GoOn) -> bool:
        """Find the hash of a file's version; returns whether that is done, known or not."""
        if file.hashed or file.version is None:
            return True
        key = _key(file)
        cached = key and self._ledger.execution.ask(
            "SELECT sha256, partial_sha256 FROM file WHERE version = ? "
            "AND coalesce(sha256, partial_sha256) IS NOT NULL LIMIT 1",
            key,
        )
        if cached:
            file.hash, file.hashed = (cached[0][0], cached[0][1]), True
        elif go_on():
            self._hash_now(file, go_on)
        return file.hashed

    def _hash_now(self, file: File, go_on: GoOn) -> None:
        """Hash a file; what was not finished in time is left for later, or for another thread."""
        if watch.pending() > BEHIND:
            self._files.look()
        if file.version is not None:
            limit = self._ledger.execution.settings.hash_size
            digests = hashing.of_file(file.path, file.version, limit, go_on)
            if digests != hashing.UNKNOWN or go_on():
                file.hash, file.hashed = digests, True

    def _hash_set(self, file_set: FileSet, go_on: GoOn) -> bool:
        """Hash a set's files and write its manifest; returns whether that is done."""
        with self._catalog.lock:
            self._files.link_set(file_set)
            for path, file in list(file_set.members.items()):
                if self._catalog.written.get(path) is file:
                    file.look()
                    if file.version is None:  # it is gone again
                        del file_set.members[path]
            count = len(file_set)
        keys = sorted((file.path, _key(file)) for file in file_set.files())
        version = None
        if all(key for _, key in keys):
            version = hashlib.sha256("\n".join(str(key) for _, key in keys).encode()).hexdigest()
            cached = self._ledger.execution.ask(
                "SELECT sha256 FROM file WHERE version = ? AND sha256 IS NOT NULL LIMIT 1", version
            )
            if cached:
                return self._set_hashed(file_set, count, cached[0][0], version)
        if not self._hash_members(file_set, go_on):
            return False
        entries = sorted(
            (
                os.path.relpath(file.path, file_set.path),
                file.version and file.version[2],
                *file.hash,
            )
            for file in file_set.files()
        )
        digest = contents.of_set((name, (whole, parts)) for name, _, whole, parts in entries)
        if digest is not None:
            # The training waits for as long as one of these takes.
            for start in range(0, len(entries), MEMBERS_AT_ONCE):
                is_last = start + MEMBERS_AT_ONCE >= len(entries)
                some = entries[start : start + MEMBERS_AT_ONCE]
                self._ledger.write(manifest(digest, some, len(entries) if is_last else None))
        return self._set_hashed(file_set, count, digest, version)

    def _hash_members(self, file_set: FileSet, go_on: GoOn) -> bool:
        """Hash the files of a set; returns whether that is done."""

        def hashed(file: File) -> bool:
            if not file.hashed and file.version is not None:
                self._hash_now(file, go_on)
            return file.hashed or file.version is None

        for number, files in enumerate(file_set.packs()):
            if not all(file.hashed for file in files):
                done = all(hashed(file) for file in files)
                with self._catalog.lock:
                    file_set.repack(number, files)
                if not done:
                    return False
        return all(hashed(file) for file in list(file_set.members.values()))

    def _set_hashed(
        self, file_set: FileSet, count: int, digest: str | None, version: str | None
    ) -> bool:
        with self._catalog.lock:
            if len(file_set) != count:
                return False  # it has grown since: its hash is that of another set
            file_set.hashed = True
            row = {"sha256": digest, "version": version, **file_set.size()}
            self._ledger.write(update("file", row, {"entity_id": file_set.entity_id}))
            self._catalog.pack(file_set)
            if file_set.is_full:
                file_set.forget()
        return True


def _key(file: File) -> str | None:
    """By what a hash is found again; None where the time stamp could hide a later change."""
    if file.version is None or file.age() < RACY_SECONDS:
        return None
    host = os.uname().nodename if hasattr(os, "uname") else ""
    return "/".join((host, *map(str, file.version)))
