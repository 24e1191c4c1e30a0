"""However a program ends, what was recorded before is in the file, and the end is told truly."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY, clean_environment, recorded, rest_is_slow, row, rows

EPOCHS = 3
AT_THE_THIRD = """
import os, signal, sys
class AtTheThird(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 3:
            {ending}
try:
    model.fit(x, y, epochs=6, verbose=0, callbacks=[AtTheThird()])
finally:
    print("finally")
"""

ENDINGS: dict[str, tuple[str, int, str, str]] = {
    # what happens, exit status, status of the run, status of the execution
    "exception": ("raise ValueError('no')", 1, "failed", "failed"),
    "sys.exit(3)": ("sys.exit(3)", 3, "interrupted", "failed"),
    "sys.exit(0)": ("sys.exit(0)", 0, "interrupted", "finished"),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT)", -2, "interrupted", "interrupted"),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -15, "lost", "lost"),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -9, "lost", "lost"),
    "os._exit": ("os._exit(7)", 7, "lost", "lost"),
    "abort": ("os.abort()", -6, "lost", "lost"),
    "exec": ("os.execv('/bin/true', ['true'])", 0, "lost", "lost"),
}


def integrity(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def shown(database: Path) -> dict[str, Any]:
    """The last run and its execution, as `kerasprov show` tells them."""
    from kerasprov_agent.read.record import open_record

    with open_record(str(database)) as record:
        run = record.find("last")
        return {
            "run": run,
            "execution": record.execution(run),
            "epochs": record.epochs(run),
        }


@pytest.mark.parametrize("ending", rest_is_slow(ENDINGS, "exception", "SIGKILL", "SIGINT", "exec"))
def test_what_was_recorded_survives(tmp_path: Path, ending: str) -> None:
    act, status, of_run, of_execution = ENDINGS[ending]
    done = recorded(tmp_path, TINY + AT_THE_THIRD.replace("{ending}", act))
    assert done.returncode == status, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    found = shown(database)
    assert len(found["epochs"]) == EPOCHS and all(e["metrics"]["loss"] for e in found["epochs"])
    assert found["run"]["status"] == of_run
    assert found["execution"]["status"] == of_execution
    assert found["run"]["epochs_finished"] == EPOCHS
    assert integrity(database) == "ok"
    if of_execution == "failed" and ending == "exception":
        assert found["execution"]["exception_type"] == "ValueError"
        assert found["execution"]["exception"] == "no"
    if of_execution in ("finished", "failed"):
        assert found["execution"]["exit_status"] == status


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_program_leaves_no_empty_report_for_long(tmp_path: Path) -> None:
    script = (
        TINY
        + """
import os, signal
model.fit(x, y, verbose=0)
if os.fork() == 0:
    os._exit(0)
os.wait()
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    assert recorded(tmp_path, script).returncode == -signal.SIGKILL
    (left,) = tmp_path.glob("kerasprov.db-*.files")
    (tmp_path / "kerasprov.db-unknown.files").touch()
    done = recorded(tmp_path, TINY + "model.fit(x, y, verbose=0)", name="next.py")
    assert done.returncode == 0, done.stderr.decode()
    assert not left.exists() and (tmp_path / "kerasprov.db-unknown.files").exists()


@pytest.mark.slow
def test_the_next_program_marks_what_is_lost(tmp_path: Path) -> None:
    recorded(tmp_path, TINY + AT_THE_THIRD.replace("{ending}", "os._exit(0)"))
    recorded(tmp_path, TINY + "\nmodel.fit(x, y, verbose=0)\n", name="next.py")
    database = tmp_path / "kerasprov.db"
    assert [r["status"] for r in rows(database, "SELECT status FROM runs ORDER BY run")] == [
        "lost",
        "finished",
    ]
    assert rows(database, "SELECT status FROM executions ORDER BY started_at")[0] == {
        "status": "lost"
    }


def test_a_run_that_still_goes_is_running_and_readable(tmp_path: Path) -> None:
    script = (
        TINY
        + """
import time
class Slow(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.2)
model.fit(x, y, epochs=1000, verbose=0, callbacks=[Slow()])
"""
    )
    child = started(tmp_path, script)
    database = tmp_path / "kerasprov.db"
    try:
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            if database.exists() and rows_or_none(database):
                break
            time.sleep(0.2)
        found = shown(database)
        assert found["run"]["status"] == found["execution"]["status"] == "running"
        assert found["epochs"]
    finally:
        os.kill(child.pid, signal.SIGKILL)
    # It has ended, and is not waited for yet: a zombie trains no more.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert shown(database)["run"]["status"] == "lost"
    child.wait()
    assert shown(database)["run"]["status"] == "lost"


def test_within_a_first_fit_the_file_has_what_its_log_has(tmp_path: Path) -> None:
    script = (
        TINY
        + """
import time
class Waiting(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 3:
            time.sleep(600)
model.fit(x, y, epochs=5, verbose=0, callbacks=[Waiting()])
"""
    )
    child = started(tmp_path, script)
    alone = tmp_path / "alone" / "kerasprov.db"
    alone.parent.mkdir()
    try:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.2)
            if (tmp_path / "kerasprov.db").exists():
                shutil.copy(tmp_path / "kerasprov.db", alone)
                if len(rows_or_none(alone)) == 2:
                    break
        assert child.poll() is None
        assert [found["epoch"] for found in rows_or_none(alone)] == [1, 2]
    finally:
        child.kill()
        child.wait()


