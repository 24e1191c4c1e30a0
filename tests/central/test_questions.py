"""The questions of docs/questions.md, in SQL: SQLite and PostgreSQL give the same answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from kerasprov_agent.central import sending, source
from tests.conftest import made_once, rows
from tests.questions.answers import database, questions


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of which the page tells."""
    return made_once(tmp_path_factory, "central-questions", database) / "kerasprov.db"


def told(found: Iterable[Iterable[Any]]) -> list[str]:
    """The values of rows, in an order that both have; sums and means to 12 digits.

    Of aggregates the names differ, and the order of the columns of `*`.
    """
    return sorted(
        json.dumps(sorted((_shown(value) for value in row if value is not None), key=str))
        for row in found
    )


def _shown(value: Any) -> Any:
    return float(f"{value:.12g}") if isinstance(value, float) else value


ANCESTORS = (
    "SELECT id, uuid, tag, df_id FROM dataflow_execution",
    "SELECT id, optimizer_name, learning_rate, decay, momentum, num_epochs, batch_size, num_layers "
    "FROM ds_itrainingmodel",
    "SELECT id, trainingmodel_task_id, name, attribute_type, value FROM ds_ilayers",
    "SELECT * FROM ds_otrainingmodel",
    "SELECT id, adaptation_task_id, new_lrate, epoch_id, adaptation_id FROM ds_oadaptation",
    "SELECT testingmodel_task_id, otest_loss, otest_accuracy FROM ds_otestingmodel",
    "SELECT optimizer_name, avg(elapsed_time), max(val_accuracy) FROM ds_otrainingmodel "
    "JOIN ds_itrainingmodel USING (trainingmodel_task_id) GROUP BY optimizer_name",
)
"""Questions to the tables of Keras-Prov."""


def test_both_answer_the_same(page: Path, central: str, tmp_path: Path) -> None:
    import psycopg

    source.prepare(str(page))
    sending.send_all(str(page), central)
    asked = 0
    with psycopg.connect(central, autocommit=True) as connection:
        connection.execute("SET search_path = kerasprov")
        statements = [each for question in questions() for each in question.statements]
        for statement in [*statements, *ANCESTORS]:
            there = connection.execute(statement).fetchall()  # type: ignore[call-overload]
            here = [row.values() for row in rows(page, statement)]
            assert told(there) == told(here), statement
            asked += 1 if here else 0
    assert asked > 30
