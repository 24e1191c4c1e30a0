"""What a person sees of the record, and the one line they get when something is wrong."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import kerasprov_agent
from kerasprov_agent.cli import main
from kerasprov_agent.store import database
from tests.conftest import TINY, python, recorded, rows


def kerasprov(*words: str | Path) -> Any:
    """Run the command in this process; its status, stdout and stderr."""
    return CliRunner().invoke(main, [str(word) for word in words])


def test_runs_lists_what_was_recorded(digits: Path) -> None:
    done = kerasprov("runs", "--db", digits)
    assert done.exit_code == 0
    settings, header, line = done.stdout.splitlines()
    assert "optimizer Adam, learning_rate 0.003, batch_size" in settings
    assert header.split()[:2] == ["run", "name"] and "val_accuracy" in header
    assert line.split()[:2] == ["1", "digits"]


@pytest.mark.parametrize("name", ["1", "digits", "last", None])
def test_show_tells_everything_about_a_run(digits: Path, name: str | None) -> None:
    done = kerasprov("show", *([name] if name else []), "--db", digits)
    assert done.exit_code == 0, done.output
    for expected in (
        "digits", "finished", "learning_rate 0.003", "sparse_categorical_crossentropy", "relu",
        "ReduceLROnPlateau", "float32",
        "evaluations", "val_accuracy", "keras",
    ):  # fmt: skip
        assert expected in done.stdout, expected


def test_a_run_is_found_by_the_beginning_of_its_id(digits: Path) -> None:
    run_id = rows(digits, "SELECT id FROM run")[0]["id"]
    assert kerasprov("show", run_id[:13], "--db", digits).exit_code == 0


def test_looking_at_a_record_leaves_no_file_beside_it(digits: Path) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in digits.parent.iterdir()}
    for command in ("runs", "show", "prov"):
        assert kerasprov(command, "--db", digits).exit_code == 0
    assert {p.name: p.stat().st_mtime_ns for p in digits.parent.iterdir()} == before
    assert sorted(before) == ["kerasprov-prov", "kerasprov.db"]


def test_json_is_what_the_tables_are_made_of(digits: Path) -> None:
    runs = json.loads(kerasprov("runs", "--json", "--db", digits).stdout)
    assert [r["name"] for r in runs] == ["digits"]
    shown = json.loads(kerasprov("show", "--json", "--db", digits).stdout)
    assert len(shown["epochs"]) == 12 and len(shown["layers"]) == 4
    assert shown["epochs"][-1]["metrics"]["val_loss"] == runs[0]["metrics"]["val_loss"]
    config = json.loads(kerasprov("config", "--json").stdout)
    assert {row["setting"] for row in config} >= {"db", "prov", "name", "tags"}


@pytest.mark.parametrize("format_", ["json", "provn"])
def test_prov_writes_the_document(digits: Path, tmp_path: Path, format_: str) -> None:
    target = tmp_path / "document"
    done = kerasprov("prov", "digits", "--format", format_, "-o", target, "--db", digits)
    assert (done.exit_code, done.output) == (0, "")
    printed = kerasprov("prov", "digits", "--format", format_, "--db", digits).stdout
    assert "kp:Fit" in printed and len(printed) == len(target.read_text())


def test_path_prints_the_folder_for_pythonpath() -> None:
    folder = Path(kerasprov("path").stdout.strip())
    assert [p.name for p in folder.iterdir() if p.suffix == ".py"] == ["sitecustomize.py"]


def corrupt(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\x10\x00" + os.urandom(4000))


def truncated(path: Path) -> None:
    with closing(database.open_for_writing(str(path))) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    os.truncate(path, path.stat().st_size // 2)


def newer(path: Path) -> None:
    from kerasprov_agent.store import schema

    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"PRAGMA application_id = {schema.APPLICATION_ID}; PRAGMA user_version = 99"
        )


BAD = {
    "missing": (lambda p: None, "no database at"),
    "directory": (lambda p: p.mkdir(), "is a directory"),
    "text": (lambda p: p.write_text("not a database at all, is it? " * 40), "no SQLite database"),
    "corrupt": (corrupt, "damaged"),
    "truncated": (truncated, "damaged"),
    "empty": (lambda p: p.touch(), "holds no record"),
    "newer": (newer, "upgrade"),
}


@pytest.mark.parametrize("command", ["runs", "show", "prov"])
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_database_gets_one_line_and_status_2(tmp_path: Path, bad: str, command: str) -> None:
    make, complaint = BAD[bad]
    path = tmp_path / "bad.db"
    make(path)  # type: ignore[no-untyped-call]
    before = sorted(tmp_path.iterdir()), path.read_bytes() if path.is_file() else None
    done = kerasprov(command, "--db", path)
    assert done.exit_code == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and complaint in done.stderr
    assert (sorted(tmp_path.iterdir()), path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize("command", [("runs",), ("show",), ("note", "1", "seen")])
def test_a_locked_database_gets_one_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "locked.db"
    with closing(database.open_for_writing(str(path))) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        done = kerasprov(*command, "--db", path)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "is locked by another program" in done.stderr


def test_an_ambiguous_run_gets_the_names(tmp_path: Path) -> None:
    assert recorded(tmp_path, TINY + LOOPS).returncode == 0
    path = tmp_path / "kerasprov.db"
    (run,) = rows(path, "SELECT * FROM runs WHERE run = 1")
    done = kerasprov("show", run["id"][:8], "--db", path)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "train, train-2" in done.stderr and "longer prefix" in done.stderr


def test_an_unknown_run_gets_the_nearest_names(digits: Path) -> None:
    done = kerasprov("show", "digit", "--db", digits)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1) and "digits" in done.stderr


def test_an_unwritable_target_gets_one_line(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = kerasprov("prov", "-o", tmp_path / "file" / "doc.json", "--db", digits)
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [("KERASPROV_TAGS", "novalue"), ("KERASPROV_VERBOSE", "maybe"), ("KERASPROV_DB", " ")],
)
def test_a_bad_setting_is_an_error_here(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    done = kerasprov("config")
    assert done.exit_code == 2 and variable in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_looking_leaves_nothing_behind_and_loads_no_keras(tmp_path: Path) -> None:
    code = (
        "import sys; from kerasprov_agent.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch', 'prov'} & set(sys.modules)"
    )
    done = python("-c", code, directory=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


def test_the_version(tmp_path: Path) -> None:
    assert kerasprov_agent.__version__ in kerasprov("--version").stdout


LOOPS = """
model.fit(x, y, epochs=2, verbose=0, callbacks=[
    keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
    keras.callbacks.ModelCheckpoint("model.keras"),
])
for _ in range(5):
    model.train_on_batch(x, y)
"""


def test_what_happened_in_a_run_is_shown(tmp_path: Path) -> None:
    assert recorded(tmp_path, TINY + LOOPS).returncode == 0
    first, second = (
        kerasprov("show", run, "--db", tmp_path / "kerasprov.db").stdout for run in ("1", "2")
    )
    assert "LearningRateScheduler" in first.partition("\nchanges")[2]
    assert "model.keras" in first.partition("\nevents")[2]
    assert "train_on_batch" in second and "steps     5" in second and "None" not in second
    listed = kerasprov("runs", "--db", tmp_path / "kerasprov.db").stdout
    assert "5 steps" in listed and "None" not in listed
