"""What is sent to a real PostgreSQL is what the database holds, whatever goes wrong on the way."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from kerasprov_agent import identity
from kerasprov_agent.central import checking, pulling, sending, source
from kerasprov_agent.central.server import connected, initialize
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.lineage import Lineage
from kerasprov_agent.read.record import open_record
from kerasprov_agent.store import care
from kerasprov_agent.store.operations import insert, measured, update
from kerasprov_agent.store.writer import Writer
from tests.central.conftest import PASSWORD, Server, free_port
from tests.conftest import (
    ROOT,
    TINY,
    clean_environment,
    kerasprov,
    made_once,
    recorded,
    rest_is_slow,
    rows,
)

PROGRAM = (
    TINY
    + """
import os
os.makedirs("many", exist_ok=True)
for number in range(20): np.save(f"many/{number}.npy", x)
x = np.concatenate([np.load(f"many/{number}.npy") for number in range(20)]); y = np.tile(y, 20)
class Report(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs.update({"nan": float("nan"), "up": float("inf"), "f1 (macro)": 0.1 + 0.2, "Loss": 1.0, "long " * 60: 2.0})
model.fit(x, y, epochs=3, validation_split=0.25, verbose=0, callbacks=[
    Report(), keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)])
model.evaluate(x, y, verbose=0)
model.fit(x, y, epochs=2, verbose=0)
model.save("model.keras")
"""
)
GOING = """
import keras, numpy as np, sys
class Tell(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print(epoch, flush=True)
        if epoch >= 2: sys.stdin.readline()
x = np.ones((8, 4))
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, x[:, :1], epochs=6, verbose=0, callbacks=[Tell()])
"""
SENT = f"SELECT count(*) FROM kerasprov.epoch"  # noqa: F541 - reads as the others do


@pytest.fixture(scope="session")
def made_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the program, recorded once."""

    def make(directory: Path) -> None:
        done = recorded(directory, PROGRAM, "--prov", "off")
        assert done.returncode == 0, done.stderr.decode()

    return made_once(tmp_path_factory, "central-program", make)


@pytest.fixture
def db(made_program: Path, tmp_path: Path) -> str:
    """The program's database, for this test alone, which notes what changes."""
    path = str(shutil.copy(made_program / "kerasprov.db", tmp_path / "kerasprov.db"))
    source.prepare(path)
    return path


