"""Files that the program reads: alone, or many of one directory as a set."""

from __future__ import annotations

import os

from kerasprov_agent.capture import origins
from kerasprov_agent.capture.files.seen import Seen
from kerasprov_agent.capture.recorder.catalog import Catalog
from kerasprov_agent.capture.recorder.file import (
    FOLD,
    MEMBERS_LIMIT,
    PACKED_AT_ONCE,
    File,
    FileSet,
)
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import Operation, forget_entity

Key = tuple[str, str | None, str]
"""The activity that read, the input by which it did, the directory."""


class Reads:
    """Records what was read."""

    def __init__(self, ledger: Ledger, catalog: Catalog) -> None:
        self._ledger = ledger
        self._catalog = catalog
        self._groups: dict[Key, list[File]] = {}
        """Files of one directory that are too few for a set."""
        self._sets: dict[Key, FileSet] = {}
        self._full: list[FileSet] = []
        self._inputs: set[tuple[str, str]] = set()
        """Inputs, and the entities that they are known to have come from."""

    def sets(self) -> list[FileSet]:
        """All sets of files that were read; some may be listed twice."""
        return [*self._sets.values(), *self._full]

    def read(self, seen: Seen) -> list[Operation]:
        """Record that a file was opened to be read."""
        activity = seen.activity or self._ledger.execution.id
        # What two inputs read does not become one set.
        key = activity, seen.by_input, os.path.dirname(seen.path)
        file_set = self._sets.get(key)
        if file_set is not None and file_set.has_packed(seen.path):
            return []
        file = self._catalog.version(seen.path, seen.version, seen.at)
        if not file.pinned:
            if file_set is not None:
                operations = self._add(key, file, seen.at)
                return [*operations, *self._fed(seen, self._sets[key].entity_id)]
            group = self._groups.setdefault(key, [])
            group.append(file)
            if len(group) > FOLD:
                return [*self._fold(key, seen.at), *self._fed(seen, self._sets[key].entity_id)]
        operations = self._catalog.ensure_entity(file)
        operations.append(self._catalog.used(file, activity, seen.at))
        return [*operations, *self._fed(seen, str(file.entity_id))]

    def _add(self, key: Key, file: File, at: float) -> list[Operation]:
        """Add a file to a set; where the set is full, the file begins the next one."""
        file_set, operations = self._sets[key], list[Operation]()
        if file_set.is_full:
            full = file_set
            self._catalog.pack(full)  # so that the next one knows all that it has
            self._full.append(full)
            file_set, operations = self._catalog.new_set(full.path, [file], key[0], at, before=full)
            keys = [other for other, known in self._sets.items() if known is full]
            self._sets.update(dict.fromkeys(keys, file_set))
        file_set.add(file)
        self._pack_if_many(file_set)
        return operations

    def _pack_if_many(self, file_set: FileSet) -> None:
        if len(file_set.members) - file_set.loose >= 2 * PACKED_AT_ONCE:
            self._catalog.pack(file_set)

    def _fed(self, seen: Seen, entity_id: str) -> list[Operation]:
        """An input came from the files that its code has opened."""
        if seen.by_input is None or (seen.by_input, entity_id) in self._inputs:
            return []
        self._inputs.add((seen.by_input, entity_id))
        return [rows.derived(seen.by_input, entity_id, None, origins.PIPELINE)]

    def _fold(self, key: Key, at: float) -> list[Operation]:
        """Make the many files of one directory one set; their own entities go.

        Directories beside each other, as those of classes are, become one set together.
        """
        activity, _, directory = key
        parent = os.path.dirname(directory)
        beside = self._set_beside(key, parent)
        operations: list[Operation] = []
        if beside is not None and self._sets[beside].path == parent:
            file_set = self._sets[beside]
        else:
            before = list(self._sets[beside].files()) if beside else []
            path = parent if beside else directory
            files = [*before, *self._groups[key]]
            file_set, operations = self._catalog.new_set(path, files, activity, at)
            if beside is not None:
                for file in before:
                    file_set.add(file)
                operations.append(forget_entity(self._sets[beside].entity_id))
                self._sets[beside] = file_set
        self._sets[key] = file_set
        for file in self._groups.pop(key):
            file_set.add(file)
            if file.entity_id is not None and not file.pinned and not file.shared:
                operations.append(forget_entity(file.entity_id))
                file.entity_id = None
        self._pack_if_many(file_set)
        return operations

    def _set_beside(self, key: Key, parent: str) -> Key | None:
        """The set of a directory with the same parent, if it has room for the files of `key`."""
        for other, file_set in self._sets.items():
            if other[:2] == key[:2] and os.path.dirname(other[2]) == parent:
                has_room = len(file_set) + len(self._groups[key]) <= MEMBERS_LIMIT
                return other if has_room else None
        return None
