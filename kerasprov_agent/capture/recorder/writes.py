"""Files that the program writes and renames: alone, or many of one directory as a set."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kerasprov_agent.capture.files.seen import Seen
from kerasprov_agent.capture.origins import Origin
from kerasprov_agent.capture.recorder.catalog import Catalog
from kerasprov_agent.capture.recorder.file import FOLD, File, FileSet
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.store.operations import Operation, forget_entity, update

Key = tuple[str, str]
"""The activity that wrote, the directory."""


class Writes:
    """Records what was written."""

    def __init__(self, ledger: Ledger, catalog: Catalog) -> None:
        self._ledger = ledger
        self._catalog = catalog
        self._groups: dict[Key, list[File]] = {}
        """Files of one directory that are too few for a set."""
        self._sets: dict[Key, FileSet] = {}
        self._unlinked: dict[str, list[Origin]] = {}
        """By path: what the file came from, which is not written down yet."""

    def sets(self) -> list[FileSet]:
        """All sets of files that were written."""
        return list(self._sets.values())

    def sets_of(self, path: str) -> list[FileSet]:
        """The sets to which a written file belongs."""
        return [file_set for file_set in self._sets.values() if path in file_set.members]

    def take_unlinked(self) -> dict[str, list[Origin]]:
        """What files came from, by path; each is given out once."""
        unlinked, self._unlinked = self._unlinked, {}
        return unlinked

    def opened(self, seen: Seen) -> list[Operation]:
        """Record that a file was opened to be written."""
        if seen.origins:
            self._unlinked.setdefault(seen.path, []).extend(seen.origins)
        file = self._catalog.written.get(seen.path)
        if file is not None and file.role is None:
            file.look()  # the same file, opened again
            return []
        file = self._catalog.written[seen.path] = File(seen.path, None, seen.at)
        return self._wrote(file, seen.activity or self._ledger.execution.id, seen.at)

    def _wrote(self, file: File, activity: str, at: float) -> list[Operation]:
        """Record a written file: alone, or with others of its directory."""
        key = activity, os.path.dirname(file.path)
        if key in self._sets and not file.pinned:
            return self._join(self._sets[key], file)
        group = self._groups.setdefault(key, [])
        group.append(file)
        if len(group) > FOLD:
            return self._fold(key, at)
        operations = self._catalog.ensure_entity(file)
        return [*operations, self._catalog.generated(file.entity_id, activity, at)]

    def _fold(self, key: Key, at: float) -> list[Operation]:
        """Make the many files that were written into one directory one set."""
        activity, directory = key
        files = self._groups.pop(key)
        file_set, operations = self._catalog.new_set(directory, files, None, at)
        operations.append(self._catalog.generated(file_set.entity_id, activity, at))
        self._sets[key] = file_set
        for file in files:
            if not file.pinned:
                operations += self._join(file_set, file)
        return operations

    def _join(self, file_set: FileSet, file: File) -> list[Operation]:
        """A written file becomes a member of a set; an entity of its own goes."""
        file_set.replace(file)
        file_set.origins += file.origins
        entity_id, file.entity_id = file.entity_id, None
        return [forget_entity(entity_id)] if entity_id is not None else []

    def renamed(self, source: str, target: str, at: float) -> list[Operation]:
        """Record the renaming of a file, or of a directory with all that was written in it.

        Careful programs give files their names only when they are whole.
        """
        written = self._catalog.written
        paths = {source: target} if source in written else {}
        if not paths and os.path.isdir(target):
            inside = os.path.join(source, "")
            paths = {
                path: os.path.join(target, path[len(inside) :])
                for path in written
                if path.startswith(inside)
            }
        if not paths:
            return []
        operations: list[Operation] = []
        for before, path in paths.items():
            file = written[path] = written.pop(before)
            file.path = path
            if before in self._unlinked:
                self._unlinked.setdefault(path, []).extend(self._unlinked.pop(before))
            if file.entity_id is not None:
                operations += _named(file.entity_id, path)
        if source in paths:
            return [*operations, *self._regroup(source, target, at)]
        return [*operations, *self._directory_renamed(source, target, paths)]

    def _regroup(self, source: str, target: str, at: float) -> list[Operation]:
        """Move a renamed file from its set or group to that of its new directory."""
        file, operations = self._catalog.written[target], list[Operation]()
        directories = {os.path.dirname(source), os.path.dirname(target)}
        for key, file_set in list(self._sets.items()):
            if key[1] == os.path.dirname(source) and file_set.members.get(source) is file:
                if len(directories) == 1:
                    file_set.renamed({source: target})
                    continue
                del file_set.members[source]
                file_set.hashed = False
                operations += self._wrote(file, key[0], at)
                if not file_set.members:
                    del self._sets[key]
                    operations.append(forget_entity(file_set.entity_id))
        if len(directories) > 1:
            for key, group in list(self._groups.items()):
                if key[1] == os.path.dirname(source) and file in group:
                    group.remove(file)
                    operations += self._wrote(file, key[0], at)
        return operations

    def _directory_renamed(
        self, source: str, target: str, paths: Mapping[str, str]
    ) -> list[Operation]:
        inside, operations = os.path.join(source, ""), list[Operation]()

        def moved(directory: str) -> str:
            is_inside = os.path.join(directory, "").startswith(inside)
            return target + directory[len(source) :] if is_inside else directory

        sets = [*self._sets.values(), *self._catalog.saved_or_given]
        for file_set in {id(file_set): file_set for file_set in sets}.values():
            file_set.renamed(paths)
            if moved(file_set.path) != file_set.path:
                file_set.path = moved(file_set.path)
                operations += _named(file_set.entity_id, file_set.path)
        self._sets = {(by, moved(path)): known for (by, path), known in self._sets.items()}
        self._groups = {(by, moved(path)): group for (by, path), group in self._groups.items()}
        return operations


def _named(entity_id: str, path: str) -> list[Operation]:
    """A file, or a set of files, has another name."""
    return [
        update("file", {"path": path}, {"entity_id": entity_id}),
        update("entity", {"name": os.path.basename(path)}, {"id": entity_id}),
    ]
