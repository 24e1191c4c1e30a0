"""A seal tells of any value that was altered after it was made, and of who made it."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kerasprov_agent.evidence import signing
from kerasprov_agent.identity import process_key
from kerasprov_agent.read import canonical
from kerasprov_agent.store import schema
from tests.conftest import kerasprov, rows

pytest.importorskip("cryptography")
NOT_SEALED = {"meta", "unread", "metric"}
"""What is no part of the record of a program; `metric` names columns of `epoch`."""
FURTHER = (
    "INSERT INTO cell SELECT id, 1, script_sha256, NULL FROM execution",
    "INSERT INTO import (execution_id, format, path, imported_at) "
    "SELECT id, 'CSVLogger', 'log.csv', 'then' FROM execution",
    "INSERT INTO search (id, execution_id, name) SELECT id || '#search-1', id, 'tuner' FROM execution",
    "INSERT INTO trial (id, search_id, name, score) SELECT id || '-1', id, '00', 0.5 FROM search",
    "INSERT INTO change SELECT id, 1, 0, 'then', 'learning_rate', 0.1, 0.05, 'train.py:3' FROM run",
    "INSERT INTO event SELECT id, 1, 0, 'then', 'nan', 'train.py:3', '{}' FROM run",
)
"""Rows of the tables that the study itself leaves empty."""


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key of OpenSSH, as `ssh-keygen` makes it."""
    return made_key(tmp_path_factory.mktemp("keys") / "key", "-t", "ed25519")


def made_key(path: Path, *words: str, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", *words, "-N", passphrase, "-C", "ada@lab", "-f", path]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def sealed(study: Path, key: Path) -> Path:
    """The study with a row in every table, sealed; the folder."""
    with closing(sqlite3.connect(study / "kerasprov.db")) as connection:
        for statement in FURTHER:
            connection.execute(statement)
        connection.commit()
    words = ("--key", key, "-o", study / "tune.seal.json", "--db", study / "kerasprov.db")
    done = kerasprov("seal", study / "tuned.keras", *words)
    assert done.exit_code == 0 and "3 programs" in done.stdout, done.output
    return study


def verified(study: Path, *words: str | Path, db: str = "kerasprov.db") -> tuple[int, list[str]]:
    """The exit status, and what is told of the record."""
    words = ("--seal", study / "tune.seal.json", "--json", *words)
    done = kerasprov("verify", *words, "--db", study / db)
    assert done.exit_code in (0, 1) and done.stdout, done.output or done.exception
    found = json.loads(done.stdout)
    return done.exit_code, [r["path"] for r in found if r["kind"] == "database"]


def test_nothing_was_altered(sealed: Path, key: Path) -> None:
    assert verified(sealed, "--key", f"{key}.pub") == (0, [])
    done = kerasprov("verify", "--seal", sealed / "tune.seal.json", "--db", sealed / "kerasprov.db")
    printed = subprocess.run(
        ["ssh-keygen", "-l", "-f", f"{key}.pub"], capture_output=True, text=True
    )
    assert printed.stdout.split()[1] in done.stdout and "give --key FILE" in done.stdout
    assert done.exit_code == 0 and "tune.prov.json" in done.stdout
    document = json.loads((sealed / "tune.prov.json").read_text())
    assert document["activity"] and document["entity"]


def columns_of(database: Path) -> Iterator[tuple[str, str]]:
    """Each column of each table that is sealed and is no key, and some metrics."""
    with closing(sqlite3.connect(database)) as connection:
        tables = re.findall(r"^CREATE TABLE (\w+)", schema.TABLES, re.MULTILINE)
        for table in set(tables) - NOT_SEALED:
            for _, name, *_, is_key in connection.execute(f"PRAGMA table_info({table})").fetchall():
                if not is_key and name not in canonical.OF_PEOPLE.get(table, ()):
                    yield table, name


@pytest.mark.slow
def test_each_column_of_each_table_is_sealed(sealed: Path) -> None:
    database, before = sealed / "kerasprov.db", sealed / "before.db"
    shutil.copy(database, before)
    keys = {"execution_id", "run_id", "entity_id", "activity_id", "search_id", "architecture_id",
            "packages_sha256", "manifest", "content", "run", "number"}  # fmt: skip
    tried = set()
    for table, name in sorted(columns_of(before)):
        if name in keys or (table, name) in (("manifest", "sha256"), ("run", "id")):
            continue
        shutil.copy(before, database)
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            which = " WHERE number = 1" if table == "content" else ""
            connection.execute(f'UPDATE "{table}" SET "{name}" = \'tampered\'{which}')
            connection.commit()
        status, told = verified(sealed)
        assert status == 1 and told, (table, name)
        tried.add(table)
    assert tried >= {"execution", "run", "epoch", "param", "evaluation", "source", "package",
                     "content", "file", "layer", "architecture", "trial", "change"}  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE epoch SET loss = loss * 1.0000001 WHERE run = 1 AND epoch = 1", r"epoch fit-1 1: metric\.loss$"),
        ("UPDATE epoch SET loss = NULL WHERE run = 2 AND epoch = 0", r"epoch fit-1 0: metric\.loss$"),
        ("UPDATE metric SET name = 'accuracy' WHERE name = 'mae'", r"metric\.accuracy, metric\.mae"),
        ("DELETE FROM epoch WHERE run = 1 AND epoch = 2", "epoch fit-1 2 is gone"),
        ("INSERT INTO epoch (run, epoch) VALUES (1, 3)", "epoch fit-1 3 was added"),
        ("UPDATE param SET value = '8' WHERE name = 'epochs' AND source = 'fit'", "param fit-1 fit epochs: value"),
        ("UPDATE file SET sha256 = replace(sha256, 'a', 'b') WHERE role = 'model'", r"file file-\d+.*sha256"),
        ("DELETE FROM run WHERE number = 2", "run fit-1 is gone|all rows of run are gone"),
        ("DELETE FROM used", "all rows of used are gone"),
        ("UPDATE run SET status = 'finished', exception = 'x' WHERE number = 1", "run fit-1: exception"),
        ("UPDATE package SET version = '9' WHERE name = 'keras'", "package .*keras: version"),
    ],
)  # fmt: skip
def test_which_value_was_altered(sealed: Path, statement: str, told: str) -> None:
    with closing(sqlite3.connect(sealed / "kerasprov.db")) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement)
        connection.commit()
    status, found = verified(sealed)
    assert status == 1 and any(re.search(told, line) for line in found), found


