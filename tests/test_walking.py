"""Lineage is walked: what is asked grows with what is found, and both ways tell the same."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kerasprov_agent.contents import of_set
from kerasprov_agent.read.lineage import Lineage
from kerasprov_agent.read.record import open_record
from kerasprov_agent.store import rows as store_rows
from kerasprov_agent.store.operations import Operation, insert, manifest
from kerasprov_agent.store.writer import Writer
from tests.conftest import kerasprov


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Programs:
    """Writes down what programs would have read and written, a second after each other."""

    def __init__(self, path: Path) -> None:
        self.path, self.seconds = path, 0
        self.operations: list[Operation] = []

    def execution(self, name: str) -> str:
        row = {"id": name, "label": name, "script": f"{name}.py", "started_at": self.now()}
        self.operations.append(insert("execution", {**row, "status": "finished"}))
        return name

    def now(self) -> str:
        self.seconds += 1
        return f"2026-01-01T{self.seconds // 3600:02}:{self.seconds // 60 % 60:02}:{self.seconds % 60:02}Z"

    def _entity(self, entity_id: str, kind: str, written: bool) -> str:
        execution_id, now = entity_id.partition("#")[0], self.now()
        row = {"id": entity_id, "execution_id": execution_id, "kind": kind, "seen_at": now}
        self.operations.append(insert("entity", row))
        return entity_id if not written else self._generated(entity_id, execution_id, now)

    def _generated(self, entity_id: str, activity_id: str, now: str) -> str:
        row = {"entity_id": entity_id, "activity_id": activity_id, "at": now}
        self.operations.append(insert("generated", row))
        return entity_id

    def file(self, entity_id: str, path: str, digest: str, written: bool = False) -> str:
        row = {"entity_id": entity_id, "path": path, "files": 1, "bytes": 9, "sha256": digest}
        self.operations.append(insert("file", row))
        return self._entity(entity_id, "file", written)

    def set(
        self, entity_id: str, path: str, contents: dict[str, str], written: bool = False
    ) -> str:
        digest = of_set((name, (known, None)) for name, known in contents.items())
        assert digest is not None
        entries = [[name, 9, known, None] for name, known in sorted(contents.items())]
        row = {"entity_id": entity_id, "path": path, "files": len(entries), "sha256": digest}
        self.operations += [manifest(digest, entries, len(entries)), insert("file", row)]
        return self._entity(entity_id, "files", written)

    def derived(self, entity_id: str, source_id: str) -> None:
        self.operations.append(store_rows.derived(entity_id, source_id, None, "same_buffer"))

    def write(self) -> Path:
        writer = Writer(str(self.path), "test")
        writer.write(self.operations)
        writer.close()
        self.operations = []
        return self.path


def pipelines(path: Path, count: int, files: int) -> Path:
    """Programs, of which each reads a set of its own and writes another, that the next one reads."""
    programs = Programs(path)
    for number in range(count):
        name = programs.execution(f"program-{number}")
        made = {f"{i:04}.npy": sha256(f"{number}-{i}") for i in range(files)}
        read = {f"{i:04}.npy": sha256(f"{number - number % 2 - 1}-{i}") for i in range(files - 1)}
        used = programs.set(f"{name}#files-1", f"/data/{number}", read)
        result = programs.set(f"{name}#files-2", f"/data/made-{number}", made, written=True)
        programs.derived(result, used)
    return programs.write()


def steps_of(connection: sqlite3.Connection, work: Callable[[], Any]) -> int:
    """What SQLite does for a piece of work, in hundreds of its steps."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    connection.set_progress_handler(count, 100)
    work()
    connection.set_progress_handler(None, 0)
    return steps


def walked(path: Path, start: str) -> int:
    with open_record(str(path)) as record:

        def walk() -> None:
            lineage = Lineage(record)
            for direction in ("back", "forward"):
                lineage.as_graph(lineage.find(start), direction)

        return steps_of(record.connection, walk)


def test_what_is_asked_does_not_grow_with_what_others_recorded(tmp_path: Path) -> None:
    few, many = (pipelines(tmp_path / f"{n}.db", n, 50) for n in (8, 64))
    assert walked(many, "/data/made-2") < 1.5 * walked(few, "/data/made-2")


def test_the_whole_relation_grows_with_the_files(tmp_path: Path) -> None:
    steps = []
    for path in (pipelines(tmp_path / f"{n}.db", n, 50) for n in (8, 64)):
        with closing(sqlite3.connect(path)) as connection:
            ask = partial(connection.execute, "SELECT count(*) FROM lineage")
            steps.append(steps_of(connection, ask))
    assert steps[1] < 8 * 1.5 * steps[0]


