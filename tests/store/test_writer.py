"""The writer loses nothing: not to locks, full disks, forks, moved files, or other processes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kerasprov_agent.errors import Unusable
from kerasprov_agent.identity import host, process_key
from kerasprov_agent.store import database, reading, schema, spool
from kerasprov_agent.store.operations import Operation, insert, measured, update
from kerasprov_agent.store.writer import Writer
from tests.conftest import kerasprov, row, rows

EXECUTION = "0198d1b2-7c54-7e1f-9a53-2f6c1f0e8a11"
NOW = "2026-11-23T09:00:00.000000+00:00"


def begin(execution: str = EXECUTION) -> list[Operation]:
    return [
        insert("execution", {"id": execution, "started_at": NOW, "status": "finished"}),
        insert(
            "run",
            {
                "id": f"{execution}#fit-1",
                "execution_id": execution,
                "kind": "fit",
                "label": "train",
                "status": "running",
                "started_at": NOW,
            },
        ),
    ]


def epoch(number: int, execution: str = EXECUTION, **metrics: float) -> list[Operation]:
    values = {"run_id": f"{execution}#fit-1", "epoch": number, "started_at": 1.0 + number}
    return [measured("epoch", values, {"loss": 1.0 / (number + 1), **metrics})]


def epochs(path: Path) -> list[int]:
    return [r["epoch"] for r in rows(path, "SELECT epoch FROM epoch ORDER BY run, epoch")]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "kerasprov.db"


@pytest.fixture
def writer(path: Path) -> Any:
    made = Writer(str(path), EXECUTION)
    yield made
    made.close()


def test_a_new_file_is_ours_and_in_wal_mode(writer: Writer, path: Path) -> None:
    writer.write(begin())
    with closing(sqlite3.connect(path)) as connection:
        pragmas = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version", "journal_mode")
        ]
    assert pragmas == [schema.APPLICATION_ID, schema.VERSION, "wal"]


def test_a_checkpoint_tells_whether_a_reader_holds_it_up(writer: Writer, path: Path) -> None:
    writer.write(begin())
    assert writer.checkpoint()
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM execution").fetchone() == (1,)
        writer.write([update("execution", {"label": "later"}, {"id": EXECUTION})])
        writer.write([update("execution", {"label": "latest"}, {"id": EXECUTION})])
        assert not writer.checkpoint()
        reader.execute("COMMIT")
        assert writer.checkpoint()
    alone = path.parent / "alone.db"
    alone.write_bytes(path.read_bytes())
    assert row(alone, "SELECT label FROM execution")["label"] == "latest"


def test_a_locked_database_is_waited_for_briefly_then_spooled(
    writer: Writer, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer.write(begin())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer.write(epoch(0))
        writer.write(epoch(1))
        assert epochs(path) == []
        assert len(Path(spool.waiting(str(path))[0]).read_text().splitlines()) == 2
        other.execute("ROLLBACK")
    writer.write(epoch(2))
    assert epochs(path) == [0, 1, 2]
    assert spool.waiting(str(path)) == []
    assert not caplog.records


def test_a_spool_left_behind_is_taken_in_by_the_next_program(path: Path) -> None:
    first = Writer(str(path), EXECUTION)
    first.write(begin())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        first.write(epoch(0))
        first.abandon()  # as if killed
        other.execute("ROLLBACK")
    line = Path(spool.waiting(str(path))[0])
    line.write_text(line.read_text() + '[["insert", "epo')  # cut short by the kill
    second = Writer(str(path), "another")
    second.write(begin("another"))
    second.close()
    assert epochs(path) == [0] and not spool.waiting(str(path))


def test_taking_a_spool_in_twice_adds_nothing(path: Path) -> None:
    operations = [*begin(), *epoch(0), update("run", {"status": "lost"}, {"label": "train"})]
    for _ in range(2):
        spool.append(str(path), EXECUTION, operations)
        again = Writer(str(path), "another")
        again.write([])
        again.close()
    assert epochs(path) == [0]
    assert row(path, "SELECT name, status FROM run") == {"name": "train", "status": "lost"}


def test_an_unwritable_place_spools_to_the_users_own(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no directory")
    writer = Writer(str(blocked / "kerasprov.db"), EXECUTION)
    writer.write(begin())
    writer.write(epoch(0))
    waiting = spool.waiting(str(blocked / "kerasprov.db"))
    assert len(waiting) == 1 and waiting[0].startswith(str(tmp_path / "state"))
    messages = [r.message for r in caplog.records]
    assert len(messages) == 1 and "recording to" in messages[0]
    blocked.unlink()
    writer.write(epoch(1))
    writer.close()
    assert epochs(blocked / "kerasprov.db") == [0, 1]


def test_a_file_that_is_moved_or_deleted_is_written_anew(
    writer: Writer, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer.write([*begin(), insert("source", {"sha256": "a", "bytes": 1, "text": "x"})])
    writer.write(epoch(0, Recall=0.5, recall=0.25))
    for act in (lambda: path.rename(path.with_suffix(".old")), path.unlink):
        act()
        for rest in path.parent.glob("kerasprov.db-*"):
            rest.unlink()
        writer.write(epoch(5 if act == path.unlink else 1))  # into the file that is gone
        writer._checked -= 2.0  # a second later it is noticed
        writer.write(epoch(6 if act == path.unlink else 2))
    assert epochs(path) == [0, 1, 2, 5, 6]
    first = row(path, "SELECT * FROM epoch WHERE epoch = 0")
    columns = {r["name"]: r["column_name"] for r in rows(path, "SELECT * FROM metric")}
    assert (first[columns["Recall"]], first[columns["recall"]]) == (0.5, 0.25)
    assert columns["Recall"].lower() != columns["recall"].lower()
    assert row(path, "SELECT name FROM run")["name"] == "train"
    assert all("moved or deleted" in r.message for r in caplog.records)


def test_what_a_deleted_file_held_is_kept_until_there_is_a_place_for_it(
    writer: Writer, path: Path
) -> None:
    writer.write([*begin(), *epoch(0)])
    for file in path.parent.glob("kerasprov.db*"):
        file.unlink()
    path.mkdir()
    (path / "in the way").touch()
    with pytest.raises(Unusable):
        writer.write([update("run", {"status": "finished"}, {"label": "train"})])
    (path / "in the way").unlink()
    path.rmdir()
    writer.write([update("run", {"status": "finished"}, {"label": "train"})])
    assert epochs(path) == [0] and row(path, "SELECT status FROM run")["status"] == "finished"


def test_what_waits_is_taken_in_at_the_end_at_the_latest(writer: Writer, path: Path) -> None:
    """After some failures the database is not tried at each epoch."""
    writer.write(begin())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(20):
            writer.write(epoch(number))
        other.execute("ROLLBACK")
    writer.write(epoch(20))
    writer.close()
    assert epochs(path) == list(range(21)) and not spool.waiting(str(path))


def test_neither_database_nor_spool_for_six_thousand_epochs(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    writer.write(begin())
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        monkeypatch.context() as patch,
    ):
        other.execute("BEGIN IMMEDIATE")
        patch.setattr(spool, "_append", full)
        for number in range(6000):
            writer.write([*epoch(number), update("run", {"steps": number}, {"label": "train"})])
        other.execute("ROLLBACK")
    writer.close()
    assert epochs(path) == list(range(6000))
    assert row(path, "SELECT steps FROM run")["steps"] == 5999


def test_more_than_memory_holds_costs_the_oldest_epochs_and_is_told(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kerasprov_agent.store.writer.MEMORY_LIMIT", 100)
    writer.write(begin())
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        monkeypatch.context() as patch,
    ):
        other.execute("BEGIN IMMEDIATE")
        patch.setattr(spool, "_append", full)
        for number in range(150):
            writer.write([*epoch(number), update("run", {"steps": number}, {"label": "train"})])
        other.execute("ROLLBACK")
    writer.close()
    left = epochs(path)
    assert left == list(range(left[0], 150)) and len(left) < 150
    assert row(path, "SELECT steps FROM run")["steps"] == 149
    assert len([one for one in caplog.records if "are dropped" in one.message]) == 1


BROKEN_LINES = (
    "5", "null", '"text"', "[[1, 2, 3, 4]]", "[7, [[\"insert\", \"epoch\"]]]", "[" * 100_000,
    '[8, [["insert", "run", {"no such column": 1}, {}]]]',
    '[9, [["update", "nowhere", {"a": 1}, {"b": 2}]]]',
    '[10, [["insert", "entity", {"id": "without a kind"}, {}]]]',
    '[11, [["measured", "epoch", {"run_id": "unknown", "epoch": 1}, {"loss": 1.0}]]]',
    "\udce9", "{",
)  # fmt: skip


def test_a_spool_with_lines_that_can_not_be_applied(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("KERASPROV_DEBUG")
    file = Path(spool.append(str(path), EXECUTION, begin(), 1))
    with file.open("a", encoding="utf-8", errors="surrogatepass") as stream:
        stream.write("\n".join(BROKEN_LINES) + "\n")
    spool.append(str(path), EXECUTION, epoch(0), 12)
    for name in "next", "one more":
        program = Writer(str(path), name)
        program.write(begin(name))
        program.write(epoch(0, name))
        program.close()
    assert epochs(path) == [0, 0, 0] and not spool.waiting(str(path))
    (kept,) = spool.rejected(str(path))
    assert len(Path(kept).read_text().splitlines()) == len(BROKEN_LINES)
    told = [one.message for one in caplog.records if "can't be applied" in one.message]
    assert len(told) == 1 and kept in told[0]
    examined = kerasprov("doctor", "--mend", "--db", path)
    assert kept in examined.output.replace("\n", "") and "Traceback" not in examined.output


def test_half_a_line_does_not_take_the_next_along(path: Path) -> None:
    for number in (1, 2, 3):
        file = Path(spool.append(str(path), EXECUTION, epoch(number), number + 1))
        if number == 2:
            file.write_bytes(file.read_bytes()[:-9])  # as a full disk leaves it
    spool.append(str(path), EXECUTION, begin(), 1)
    program = Writer(str(path), "next")
    program.write([])
    program.close()
    assert epochs(path) == [1, 3]


def test_two_places_are_taken_in_by_the_order_of_what_was_done(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, away = spool._stems(str(path))
    Path(spool.state_directory()).mkdir(parents=True, exist_ok=True)
    places = {1: away, 2: beside, 3: away, 4: beside}
    for number, stem in places.items():
        operations = begin() if number == 1 else [
            *epoch(number), update("run", {"steps": number}, {"label": "train"})
        ]  # fmt: skip
        line = Path(spool.append(str(tmp_path / "other"), EXECUTION, operations, number))
        with open(f"{stem}{EXECUTION}.jsonl", "a") as stream:
            stream.write(line.read_text())
        line.unlink()
    program = Writer(str(path), "next")
    program.write([])
    program.close()
    assert epochs(path) == [2, 3, 4]
    assert row(path, "SELECT steps FROM run")["steps"] == 4
    assert not spool.waiting(str(path))


def test_a_spool_that_is_no_file_or_is_held_hangs_nobody(writer: Writer, path: Path) -> None:
    import fcntl

    writer.write(begin())
    beside = Path(f"{path}.spool-{EXECUTION}.jsonl")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        beside.symlink_to("/dev/zero")
        writer.write(epoch(0))
        beside.unlink()
        os.mkfifo(beside)
        writer.write(epoch(1))
        beside.unlink()
        with beside.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            writer.write(epoch(2))
        other.execute("ROLLBACK")
    writer.close()
    assert epochs(path) == [0, 1, 2]


def test_a_defect_costs_its_own_row(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERASPROV_DEBUG")
    writer.write([*begin(), insert("entity", {"id": "a"}), update("nowhere", {"a": 1}, {"b": 1})])
    writer.write(epoch(0))
    assert epochs(path) == [0] and not spool.waiting(str(path))
    assert len(Path(*spool.rejected(str(path))).read_text().splitlines()) == 2


def test_a_file_of_somebody_elses_in_the_place_of_ours_stays(
    writer: Writer, path: Path, tmp_path: Path
) -> None:
    writer.write(begin())
    for number in range(50):
        writer.write(epoch(number))
    moved = tmp_path / "moved.db"
    path.rename(moved)
    text = b"my own notes, and no database. " * 200
    path.write_bytes(text)
    writer._checked -= 2.0
    with pytest.raises(Unusable, match="no SQLite"):
        writer.write(epoch(50))
    assert path.read_bytes() == text
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(f"{path.name}-")]
    assert epochs(moved) == list(range(50))  # what the log held went along
    with closing(sqlite3.connect(moved)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_whatever_ran_in_a_program_that_is_gone_is_lost(path: Path) -> None:
    program = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                             capture_output=True, check=True)  # fmt: skip
    gone = {"host": host(), "pid": int(program.stdout), "process": process_key()}
    running = {"execution_id": EXECUTION, "status": "running", "started_at": NOW}
    first = Writer(str(path), EXECUTION)
    first.write([
        insert("execution", {"id": EXECUTION, "started_at": NOW, "status": "running", **gone}),
        *begin()[1:],
        insert("evaluation", {"id": "e", **running}),
        insert("activity", {"id": "a", "kind": "step", **running}),
        insert("search", {"id": "s", "class_name": "RandomSearch", "name": "s", **running}),
        insert("trial", {"id": "t", "search_id": "s", "name": "0", "status": "running",
                         "started_at": NOW}),
    ])  # fmt: skip
    first.abandon()
    Writer(str(path), "next").write([])
    for table in ("execution", "run", "evaluation", "activity", "search", "trial"):
        assert row(path, f"SELECT status FROM {table}")["status"] == "lost", table


def test_two_thousand_metrics(writer: Writer, path: Path) -> None:
    """Those beyond the limit have no columns; from the second epoch on nobody looks for one."""
    metrics = {f"metric {number}": float(number) for number in range(2000)}
    writer.write(begin())
    writer.write(epoch(0, **metrics))
    asked: list[str] = []
    assert writer._connection is not None
    writer._connection.set_trace_callback(asked.append)
    writer.write(epoch(1, **metrics))
    writer._connection.set_trace_callback(None)
    assert len(asked) == 1, asked[:5]
    found = rows(path, "SELECT * FROM epoch")[1]
    more = json.loads(found["more"])
    for name, value in metrics.items():
        assert found.get(name, more.get(name)) == value
    assert len(more) > 1400


def test_names_of_runs_go_on_counting(writer: Writer, path: Path) -> None:
    writer.write(begin())
    for number in range(2, 5):
        operation, table, run, further = begin()[1]
        writer.write([(operation, table, {**run, "id": f"{EXECUTION}#fit-{number}"}, further)])
    names = [one["name"] for one in rows(path, "SELECT name FROM run ORDER BY number")]
    assert names == ["train", "train-2", "train-3", "train-4"]


@pytest.mark.parametrize("act", ["move", "delete", "copy over", "restore", "a new empty file"])
def test_whatever_becomes_of_the_file_the_record_is_whole_in_the_end(
    act: str, writer: Writer, path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    theirs = Writer(str(other), "theirs")
    theirs.write(begin("theirs"))
    theirs.close()
    writer.write(begin())
    for number in range(20):
        writer.write(epoch(number))
    if act == "move":
        path.rename(tmp_path / "moved.db")
    elif act == "delete":
        path.unlink()
    elif act == "a new empty file":
        path.unlink()
        path.touch()
    else:
        if act == "copy over":
            other.replace(path)
        else:
            path.unlink()
            path.write_bytes(other.read_bytes())
    writer._checked -= 2.0
    for number in range(20, 25):
        writer.write(epoch(number))
    writer.close()
    query = "SELECT epoch FROM epoch JOIN run ON run.number = epoch.run WHERE execution_id = ?"
    found = [one["epoch"] for one in rows(path, f"{query} ORDER BY 1", EXECUTION)]
    assert found == list(range(25))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    if act in ("copy over", "restore"):
        assert row(path, "SELECT count(*) AS n FROM run")["n"] == 2


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda p: p.mkdir(), "is a directory"),
        (lambda p: p.write_bytes(b"no database at all, but long enough for a header" * 9), "no SQLite"),
        (lambda p: sql(p, "CREATE TABLE theirs (x)"), "another program"),
        (
            lambda p: sql(p, f"PRAGMA application_id={schema.APPLICATION_ID}; PRAGMA user_version=99"),
            "newer kerasprov_agent",
        ),
    ],
    ids=["directory", "text", "foreign", "newer"],
)  # fmt: skip
def test_what_is_no_database_of_ours_is_left_alone(path: Path, make: Any, complaint: str) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for use in (database.open_for_writing, reading.open_for_reading):
        with pytest.raises(Unusable, match=complaint) as caught:
            use(str(path))
        assert "\n" not in str(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def sql(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


STARTING = """
import sys
from tests.store.test_writer import EXECUTION, begin, epoch
from kerasprov_agent.store.writer import Writer
name = sys.argv[2]
writer = Writer(sys.argv[1], name)
writer.write(begin(name))
for number in range(20):
    writer.write(epoch(number, name, **{f"m{name}_{number % 3}": 1.0}))
