"""Files that were read and written, each in its version, and what came of them.

Called from the program's threads and from the worker beside them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from kerasprov_agent import clock
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.files import hashing, versions
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.origins import Origin
from kerasprov_agent.capture.recorder.catalog import Catalog
from kerasprov_agent.capture.recorder.file import File, FileSet
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.capture.recorder.reads import Reads
from kerasprov_agent.capture.recorder.writes import Writes
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import Operation, update

READ_BEFORE_LIMIT = 100
SAVED_FILES_LIMIT = 10_000


class Files:
    """Records files and sets of files."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.catalog = Catalog(ledger)
        self._reads = Reads(ledger, self.catalog)
        self._writes = Writes(ledger, self.catalog)
        settings = ledger.execution.settings
        self._own = (settings.db, *((os.path.join(settings.prov, ""),) if settings.prov else ()))

    def look(self) -> None:
        """Write down which files the program opened, wrote or renamed since the last time."""
        with self.catalog.lock:  # which also keeps what was seen in order: one thread fetches it
            operations: list[Operation] = []
            for seen in watch.drain():
                if seen.path.startswith(self._own):
                    continue
                if seen.renamed_from is not None:
                    operations += self._writes.renamed(seen.renamed_from, seen.path, seen.at)
                elif seen.written:
                    operations += self._writes.opened(seen)
                else:
                    operations += self._reads.read(seen)
            operations += self._grown_sets()
            if operations:
                self._ledger.write(*operations)
            self._link_written()

    def all_sets(self) -> list[FileSet]:
        """Every set of files, once."""
        sets = [*self._reads.sets(), *self.catalog.saved_or_given, *self._writes.sets()]
        return list({id(file_set): file_set for file_set in sets}.values())

    def _grown_sets(self) -> list[Operation]:
        """Store the sizes of the sets that have grown since the last time."""
        operations = []
        for file_set in self.all_sets():
            if file_set.written != len(file_set):
                file_set.written = len(file_set)
                row = file_set.size()
                operations.append(update("file", row, {"entity_id": file_set.entity_id}))
        return operations

    def _link_written(self) -> None:
        """Store what the written files came from."""
        for path, sources in self._writes.take_unlinked().items():
            file = self.catalog.written.get(path)
            if file is None:
                continue
            file.origins += sources
            if file.entity_id is not None:
                self.came_from(file.entity_id, sources)
                continue
            for file_set in self._writes.sets_of(path):
                file_set.origins += sources

    def link_set(self, file_set: FileSet) -> None:
        """Store what the written files of a set came from."""
        sources, file_set.origins = file_set.origins, []
        for confidence in dict.fromkeys(source.confidence for source in sources):
            known = [source for source in sources if source.confidence == confidence]
            files = [file for source in known for file in source.files]
            if files:
                self.came_from(file_set.entity_id, [Origin(tuple(files), confidence)])

    def came_from(self, entity_id: str, sources: Iterable[Origin]) -> None:
        """Store what a data set or a file came from, and how that is known."""
        for source in sources:
            source_id = source.entity_id or self.used(source.files, clock.now())
            if source_id is not None and source_id != entity_id:
                self._ledger.write(rows.derived(entity_id, source_id, None, source.confidence))

    def came_perhaps_from(self, entity_id: str) -> None:
        """Store that a data set may have come from any file that was read before."""
        with self.catalog.lock:
            sets = [file_set.entity_id for file_set in self.all_sets()]
            files = [file.entity_id for file in self.catalog.files.values() if file.entity_id]
        read_before = [*sets, *files][:READ_BEFORE_LIMIT]
        self._ledger.write(
            *(rows.derived(entity_id, read, None, origins.READ_BEFORE) for read in read_before)
        )

    def written(self, path: str, role: str, activity_id: str, at: float) -> str | None:
        """Record a complete file or directory that an activity wrote, such as a saved model.

        Each time it is written it is another version. Returns its entity; None: it is not there.
        """
        with self.catalog.lock:
            if os.path.isdir(path):
                file_set, operations = self.catalog.new_set(path, (), None, at, complete=True)
                for member in hashing.files_below(path, SAVED_FILES_LIMIT):
                    file_set.add(File(member, versions.of_path(member), at))
                self.catalog.saved_or_given.append(file_set)
                entity_id = file_set.entity_id
                operations += self._grown_sets()
            else:
                version = versions.of_path(path)
                if version is None:
                    return None
                file = self.catalog.written[path] = File(path, version, at)
                file.role, file.pinned = role, True
                operations = self.catalog.ensure_entity(file)
                entity_id = str(file.entity_id)
            self._ledger.write(
                *operations,
                update("file", {"role": role}, {"entity_id": entity_id}),
                self.catalog.generated(entity_id, activity_id, at),
            )
            return entity_id

    def used(
        self,
        paths: Sequence[tuple[str, versions.Version | None]],
        at: float,
        activity_id: str | None = None,
        role: str | None = None,
    ) -> str | None:
        """Record that a file, or a set of files, was used; returns its entity.

        `activity_id` used it; without it the execution did.
        """
        with self.catalog.lock:
            activity = activity_id or self._ledger.execution.id
            version_of = dict(paths)
            if len(version_of) > 1:
                return self._set_of(version_of, activity, at)
            for path, version in version_of.items():
                file = self.catalog.version(path, version, at)
                operations = self.catalog.pin(file, role)
                self._ledger.write(*operations, self.catalog.used(file, activity, at))
                return file.entity_id
            return None

    def _set_of(
        self, paths: Mapping[str, versions.Version | None], activity: str, at: float
    ) -> str:
        version_of, written = dict(paths), self.catalog.written
        for path in version_of.keys() & written.keys():
            written[path].look()
            version_of[path] = version_of[path] or written[path].version
        for existing in self.all_sets():
            if existing.is_of(version_of):
                self._ledger.write(rows.used(activity, existing.entity_id, "file", clock.iso(at)))
                return existing.entity_id
        files = [self.catalog.version(path, version, at) for path, version in version_of.items()]
        directory = os.path.commonpath([os.path.dirname(path) for path in version_of])
        new, operations = self.catalog.new_set(directory, files, activity, at, complete=True)
        new.members = {file.path: file for file in files}
        self.catalog.saved_or_given.append(new)
        self._ledger.write(*operations, *self._grown_sets())
        return new.entity_id
