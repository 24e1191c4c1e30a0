"""What a program says of its runs: names and tags."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import TINY, recorded, rows

STUDY = (
    TINY
    + """
import threading
import kerasprov_agent

def fit(callbacks=()):
    model = build()
    model.compile("sgd", "mse")
    model.fit(x, y, epochs=2, verbose=0, callbacks=list(callbacks))

class Tags(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        kerasprov_agent.tag("tagged within", reached=epoch, fold=None)

fit()
for fold in range(2):
    kerasprov_agent.tag("study", fold=fold)
    fit()
with kerasprov_agent.tag(token="abc123", shape=(2, 3), odd=object()):
    fit([Tags()])
thread = threading.Thread(target=lambda: (kerasprov_agent.tag("thread", own=True), fit()))
thread.start()
thread.join()
ready, go = threading.Event(), threading.Event()
def later():
    with kerasprov_agent.tag(over=True):
        pass
    ready.set()
    go.wait()
    fit()
thread = threading.Thread(target=later)
thread.start()
ready.wait()
kerasprov_agent.tag("said by main later")
go.set()
thread.join()
kerasprov_agent.tag("caf\\udce9", fold=None)
fit()
kerasprov_agent.tag(17)
kerasprov_agent.stop()
kerasprov_agent.start()
fit()
"""
)


def test_names_and_tags_of_runs(tmp_path: Path) -> None:
    done = recorded(tmp_path, STUDY, KERASPROV_TAGS="group=a,fold=none")
    assert done.returncode == 0, done.stderr.decode()
    found = rows(tmp_path / "kerasprov.db", "SELECT name, tags FROM runs ORDER BY run")
    program = {"group": "a", "fold": "none"}
    assert [(one["name"], json.loads(one["tags"])) for one in found] == [
        ("train", program),
        ("study", {"group": "a", "fold": 0}),
        ("study-2", {"group": "a", "fold": 1}),
        ("tagged within", {"group": "a", "token": "[redacted]", "shape": [2, 3],
                           "odd": "<object>", "reached": 1}),
        ("thread", {"group": "a", "fold": 1, "own": True}),
        ("said by main later", {"group": "a", "fold": 1}),
        (r"caf\udce9", {"group": "a"}),
        ("train-2", program),
    ]  # fmt: skip


@pytest.mark.parametrize("variables", [{"KERASPROV_DISABLED": "1"}])
def test_without_a_record_they_do_nothing(tmp_path: Path, variables: dict[str, str]) -> None:
    done = recorded(tmp_path, STUDY, **variables)
    assert done.returncode == 0, done.stderr.decode()
    assert not list(tmp_path.glob("kerasprov*"))
