"""`kerasprov prune` deletes what nobody needs, and nothing that something which stays came of."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kerasprov_agent.identity import process_key
from tests.conftest import kerasprov, recorded, rows

OTHERS = """
import keras, numpy as np
x = np.linspace(0, 1, 40, dtype="float32").reshape(10, 4)
for units in (1, 2, 3):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x.sum(1), epochs=2, verbose=0)
"""


@pytest.fixture
def many(study: Path) -> Path:
    """Runs 1 (train), 2 (tune, of its model) and 3 to 5, which nothing came of; losses set."""
    assert recorded(study, OTHERS, "--prov", "off", name="others.py").returncode == 0
    losses = {1: 0.9, 2: 0.1, 3: 0.3, 4: 0.2, 5: 0.4}
    alter(study, *(f"UPDATE epoch SET loss = {v} WHERE run = {n}" for n, v in losses.items()))
    return study


def alter(study: Path, *statements: str) -> None:
    with closing(sqlite3.connect(study / "kerasprov.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def doomed(study: Path, *words: str) -> list[int]:
    """The runs that would be deleted."""
    done = kerasprov("prune", *words, "--dry-run", "--json", "--db", study / "kerasprov.db")
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return sorted(row["run"] for row in found)


def left(study: Path) -> list[int]:
    return [row["run"] for row in rows(study / "kerasprov.db", "SELECT run FROM runs ORDER BY run")]


def came_from(study: Path) -> Any:
    words = ("lineage", study / "tuned.keras", "--back", "--format", "json")
    return json.loads(kerasprov(*words, "--db", study / "kerasprov.db").stdout)


def test_the_best_and_what_they_came_of_stay(many: Path) -> None:
    before = came_from(many)
    assert doomed(many, "--keep-best", "1", "--metric", "loss") == [3, 4, 5]
    assert doomed(many, "--keep-best", "2", "--metric", "loss") == [3, 5]
    assert left(many) == [1, 2, 3, 4, 5], "a dry run"
    words = ("prune", "--keep-best", "1", "--metric", "loss", "--db", many / "kerasprov.db")
    done = kerasprov(*words, "--yes")
    assert done.exit_code == 0 and "1 the best, 1 ancestors of these" in done.stdout, done.output
    assert left(many) == [1, 2]
    assert came_from(many) == before
    assert kerasprov("verify", many / "tuned.keras", "--db", many / "kerasprov.db").exit_code == 0
    assert kerasprov("doctor", "--db", many / "kerasprov.db").exit_code == 0
    assert doomed(many, "--keep-best", "1", "--metric", "loss") == []


def test_best_of_each_group(many: Path) -> None:
    alter(many, 'UPDATE run SET tags = \'{"team": "a"}\' WHERE number IN (3, 4)')
    assert doomed(many, "--keep-best", "1", "--metric", "loss", "--by", "label") == [3, 5]
    assert doomed(many, "--keep-best", "1", "--metric", "loss", "--by", "tag.team") == [3, 5]


def test_without_a_metric_the_loss_of_validation_counts(many: Path) -> None:
    # Only run 1 was validated.
    assert doomed(many, "--keep-best", "1") == [2, 3, 4, 5]


def test_what_is_new_stays(many: Path) -> None:
    assert doomed(many, "--older-than", "1d") == []
    alter(many, "UPDATE run SET started_at = '2025-01-0' || number || substr(started_at, 11) "
                "WHERE number <> 2")  # fmt: skip
    # Run 1 is old, but what run 2 has was trained from it.
    assert doomed(many, "--older-than", "30d") == [3, 4, 5]
    assert doomed(many, "--older-than", "2025-01-05") == [3, 4]
    assert doomed(many, "--older-than", "30d", "--where", "run > 3") == [4, 5]
    assert doomed(many, "--older-than", "30d", "--where", "run > 3", "--keep-best", "1",
                  "--metric", "loss") == [5]  # fmt: skip


def test_what_still_goes_stays(many: Path) -> None:
    alter(many, "UPDATE run SET status = 'running' WHERE number = 3",
          f"UPDATE execution SET status = 'running', process = '{process_key()}', "
          f"pid = {os.getpid()} WHERE label = 'others'")  # fmt: skip
    assert 3 not in doomed(many, "--where", "run > 2")


def test_it_asks_first(many: Path) -> None:
    words = ("prune", "--where", "run > 2", "--db", many / "kerasprov.db")
    done = kerasprov(*words)
    assert done.exit_code == 1 and "Delete 3 runs?" in done.output
    assert left(many) == [1, 2, 3, 4, 5]


def test_bad_input_is_one_line(study: Path) -> None:
    for words, told in (
        ([], "say what stays, or what may go"),
        (["--keep-best", "1", "--metric", "nope"], "nope"),
        (["--keep-best", "1", "--by", "nope"], "nope"),
        (["--metric", "loss"], "--keep-best"),
        (["--by", "label", "--older-than", "1d"], "--keep-best N"),
        (["--older-than", "yesterday"], "yesterday"),
        (["--where", "loss <"], "loss <"),
        (["--keep-best", "-1"], "--keep-best"),
    ):
        done = kerasprov("prune", *words, "--yes", "--db", study / "kerasprov.db")
        assert done.exit_code == 2 and told in done.stderr, (words, done.output)
        assert done.stderr.count("\n") == 1
    assert left(study) == [1, 2]