def started(directory: Path, script: str) -> subprocess.Popen[bytes]:
    """A script under the agent that goes on beside the test."""
    (directory / "train.py").write_text(script)
    return subprocess.Popen(
        [sys.executable, "-m", "kerasprov_agent", "train.py"],
        cwd=directory,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def rows_or_none(database: Path) -> list[dict[str, Any]]:
    try:
        return rows(database, "SELECT * FROM epoch WHERE epoch >= 1")
    except sqlite3.DatabaseError:
        return []


FORKING = (
    TINY
    + """
import os
model.fit(x, y, verbose=0)
pid = os.fork()
if pid == 0:
    {child}
    os._exit(0)
os.waitpid(pid, 0)
model.fit(x, y, epochs=2, verbose=0)
print("parent done")
"""
)


def test_a_forked_child_that_does_not_train_leaves_no_trace(tmp_path: Path) -> None:
    done = recorded(tmp_path, FORKING.replace("{child}", "x.sum()"))
    assert (done.returncode, done.stdout) == (0, b"parent done\n"), done.stderr
    database = tmp_path / "kerasprov.db"
    assert row(database, "SELECT count(*) AS n FROM execution")["n"] == 1
    assert [r["epochs_finished"] for r in rows(database, "SELECT * FROM run")] == [1, 2]
    assert integrity(database) == "ok"


def test_a_forked_child_that_trains_is_an_execution_with_a_parent(tmp_path: Path) -> None:
    child = (
        "from kerasprov_agent.capture.session import session; r = session.current();"
        " r.models.seen('m', 'Sequential')"
    )
    done = recorded(tmp_path, FORKING.replace("{child}", child))
    assert done.returncode == 0, done.stderr
    found = rows(tmp_path / "kerasprov.db", "SELECT * FROM execution ORDER BY started_at, id")
    assert len(found) == 2 and found[1]["parent_id"] == found[0]["id"]
    assert found[0]["pid"] != found[1]["pid"]


def test_fits_in_threads(tmp_path: Path) -> None:
    script = (
        TINY
        + """
import threading
def train(i):
    m = build(4 + i)
    m.compile("adam", "mse")
    for _ in range(2):
        m.fit(x, y, epochs=3, verbose=0)
threads = [threading.Thread(target=train, args=(i,)) for i in range(3)]
for t in threads: t.start()
for t in threads: t.join()
"""
    )
    done = recorded(tmp_path, script)
    assert done.returncode == 0, done.stderr
    found = rows(tmp_path / "kerasprov.db", "SELECT * FROM runs")
    assert [(r["status"], r["epochs_finished"]) for r in found] == [("finished", 3)] * 6
    assert sorted(r["parameters"] for r in found) == sorted([25, 25, 31, 31, 37, 37])


def test_a_program_that_leaves_its_directory(tmp_path: Path) -> None:
    script = (
        "import os\nos.makedirs('else'); os.chdir('else')\n"
        + TINY
        + "\nmodel.fit(x, y, verbose=0)\n"
    )
    assert recorded(tmp_path, script).returncode == 0
    assert row(tmp_path / "kerasprov.db", "SELECT * FROM run")["status"] == "finished"
    assert not list((tmp_path / "else").iterdir())
