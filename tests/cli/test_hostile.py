"""Hostile names, questions and files: one clear line, nothing lost, and no traceback."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kerasprov_agent.store import database, reading
from tests.conftest import DATA, clean_environment, kerasprov, row, rows

COMMAND = Path(sys.executable).with_name("kerasprov")
HOSTILE = "\x1b[2J\x07\x9b31m\u202e\r=1+1 <b>&\"'] ]]> \\N"


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Two runs of an earlier schema, brought up to date."""
    path = tmp_path / "kerasprov.db"
    path.write_bytes(gzip.decompress((DATA / "schema_1.db.gz").read_bytes()))
    database.open_for_writing(str(path)).close()
    return path


def test_pages_that_are_damaged_within(record: Path) -> None:
    """SQLite meets them only when it reads them, in the midst of a command."""
    content = bytearray(record.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    for start in range(3 * page, len(content), page):
        content[start : start + 8] = b"\xff" * 8
    record.write_bytes(content)
    for words in (["doctor"], ["runs"], ["show", "1"], ["sql", "SELECT * FROM epochs"]):
        done = kerasprov(*words, "--db", record)
        assert done.exit_code == 2, (words, done.output)
        assert "damaged" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert record.read_bytes() == content


def test_without_a_command_all_of_them_are_listed() -> None:
    for words in ([], ["central"]):
        done = kerasprov(*words)
        assert done.exit_code == 0 and "Commands:\n" in done.stdout and not done.stderr


@pytest.fixture
def hostile(record: Path) -> Path:
    """The same, with names that nobody would give but to harm."""
    with closing(sqlite3.connect(record)) as connection, connection:
        connection.execute("UPDATE run SET name = ? || number, label = ?, note = ?", [HOSTILE] * 3)
        connection.execute("UPDATE run SET exception_type = 'E', exception = ?", [HOSTILE])
        connection.execute("UPDATE execution SET label = ?, script = ?, tags = ?",
                           [HOSTILE, f"/a/{HOSTILE}", json.dumps({HOSTILE: HOSTILE})])  # fmt: skip
        connection.execute("UPDATE layer SET name = ? || position", [HOSTILE])
        connection.execute("UPDATE file SET path = '/a/' || ? || entity_id", [HOSTILE])
        connection.execute("UPDATE entity SET name = ? WHERE name IS NOT NULL", [HOSTILE])
        connection.execute("UPDATE param SET value = ? WHERE name = 'shuffle'", [HOSTILE])
    return record


def command(*words: str | bytes | Path, **options: str) -> subprocess.CompletedProcess[bytes]:
    """The real command, in a process of its own."""
    return subprocess.run(
        [COMMAND, *map(os.fsencode, words)],
        env=clean_environment(**options), capture_output=True, check=False, timeout=300,
    )  # fmt: skip


SHOWN = (
    ("runs",), ("runs", "--json"), ("runs", "--csv"), ("show", "1"), ("show", "1", "--files"),
    ("show", "1", "--layers"), ("show", "1", "--env"), ("diff", "1", "2"), ("lineage", "1"),
    ("best", "loss"), ("query", "runs.name, runs.note"), ("sql", "SELECT name, note FROM runs"),
    ("doctor",), ("tag", "1", "a=b"), ("prov", "1", "--format", "provn"), ("prov", "1"),
)  # fmt: skip


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_nothing_that_is_shown_steers_the_terminal(hostile: Path, words: tuple[str, ...]) -> None:
    done = kerasprov(*words, "--db", hostile)
    assert done.exit_code == 0, done.output
    assert not set("\x1b\x07\x9b\u202e\r") & set(done.output), words


def test_errors_show_escapes(record: Path) -> None:
    for words in (
        ("show", HOSTILE),
        ("runs", "--where", HOSTILE),
        ("runs", "--db", f"/a{HOSTILE}"),
    ):
        done = command(*words, *(() if "--db" in words else ("--db", record)))
        assert done.returncode == 2 and b"Traceback" not in done.stderr, done.stderr
        assert not {b"\x1b", b"\x07", b"\r"} & {bytes([one]) for one in done.stderr}
        assert done.stderr.count(b"\n") == 1


def test_no_cell_is_a_formula(hostile: Path) -> None:
    with closing(sqlite3.connect(hostile)) as connection, connection:
        connection.execute("UPDATE run SET name = '=cmd' || number, note = '-2+3', label = '@x'")
    found = list(csv.DictReader(io.StringIO(kerasprov("runs", "--csv", "--db", hostile).stdout)))
    assert {one["name"] for one in found} == {"'=cmd1", "'=cmd2"}
    told = kerasprov("sql", "SELECT -0.5, note FROM runs", "--csv", "--db", hostile).stdout
    assert "'-2+3" in told and "\n-0.5," in told


def test_documents_of_hostile_names_are_well_formed(hostile: Path, tmp_path: Path) -> None:
    for form in ("xml", "svg"):
        if form == "svg" and not shutil.which("dot"):
            continue
        target = tmp_path / f"document.{form}"
        done = kerasprov("prov", "1", "--format", form, "-o", target, "--db", hostile)
        assert done.exit_code == 0, done.output
        ElementTree.parse(target)
    for form in ("dot", "json"):
        assert kerasprov("lineage", "1", "--format", form, "--db", hostile).exit_code == 0


QUESTIONS = {
    "not not": ("runs", "--where", "not " * 2000 + "loss < 1"),
    "parentheses": ("runs", "--where", "(" * 2000 + "loss < 1" + ")" * 2000),
    "comment": ("sql", "-- nothing"),
    "nothing": ("sql", " ; "),
    "deletion": ("sql", "DELETE FROM run"),
    "attached": ("sql", "ATTACH 'other.db' AS other"),
    "undecodable": ("show", b"caf\xe9"),
    "NUL in SQL": ("sql", "SELECT 'a\n"),
    "no option": ("runs", "--nothing"),
    "no directory": ("prov", "1", "-o", "/nowhere/at/all.json"),
}


@pytest.mark.parametrize("words", QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_that_can_not_be_answered_is_one_line(
    record: Path, words: tuple[str | bytes, ...]
) -> None:
    before = record.read_bytes()
    done = command(*words, "--db", record)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert b"Traceback" not in done.stderr and done.stderr.count(b"\n") == 1, done.stderr.decode()
    assert record.read_bytes() == before


def test_lineage_of_a_long_chain_of_fits(record: Path) -> None:
    """1,200 states of a model, each made of the one before."""
    with closing(sqlite3.connect(record)) as connection, connection:
        entity = connection.execute("SELECT * FROM entity WHERE kind = 'model'").fetchone()
        names = [one[1] for one in connection.execute("PRAGMA table_info(entity)")]
        known = dict(zip(names, entity, strict=True))
        marks = ", ".join("?" * len(names))
        for number in range(1200):
            made = {**known, "id": f"state-{number}"}
            connection.execute(f"INSERT INTO entity VALUES ({marks})", [made[one] for one in names])
            if number:
                connection.execute(
                    "INSERT INTO derived (entity_id, source_id, confidence) VALUES (?, ?, NULL)",
                    (f"state-{number}", f"state-{number - 1}"),
                )
        connection.execute("UPDATE run SET trained_model_id = 'state-1199' WHERE number = 1")
    for words in (("--back",), ("--forward",), ("--format", "json"), ("--format", "dot")):
        done = kerasprov("lineage", "1", *words, "--db", record)
        assert done.exit_code == 0, (words, done.output[-500:], done.exception)


SETTINGS = (
    "tool = 3  # kerasprov_agent", "[[tool.kerasprov_agent]]", '[tool.kerasprov_agent]\nhash_size = "1e308g"',
    '[tool.kerasprov_agent]\ndb = "a\\u0000b"', "[tool.kerasprov_agent]\nnothing = 1", "no toml [kerasprov_agent",
)  # fmt: skip


@pytest.mark.parametrize("text", SETTINGS)
def test_malformed_settings(text: str, tmp_path: Path, record: Path) -> None:
    """The command says so in one line; a program goes on, and is recorded."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "pyproject.toml").write_text(text)
    (place / "make.py").write_text("open('made.txt', 'w').close(); print('made')")
    environment = clean_environment()
    run = subprocess.run(
        [sys.executable, "-m", "kerasprov_agent", "make.py"],
        cwd=place, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (0, b"made\n"), run.stderr.decode()
    assert b"Traceback" not in run.stderr and b"kerasprov_agent:" in run.stderr, run.stderr
    assert rows(place / "kerasprov.db", "SELECT path FROM file")
    told = subprocess.run(
        [COMMAND, "runs"],
        cwd=place, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert b"Traceback" not in told.stderr, told.stderr.decode()
    assert told.returncode in (0, 2) and told.stderr.count(b"\n") <= 1


@pytest.fixture
def writing(record: Path) -> Iterator[Path]:
    """A database that another process keeps writing: always as many epochs as its run says."""
    script = f"""
import sqlite3, sys, time
connection = sqlite3.connect({str(record)!r}, timeout=30, isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
print("ready", flush=True)
number = 1000
while True:
    connection.execute("BEGIN IMMEDIATE")
    for _ in range(5):
        number += 1
        connection.execute("INSERT INTO epoch (run, epoch, started_at) VALUES (1, ?, 0)", [number])
    connection.execute("UPDATE run SET steps = (SELECT count(*) FROM epoch WHERE run = 1) WHERE number = 1")
    connection.execute("COMMIT")
    if number % 100 == 0:
        connection.close()
        connection = sqlite3.connect({str(record)!r}, timeout=30, isolation_level=None)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    yield record
    process.kill()
    process.wait()


def test_a_reader_sees_one_moment(writing: Path) -> None:
    seen = set()
    for _ in range(40):
        with closing(reading.open_for_reading(str(writing))) as connection:
            counts = []
            for _ in range(3):
                (steps,) = connection.execute("SELECT steps FROM run WHERE number = 1").fetchone()
                (count,) = connection.execute("SELECT count(*) FROM epoch WHERE run = 1").fetchone()
                counts.append((steps, count))
                time.sleep(0.005)
        assert len(set(counts)) == 1, counts
        if counts[0][0] is not None:
            assert counts[0][0] == counts[0][1]
        seen.add(counts[0])
    assert len(seen) > 1  # it was written meanwhile


def test_commands_beside_a_writer(writing: Path, tmp_path: Path) -> None:
    failures = []

    def use(number: int) -> None:
        words = (
            ("runs",), ("show", "1"), ("lineage", "1"), ("pack", "-o", tmp_path / f"{number}.db"),
            ("export", "--format", "csv", "-o", tmp_path / f"export-{number}"), ("prov", "1"),
        )[number % 6]  # fmt: skip
        done = command(*words, "--db", writing)
        if done.returncode or b"Traceback" in done.stderr:
            failures.append((words, done.stderr))

    for start in range(0, 12, 2):
        threads = [threading.Thread(target=use, args=(number,)) for number in (start, start + 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures
    for packed in tmp_path.glob("[0-9]*.db"):
        assert row(packed, "PRAGMA integrity_check") == {"integrity_check": "ok"}
        found = row(packed, "SELECT steps, (SELECT count(*) FROM epoch WHERE run = 1) n FROM run "
                            "WHERE number = 1")  # fmt: skip
        assert found["steps"] in (None, found["n"])


def test_a_reader_leaves_nothing_beside_the_file(record: Path) -> None:
    before = sorted(record.parent.iterdir())
    for words in ("runs", "show", "lineage", "doctor"):
        assert kerasprov(words, "--db", record).exit_code == 0
    assert sorted(record.parent.iterdir()) == before


def test_an_export_that_fails_leaves_what_was_there(record: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert kerasprov("export", "--format", "csv", "-o", target, "--db", record).exit_code == 0
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    with closing(sqlite3.connect(record)) as connection, connection:
        connection.execute("DROP VIEW layers")
        connection.execute("CREATE VIEW layers AS SELECT no_function(1) AS a")
    done = kerasprov("export", "--format", "csv", "-o", target, "--db", record)
    assert done.exit_code != 0
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".kerasprov")]


def test_files_follow_the_umask_and_no_link(record: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    target = tmp_path / "document.json"
    old = os.umask(0o027)
    try:
        assert kerasprov("prov", "1", "-o", target, "--db", record).exit_code == 0
    finally:
        os.umask(old)
    assert target.stat().st_mode & 0o777 == 0o640
    assert precious.read_text() == "mine"


def test_a_document_of_a_long_name(tmp_path: Path) -> None:
    (tmp_path / "make.py").write_text("open('made.txt', 'w').close()")
    run = subprocess.run(
        [sys.executable, "-m", "kerasprov_agent", "make.py"], cwd=tmp_path, capture_output=True,
        env=clean_environment(KERASPROV_NAME="n" * 300), check=False,
    )  # fmt: skip
    assert run.returncode == 0 and run.stderr == b""
    (document,) = (tmp_path / "kerasprov-prov").glob("*.json")
    assert len(os.fsencode(document.name)) <= 255 and json.loads(document.read_text())