writer.close()
"""


def test_eight_programs_that_start_together_on_a_new_file(path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", STARTING, str(path), f"e{i}"]) for i in range(8)
    ]
    assert [child.wait(60) for child in children] == [0] * 8
    Writer(str(path), "last").write([])  # takes in what may have been spooled
    assert len(epochs(path)) == 160
    names = [r["name"] for r in rows(path, "SELECT name FROM run")]
    assert len(set(names)) == 8


def test_a_full_disk_loses_nothing_once_there_is_room(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Writer(str(path), EXECUTION)
    writer.write(begin())
    assert writer._connection is not None
    size = writer._connection.execute("PRAGMA page_count").fetchone()[0]
    writer._connection.execute(f"PRAGMA max_page_count = {size}")
    refuse = OSError(28, "No space left on device")

    def full(*_: Any) -> Any:
        raise refuse

    monkeypatch.setattr(spool, "_append", full)
    text = os.urandom(4000).hex()
    for number in range(5):
        writer.write(
            [insert("source", {"sha256": str(number), "bytes": 8000, "text": text}), *epoch(number)]
        )
    assert epochs(path) == []
    assert [r.message for r in caplog.records if "No space left" in r.message]
    writer._connection.execute("PRAGMA max_page_count = 100000")
    writer.write(epoch(5))
    writer.close()
    assert epochs(path) == [0, 1, 2, 3, 4, 5]


def test_reading_never_creates_a_file(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="no database at"):
        reading.open_for_reading(str(tmp_path / "none.db"))
    assert not list(tmp_path.iterdir())


def test_a_shared_file_system_gets_a_rollback_journal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kerasprov_agent.store.filesystem._kind", lambda _path: "nfs4")
    writer = Writer(str(path), EXECUTION)
    writer.write([*begin(), *epoch(0)])
    writer.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    assert epochs(path) == [0]
