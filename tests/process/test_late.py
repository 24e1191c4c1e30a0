"""What is recorded while Python ends belongs to the same execution, and its end is told truly."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import TINY, python, rest_is_slow, row, rows
from tests.process.test_arming import BOOTSTRAP

EARLY = """
import atexit, sys, weakref, multiprocessing.util, threading
sys.state = {}
def late():
    "Registered before the agent is there, so that it runs after the agent's own."
    model, x, y = sys.state["model"], sys.state["x"], sys.state["y"]
    model.evaluate(x, y, verbose=0)
    model.save("late.keras")
    model.fit(x, y, epochs=4, verbose=0)
    model.predict(x, verbose=0)
    with open("late.txt", "w") as file: file.write("late")
    print("late", flush=True)
class Thing: pass
sys.thing = Thing()
if REGISTERED == "atexit":
    atexit.register(late)
elif REGISTERED == "finalize":
    weakref.finalize(sys.thing, late)
elif REGISTERED == "multiprocessing":
    multiprocessing.util.Finalize(None, late, exitpriority=0)
else:
    threading._register_atexit(late)
"""
TRAINING = TINY + "model.fit(x, y, epochs=2, verbose=0)\nsys.state.update(model=model, x=x, y=y)\n"
DOORS = {
    # How the agent comes, and by what the late activities are called: not each with each.
    "import": "atexit",
    "import, finalize": "finalize",
    "import, nothing before": "atexit",
    "import, threading": "threading",
    "runner": "atexit",
    "runner, fails": "finalize",
    "sitecustomize": "multiprocessing",
}


@pytest.mark.skipif(not find_spec("tensorflow"), reason="Keras on others can't train so late")
@pytest.mark.parametrize("door", rest_is_slow(DOORS, "import", "runner", "sitecustomize"))
def test_late_activities_join_the_execution(tmp_path: Path, door: str) -> None:
    """Keras 3 cleans up at exit itself, so there the handlers have to come after it, before us."""
    by_import, fails = door.startswith("import"), door.endswith("fails")
    script = f"REGISTERED = {DOORS[door]!r}\n" + EARLY
    training = TRAINING
    if by_import:
        script = "import keras\n" + script + "import kerasprov_agent\n"
    else:
        if not find_spec("tf_keras"):
            pytest.skip("needs tf_keras")
        training = training.replace("import keras,", "import tf_keras as keras,")
        training = "import numpy as np\n" + training.replace(", numpy as np", "", 1)
    if door.endswith("nothing before"):
        training = training.replace("model.fit(x, y, epochs=2, verbose=0)\n", "")
        training = f"kerasprov_agent.stop()\n{training}kerasprov_agent.start()\n"
    script += training
    if fails:
        script += "raise ValueError('as told')\n"
    (tmp_path / "train.py").write_text(script)
    words = ["-m", "kerasprov_agent"] if door.startswith("runner") else []
    variables = {"KERAS_BACKEND": "tensorflow"}
    if door == "sitecustomize":
        variables["PYTHONPATH"] = str(BOOTSTRAP)
    done = python(*words, "train.py", directory=tmp_path, variables=variables)
    assert (done.returncode, done.stdout) == (int(fails), b"late\n"), done.stderr.decode()
    assert b"kerasprov_agent:" not in done.stderr
    database = tmp_path / "kerasprov.db"
    execution = row(database, "SELECT * FROM execution")
    assert execution["status"] == ("failed" if fails else "finished")
    assert execution["exception"] == ("as told" if fails else None)
    runs = rows(database, "SELECT * FROM run ORDER BY number")
    expected = [4] if door.endswith("nothing before") else [2, 4]
    assert [one["epochs_finished"] for one in runs] == expected
    assert {one["status"] for one in runs} == {"finished"}
    assert row(database, "SELECT status FROM evaluation") == {"status": "finished"}
    activities = rows(database, "SELECT kind, status, calls, ended_at FROM activity")
    assert {(one["kind"], one["status"]) for one in activities} == {
        ("save", "finished"), ("predict", None),
    }  # fmt: skip
    assert [one["calls"] for one in activities if one["kind"] == "predict"] == [1]
    assert execution["ended_at"] >= max(one["ended_at"] for one in (*runs, *activities))
    saved = row(database, "SELECT * FROM file WHERE path LIKE '%late.keras'")
    assert saved["role"] == "model" and saved["sha256"]
    if not by_import:  # else nobody is told any more of what Keras does not do
        assert row(database, "SELECT * FROM file WHERE path LIKE '%late.txt'")["sha256"]
    (document,) = (tmp_path / "kerasprov-prov").glob("*.json")
    text = document.read_text()
    assert f"fit-{len(runs)}" in text and "late.keras" in text and "evaluate-1" in text
    assert execution["ended_at"][:19] in text and json.loads(text)


DAEMON = (
    TINY
    + """
