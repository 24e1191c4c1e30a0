"""Models in files, code, and steps that the program tells of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import kerasprov_agent
from kerasprov_agent.cli import main
from tests.conftest import TINY, recorded, row, rows


def kerasprov(*words: str | Path) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def build() -> Any:
    made = keras.Sequential([keras.Input((9,)), keras.layers.Dense(1)])
    made.compile("sgd", "mean_squared_error")
    return made


def fed() -> tuple[np.ndarray, np.ndarray]:
    return np.random.rand(32, 9), np.random.rand(32)


def saved(database: Path) -> list[tuple[Any, ...]]:
    """How each file that holds a model was made."""
    query = (
        "SELECT f.path, f.role, f.sha256, a.kind, a.by, a.epoch, a.status FROM file f "
        "JOIN generated g ON g.entity_id = f.entity_id JOIN activity a ON a.id = g.activity_id "
        "ORDER BY g.at"
    )
    return [tuple(one.values()) for one in rows(database, query)]


def test_every_way_to_save(tmp_path: Path, recording: Path) -> None:
    model = build()
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
        keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False),
    ]
    model.fit(*fed(), epochs=2, verbose=0, callbacks=callbacks)
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    model.save_weights(tmp_path / "w.weights.h5")
    keras.saving.save_model(model, tmp_path / "by_function.keras")
    if keras.backend.backend() == "tensorflow":
        model.export(tmp_path / "exported", verbose=False)
    with pytest.raises(ValueError):
        model.save(tmp_path / "m.unknown")
    kerasprov_agent.stop()
    found = saved(recording)
    told = [(Path(path).name, role, kind) for path, role, _, kind, *_ in found]
    expected = [
        ("1.keras", "checkpoint", "save"), ("latest.weights.h5", "backup", "save_weights"),
        ("2.keras", "checkpoint", "save"), ("latest.weights.h5", "backup", "save_weights"),
        ("m.keras", "model", "save"), ("m.h5", "model", "save"),
        ("w.weights.h5", "weights", "save_weights"), ("by_function.keras", "model", "save"),
    ]  # fmt: skip
    if keras.backend.backend() == "tensorflow":
        expected.append(("exported", "model", "export"))
    assert told == expected
    by = {Path(path).name: (who, epoch) for path, _, _, _, who, epoch, _ in found}
    assert by["1.keras"] == ("ModelCheckpoint", 0) and by["2.keras"] == ("ModelCheckpoint", 1)
    assert by["m.keras"][1] is None
    # What was overwritten before it could be read is not known; the rest is.
    assert all(digest for path, _, digest, *_ in found if "latest" not in path)
    failed = row(recording, "SELECT * FROM activity WHERE status = 'failed'")
    assert failed["kind"] == "save" and failed["exception_type"] == "ValueError"


def test_every_way_to_load(tmp_path: Path, recording: Path) -> None:
    model = build()
    model.fit(*fed(), verbose=0)
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    model.save_weights(tmp_path / "w.weights.h5")
    (tmp_path / "m.keras").rename(tmp_path / "renamed.keras")
    for name in ("renamed.keras", "m.h5"):
        keras.models.load_model(tmp_path / name)
    other = build()
    other.load_weights(tmp_path / "w.weights.h5")
    other.fit(*fed(), verbose=0)
    kerasprov_agent.stop()
    query = (
        "SELECT a.kind, f.path FROM activity a JOIN used u ON u.activity_id = a.id "
        "JOIN file f ON f.entity_id = u.entity_id ORDER BY a.started_at"
    )
    found = [(one["kind"], Path(one["path"]).name) for one in rows(recording, query)]
    assert found == [
        ("load", "renamed.keras"), ("load", "m.h5"), ("load_weights", "w.weights.h5"),
    ]  # fmt: skip
    told = kerasprov("lineage", "last", "--back", "--db", recording)
    assert "w.weights.h5" in told and "run 1" in told, told


STEPS = """
import numpy as np, kerasprov_agent
np.savetxt("raw.csv", np.random.rand(64, 10), delimiter=",")

@kerasprov_agent.activity("resample", method="mean")
def resample(path):
    found = np.loadtxt(path, delimiter=",")
    np.save("half.npy", (found[::2] + found[1::2]) / 2)
    return 7

assert resample("raw.csv") == 7 and resample.__name__ == "resample"
found = np.load("half.npy")
with kerasprov_agent.activity("augment", inputs=found, factor=3) as step:
    more = np.concatenate([np.sin(found), np.cos(found)])
    step.made(more)
    step.set(noise=0.1, api_key="hidden-secret")
try:
    with kerasprov_agent.activity("breaks", inputs="raw.csv", outputs=["none.csv"]):
        raise RuntimeError("no")
