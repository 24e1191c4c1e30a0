"""`kerasprov runs`, `best` and `sql`, as a user asks them."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kerasprov_agent.cli import main
from tests.conftest import clean_environment, rows
from tests.test_conditions import three

__all__ = ["three"]


def kerasprov(*words: str | Path) -> Any:
    return CliRunner().invoke(main, list(map(str, words)))


def test_runs_that_are_asked_for(three: Path) -> None:
    done = kerasprov("runs", "--where", "optimizer = 'adam'", "--columns", "run,optimizer,val_loss",
                     "--json", "--db", three)  # fmt: skip
    (run,) = json.loads(done.stdout)
    last = rows(three, "SELECT val_loss FROM epoch WHERE run = 3 ORDER BY epoch DESC")[0]
    assert run == {"run": 3, "optimizer": "Adam", "val_loss": last["val_loss"]}
    none = kerasprov("runs", "--where", "epochs > 99", "--db", three)
    assert (none.exit_code, none.stdout) == (0, "No runs match.\n")


def test_runs_as_csv(three: Path) -> None:
    found = list(csv.DictReader(io.StringIO(kerasprov("runs", "--csv", "--db", three).stdout)))
    assert [row["run"] for row in found] == ["3", "2", "1"]
    assert found[0]["loss"] == "mse" and float(found[0]["metric.loss"]) > 0
    short = kerasprov("runs", "--csv", "--columns", "run, name", "-n", "1", "--db", three).stdout
    assert short == "run,name\n3,train-3\n"


def test_the_sql_is_shown(three: Path) -> None:
    done = kerasprov("runs", "--where", "batch_size = 4", "--show-sql", "--db", three)
    found = rows(three, done.stdout)
    assert [row["run"] for row in found] == [1]


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "--where", "nonsense = 1"),
        ("runs", "--where", "loss <"),
        ("runs", "--since", "yesterday"),
        ("runs", "--sort", "nonsense"),
        ("runs", "--columns", "run,nonsense"),
        ("best", "nonsense"),
        ("best", "loss", "--by", "nonsense"),
        ("sql", "DELETE FROM run"),
        ("sql", "SELECT * FROM nonsense"),
        ("sql", "SELECT 1; SELECT 2"),
    ],
)
def test_bad_questions_get_one_line(three: Path, words: tuple[str, ...]) -> None:
    before = three.read_bytes()
    done = kerasprov(*words, "--db", three)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert three.read_bytes() == before


def test_the_best(three: Path) -> None:
    def best(*words: str) -> Any:
        return json.loads(kerasprov("best", *words, "--json", "--db", three).stdout)

    epochs = rows(three, "SELECT * FROM epoch ORDER BY val_loss")
    assert [one["val_loss"] for one in best("val_loss")] == [epochs[0]["val_loss"]]
    assert [one["val_loss"] for one in best("val_loss", "--max")] == [epochs[-1]["val_loss"]]
    by = best("val_loss", "--by", "optimizer", "--top", "2")
    assert sorted((one["optimizer"], one["run"]) for one in by) == [
        ("Adam", 3),
        ("SGD", 1),
        ("SGD", 2),
    ]
    among = best("val_loss", "--where", "optimizer = 'adam'")
    assert [one["run"] for one in among] == [3]


def test_sql(three: Path) -> None:
    query = "SELECT optimizer, count(*) AS runs FROM runs GROUP BY 1 ORDER BY 1"
    assert json.loads(kerasprov("sql", query, "--json", "--db", three).stdout) == [
        {"optimizer": "Adam", "runs": 1}, {"optimizer": "SGD", "runs": 2},
    ]  # fmt: skip
    assert (
        kerasprov("sql", query, "--csv", "--db", three).stdout == "optimizer,runs\nAdam,1\nSGD,2\n"
    )
    assert "SGD" in kerasprov("sql", query, "--db", three).stdout


def test_watching(three: Path) -> None:
    """On a terminal of its own; Ctrl-C ends it."""
    leader, follower = pty.openpty()
    script = "from kerasprov_agent.cli import main; main()"
    child = subprocess.Popen(
        [sys.executable, "-c", script, "runs", "--watch", "--db", str(three)],
        stdin=follower, stdout=follower, stderr=follower, env=clean_environment(COLUMNS="120"),
    )  # fmt: skip
    os.close(follower)
    shown = b""
    until = time.monotonic() + 60
    while b"train-3" not in shown and time.monotonic() < until:
        shown += os.read(leader, 4096)
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 0
    assert b"train-3" in shown and b"Traceback" not in shown
    os.close(leader)
