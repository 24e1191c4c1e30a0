"""Every document is valid PROV, and says the same in each format."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import prov.model
import pytest

from kerasprov_agent import documents
from kerasprov_agent.store import database
from tests.conftest import TINY, clean_environment, recorded, row, rows

Check = Callable[..., None]

PROGRAMS = {
    "plain": "model.fit(x, y, epochs=3, validation_split=0.25, verbose=0); model.evaluate(x, y, verbose=0)",
    "early stopping": "model.fit(x, y, epochs=50, verbose=0, callbacks=["
    "keras.callbacks.EarlyStopping('loss', patience=1, min_delta=9)])",
    "two fits": "model.fit(x, y, verbose=0); model.compile('sgd', 'mse'); model.fit(x, y, verbose=0)",
    "evaluation only": "model.evaluate(x, y, verbose=0)",
    "compile only": "",
    "exception": "model.fit(x, y, verbose=0); raise ValueError('broken: \\x07 \\u2028 ü \"quoted\" \\\\ \\n end')",
    "failing fit": "model.fit(np.zeros((8, 9)), y, verbose=0)",
    "evaluating within": """
class Testing(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.evaluate(x, y, verbose=0)
        inner = build(); inner.compile('sgd', 'mse'); inner.fit(x, y, epochs=2, verbose=0)
model.fit(x, y, epochs=2, verbose=0, callbacks=[Testing()])
""",
    "nan": """
class Report(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs.update({'nan': float('nan'), 'up': float('inf'), 'f1 (macro)': 0.5, '2nd': 1.0, 'ü': 2.0})
model.fit(x, y, epochs=2, verbose=0, callbacks=[Report()])
""",
    "schedule": "model.compile(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay("
    "0.1, 10, 0.9)), keras.losses.BinaryCrossentropy(), loss_weights=[2.0]); model.fit(x, y, verbose=0)",
    "killed": """
import os, signal
class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2: os.kill(os.getpid(), signal.SIGKILL)
model.fit(x, y, epochs=5, verbose=0, callbacks=[Kill()])
""",
    "killed in validation": """
import os, signal
class Kill(keras.callbacks.Callback):
    def on_test_begin(self, logs=None):
        os.kill(os.getpid(), signal.SIGKILL)
model.fit(x, y, epochs=5, validation_split=0.5, verbose=0, callbacks=[Kill()])
""",
}  # fmt: skip


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each of the programs, recorded; gives its database."""
    found = {}
    for name, text in PROGRAMS.items():
        directory = tmp_path_factory.mktemp("programs")
        recorded(directory, TINY + text, name=f"train {name} ü.py")
        found[name] = directory / "kerasprov.db"
    return found


ENDINGS = {"turtle": "ttl"}


def written(path: Path, format: str, run_id: str | None = None) -> str:
    with closing(database.open_for_reading(str(path))) as connection:
        execution = connection.execute("SELECT id FROM execution").fetchone()[0]
        stream = io.StringIO()
        documents.write(connection, execution, stream, format, run_id)
        return stream.getvalue()


def read(text: str, format: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return prov.model.ProvDocument.deserialize(content=text, format=format)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_checker_says_ok(
    programs: dict[str, Path], check_prov: Check, tmp_path: Path, name: str
) -> None:
    path = programs[name]
    files = []
    for format_ in documents.FORMATS:
        files.append(tmp_path / f"whole.{ENDINGS.get(format_, format_)}")
        files[-1].write_text(written(path, format_), "utf-8")
    for number, run in enumerate(rows(path, "SELECT id FROM run")):
        files.append(tmp_path / f"run-{number}.json")
        files[-1].write_text(written(path, "json", run["id"]), "utf-8")
    automatic = list((path.parent / "kerasprov-prov").glob("*.json"))
    assert len(automatic) == (0 if name.startswith("killed") else 1)
    check_prov(*files, *automatic)


@pytest.mark.parametrize("name", PROGRAMS)
def test_both_formats_say_the_same(programs: dict[str, Path], name: str) -> None:
    path = programs[name]
    from_json = read(written(path, "json"), "json")
    from_provn = read(written(path, "provn"), "provn")
    assert statement_texts(from_json) == statement_texts(from_provn)
    assert len(list(from_json.get_records())) > 10


def statement_texts(document: Any) -> list[str]:
    """Each statement as PROV-N with its attributes sorted; the document's own time left out."""
    texts = []
    for record in document.get_records():
        if "run:provenance-made" in str(record.identifier):
            continue
        attributes = sorted(f"{k}={v!r}" for k, v in record.attributes)
        texts.append(f"{record.get_type()} {record.identifier} {attributes}")
    return sorted(texts)


def test_the_document_holds_what_the_database_holds(digits: Path) -> None:
    document = json.loads(next((digits.parent / "kerasprov-prov").glob("*.json")).read_text())
    epochs = rows(digits, "SELECT * FROM epoch ORDER BY epoch")
    for epoch in epochs:
        metrics = document["entity"][f"run:fit-1-epoch-{epoch['epoch']}-metrics"]
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert float(metrics[f"kp:{name}"]["$"]) == epoch[name]
    run = row(digits, "SELECT * FROM run")
    fit = document["activity"]["run:fit-1"]
    assert fit["prov:startTime"] == run["started_at"] and fit["prov:endTime"] == run["ended_at"]
    rate = document["entity"]["run:compile-1-learning_rate"]
    assert rate["mls:hasValue"] == {"$": "0.003", "type": "xsd:double"}
    evaluation = row(digits, "SELECT * FROM evaluation")
    tested = document["entity"]["run:evaluate-1-metrics"]
    assert float(tested["kp:accuracy"]["$"]) == evaluation["accuracy"]
    script = document["entity"]["run:script"]
    assert script["prov:location"] == row(digits, "SELECT script FROM execution")["script"]
    uses = [(u["prov:activity"], u["prov:entity"]) for u in document["used"].values()]
    assert ("run:fit-1", "run:data-1") in uses and ("run:evaluate-1", "run:model-2") in uses


def test_a_document_of_a_training_that_still_goes(tmp_path: Path, check_prov: Check) -> None:
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
    (tmp_path / "train.py").write_text(script)
    command = [sys.executable, "-m", "kerasprov_agent", "train.py"]
    child = subprocess.Popen(
        command, cwd=tmp_path, env=clean_environment(), stderr=subprocess.DEVNULL
    )
    path = tmp_path / "kerasprov.db"
    try:
        for _ in range(600):
            if path.exists() and written_if_there(path):
                break
            time.sleep(0.2)
        files = [tmp_path / f"doc.{ENDINGS.get(f, f)}" for f in documents.FORMATS]
        for file, format_ in zip(files, documents.FORMATS, strict=True):
            file.write_text(written(path, format_), "utf-8")
        assert '"kp:status": "running"' in files[0].read_text()
        check_prov(*files)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()


def written_if_there(path: Path) -> bool:
    try:
        return bool(rows(path, "SELECT 1 FROM epoch WHERE epoch >= 1"))
    except Exception:
        return False


def test_no_document_when_told_off(tmp_path: Path) -> None:
    done = recorded(tmp_path, TINY + "model.fit(x, y, verbose=0)", "--prov", "off")
    assert done.returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kerasprov.db", "train.py"]


def test_a_document_that_can_not_be_written_leaves_nothing_half(tmp_path: Path) -> None:
    def failing(stream: Any) -> None:
        stream.write("half")
        raise OSError("no more")

    target = tmp_path / "doc.json"
    target.write_text("whole")
    with pytest.raises(OSError):
        documents.replace_file(str(target), failing)
    assert target.read_text() == "whole" and list(tmp_path.iterdir()) == [target]
