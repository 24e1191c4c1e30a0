"""Conditions become parameterised SQL, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.conditions import SQL, compile_condition
from kerasprov_agent.read.record import open_record
from tests.conftest import TINY, recorded


class Table:
    """A table of three columns."""

    def names(self) -> list[str]:
        return ["number", "text", "gap"]

    def column(self, name: str) -> SQL | None:
        return SQL(name.lower()) if name.lower() in self.names() else None

    def aggregate(self, function: str, name: str) -> SQL | None:
        return SQL(f"(SELECT {function}({name}) FROM facts)") if name == "number" else None


def numbers(condition: str) -> list[int]:
    """Of the rows (0, a0), (1, a1), ..., (9, a9) the numbers of those that fulfil a condition."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE facts (number INTEGER, text TEXT, gap)")
        rows = [(n, f"a{n}", None if n < 5 else n) for n in range(10)]
        connection.executemany("INSERT INTO facts VALUES (?, ?, ?)", rows)
        found = compile_condition(condition, Table())
        query = f"SELECT number FROM facts WHERE {found.text} ORDER BY number"
        return [number for (number,) in connection.execute(query, found.values)]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("number < 3", [0, 1, 2]),
        ("number <= 1 or number >= 8", [0, 1, 8, 9]),
        ("number = 3 or number = 4 and text = 'a4'", [3, 4]),
        ("(number = 3 or number = 4) and text == 'A4'", [4]),
        ("not number > 1", [0, 1]),
        ("number in (1, 3, 11)", [1, 3]),
        ("text IN ('A1', \"a2\")", [1, 2]),
        ("number not in (0,1,2,3,4,5,6,7)", [8, 9]),
        ("text like 'A_' and number between 2 and 1 + 2", [2, 3]),
        ("number not between 1 and 9", [0]),
        ("text not like '%'", []),
        ("gap is null and number > 3", [4]),
        ("gap is not null", [5, 6, 7, 8, 9]),
        ("number / 2 > 4", [9]),
        ("number * 2 - 1 = 5", [3]),
        ("-number > -2", [0, 1]),
        ("number != 0 and number <> 1 and number < .25e1", [2]),
        ("number = max(number) or number = MIN (number)", [0, 9]),
        ("number > avg(number) + 3", [8, 9]),
        ("`number` = 7", [7]),
        ("text = 'it''s' or text = 'a1'", [1]),
        ("gap = 'x' or NUMBER = 2", [2]),
    ],
)
def test_what_conditions_mean(condition: str, expected: list[int]) -> None:
    assert numbers(condition) == expected


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ("", "ends too early"),
        ("number <", "ends too early"),
        ("number < 3 and", "ends too early"),
        ("number < 3; drop table facts", "; drop table"),
        ("number < 3 -- ", "not understood|ends too early"),
        ("number < 3 union select 1", "union"),
        ("(select 1) = 1", "select"),
        ("load_extension('x') = 1", "not understood"),
        ("numbr < 3", "there is number"),
        ("max(text2) = 1", "no metric"),
        ("number ~ 3", "~"),
        ("'a", "'a"),
        ("number = 1 " + "or number = 1 " * 2000, "too long"),
        ("(" * 500 + "number = 1" + ")" * 500, "too long"),
        ("number", "ends too early"),
    ],
)
def test_bad_conditions_get_one_line(condition: str, complaint: str) -> None:
    with pytest.raises(KerasProvError, match=complaint) as told:
        numbers(condition)
    assert "\n" not in str(told.value) and len(str(told.value)) < 30_000


@pytest.mark.parametrize(
    "value", ["'; DROP TABLE facts; --", 'a" or 1=1 --', "%", "\\", "\0", "ü'"]
)
def test_values_stay_values(value: str) -> None:
    escaped = value.replace("'", "''")
    found = compile_condition(f"text = '{escaped}'", Table())
    assert found.text == "text = ? COLLATE NOCASE" and found.values == (value,)


SEARCHED = """
for units, rate in ((4, 0.1), (8, 0.01), (16, 0.001)):
    model = build(units)
    model.compile(keras.optimizers.SGD(rate) if units < 16 else "adam", "mse")
    model.fit(x, y, epochs=units // 4, batch_size=units, validation_split=0.5, verbose=0)
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs of different settings."""
    place = tmp_path_factory.mktemp("three")
    assert recorded(place, TINY + SEARCHED).returncode == 0
    return place / "kerasprov.db"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("optimizer = 'adam'", [3]),
        ("optimizer = 'sgd' and learning_rate < 0.05", [2]),
        ("batch_size in (4, 16)", [3, 1]),
        ("count(loss) >= 2", [3, 2]),
        ("first(val_loss) > 0 and metric.loss > 0", [3, 2, 1]),
        ("run.loss = 'mse' and loss > 1e9", []),
        ("epochs_finished = 1 or param.epochs = 2", [2, 1]),
        ("last(loss) = loss", [3, 2, 1]),
        ("min(train_seconds) > 0 and max(loss) >= min(loss)", [3, 2, 1]),
        ("validation_split = 0.5 and nothing_like_it is null or run = 1", None),
    ],
)
def test_conditions_on_runs(three: Path, condition: str, expected: list[int] | None) -> None:
    with open_record(str(three)) as record:
        if expected is None:
            with pytest.raises(KerasProvError, match="no column"):
                record.runs(where=condition)
        else:
            assert [run["run"] for run in record.runs(where=condition)] == expected


def test_orders_and_columns(three: Path) -> None:
    with open_record(str(three)) as record:
        losses = {run["run"]: run["metrics"]["loss"] for run in record.runs()}
        ordered = [run["run"] for run in record.runs(sort="-loss")]
        assert ordered == sorted(losses, key=lambda run: -losses[run])
        (run,) = record.runs(1, columns=["val_loss", "param.batch_size"], sort="learning_rate")
        assert (run["run"], run["param.batch_size"]) == (3, 16)
        assert record.runs(name="train*", since="1h") and not record.runs(since="2999-01-01")
        assert (
            not record.runs(status="failed") and len(record.runs(status="finished", limit=2)) == 2
        )
