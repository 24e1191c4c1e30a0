"""What models were made of, as a graph of files and trainings: which came of which.

Bills of materials, cards of data and events of lineage are written from this. A file is known by
its path and its content, whichever program met it. All files of a set are the set; some of them
are members of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from kerasprov_agent.read.lineage import Lineage
from kerasprov_agent.read.origin import Known, Origin, Several, of_code, of_entity
from kerasprov_agent.read.record import Row
from kerasprov_agent.read.trained import Trained
from kerasprov_agent.store.text import decoded

FIT_DATA = (
    "SELECT role, entity_id FROM used WHERE activity_id = ? "
    "AND role IN ('training_data', 'validation_data') ORDER BY role DESC, entity_id"
)
TEST_DATA = "SELECT DISTINCT data_id FROM evaluation WHERE run_id = ? AND data_id IS NOT NULL"
MADE_BY = "SELECT activity_id FROM generated WHERE entity_id = ?"
ROLES = {"training_data": "training", "validation_data": "validation", "test_data": "test"}
LISTED = 2000
"""A set of so many files is told file by file; of more there is the digest of their list."""
FILE = (
    "SELECT f.*, e.kind = 'files' AS is_set FROM file f JOIN entity e ON e.id = f.entity_id "
    "WHERE f.entity_id = ?"
)


class File(NamedTuple):
    """A file in one version, or a set of files, that took part."""

    id: str
    """As in PROV documents: `urn:uuid:` and the id of the entity."""
    known: Known
    """Of a set: its directory, the digest of its list, the size of all files."""
    files: int = 0
    """Of a set: how many."""
    members: tuple[File, ...] = ()
    """Of a set: its files; of more than `LISTED` those only that were used by themselves."""


class Training(NamedTuple):
    """A training that took part, with where its model and its data are from, by their ids."""

    id: str
    trained: Trained
    data: dict[str, list[str]]
    """Files by role: training_data, validation_data, test_data."""
    started_from: list[str]
    """Files and trainings from which the model came that was trained further."""
    saved: list[str]
    """Files into which its model was saved."""


class Materials:
    """The files and trainings that led to something, and what each came of, by their ids."""

    def __init__(self, origin: Origin | Several) -> None:
        self.record = origin.record
        self.origin = origin
        self.lineage = Lineage(origin.record)
        self._run_ids = {run["id"] for run in origin.runs}
        self._ids: dict[str, str] = {}
        self._entities: dict[str, list[str]] = {}
        self.files: dict[str, File] = {}
        """The files and sets, each version once, and none that is a member of a set."""
        self._members: dict[str, File] = {}
        self._collect(origin.entities)

    def _collect(self, entity_ids: Iterable[str]) -> None:
        rows = [
            row
            for entity_id in dict.fromkeys(entity_ids)
            for row in self.record.query(FILE, (entity_id,))
        ]
        versions: dict[tuple[str, str | None, str | None], str] = {}
        sets: dict[str, list[Known]] = {}
        rows.sort(key=lambda row: not row["is_set"])
        for row in rows:
            entity_id = row["entity_id"]
            found = list(of_entity(self.record, row))
            if row["is_set"]:
                known = _of_set(row, found)
            elif found:
                known = found[0]
            else:
                continue
            version = (known.path, known.sha256 or known.set_sha256, known.partial_sha256)
            if version[1:] == (None, None):  # whether it is the same as another one is not known
                version = (entity_id, None, None)
            file_id = versions.setdefault(version, _urn(entity_id))
            self._ids[entity_id] = file_id
            self._entities.setdefault(file_id, []).append(entity_id)
            if "/" in file_id.partition("#")[2]:  # a member of a set
                set_id, _, place = file_id.rpartition("/")
                self._members[file_id] = File(file_id, sets[set_id][int(place)])
            elif file_id not in self.files:
                self.files[file_id] = File(file_id, known, len(found) if row["is_set"] else 0)
                if row["is_set"]:
                    sets[file_id] = found
                for number, each in enumerate(sets.get(file_id, ())):
                    if each.sha256 or each.partial_sha256:
                        key = (each.path, each.sha256, each.partial_sha256)
                        versions.setdefault(key, f"{file_id}/{number}")
        for set_id, members in sets.items():
            all_of_it = (File(f"{set_id}/{i}", each) for i, each in enumerate(members))
            self.files[set_id] = self.files[set_id]._replace(members=tuple(
                each for each in all_of_it if len(members) <= LISTED or each.id in self._members
            ))  # fmt: skip

    def file(self, file_id: str) -> File | None:
        """A file, a set or a member of one; None of what is a training."""
        return self.files.get(file_id) or self._members.get(file_id)

    @cached_property
    def trainings(self) -> dict[str, Training]:
        """The trainings, the first one first."""
        saved: dict[str, list[str]] = {}
        for entity_id, file_id in self._ids.items():
            file = self.file(file_id)
            if file and file.known.kind != "data":
                for made_by in self._trainings_behind(entity_id):
                    files = saved.setdefault(made_by, [])
                    files += [file_id] if file_id not in files else []
        found = {}
        for run in self.origin.runs:
            query = "SELECT initial_model_id FROM run WHERE id = ?"
            (row,) = self.record.query(query, (run["id"],))
            initial = row["initial_model_id"]
            started_from = self._sources([initial], run["id"]) if initial else []
            training_id = _urn(run["id"])
            found[training_id] = Training(
                training_id, Trained(self.record, run), self._data(run), started_from,
                saved.get(training_id, []),
            )  # fmt: skip
        return found

    def _data(self, run: Row) -> dict[str, list[str]]:
        entities: dict[str, list[str]] = {}
        for row in self.record.query(FIT_DATA, (run["id"],)):
            entities.setdefault(row["role"], []).append(row["entity_id"])
        for row in self.record.query(TEST_DATA, (run["id"],)):
            entities.setdefault("test_data", []).append(row["data_id"])
        return {role: self._sources(ids, run["id"]) for role, ids in entities.items()}

    def came_of(self, file_id: str) -> list[str]:
        """The files and trainings from which a file was made."""
        entity_ids = self._entities.get(file_id, ())
        sources = self._sources([s for e in entity_ids for s in self.lineage.steps(e, "back")])
        own_set = file_id.rpartition("/")[0] if file_id in self._members else None
        if own_set in sources:  # of the set's origin nothing is known for one of its files alone
            sources += self.came_of(str(own_set))
        return [source for source in dict.fromkeys(sources) if source not in (file_id, own_set)]

    def _sources(self, entity_ids: Iterable[str], run_id: str = "") -> list[str]:
        """What is met first on the way back from entities: files, and trainings but `run_id`."""
        met: dict[str, None] = {}
        waiting, seen = list(entity_ids), set()
        while waiting:
            entity_id = waiting.pop(0)
            if entity_id in seen:
                continue
            seen.add(entity_id)
            made_by = [each for each in self._runs_of(entity_id) if each != run_id]
            if entity_id in self._ids:
                met[self._ids[entity_id]] = None
            elif made_by:
                met.update((_urn(each), None) for each in made_by)
            else:
                waiting += self.lineage.steps(entity_id, "back")
        return self._whole_sets(list(met))

    def _whole_sets(self, met: list[str]) -> list[str]:
        """A set in the place of its members, where all of them were met."""
        counts = Counter(each.rpartition("/")[0] for each in met if each in self._members)
        whole = {set_id for set_id, count in counts.items() if count == self.files[set_id].files}
        sets = (each.rpartition("/")[0] for each in met)
        return list(dict.fromkeys(
            set_id if set_id in whole else each for set_id, each in zip(sets, met, strict=True)
        ))  # fmt: skip

    def _trainings_behind(self, entity_id: str) -> list[str]:
        """The trainings whose model a file holds."""
        sources = self._sources(self.lineage.steps(entity_id, "back"))
        return [source for source in sources if not self.file(source)]

    def _runs_of(self, entity_id: str) -> list[str]:
        return [
            row["activity_id"]
            for state_id in self.lineage.states(entity_id)
            for row in self.record.query(MADE_BY, (state_id,))
            if row["activity_id"] in self._run_ids
        ]

    def maker(self, file_id: str) -> str | None:
        """The execution whose program wrote a file; None: no program that is recorded did."""
        for entity_id in self._entities.get(file_id, ()):
            for row in self.record.query(MADE_BY, (entity_id,)):
                return str(row["activity_id"]).partition("#")[0]
        return None

    def packages(self, execution: Row) -> list[Row]:
        """The packages that were installed where a program ran: `name`, `version`."""
        query = "SELECT name, version FROM packages WHERE execution_id = ? ORDER BY name"
        return list(self.record.query(query, (execution["id"],)))

    def code(self, execution: Row) -> Iterator[Known]:
        """The script and the modules of a program, each text once."""
        yield from dict.fromkeys(of_code(self.record, execution))

    @cached_property
    def uses(self) -> dict[str, list[tuple[str, Training]]]:
        """For what each file of data was used: in which role, by which training."""
        found: dict[str, list[tuple[str, Training]]] = {}
        for training in self.trainings.values():
            for role, file_ids in training.data.items():
                for file_id in file_ids:
                    found.setdefault(file_id, []).append((role, training))
        return found

    def told_use(self, file_id: str) -> str | None:
        """The same in words; None of what was only made into other data."""
        told = [
            f"{ROLES[role]} data of {training.trained.run['name']}"
            for role, training in self.uses.get(file_id, ())
        ]
        return ", ".join(dict.fromkeys(told)) or None

    def data(self) -> list[File]:
        """The files that are no models, the raw ones first."""
        files = [each for each in self.files.values() if each.known.kind == "data"]
        return sorted(files, key=lambda file: bool(self.came_of(file.id)))


def _of_set(row: Row, members: list[Known]) -> Known:
    """A set as a whole."""
    sizes = [each.bytes for each in members]
    size = row["bytes"]
    if size is None and sizes and None not in sizes:
        size = sum(filter(None, sizes))
    directory = members[0].directory if members else None
    return Known(
        directory or decoded(row["path"]), row["role"] or "data", size, None, None, None,
        row["sha256"], row["entity_id"], None,
    )  # fmt: skip


def _urn(entity_id: str) -> str:
    return f"urn:uuid:{entity_id}"