def alter(path: str, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def test_what_is_sent_is_the_same(db: str, central: str) -> None:
    run = "(SELECT id FROM run WHERE number = 1)"
    for name, value in {
        "big": 2**63 - 1, "small": -(2**63), "infinite": float("-inf"), "tiny": 5e-324,
        "text": "ü ≤ 🙂 \\u0000 '\"", "nul": "a\0b", "empty": "", "blob": b"\0\xff", "zero": -0.0,
        "none": None,
    }.items():  # fmt: skip
        alter(db, f"INSERT INTO param VALUES ({run}, 'odd', ?, ?)", name, value)
    alter(db, f"INSERT INTO param SELECT {run}, 'odd', 'bytes', CAST(x'41ff' AS TEXT)")
    alter(db, "UPDATE run SET note = CAST(x'41ff' AS TEXT), samples = 'many' WHERE number = 2")
    sent = sending.send_all(db, central)
    assert sent.units > 10 and sent.epochs == 5 and not sent.waiting and not sent.refused
    assert checking.differences(db, central) == []
    again = sending.send_all(db, central)
    assert (again.units, again.epochs) == (0, 0)


def test_what_is_pulled_is_the_same(db: str, central: str, tmp_path: Path) -> None:
    alter(db, "UPDATE run SET note = CAST(x'41ff' AS TEXT), samples = 'many' WHERE number = 2")
    alter(db, "INSERT INTO param SELECT id, 'odd', 'nul', 'a' || char(0) FROM run")
    sending.send_all(db, central)
    team = str(tmp_path / "team.db")
    assert pulling.pull(central, team) == 2
    assert pulling.pull(central, team, where="epochs = 2") == 1
    assert pulling.pull(central, team) == 2
    source.prepare(team)
    assert checking.differences(team, central) == []
    for table in ("run", "param", "layer", "file", "used", "derived", "source", "member", "content",
                  "manifest", "change", "execution", "package"):  # fmt: skip
        query = f"SELECT * FROM {table}"
        with closing(sqlite3.connect(db)) as one, closing(sqlite3.connect(team)) as other:
            one.text_factory = other.text_factory = bytes
            mine, theirs = one.execute(query), other.execute(query)
            assert [c[0] for c in mine.description] == [c[0] for c in theirs.description]
            numbered = {"member": 2, "content": 1, "manifest": 1}.get(table, 0)
            assert sorted(map(repr, (row[numbered:] for row in mine))) == sorted(
                map(repr, (row[numbered:] for row in theirs))
            ), table
    shown = [kerasprov("show", "1", "--db", path).output for path in (db, team)]
    assert shown[0] == shown[1]
    with pytest.raises(KerasProvError, match="recorded here, not pulled"):
        pulling.pull(central, db)


def test_changes_names_tags_notes_and_deletions_travel(db: str, central: str) -> None:
    sending.send_all(db, central)
    ids = [row["id"] for row in rows(db, "SELECT id FROM run ORDER BY number")]
    care.rename(db, ids[0], "the first")
    care.tag_run(db, ids[0], {"fold": "3"})
    care.note(db, ids[0], "kept")
    what = {found["what"] for found in checking.differences(db, central)}
    assert what == {"waits to be sent"}
    sending.send_all(db, central)
    assert checking.differences(db, central) == []
    care.delete(db, [ids[1]])
    sending.send_all(db, central)
    assert checking.differences(db, central) == []
    alter(db, "UPDATE epoch SET steps = 7 WHERE epoch = 1")
    alter(db, "DELETE FROM epoch WHERE epoch = 2")
    sending.send_all(db, central)
    assert checking.differences(db, central) == []
    care.delete(db, [ids[0]])
    sending.send_all(db, central)
    assert checking.differences(db, central) == []


def test_an_older_copy_undoes_nothing(db: str, central: str, tmp_path: Path) -> None:
    sending.send_all(db, central)
    older = str(shutil.copy(db, tmp_path / "older.db"))
    before_all = str(tmp_path / "first.db")
    shutil.copy(db, before_all)
    alter(before_all, "DELETE FROM meta WHERE key LIKE 'central %'")  # as if never sent
    ids = [row["id"] for row in rows(db, "SELECT id FROM run ORDER BY number")]
    care.note(db, ids[0], "newer")
    care.delete(db, [ids[1]])
    alter(db, "DELETE FROM epoch WHERE run = 1 AND epoch = 1")
    sending.send_all(db, central)
    for copy in (older, before_all):
        sending.send_all(copy, central)
        assert checking.differences(db, central) == []
        what = {found["what"] for found in checking.differences(copy, central)}
        assert what >= {
            "a later state was sent from another copy of this file",
            "was deleted by another copy of this file",
        }
    # What is changed in the older copy from now on is newer than both.
    care.note(older, ids[0], "newest")
    sending.send_all(older, central)
    (found,) = [one for one in checking.differences(db, central) if one["kind"] == "run"]
    assert found["what"] == "a later state was sent from another copy of this file"


def test_several_send_one_file_at_once(db: str, central: str, tmp_path: Path) -> None:
    paths = [db, str(shutil.copy(db, tmp_path / "copy.db"))]
    problems: list[BaseException] = []

    def send(path: str) -> None:
        try:
            sending.send_all(path, central)
        except BaseException as exc:
            problems.append(exc)

    threads = [threading.Thread(target=send, args=(path,)) for path in paths * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    for path in paths:
        assert checking.differences(path, central) == []


def test_a_long_backlog_arrives_whole(tmp_path: Path, central: str) -> None:
    """More than one batch, in which runs changed long after their epochs came."""
    path, own = str(tmp_path / "long.db"), identity.own()
    writer = Writer(path, own)
    writer.write([insert("execution", {"id": own, "label": "long", "status": "running"})])
    source.prepare(path)
    ids = [f"{own}#fit-{number}" for number in range(source.BATCH + 200)]
    for run_id in ids:
        row = {"id": run_id, "execution_id": own, "kind": "fit", "label": "long"}
        epoch = {"run_id": run_id, "epoch": 0, "started_at": 1.79e9}
        writer.write([insert("run", row), measured("epoch", epoch, {"loss": 0.5})])
    writer.write([update("run", {"status": "finished"}, {"id": run_id}) for run_id in ids])
    writer.close()
    sent = sending.send_all(path, central)
    assert sent.epochs == len(ids)
    assert checking.differences(path, central) == []


def test_a_server_that_dies_meanwhile(db: str, central: str, server: Server) -> None:
    sending.send(db, central)
    server.stop(signal.SIGQUIT)
    try:
        with pytest.raises(KerasProvError):
            sending.send_all(db, central)
    finally:
        server.start()
    alter(db, "UPDATE run SET note = 'after'")
    sending.send_all(db, central)
    assert checking.differences(db, central) == []


def train(directory: Path, program: str, url: str, **variables: str) -> subprocess.Popen[str]:
    (directory / "train.py").write_text(program)
    return subprocess.Popen(
        [sys.executable, "-m", "kerasprov_agent", "train.py"],
        cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=clean_environment(PYTHONPATH=str(ROOT), KERASPROV_CENTRAL=url, **variables), text=True,
    )  # fmt: skip


def senders(folder: Path) -> list[int]:
    """The processes that send the databases in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            if b"central.following" in words and str(folder).encode() in words:
                found.append(int(entry.name))
    return found


def until(holds: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("ending", ["its end", "SIGKILL"])
def test_epochs_arrive_while_a_training_goes_on(
    tmp_path: Path, central: str, server: Server, ending: str
) -> None:
    database = central.rpartition("/")[2]
    child = train(tmp_path, GOING, central)
    until(lambda: server.execute(SENT, database) == [(2,)])
    assert child.poll() is None
    if ending == "SIGKILL":
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        until(lambda: rows(tmp_path / "kerasprov.db", "SELECT count(*) AS n FROM epoch") == [{"n": 3}])  # fmt: skip
        child.kill()
        child.communicate()
    else:
        out, err = child.communicate("\n" * 9)
        assert (child.returncode, out) == (0, "0\n1\n2\n3\n4\n5\n")
        assert "kerasprov_agent" not in err
    until(lambda: not checking.differences(str(tmp_path / "kerasprov.db"), central))
    assert PASSWORD.encode() not in (tmp_path / "kerasprov.db").read_bytes()
    until(lambda: not senders(tmp_path))
    if ending == "its end":  # who comes last takes SQLite's further files away
        assert [path.name for path in tmp_path.glob("kerasprov.db*")] == ["kerasprov.db"]


def test_a_sender_that_was_killed_has_a_successor(
    tmp_path: Path, central: str, server: Server
) -> None:
    database = central.rpartition("/")[2]
    child = train(tmp_path, GOING, central)
    until(lambda: server.execute(SENT, database) == [(2,)])
    (sender,) = senders(tmp_path)
    os.kill(sender, signal.SIGKILL)
    child.communicate("\n" * 9)
    assert child.returncode == 0
    until(lambda: server.execute(SENT, database) == [(6,)])
    until(lambda: not checking.differences(str(tmp_path / "kerasprov.db"), central))
    until(lambda: not senders(tmp_path))


@pytest.mark.parametrize(
    "fault", rest_is_slow(["no server", "wrong password", "no central store"], "no server")
)
def test_a_training_does_not_need_the_server(
    tmp_path: Path, empty: str, server: Server, fault: str
) -> None:
    url = {
        "no server": f"postgresql://ada@127.0.0.1:{free_port()}/team",
        "wrong password": empty.replace(PASSWORD, "wr0ng-passw0rd"),
        "no central store": empty,
    }[fault]
    child = train(tmp_path, TINY + "model.fit(x, y, epochs=2, verbose=0); print('trained')", url,
                  KERASPROV_CENTRAL_SECONDS="6")  # fmt: skip
    out, err = child.communicate()
    assert (child.returncode, out) == (0, "trained\n")
    (line,) = [line for line in err.splitlines() if "kerasprov_agent" in line]
    assert "wait in" in line and "kerasprov push" in line and PASSWORD not in line
    assert "wr0ng" not in line
    told = {"no server": "refused", "wrong password": "authentication failed"}
    assert told.get(fault, "no central store") in line
    path = str(tmp_path / "kerasprov.db")
    assert rows(path, "SELECT status, epochs_finished FROM run") == [
        {"status": "finished", "epochs_finished": 2}
    ]
    initialize(empty)
    done = kerasprov("push", empty, "--db", path)
    # What the training began beside it may be there still, and send them just now.
    assert done.exit_code == 0 and "epochs were sent" in done.output
    assert PASSWORD not in done.output
    until(lambda: not senders(tmp_path))
    assert checking.differences(path, empty) == []
    assert server.execute(SENT, empty.rpartition("/")[2]) == [(2,)]


def test_a_password_may_stand_elsewhere(
    db: str, central: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = central.replace(f":{PASSWORD}", "")
    assert kerasprov("push", bare, "--db", db).exit_code == 2
    host, _, rest = central.rpartition("@")[2].partition(":")
    port, _, name = rest.partition("/")
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"{host}:{port}:{name}:owner:{PASSWORD}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    assert kerasprov("push", bare, "--db", db).exit_code == 0
    monkeypatch.delenv("PGPASSFILE")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert kerasprov("central", "doctor", bare, "--db", db).exit_code == 0


def test_an_older_central_store_is_brought_up_to_date(db: str, central: str) -> None:
    with connected(central) as connection:
        connection.execute("DROP VIEW kerasprov.runs CASCADE")
        connection.execute("ALTER TABLE kerasprov.run DROP COLUMN tags CASCADE")
        connection.execute("UPDATE kerasprov.meta SET value = '3' WHERE key = 'version'")
    with pytest.raises(KerasProvError, match="central init"):
        sending.send_all(db, central)
    initialize(central)
    sending.send_all(db, central)
    assert checking.differences(db, central) == []


def test_a_network_that_is_cut(db: str, central: str) -> None:
    """A proxy lets so many bytes through, and then says nothing more."""
    port = int(central.rpartition(":")[2].partition("/")[0])
    for limit in (100, 3000, 20_000):
        listener = socket.create_server(("127.0.0.1", 0))
        own = listener.getsockname()[1]
        threading.Thread(target=_forward, args=(listener, port, limit), daemon=True).start()
        url = central.replace(f":{port}/", f":{own}/")
        with pytest.raises(KerasProvError):
            sending.send_all(db, url)
        listener.close()
    sending.send_all(db, central)
    assert checking.differences(db, central) == []


def _forward(listener: socket.socket, port: int, limit: int) -> None:
    ours, _ = listener.accept()
    theirs = socket.create_connection(("127.0.0.1", port))
    left = limit

    def back() -> None:
        with suppress(OSError):
            while some := theirs.recv(4096):
                ours.sendall(some)

    threading.Thread(target=back, daemon=True).start()
    with suppress(OSError):
        while left > 0 and (some := ours.recv(min(4096, left))):
            theirs.sendall(some)
            left -= len(some)
    for end in (ours, theirs):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def test_who_may_write_changes_only_own_rows(
    db: str, central: str, writer: Callable[..., str], tmp_path: Path
) -> None:
    import psycopg

    ada, bob, eve = writer("ada"), writer("bob"), writer("eve", "kerasprov_reader")
    sending.send_all(db, ada)
    assert checking.differences(db, eve) == []
    (run_id,) = [row["id"] for row in rows(db, "SELECT id FROM run WHERE number = 1")]
    care.note(db, run_id, "of bob")
    sent = sending.send_all(db, bob)
    assert run_id in sent.refused
    (found,) = [one for one in checking.differences(db, bob) if one["kind"] == "run"]
    assert found["id"] == run_id
    other = tmp_path / "other"
    other.mkdir()
    recorded(other, TINY + "model.fit(x, y, verbose=0)", "--prov", "off")
    source.prepare(str(other / "kerasprov.db"))
    sending.send_all(str(other / "kerasprov.db"), bob)
    assert checking.differences(str(other / "kerasprov.db"), bob) == []
    for statement in (
        "UPDATE kerasprov.run SET note = 'x'", "DELETE FROM kerasprov.epoch",
        "UPDATE kerasprov.source SET bytes = 0", "DROP TABLE kerasprov.run",
        "ALTER TABLE kerasprov.epoch ADD COLUMN x int", "INSERT INTO kerasprov.run (id, _writer) "
        "VALUES ('x', 'ada')",
    ):  # fmt: skip
        for url in (eve, bob):
            with psycopg.connect(url) as connection:
                try:
                    connection.execute(statement)  # type: ignore[call-overload]
                except psycopg.errors.InsufficientPrivilege:
                    continue
                assert url == bob and statement.startswith(("UPDATE kerasprov.run", "DELETE"))
                connection.rollback()
    with psycopg.connect(bob) as connection:  # of what bob changes, nothing is ada's
        changed = connection.execute("UPDATE kerasprov.run SET note = 'x'").rowcount
        assert changed == 1
        connection.rollback()
    with pytest.raises(KerasProvError, match=r"permission denied|row-level"):
        sending.send_all(str(shutil.copy(db, tmp_path / "eve.db")), eve)


@pytest.mark.slow
def test_lineage_joins_what_two_machines_sent(central: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    begin = "import numpy as np\nd = np.load('data.npz')\n"
    recorded(here, TINY + "np.savez('data.npz', x=x, y=y)\n" + begin
             + "model.fit(d['x'], d['y'], verbose=0); model.save('model.keras')",
             "--prov", "off")  # fmt: skip
    shutil.copy(here / "model.keras", there / "begun.keras")
    recorded(there, TINY + "model = keras.models.load_model('begun.keras')\n"
             "model.fit(x[:4], y[:4], verbose=0); model.save('tuned.keras')", "--prov", "off")  # fmt: skip
    for folder in (here, there):
        path = str(folder / "kerasprov.db")
        source.prepare(path)
        sending.send_all(path, central)
    team = str(tmp_path / "team.db")
    pulling.pull(central, team)
    with open_record(team) as record:
        graph = Lineage(record)
        back = graph.reach(graph.find(str(there / "tuned.keras")), "back")
        paths = {graph.node(entity).get("path") for entity in back}
        assert str(here / "model.keras") in paths and str(here / "data.npz") in paths
        forward = graph.reach(graph.find(str(here / "data.npz")), "forward")
        assert str(there / "tuned.keras") in {graph.node(entity).get("path") for entity in forward}


def test_bad_input_is_one_line(db: str, empty: str, central: str, tmp_path: Path) -> None:
    newer = central
    port = free_port()
    for words, told in (
        (("push", "mysql://ada:pw0@host/db"), "no address of a PostgreSQL"),
        (("push", f"postgresql://ada:pw0@127.0.0.1:{port}/team"), "refused"),
        (("push", central.replace(PASSWORD, "pw0")), "authentication failed"),
        (("push",), "KERASPROV_CENTRAL"),
        (("pull", central, "-o", db), "not pulled"),
        (("runs", "--db", central), "kerasprov pull URL -o team.db"),
        (("pull", central, "-o", str(tmp_path / "team.db"), "--where", "nonsense = 1"), "nonsense"),
        (("push", central, "--db", str(tmp_path / "none.db")), "no database"),
        (("central", "status", central.rpartition("/")[0] + "/postgres"), "no central store"),
        (("central", "init", central.rpartition("/")[0] + "/nowhere"), "does not exist"),
    ):  # fmt: skip
        words = words if "--db" in words or words[0] != "push" else (*words, "--db", db)
        done = kerasprov(*words)
        assert done.exit_code == 2 and done.output.count("\n") == 1, done.output
        assert told in done.output and "pw0" not in done.output and PASSWORD not in done.output
    import psycopg

    with psycopg.connect(newer) as connection:
        connection.execute("UPDATE kerasprov.meta SET value = '99' WHERE key = 'version'")
    done = kerasprov("push", newer, "--db", db)
    assert done.exit_code == 2 and "upgrade" in done.output
    assert kerasprov("central", "init", newer).exit_code == 2


def test_the_commands(db: str, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "GRANT kerasprov_writer" in kerasprov("central", "init", empty).output
    monkeypatch.setenv("KERASPROV_CENTRAL", empty)
    assert kerasprov("central", "doctor", "--db", db).exit_code == 1
    assert kerasprov("push", "--db", db).exit_code == 0
    done = kerasprov("central", "doctor", "--db", db)
    assert done.exit_code == 0 and "Both hold the same" in done.output
    (store,) = __import__("json").loads(kerasprov("central", "status", "--json").output)
    assert store["waiting"] == 0 and store["seconds_ago"] < 600 and abs(store["clock_offset"]) < 60
    done = kerasprov("pull", "-o", str(tmp_path / "team.db"))
    assert done.exit_code == 0 and "2 runs" in done.output
    assert kerasprov("runs", "--db", str(tmp_path / "team.db")).exit_code == 0
    config = kerasprov("config").output
    assert "127.0.0.1" in config and PASSWORD not in config


def test_push_follows_a_file(db: str, central: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "from kerasprov_agent.cli import main; main()", "push", "--follow", "--db", db],
        env=clean_environment(PYTHONPATH=str(ROOT), KERASPROV_CENTRAL=central),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        until(lambda: not checking.differences(db, central))
        alter(db, "UPDATE run SET note = 'while it follows'")
        until(lambda: not checking.differences(db, central))
    finally:
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=300)
    assert "sent" in out and "Traceback" not in out and PASSWORD not in out


def test_a_log_survives_a_migration(made_program: Path, tmp_path: Path) -> None:
    from kerasprov_agent.store import database, outbox

    path = str(shutil.copy(made_program / "kerasprov.db", tmp_path / "kerasprov.db"))
    source.prepare(path)
    with closing(database.open_for_writing(path)) as connection:
        triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
        before = connection.execute(triggers).fetchall()
        connection.execute("DROP TRIGGER outbox_run_UPDATE")
        outbox.renew(connection)
        assert connection.execute(triggers).fetchall() == before
    assert os.path.getsize(path) > 0


def test_months_are_tables_and_parquet_files(db: str, empty: str, tmp_path: Path) -> None:
    import duckdb

    initialize(empty, by_month=True)
    initialize(empty)
    october, november = 1790812800.0, 1793491200.0  # of 2026
    for path in (db,):
        alter(path, "UPDATE epoch SET started_at = ? WHERE run = 1", october)
        alter(path, "UPDATE epoch SET started_at = ? WHERE run = 2", november)
        alter(path, "UPDATE epoch SET started_at = NULL WHERE run = 2 AND epoch = 0")
        sending.send_all(path, empty)
        assert checking.differences(path, empty) == []
    with connected(empty) as connection:
        query = "SELECT tableoid::regclass::text, count(*) FROM kerasprov.epoch GROUP BY 1"
        found = dict(connection.execute(query).fetchall())
    assert found == {
        "kerasprov.epoch_2026_10": 3, "kerasprov.epoch_2026_11": 1, "kerasprov.epoch_other": 1,
    }  # fmt: skip
    target = tmp_path / "october.parquet"
    done = kerasprov("central", "export", empty, "--month", "2026-10", "-o", target)
    assert done.exit_code == 0 and "3 epochs" in done.output
    read = duckdb.sql(f"SELECT run, epoch, loss FROM '{target}' ORDER BY run, epoch").fetchall()
    stored = rows(db, "SELECT run, epoch, loss FROM epoch WHERE run = 1 ORDER BY epoch")
    assert read == [tuple(row.values()) for row in stored]
    for month, told in (("2999-01", "not over"), ("october", "no month")):
        done = kerasprov("central", "export", empty, "--month", month, "-o", target)
        assert done.exit_code == 2 and told in done.output and done.output.count("\n") == 1
