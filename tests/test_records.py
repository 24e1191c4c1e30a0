"""The record in Python: plain rows, frames, HTML."""

from __future__ import annotations

import copy
import math
import pickle
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import keras
import pytest

import kerasprov_agent
from kerasprov_agent.errors import KerasProvError, UnknownRun, Unusable
from kerasprov_agent.read.cell import Rows
from kerasprov_agent.read.comparison import _named
from kerasprov_agent.read.notebook import Records
from tests.conftest import TINY, clean_environment, recorded, rows
from tests.test_conditions import three

__all__ = ["three"]


def test_runs(three: Path) -> None:
    kp = kerasprov_agent.open(three)
    found = kp.runs(where="optimizer = 'sgd'", sort="run")
    assert [row["run"] for row in found] == [1, 2] and found[0]["optimizer"] == "SGD"
    last = rows(three, "SELECT loss, val_loss FROM epoch WHERE run = 2 ORDER BY epoch DESC")[0]
    assert (found[1]["metric.loss"], found[1]["val_loss"]) == (last["loss"], last["val_loss"])
    assert len(kp.runs(limit=1)) == 1


def test_a_run_and_what_belongs_to_it(three: Path) -> None:
    run = kerasprov_agent.open(three).run("last")
    assert (run.run, run["optimizer"], run.batch_size) == (3, "Adam", 16)
    assert [epoch["loss"] for epoch in run.epochs] == [
        row["loss"] for row in rows(three, "SELECT loss FROM epoch WHERE run = 3 ORDER BY epoch")
    ]
    assert {"name": "batch_size", "value": 16}.items() <= next(
        row for row in run.params if row["name"] == "batch_size"
    ).items()
    assert [layer["units"] for layer in run.layers] == [16, 1]
    assert run.model is not None and run.model["name"].startswith("sequential")
    assert run.execution["status"] == "finished" and "name" in dir(run) and "train-3" in repr(run)
    assert list(run.files) == rows(three, "SELECT * FROM files ORDER BY path")
    assert not run.changes and not run.evaluations
    with pytest.raises(AttributeError):
        run.nonsense  # noqa: B018