import threading
begun = threading.Event()
class Endless(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            begun.set()
            threading.Event().wait()
def endless():
    other = build()
    other.compile("sgd", "mse")
    other.fit(x, y, epochs=5, verbose=0, callbacks=[Endless()])
threading.Thread(target=endless, daemon=True).start()
begun.wait()
model.fit(x, y, verbose=0)
"""
)


def test_a_thread_that_trains_on_while_python_ends(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(DAEMON)
    done = python("-m", "kerasprov_agent", "train.py", directory=tmp_path)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    execution = row(database, "SELECT * FROM execution")
    assert (execution["status"], execution["exit_status"]) == ("finished", 0)
    found = rows(database, "SELECT number, status, ended_at FROM run ORDER BY number")
    assert [one["status"] for one in found] == ["interrupted", "finished"]
    assert found[0]["ended_at"] <= execution["ended_at"]
    epochs = rows(database, "SELECT run, count(*) AS n FROM epoch GROUP BY run ORDER BY run")
    assert [one["n"] for one in epochs] == [2, 1]
    view = rows(database, "SELECT epochs_finished FROM runs ORDER BY run")
    assert [one["epochs_finished"] for one in view] == [2, 1]


GONE = (
    """
import os, shutil, sys
os.mkdir("gone"); os.chdir("gone")
BEFORE
os.rmdir("../gone")
AFTER
"""
    + TINY
    + """
for name, mode in (("a.txt", "r"), ("b.txt", "w"), (b"c.txt", "r")):
    try: open(name, mode)
    except OSError as exc: print(type(exc).__name__)
try: os.rename("a", "b")
except OSError as exc: print(type(exc).__name__)
try: np.load("no.npy")
except OSError as exc: print(type(exc).__name__)
try: np.save("no.npy", x)
except OSError as exc: print(type(exc).__name__)
try: model.save("no.keras")
except OSError as exc: print(type(exc).__name__)
try: model.load_weights("no.weights.h5")
except (OSError, ValueError) as exc: print(type(exc).__name__)
model.fit(x, y, verbose=0)
"""
)


@pytest.mark.slow
def test_a_program_whose_directory_is_deleted(tmp_path: Path) -> None:
    """After it began, and before: then nobody knows from where it was started."""
    told = []
    for place, before in (("plain", ""), ("armed", "import kerasprov_agent"), ("late", "")):
        directory = tmp_path / place
        directory.mkdir()
        after = "import kerasprov_agent" if place == "late" else ""
        script = GONE.replace("BEFORE", before).replace("AFTER", after)
        (directory / "train.py").write_text(script)
        variables = {"KERASPROV_DB": str(directory / "kerasprov.db"), "HOME": str(directory)}
        done = python("train.py", directory=directory, variables=variables)
        assert done.returncode == 0, done.stderr.decode()
        assert b"kerasprov_agent:" not in done.stderr, done.stderr.decode()
        told.append(done.stdout)
    assert told[0] == told[1] == told[2] and told[0].count(b"Error\n") == 8
    query = "SELECT working_directory, status, script FROM execution"
    armed = row(tmp_path / "armed" / "kerasprov.db", query)
    assert armed["working_directory"] == str(tmp_path / "armed" / "gone")
    late = row(tmp_path / "late" / "kerasprov.db", query)
    assert late["working_directory"] is None
    assert armed["status"] == late["status"] == "finished"
    for place in ("armed", "late"):
        database = tmp_path / place / "kerasprov.db"
        assert row(database, "SELECT status FROM run") == {"status": "finished"}