except RuntimeError as error:
    print(error)
import keras
model = keras.Sequential([keras.Input((9,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(more[:, :9], more[:, 9], verbose=0)
model.save("m.keras")
"""


def test_steps_that_the_program_tells_of(tmp_path: Path, check_prov: Any) -> None:
    done = recorded(tmp_path, STEPS)
    assert done.returncode == 0 and done.stdout == b"no\n", done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    found = rows(database, "SELECT * FROM activity WHERE kind = 'step' ORDER BY started_at")
    assert [(one["name"], one["status"]) for one in found] == [
        ("resample", "finished"), ("augment", "finished"), ("breaks", "failed"),
    ]  # fmt: skip
    assert json.loads(found[0]["attributes"]) == {"method": "mean"}
    told = json.loads(found[1]["attributes"])
    assert told["factor"] == 3 and told["noise"] == 0.1
    assert "hidden-secret" not in found[1]["attributes"]
    assert found[2]["exception_type"] == "RuntimeError"
    tree = kerasprov("lineage", tmp_path / "m.keras", "--back", "--db", database)
    assert [word for word in ("augment", "resample", "raw.csv") if word not in tree] == [], tree
    check_prov(*(tmp_path / "kerasprov-prov").glob("*.json"))
    (tmp_path / "disabled").mkdir()
    again = recorded(tmp_path / "disabled", STEPS, KERASPROV_DISABLED="1")
    assert again.returncode == 0 and again.stdout == b"no\n", again.stderr.decode()
    assert not (tmp_path / "disabled/kerasprov.db").exists()


AT_ONCE = """
import asyncio, threading, time
from concurrent.futures import ThreadPoolExecutor
import kerasprov_agent

def write(name):
    with open(name, "w") as stream:
        stream.write(name)

meeting = threading.Barrier(2)

def in_thread(name):
    with kerasprov_agent.activity(name):
        meeting.wait()
        write(name)
        meeting.wait()
        if name == "second":
            time.sleep(0.1)

async def in_task(name):
    with kerasprov_agent.activity(name):
        await asyncio.sleep(0.1)
        write(name)
        await asyncio.sleep(0.1 if name == "third" else 0.3)

async def tasks():
    await asyncio.gather(in_task("third"), in_task("fourth"))

with ThreadPoolExecutor(2) as pool:
    list(pool.map(in_thread, ["first", "second"]))
asyncio.run(tasks())
with ThreadPoolExecutor(1) as pool, kerasprov_agent.activity("outer"):
    with kerasprov_agent.activity("pool"):
        pool.submit(write, "pool").result()
    write("outer")
write("none")
"""


def test_steps_at_once(tmp_path: Path) -> None:
    done = recorded(tmp_path, AT_ONCE)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    query = (
        "SELECT e.name AS file, a.name AS step FROM entity e JOIN generated g "
        "ON g.entity_id = e.id LEFT JOIN activity a ON a.id = g.activity_id"
    )
    found = {one["file"]: one["step"] for one in rows(tmp_path / "kerasprov.db", query)}
    names = ["first", "second", "third", "fourth", "pool", "outer"]
    assert found == {**dict(zip(names, names, strict=True)), "none": None}


@pytest.mark.slow
def test_code_is_given_back_and_compared(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets/__init__.py").write_text("")
    (tmp_path / "nets/small.py").write_text("UNITS = 8\n")
    script = TINY + "from nets import small\nmodel = build(small.UNITS)\n"
    script += "model.compile('adam', 'mse')\nmodel.fit(x, y, verbose=0)\n"
    assert recorded(tmp_path, script).returncode == 0
    (tmp_path / "nets/small.py").write_text("UNITS = 16\n")
    assert recorded(tmp_path, script).returncode == 0
    database = tmp_path / "kerasprov.db"
    code = json.loads(kerasprov("show", "1", "--code", "--json", "--db", database))
    told = {Path(one["name"]).name: one["text"] for one in code}
    assert told["small.py"] == "UNITS = 8\n" and told["train.py"] == script
    assert [one["kind"] for one in code].count("script") == 1
    assert "UNITS = 16" in kerasprov("show", "2", "--code", "--db", database)
    difference = kerasprov("diff", "1", "2", "--db", database)
    assert "-UNITS = 8" in difference and "+UNITS = 16" in difference
    assert "parameters" in difference
    # Stored once a content.
    assert len(rows(database, "SELECT * FROM source")) == len(
        {one["sha256"] for one in rows(database, "SELECT sha256 FROM module")} | {"train.py"}
    )
    same = kerasprov("diff", "1", "1", "--db", database)
    assert "do not differ" in same