def test_one_name_is_one_thing(three: Path) -> None:
    run = kerasprov_agent.open(three).run("last")
    for name in dir(run):
        if not name.startswith("_") and name != "plot":
            assert repr(run[name]) == repr(getattr(run, name)), name
    assert (run.epochs_planned, run.model_class, run.layer_count) == (4, "Sequential", 2)
    assert len(run.epochs) == run.epochs_finished and run["model"] == run.model
    with pytest.raises(KeyError):
        run["nonsense"]
    for other in (copy.copy(run), copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        assert (other.name, list(other.epochs)) == (run.name, list(run.epochs))


def test_frames(three: Path) -> None:
    pd = pytest.importorskip("pandas")
    kp = kerasprov_agent.open(three)
    frame = kp.runs().df
    assert isinstance(frame, pd.DataFrame) and list(frame["run"]) == [3, 2, 1]
    assert kp.run(3).epochs.df["val_loss"].notna().all()


def test_questions_best_and_lineage(three: Path) -> None:
    kp = kerasprov_agent.open(three)
    best = rows(three, "SELECT run, min(loss) AS loss FROM epochs GROUP BY run ORDER BY 2")
    assert [(one["run"], one["loss"]) for one in kp.best("loss", top=3)] == [
        (one["run"], one["loss"]) for one in best
    ]
    by = kp.best("loss", by="optimizer", mean=True)
    assert {one["optimizer"]: one["runs"] for one in by} == {"SGD": 2, "Adam": 1}
    assert kp.query("run, epoch, loss where run = 1 order by epoch") == rows(
        three, "SELECT run, epoch, loss FROM epochs WHERE run = 1 ORDER BY epoch"
    )
    graph = kp.lineage(1)
    assert {node["kind"] for node in graph["nodes"]} >= {"model", "dataset"}
    assert kp.lineage("last", "forward")["direction"] == "forward"
    assert list(kp.runs()[0])[-2:] == ["id", "execution_id"]
    with pytest.raises(KerasProvError):
        kp.lineage(1, "sideways")
    shown = kp.run(1)._repr_html_()
    assert "activation" in shown and " s</td>" in shown and "started at" not in shown
    for name in ("open", "last_run", "activity", "write_provenance"):
        assert name in (kerasprov_agent.__doc__ or "")


def test_compare(three: Path) -> None:
    rows = kerasprov_agent.open(three).compare(1, "train-3")
    told = {(row.pop("section"), row.pop("name")): row for row in rows}
    assert told["settings", "optimizer"] == {"train": "SGD", "train-3": "Adam"}
    assert told["settings", "batch_size"]["train-3"] == 16
    assert ("outcome", "lowest loss") in told and ("settings", "validation_split") not in told


def test_layers_with_automatic_names_are_known_by_class_and_place() -> None:
    keras.utils.clear_session()
    layers = keras.layers
    classes = [
        layers.Dense, layers.Conv2D, layers.GlobalAveragePooling2D, layers.BatchNormalization,
        layers.LSTM, layers.ReLU, layers.MaxPooling1D, layers.LayerNormalization, layers.GRU,
    ]  # fmt: skip
    first = [cls(4) if cls in (layers.Dense, layers.LSTM, layers.GRU) else cls(4, 3)
             if cls is layers.Conv2D else cls() for cls in classes]  # fmt: skip
    again = layers.Dense(3)
    made = [*first, again, layers.Dense(2, name="head")]
    named = _named([{"name": one.name, "class_name": type(one).__name__} for one in made])
    assert list(named) == [*(f"{cls.__name__} 1" for cls in classes), "Dense 2", "head"]


def test_sql(three: Path) -> None:
    kp = kerasprov_agent.open(three)
    assert kp.sql("SELECT run FROM runs WHERE batch_size > ? ORDER BY run", 4) == [
        {"run": 2},
        {"run": 3},
    ]
    for query in ("SELECT nonsense", "DELETE FROM run", "SELECT 1; SELECT 2"):
        with pytest.raises(KerasProvError, match=r"SQLite says|only a SELECT|one statement"):
            kp.sql(query)


def test_html(three: Path) -> None:
    """Well-formed, nothing fetched, names from outside escaped."""
    kp = kerasprov_agent.open(three)
    for shown in (kp.run(3), kp.runs(), kp.run(3).params):
        html = shown._repr_html_()
        for frame in ET.fromstring(f"<div>{html}</div>").iter("iframe"):
            assert frame.get("sandbox") == "allow-scripts"
        html = re.sub('srcdoc="[^"]*"', "", html)
        assert "http" not in html and "<script" not in html
    assert "<script" not in Rows([{"<script>": "<script>"}])._repr_html_()


def test_what_a_notebook_shows_of_runs_has_the_charts_of_the_pages(three: Path) -> None:
    kp = kerasprov_agent.open(three)
    for shown, first in (
        (kp.run(3), "run/3"), (kp.runs(), "runs"), (kp.compare(3, 1), "compare?runs=1,3"),
    ):  # fmt: skip
        (frame,) = ET.fromstring(f"<div>{shown._repr_html_()}</div>").iter("iframe")
        assert f'"first":"{first}"' in (frame.get("srcdoc") or "")
    assert "iframe" not in kp.run(3).params._repr_html_()
    assert (
        "iframe" not in kp.compare(1)._repr_html_()
        and "iframe" not in kp.compare(1, 1)._repr_html_()
    )
    rows = kp.runs()
    three.unlink()
    assert rows._repr_html_().startswith("<table>"), "the file is gone, what was read of it is not"


def test_what_can_not_be_drawn_is_left_out(tmp_path: Path) -> None:
    script = "class C(keras.callbacks.Callback):\n def on_epoch_end(self, e, logs=None): logs['n'] = float('nan')\n"
    recorded(tmp_path, TINY + script + "model.fit(x, y, epochs=2, verbose=0, callbacks=[C()])")
    run = Records(tmp_path / "kerasprov.db").run()
    assert math.isnan(run.epochs[0]["n"]) and "<iframe" in run._repr_html_()


def test_while_a_training_writes(tmp_path: Path) -> None:
    script = TINY + (
        "import time\nclass Slow(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None): time.sleep(0.1)\n"
        "model.fit(x, y, epochs=500, verbose=0, callbacks=[Slow()])"
    )
    (tmp_path / "train.py").write_text(script)
    command = [sys.executable, "-m", "kerasprov_agent", "train.py"]
    child = subprocess.Popen(
        command, cwd=tmp_path, env=clean_environment(), stderr=subprocess.DEVNULL
    )
    path, seen = tmp_path / "kerasprov.db", set[int]()
    try:
        until = time.monotonic() + 120
        while len(seen) < 3 and time.monotonic() < until:
            time.sleep(0.1)
            try:
                run = kerasprov_agent.open(path).run()
                if run.epochs:
                    assert run.status == "running"
                    seen.add(len(run.epochs))
            except (UnknownRun, Unusable):
                pass
    finally:
        child.kill()
        child.wait()
    assert len(seen) >= 3
    assert kerasprov_agent.open(path).run().status == "lost"


def test_the_last_run_of_this_process(recording: Path) -> None:
    import keras
    import numpy as np

    with pytest.raises(KerasProvError):
        kerasprov_agent.last_run  # noqa: B018
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0)
    assert kerasprov_agent.last_run.epochs_finished == 2
    assert "<iframe" in kerasprov_agent.last_run._repr_html_()


def test_bad_databases(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="no database"):
        kerasprov_agent.open(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("text")
    with pytest.raises(Unusable):
        kerasprov_agent.open(tmp_path / "text.db")
    assert [path.name for path in tmp_path.iterdir()] == ["text.db"]