def test_what_people_add_and_other_files_alter_nothing(sealed: Path) -> None:
    database = sealed / "kerasprov.db"
    for words in (["rename", "2", "best"], ["note", "1", "good"], ["tag", "1", "fold=3"]):
        assert kerasprov(*words, "--db", database).exit_code == 0
    # In another file runs have other numbers, and metrics other columns.
    other = sealed / "other.db"
    from kerasprov_agent.store import database as store

    store.open_for_writing(str(other)).close()
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("INSERT INTO metric VALUES ('MAE', 'mae')")
        connection.execute("ALTER TABLE epoch ADD COLUMN mae REAL")
        connection.execute("ALTER TABLE evaluation ADD COLUMN mae REAL")
        connection.commit()
    assert kerasprov("merge", database, "--db", other).exit_code == 0
    assert kerasprov("pack", "-o", sealed / "packed.db", "--db", other).exit_code == 0
    for name in ("kerasprov.db", "other.db", "packed.db"):
        assert verified(sealed, db=name) == (0, []), name
    columns = rows(other, "SELECT column_name FROM metric WHERE name = 'mae'")
    assert columns != [{"column_name": "mae"}]


def test_the_seal_itself_can_not_be_altered(sealed: Path, key: Path) -> None:
    path = sealed / "tune.seal.json"
    envelope = json.loads(path.read_text())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert str(key) not in path.read_text() and "PRIVATE" not in path.read_text()
    statement["subject"] = []
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    path.write_text(json.dumps(envelope))
    done = kerasprov("verify", "--seal", path, "--db", sealed / "kerasprov.db")
    assert done.exit_code == 2 and "the seal itself was altered" in done.stderr