def test_one_content_that_is_read_often_costs_each_reader_the_same(tmp_path: Path) -> None:
    steps = []
    for count in (50, 400):
        programs = Programs(tmp_path / f"{count}.db")
        programs.file(f"{programs.execution('first')}#file-1", "/x.npy", sha256("x"), written=True)
        for number in range(count):
            name = programs.execution(f"reader-{number}")
            programs.file(f"{name}#file-1", "/x.npy", sha256("x"))
        with open_record(str(programs.write())) as record:
            lineage = Lineage(record)
            found: list[Any] = []
            steps.append(steps_of(
                record.connection,
                lambda: found.append(lineage.steps("first#file-1", "forward")),  # noqa: B023
            ))  # fmt: skip
            assert len(found[0]) == count
    assert steps[1] < 8 * 1.5 * steps[0]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The database, and a directory of images: two programs made something of some of them."""
    place = tmp_path_factory.mktemp("images")
    directory = place / "images"
    directory.mkdir()
    contents = {}
    for number in range(6):
        (directory / f"{number}.png").write_text(f"image {number}")
        contents[f"{number}.png"] = sha256(f"image {number}")
    programs = Programs(place / "kerasprov.db")
    parts = {"first": contents, "second": dict(list(contents.items())[3:]), "third": contents}
    for name, part in parts.items():
        programs.execution(name)
        used = programs.set(f"{name}#files-1", str(directory), part)
        made = programs.file(f"{name}#file-1", f"/made/{name}.npz", sha256(name), written=True)
        programs.derived(made, used)
    # A copy, which one program made of the images and another one read in part.
    programs.execution("copying")
    copy = programs.set("copying#files-1", "/copy", {**contents, "empty": sha256("")}, written=True)
    programs.derived(copy, programs.set("copying#files-2", str(directory), contents))
    programs.execution("using")
    used = programs.set("using#files-1", "/copy", {"4.png": contents["4.png"], "x": sha256("x")})
    programs.derived(programs.file("using#file-1", "/made/using", sha256("u"), True), used)
    programs.file("using#file-2", "/copy/5.png", contents["5.png"])
    return programs.write(), directory


def edges(graph: dict[str, Any]) -> set[tuple[str, str]]:
    return {(edge["from"], edge["to"]) for edge in graph["edges"]}


def made_of(database: Path, text: str | Path) -> set[str]:
    """The names of what was made of something."""
    with open_record(str(database)) as record:
        lineage = Lineage(record)
        reached = lineage.reach(lineage.find(str(text)), "forward")
        nodes = [lineage.node(entity_id) for entity_id in reached]
    return {os.path.basename(node["path"]) for node in nodes if node["kind"] == "file"}


def test_back_and_forward_are_one_relation(images: tuple[Path, Path]) -> None:
    with open_record(str(images[0])) as record:
        lineage = Lineage(record)
        every = [row["id"] for row in record.query("SELECT id FROM entity")]
        relation = {(r["id"], r["source_id"]) for r in record.query("SELECT * FROM lineage")}
        assert len(relation) > 6
        for direction in ("back", "forward"):
            assert edges(lineage.as_graph(every, direction)) == relation


def test_a_directory_leads_to_all_that_was_made_of_it(images: tuple[Path, Path]) -> None:
    database, directory = images
    all_of_it = {"first.npz", "second.npz", "third.npz", "using", "5.png"}
    assert made_of(database, directory) == all_of_it
    assert made_of(database, directory.parent) == all_of_it


def test_a_member_of_a_set_is_found_by_path_content_and_hash(
    images: tuple[Path, Path], tmp_path: Path
) -> None:
    database, directory = images
    assert {"first.npz", "second.npz"} <= made_of(database, directory / "4.png")
    assert "second.npz" not in made_of(database, directory / "0.png")
    assert {"first.npz", "second.npz"} <= made_of(database, sha256("image 4")[:10])
    copy = tmp_path / "moved.png"
    copy.write_text("image 4")
    assert "second.npz" in made_of(database, copy)
    assert made_of(database, "/copy/4.png") == {"using", "5.png"}  # no file is there now
    told = kerasprov("lineage", directory / "4.png", "--forward", "--db", database)
    assert told.exit_code == 0 and "second.npz" in told.stdout


def test_empty_files_tell_of_nothing(tmp_path: Path) -> None:
    programs = Programs(tmp_path / "kerasprov.db")
    name = programs.execution("first")
    for number, written in ((1, True), (2, False)):
        row = {"entity_id": f"{name}#file-{number}", "path": f"/{number}", "files": 1, "bytes": 0}
        programs.operations.append(insert("file", {**row, "sha256": sha256("")}))
        programs._entity(f"{name}#file-{number}", "file", written)
    with open_record(str(programs.write())) as record:
        assert not list(record.query("SELECT * FROM lineage"))


def test_members_are_written_down_in_parts_and_swept_with_their_set(tmp_path: Path) -> None:
    from kerasprov_agent.store import removal

    programs = Programs(tmp_path / "kerasprov.db")
    programs.operations.append(manifest("d" * 64, [["a", 1, sha256("a"), None]]))
    path = programs.write()
    count = "SELECT (SELECT count(*) FROM member), (SELECT files FROM manifest)"
    with closing(sqlite3.connect(path)) as connection:
        removal._sweep_shared(connection)
        assert connection.execute(count).fetchone() == (1, None)  # the rest is to come
        connection.commit()
    programs.operations.append(manifest("d" * 64, [["b", 1, sha256("b"), None]], 2))
    programs.write()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(count).fetchone() == (2, 2)
        removal._sweep_shared(connection)
        assert connection.execute(count).fetchone() == (0, None)
