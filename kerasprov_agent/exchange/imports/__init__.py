"""Takes in what other tools recorded: reads their files into trainings, then stores these.

One module a format; `found` is what they have in common, `storing` turns it into rows.
"""

from __future__ import annotations

import ast
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from kerasprov_agent import clock
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.exchange.imports import (
    csv_logger,
    dfanalyzer,
    dlprov,
    history,
    keras_tuner,
    mlflow,
    monetdb,
    storing,
    summaries,
    tensorboard,
)
from kerasprov_agent.exchange.imports.found import Training, Unread
from kerasprov_agent.store import care, removal
from kerasprov_agent.store.operations import Catalogue, apply
from kerasprov_agent.store.text import as_json, bindable

SQLITE = b"SQLite format 3\0"
LOOK = 100_000
"""So many bytes tell what a file is."""

NEW, MORE, CHANGED, KNOWN = "new", "more epochs", "changed", "known already"
"""What came of storing a training."""


def read(paths: Sequence[str]) -> Iterator[Training | Unread]:
    """The trainings in files and folders, and what could not be read of them.

    Raises `KerasProvError` for what none of ours can read. Dumps are read together: one may hold
    what several others refer to.
    """
    tables: list[monetdb.Table] = []
    for path in paths:
        if not os.path.exists(path):
            raise KerasProvError(f"no file or folder {path}")
        if os.path.isdir(path):
            yield from _folder(path)
            continue
        with open(path, "rb") as file:
            head = file.read(LOOK)
        text = head.decode("utf-8", "replace").lstrip("\ufeff")
        if head.startswith(SQLITE):
            if not mlflow.is_store(path):
                raise _unknown(path)
            yield from mlflow.read_store(path)
        elif tensorboard.MARK in os.path.basename(path):
            yield from tensorboard.read(path)
        elif text.lstrip().startswith("{"):
            yield from _document(path)
        elif monetdb.looks_like_one(text):
            tables += monetdb.read(path)
        elif csv_logger.looks_like_one(text):
            yield from csv_logger.read(path)
        else:
            raise _unknown(path)
    if tables:
        yield from dfanalyzer.trainings(tables)


def _folder(path: str) -> Iterator[Training | Unread]:
    """Everything in a folder that can be read: a project may have several kinds."""
    is_known = False
    for is_there, reader in (
        (mlflow.is_folder, mlflow.read_folder),
        (lambda folder: bool(keras_tuner.folders(folder)), keras_tuner.read),
        (tensorboard.is_folder, tensorboard.read),
    ):
        if is_there(path):
            is_known = True
            yield from reader(path)
    if not is_known:
        raise _unknown(path)


def _document(path: str) -> Iterator[Training]:
    text = csv_logger.read_text(path)
    try:
        document: Any = json.loads(text)
    except ValueError:
        try:
            document = ast.literal_eval(text)  # as Python prints a dictionary
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            document = dlprov.parse(path, text)
    if dlprov.looks_like_one(document):
        yield from dlprov.read(path, document)
    elif summaries.is_one(path, document):
        yield summaries.read(path, document)
    elif history.is_history(document):
        yield from history.read(path, document)
    else:
        raise _unknown(path)


def _unknown(path: str) -> KerasProvError:
    return KerasProvError(
        f"{path} is none of what can be imported: MonetDB dumps of Keras-Prov and DNNProv, "
        "PROV-JSON of DLProv, event files of TensorBoard, files of CSVLogger, history.history as "
        "CSV or JSON, MLflow's database or folder mlruns, folders of KerasTuner, the history and "
        "summary of W&B; not the databases of Aim and Trackio"
    )


class _Held(NamedTuple):
    """A training as it was imported before, and what a person said of it."""

    execution_id: str
    digest: str | None
    amount: int | None
    number: int | None
    name: str | None
    note: str | None
    tags: str | None
    epochs: int


def store(database: str, read: Sequence[Training | Unread]) -> list[str]:
    """Store trainings, all or none; tells of each: new, more epochs, changed, or known already.

    What had been imported before is replaced as a whole, where the source has changed; the number,
    the name, notes and tags that it has here stay.
    """
    now = clock.stamp()
    outcomes = []
    with care.adding(database) as connection:
        catalogue = Catalogue()
        query = "SELECT value, i.execution_id FROM import i, json_each(i.covers)"
        covered = dict(connection.execute(query).fetchall())
        for item in read:
            if isinstance(item, Training):
                outcomes.append(_store(connection, catalogue, covered, item, now))
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO unread (path, format, reason, imported_at) "
                    "VALUES (?, ?, ?, ?)",
                    (bindable(item.path), item.format, bindable(item.reason), now),
                )
    return outcomes


def _store(
    connection: sqlite3.Connection,
    catalogue: Catalogue,
    covered: dict[str, str],
    training: Training,
    now: str,
) -> str:
    """Store one; `covered`: ids of parts of what is here, and of the import they are parts of."""
    own = training.own_id
    if own and connection.execute("SELECT 1 FROM run WHERE id = ?", (own,)).fetchone():
        return KNOWN  # it was recorded or imported here, and exported from here
    keys = (training.key, *training.former_keys)
    ids = [storing.execution_id(training.format, key) for key in dict.fromkeys(keys)]
    if covered.get(ids[0], ids[0]) != ids[0]:
        return KNOWN  # it is a part of what is here
    digest, amount = storing.measure(training)
    stored = [
        known for execution_id in ids if (known := _held(connection, execution_id)) is not None
    ]
    before = stored[0] if stored else None
    if before and before.execution_id == ids[0] and before.digest == digest:
        return KNOWN
    if before and before.amount is not None and amount < before.amount:
        return KNOWN  # a part of what is here, such as one of its files
    for known in stored:
        removal.delete_execution(connection, known.execution_id)
        catalogue.forget()
    number = before.number if before else None
    for operation in storing.operations(training, now, digest, amount, number):
        apply(connection, operation, catalogue)
    covered.update(dict.fromkeys(ids[1:], ids[0]))
    connection.execute("DELETE FROM unread WHERE path = ?", (bindable(training.path),))
    if before is None:
        return NEW
    # What a person said of parts that were runs by themselves holds for the whole.
    notes = "\n".join(known.note for known in stored if known.note) or None
    tags = {k: v for known in stored[::-1] for k, v in json.loads(known.tags or "{}").items()}
    connection.execute(
        "UPDATE run SET name = ?, note = ?, tags = ? WHERE number = ?",
        (before.name, notes, as_json(tags) if tags else None, before.number),
    )
    if before.digest is None and len(training.epochs) == before.epochs:
        return KNOWN  # of an import that did not keep what it had found
    return MORE if len(training.epochs) > before.epochs else CHANGED


def _held(connection: sqlite3.Connection, execution_id: str) -> _Held | None:
    """What is here of an execution; None: nothing."""
    row = connection.execute(
        "SELECT i.digest, i.amount, r.number, r.name, r.note, r.tags, "
        "(SELECT count(*) FROM epoch p WHERE p.run = r.number) FROM import i "
        "LEFT JOIN run r ON r.execution_id = i.execution_id WHERE i.execution_id = ?",
        (execution_id,),
    ).fetchone()
    return None if row is None else _Held(execution_id, *row)
