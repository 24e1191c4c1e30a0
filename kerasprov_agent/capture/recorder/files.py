"""Files that were read and written, each in its version.

Called from the program's threads and from the worker beside them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.files import hashing, versions, watching
from kerasprov_agent.capture.files.watching import Seen
from kerasprov_agent.capture.origins import Origin
from kerasprov_agent.capture.recorder.base import Base
from kerasprov_agent.capture.recorder.file import MEMBERS_LIMIT, PACKED_AT_ONCE, File, FileSet
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import Operation, forget_entity, insert, update

FOLD = 10
"""More files than this of one directory, read by one activity, are one set."""
Key = tuple[str, str | None, str]
"""The activity that read, the input by which it did, the directory."""
READ_BEFORE_LIMIT = 100
SAVED_FILES_LIMIT = 10_000


class Files(Base):
    """Records files and sets of files."""

    def __init__(self, keras: Mapping[str, Any]) -> None:
        super().__init__(keras)
        self._guarding = threading.RLock()
        self._files: dict[tuple[str, versions.Version | None], File] = {}
        self._written: dict[str, File] = {}
        self._groups: dict[Key, list[File]] = {}
        self._sets: dict[Key, FileSet] = {}
        self._full: list[FileSet] = []
        self._subsets: list[FileSet] = []
        self._made_groups: dict[tuple[str, str], list[File]] = {}
        self._made_sets: dict[tuple[str, str], FileSet] = {}
        self._unhashed: list[File] = []
        self._inputs: set[tuple[str, str]] = set()
        self._unlinked: dict[str, list[Origin]] = {}
        settings = self.execution.settings
        self._own = (settings.db, *((os.path.join(settings.prov, ""),) if settings.prov else ()))

    def files_seen(self) -> None:
        """Write down which files the program opened, wrote or renamed since the last time."""
        with self._guarding:  # which also keeps in order what was seen: one thread fetches it
            operations: list[Operation] = []
            for one in watching.drain():
                if one.path.startswith(self._own):
                    continue
                if one.renamed_from is not None:
                    operations += self._renamed(one.renamed_from, one.path, one.at)
                elif one.written:
                    operations += self._being_written(one)
                else:
                    operations += self._read(one)
            operations += self._grown_sets()
            if operations:
                self._write(*operations)
            self._link_written()

    def _read(self, one: Seen) -> list[Operation]:
        activity = one.activity or self.execution.id
        # What two inputs read does not become one set.
        key = activity, one.by_input, os.path.dirname(one.path)
        found = self._sets.get(key)
        if found is not None and found.has_packed(one.path):
            return []
        file = self._version(one.path, one.version, one.at)
        if not file.pinned:
            if found is not None:
                return [*self._add(key, file, one.at), *self._fed(one, self._sets[key].entity_id)]
            group = self._groups.setdefault(key, [])
            group.append(file)
            if len(group) > FOLD:
                return [*self._fold(key, one.at), *self._fed(one, self._sets[key].entity_id)]
        operations = [*self._ensure(file), *self._used(file, activity, one.at)]
        return [*operations, *self._fed(one, str(file.entity_id))]

    def _add(self, key: Key, file: File, at: float) -> list[Operation]:
        """One more file of a set of files that were read; of a full one, the first of the next."""
        found, operations = self._sets[key], list[Operation]()
        if found.is_full:
            full = found
            self._pack(full)  # so that the next one knows all that it has
            self._full.append(full)
            found, operations = self._new_set(full.path, [file], key[0], at, before=full)
            self._sets.update(dict.fromkeys((k for k, s in self._sets.items() if s is full), found))
        found.add(file)
        self._pack_if_many(found)
        return operations

    def _pack_if_many(self, found: FileSet) -> None:
        if len(found.members) >= 2 * PACKED_AT_ONCE:
            self._pack(found)

    def _pack(self, found: FileSet) -> None:
        """What was merely read is packed; what is a thing by itself, or was written, is not."""
        files = [
            file
            for file in found.members.values()
            if not file.pinned and file.entity_id is None and file.path not in self._written
        ]
        for file in files:
            self._files.pop((file.path, file.version), None)
        found.pack(files)

    def _fed(self, one: Seen, entity_id: str) -> list[Operation]:
        """What the code of an input has opened, the input came from."""
        if one.by_input is None or (one.by_input, entity_id) in self._inputs:
            return []
        self._inputs.add((one.by_input, entity_id))
        return [rows.derived(one.by_input, entity_id, None, origins.PIPELINE)]

    def _used(self, file: File, activity: str, at: float) -> list[Operation]:
        file.shared = file.shared or file.used_by not in (None, activity)
        file.used_by = activity
        return [rows.used(activity, str(file.entity_id), "file", clock.iso(at))]

    def _version(self, path: str, version: versions.Version | None, at: float) -> File:
        """A file in a version; what the program has written itself, it finds again.

        `at`: when the program met it.
        """
        written = self._written.get(path)
        if written is not None:
            written.look()
            if version is None or written.version == version:
                return written
        file = self._files.get((path, version))
        if file is None:
            file = self._files[path, version] = File(path, version, at)
        return file

    def _ensure(self, file: File) -> list[Operation]:
        """Make a file an entity, if it is none yet."""
        if file.entity_id is not None:
            return []
        file.entity_id = self._id("file")
        self._unhashed.append(file)
        name = os.path.basename(file.path)
        row = {"entity_id": file.entity_id, "path": file.path, "role": file.role, "files": 1}
        return [
            self._entity(file.entity_id, "file", clock.iso(file.seen_at), name=name),
            insert("file", {**row, **file.state()}),
        ]

    def _fold(self, key: Key, at: float) -> list[Operation]:
        """So many files of one directory become one set; their own entities go.

        Directories beside each other, as those of classes are, become one set together.
        """
        activity, _, directory = key
        parent = os.path.dirname(directory)
        beside = next(
            (
                (other, found)
                for other, found in self._sets.items()
                if other[:2] == key[:2] and os.path.dirname(other[2]) == parent
            ),
            None,
        )
        operations: list[Operation] = []
        if beside is not None and len(beside[1]) + len(self._groups[key]) > MEMBERS_LIMIT:
            beside = None
        if beside is not None and beside[1].path == parent:
            found = beside[1]
        else:
            before = list(beside[1].files()) if beside else []
            path = parent if beside else directory
            found, operations = self._new_set(path, [*before, *self._groups[key]], activity, at)
            if beside is not None:
                for file in before:
                    found.add(file)
                operations.append(forget_entity(beside[1].entity_id))
                self._sets[beside[0]] = found
        self._sets[key] = found
        for file in self._groups.pop(key):
            found.add(file)
            if file.entity_id is not None and not file.pinned and not file.shared:
                operations.append(forget_entity(file.entity_id))
                file.entity_id = None
        self._pack_if_many(found)
        return operations

    def _new_set(
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
        entity_id = self._id("files")
        found = before.continued(entity_id) if before else FileSet(path, entity_id, complete)
        seen_at = clock.iso(min([at, *(file.seen_at for file in files)]))
        row = {"entity_id": found.entity_id, "path": path, "role": "data"}
        return found, [
            self._entity(found.entity_id, "files", seen_at, name=os.path.basename(path)),
            insert("file", row),
            *([rows.used(activity, found.entity_id, "file", clock.iso(at))] if activity else []),
        ]

    def _all_sets(self) -> list[FileSet]:
        found = (
            *self._sets.values(), *self._full, *self._subsets, *self._made_sets.values(),
        )  # fmt: skip
        return list({id(one): one for one in found}.values())

    def _grown_sets(self) -> list[Operation]:
        operations = []
        for found in self._all_sets():
            if found.written != len(found):
                found.written = len(found)
                operations.append(update("file", found.size(), {"entity_id": found.entity_id}))
        return operations

    def _being_written(self, one: Seen) -> list[Operation]:
        if one.origins:
            self._unlinked.setdefault(one.path, []).extend(one.origins)
        file = self._written.get(one.path)
        if file is not None and file.role is None:
            file.look()  # the same file, opened again
            return []
        file = self._written[one.path] = File(one.path, None, one.at)
        return self._wrote(file, one.activity or self.execution.id, one.at)

    def _wrote(self, file: File, activity: str, at: float) -> list[Operation]:
        """Tell of a file that was written: alone, or with others of its directory."""
        key = activity, os.path.dirname(file.path)
        if key in self._made_sets and not file.pinned:
            return self._join(self._made_sets[key], file)
        group = self._made_groups.setdefault(key, [])
        group.append(file)
        if len(group) > FOLD:
            return self._fold_written(key, at)
        operations = self._ensure(file)
        return [*operations, self._generated(file.entity_id, activity, at)]

    def _fold_written(self, key: tuple[str, str], at: float) -> list[Operation]:
        """So many files that were written into one directory become one set."""
        activity, directory = key
        files = self._made_groups.pop(key)
        found, operations = self._new_set(directory, files, None, at)
        operations.append(self._generated(found.entity_id, activity, at))
        self._made_sets[key] = found
        for file in files:
            if not file.pinned:
                operations += self._join(found, file)
        return operations

    def _join(self, found: FileSet, file: File) -> list[Operation]:
        """A written file becomes a member of a set; an entity of its own goes."""
        found.replace(file)
        found.origins += file.origins
        entity_id, file.entity_id = file.entity_id, None
        return [forget_entity(entity_id)] if entity_id is not None else []

    def _generated(self, entity_id: str | None, activity: str | None, at: float) -> Operation:
        activity = activity or self.execution.id
        row = {"entity_id": entity_id, "activity_id": activity, "at": clock.iso(at)}
        return insert("generated", row)

    def _link_written(self) -> None:
        """Tell what was written to files from where it came."""
        unlinked, self._unlinked = self._unlinked, {}
        for path, found in unlinked.items():
            file = self._written.get(path)
            if file is None:
                continue
            file.origins += found
            if file.entity_id is not None:
                self.came_from(file.entity_id, found)
            else:
                for one in self._made_sets.values():
                    if path in one.members:
                        one.origins += found

    def _link_set(self, found: FileSet) -> None:
        """Tell from where the files of a set came that the program has written."""
        told, found.origins = found.origins, []
        for confidence in dict.fromkeys(one.confidence for one in told):
            files = [f for one in told if one.confidence == confidence for f in one.files]
            if files:
                self.came_from(found.entity_id, [Origin(tuple(files), confidence)])

    def came_from(self, entity_id: str, found: Iterable[Origin]) -> None:
        """What a data set or a file came from, and how that is known."""
        for one in found:
            source_id = one.entity_id or self.file_used(one.files, clock.now())
            if source_id is not None and source_id != entity_id:
                self._write(rows.derived(entity_id, source_id, None, one.confidence))

    def came_perhaps_from(self, entity_id: str) -> None:
        """A data set of which nothing better is known than what was read before."""
        with self._guarding:
            sets = [found.entity_id for found in self._all_sets()]
            files = [file.entity_id for file in self._files.values() if file.entity_id]
            read = [*sets, *files][:READ_BEFORE_LIMIT]
        self._write(*(rows.derived(entity_id, one, None, origins.READ_BEFORE) for one in read))

    def _renamed(self, source: str, target: str, at: float) -> list[Operation]:
        """Files got their names when they were whole, as careful programs do it.

        `source` may be a directory: then all that was written in it has another path.
        """
        paths = {source: target} if source in self._written else {}
        if not paths and os.path.isdir(target):
            inside = os.path.join(source, "")
            paths = {
                path: os.path.join(target, path[len(inside) :])
                for path in self._written
                if path.startswith(inside)
            }
        if not paths:
            return []
        operations: list[Operation] = []
        for before, path in paths.items():
            file = self._written[path] = self._written.pop(before)
            file.path = path
            if before in self._unlinked:
                self._unlinked.setdefault(path, []).extend(self._unlinked.pop(before))
            if file.entity_id is not None:
                operations += _named(file.entity_id, path)
        if source in paths:
            return [*operations, *self._regroup(source, target, at)]
        return [*operations, *self._directory_renamed(source, target, paths)]

    def _regroup(self, source: str, target: str, at: float) -> list[Operation]:
        """A written file may have left one set, or group, for another one."""
        file, operations = self._written[target], list[Operation]()
        directories = {os.path.dirname(source), os.path.dirname(target)}
        for key, found in list(self._made_sets.items()):
            if key[1] == os.path.dirname(source) and found.members.get(source) is file:
                if len(directories) == 1:
                    found.renamed({source: target})
                    continue
                del found.members[source]
                found.hashed = False
                operations += self._wrote(file, key[0], at)
                if not found.members:
                    del self._made_sets[key]
                    operations.append(forget_entity(found.entity_id))
        if len(directories) > 1:
            for key, group in list(self._made_groups.items()):
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

        for found in {id(one): one for one in (*self._made_sets.values(), *self._subsets)}.values():
            found.renamed(paths)
            if moved(found.path) != found.path:
                found.path = moved(found.path)
                operations += _named(found.entity_id, found.path)
        self._made_sets = {
            (by, moved(path)): found for (by, path), found in self._made_sets.items()
        }
        self._made_groups = {
            (by, moved(path)): group for (by, path), group in self._made_groups.items()
        }
        return operations

    def file_written(self, path: str, role: str, activity_id: str, at: float) -> str | None:
        """A file or directory that an activity has made whole, such as a saved model.

        Each time it is written it is another version. Returns its entity; None: it is not there.
        """
        with self._guarding:
            if os.path.isdir(path):
                found, operations = self._new_set(path, (), None, at, complete=True)
                for member in hashing.files_below(path, SAVED_FILES_LIMIT):
                    found.add(File(member, versions.of_path(member), at))
                self._subsets.append(found)
                entity_id = found.entity_id
                operations += self._grown_sets()
            else:
                version = versions.of_path(path)
                if version is None:
                    return None
                file = self._written[path] = File(path, version, at)
                file.role, file.pinned = role, True
                operations = self._ensure(file)
                entity_id = str(file.entity_id)
            self._write(
                *operations,
                update("file", {"role": role}, {"entity_id": entity_id}),
                self._generated(entity_id, activity_id, at),
            )
            return entity_id

    def file_used(
        self,
        paths: Sequence[tuple[str, versions.Version | None]],
        at: float,
        activity_id: str | None = None,
        role: str | None = None,
    ) -> str | None:
        """What something came from: a file, or a set of files; returns its entity.

        `activity_id` used it; without it the execution did.
        """
        with self._guarding:
            activity = activity_id or self.execution.id
            wanted = dict(paths)
            if len(wanted) > 1:
                return self._set_of(wanted, activity, at)
            for path, version in wanted.items():
                file = self._version(path, version, at)
                operations = self._pinned(file, role)
                self._write(*operations, *self._used(file, activity, at))
                return file.entity_id
            return None

    def _pinned(self, file: File, role: str | None) -> list[Operation]:
        operations = self._ensure(file)
        file.pinned = True
        if role and not file.role:
            file.role = role
            operations.append(update("file", {"role": role}, {"entity_id": file.entity_id}))
        return operations

    def _set_of(
        self, wanted: Mapping[str, versions.Version | None], activity: str, at: float
    ) -> str:
        wanted = dict(wanted)
        for path in wanted.keys() & self._written.keys():
            self._written[path].look()
            wanted[path] = wanted[path] or self._written[path].version
        for existing in self._all_sets():
            if existing.is_of(wanted):
                self._write(rows.used(activity, existing.entity_id, "file", clock.iso(at)))
                return existing.entity_id
        files = [self._version(path, version, at) for path, version in wanted.items()]
        directory = os.path.commonpath([os.path.dirname(path) for path in wanted])
        new, operations = self._new_set(directory, files, activity, at, complete=True)
        new.members = {file.path: file for file in files}
        self._subsets.append(new)
        self._write(*operations, *self._grown_sets())
        return new.entity_id


def _named(entity_id: str, path: str) -> list[Operation]:
    """A file, or a set of files, has another name."""
    return [
        update("file", {"path": path}, {"entity_id": entity_id}),
        update("entity", {"name": os.path.basename(path)}, {"id": entity_id}),
    ]
