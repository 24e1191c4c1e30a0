"""The files that are known: each in its version, alone or in sets, and their entities."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

from kerasprov_agent import clock
from kerasprov_agent.capture.files.versions import Version
from kerasprov_agent.capture.recorder.file import File, FileSet
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import Operation, insert, update


class Catalog:
    """Files and sets of files, shared by the parts that read, write and hash them.

    Whoever uses it holds `lock`: the program's threads and the worker beside them do.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.lock = threading.RLock()
        self.files: dict[tuple[str, Version | None], File] = {}
        """Files that were read."""
        self.written: dict[str, File] = {}
        """Files that the program has written, by path."""
        self.saved_or_given: list[FileSet] = []
        """Sets that are complete: a saved directory, or the files that an array came from."""
        self.unhashed: list[File] = []

    def version(self, path: str, version: Version | None, at: float) -> File:
        """A file in a version; what the program has written itself, it finds again.

        `at`: when the program met it.
        """
        written = self.written.get(path)
        if written is not None:
            if written.version is None and version is not None and not written.hashed:
                written.version = version  # as it was when the program opened it
            elif written.version != version:
                written.look()
            if version is None or written.version == version:
                return written
        file = self.files.get((path, version))
        if file is None:
            file = self.files[path, version] = File(path, version, at)
        return file

    def ensure_entity(self, file: File) -> list[Operation]:
        """Make a file an entity, if it is none yet."""
        if file.entity_id is not None:
            return []
        file.entity_id = self._ledger.new_id("file")
        self.unhashed.append(file)
        name = os.path.basename(file.path)
        row = {"entity_id": file.entity_id, "path": file.path, "role": file.role, "files": 1}
        return [
            self._ledger.entity(file.entity_id, "file", clock.iso(file.seen_at), name=name),
            insert("file", {**row, **file.state()}),
        ]

    def pin(self, file: File, role: str | None) -> list[Operation]:
        """Keep a file as an entity of its own, which is never folded into a set."""
        operations = self.ensure_entity(file)
        file.pinned = True
        if role and not file.role:
            file.role = role
            operations.append(update("file", {"role": role}, {"entity_id": file.entity_id}))
        return operations

    def new_set(
        self,
        path: str,
        files: Iterable[File],
        activity: str | None,
        at: float,
        complete: bool = False,
        before: FileSet | None = None,
    ) -> tuple[FileSet, list[Operation]]:
        """A set, seen since the first of its files was; its members are still to be added.

        `before`: a full set, which it continues.
        """
        entity_id = self._ledger.new_id("files")
        file_set = before.continued(entity_id) if before else FileSet(path, entity_id, complete)
        seen_at = clock.iso(min([at, *(file.seen_at for file in files)]))
        row = {"entity_id": entity_id, "path": path, "role": "data"}
        return file_set, [
            self._ledger.entity(entity_id, "files", seen_at, name=os.path.basename(path)),
            insert("file", row),
            *([rows.used(activity, entity_id, "file", clock.iso(at))] if activity else []),
        ]

    def pack(self, file_set: FileSet) -> None:
        """Pack the members that were merely read; what is pinned or was written stays loose."""
        files = [
            file
            for file in file_set.members.values()
            if not file.pinned and file.entity_id is None and file.path not in self.written
        ]
        for file in files:
            self.files.pop((file.path, file.version), None)
        file_set.pack(files)

    def used(self, file: File, activity: str, at: float) -> Operation:
        """An activity used a file."""
        file.shared = file.shared or file.used_by not in (None, activity)
        file.used_by = activity
        return rows.used(activity, str(file.entity_id), "file", clock.iso(at))

    def generated(self, entity_id: str | None, activity: str | None, at: float) -> Operation:
        """An activity, or else the execution, made a file or a set."""
        activity = activity or self._ledger.execution.id
        row = {"entity_id": entity_id, "activity_id": activity, "at": clock.iso(at)}
        return insert("generated", row)