def test_another_checks_it_with_the_tools_of_ssh_and_the_document(sealed: Path, key: Path) -> None:
    """The document that was sealed is the one beside it; another key is another signer."""
    (sealed / "tune.prov.json").write_text("{}")
    assert verified(sealed)[0] == 1
    other = made_key(sealed / "other", "-t", "ed25519")
    words = ("--seal", sealed / "tune.seal.json", "--key", f"{other}.pub")
    done = kerasprov("verify", *words, "--db", sealed / "kerasprov.db")
    assert done.exit_code == 2 and "is signed by SHA256:" in done.stderr


@pytest.mark.parametrize(
    ("words", "passphrase"),
    [
        (["-t", "ecdsa"], ""), (["-t", "rsa", "-b", "2048"], ""), (["-t", "ed25519"], "quiet"),
        (["-t", "ecdsa", "-m", "PEM"], ""), (["-t", "rsa", "-b", "2048", "-m", "PKCS8"], "quiet"),
    ],
)  # fmt: skip
def test_every_kind_of_key(tmp_path: Path, words: list[str], passphrase: str) -> None:
    made_key(tmp_path / "key", *words, passphrase=passphrase)
    envelope = signing.sign(
        b'{"predicate": {"runDetails": {"byproducts": [1]}}}',
        str(tmp_path / "key"),
        lambda: passphrase,
    )
    (tmp_path / "seal").write_text(envelope)
    _, signer = signing.opened(str(tmp_path / "seal"))
    assert signer == signing.trusted(str(tmp_path / "key.pub"))
    if passphrase:
        with pytest.raises(signing.KerasProvError, match="the passphrase is wrong"):
            signing.sign(b"{}", str(tmp_path / "key"), lambda: "loud")


def test_all_is_sealed_at_once(study: Path, key: Path) -> None:
    words = ("--all", "--key", key, "-o", study / "tune.seal.json")
    assert kerasprov("seal", *words, "--db", study / "kerasprov.db").exit_code == 0
    assert verified(study, "--all") == (0, [])
    with closing(sqlite3.connect(study / "kerasprov.db")) as connection:
        connection.execute("UPDATE execution SET host = 'elsewhere' WHERE label = 'prepare'")
        connection.commit()
    status, told = verified(study, "--all")
    assert status == 1 and "prepare" in told[0] and "host" in told[0]


def test_bad_input_is_one_line(
    study: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database = study / "kerasprov.db"
    (tmp_path / "no.key").write_text("no key")
    (tmp_path / "no.seal").write_text("{}")
    with (
        closing(sqlite3.connect(tmp_path / "going.db")) as copy,
        closing(sqlite3.connect(database)) as source,
    ):
        source.backup(copy)
        copy.execute("UPDATE run SET status = 'running', ended_at = NULL WHERE number = 2")
        alive = "UPDATE execution SET status = 'running', process = ?, pid = ? WHERE label = 'tune'"
        copy.execute(alive, (process_key(), os.getpid()))
        copy.commit()
    for words, told in (
        (["seal", "last", "--key", tmp_path / "no.key"], "no.key is no private key"),
        (["seal", "last", "--key", f"{key}.pub"], "is no private key"),
        (["seal", "last", "--key", tmp_path / "nowhere"], "can't read"),
        (["seal", "last"], "Missing option '--key'"),
        (["seal", "nobody", "--key", key], "nothing recorded of 'nobody'"),
        (["verify", "--seal", tmp_path / "no.seal"], "is no seal"),
        (["verify", "--seal", tmp_path / "nowhere"], "nowhere"),
        (["verify", "--key", f"{key}.pub"], "--key is for a seal"),
    ):
        done = kerasprov(*words, "--db", database)
        assert done.exit_code == 2 and told in done.stderr, (words, done.output)
        assert done.stderr.count("\n") == 1
    done = kerasprov("seal", "2", "--key", key, "--db", tmp_path / "going.db")
    assert done.exit_code == 2 and "run 2 is still going" in done.stderr
    assert not list(tmp_path.glob("*.seal.json")) and not list(tmp_path.glob("*.prov.json"))
