"""Takes in what other tools recorded: reads their files into trainings, then stores these.

One module a format; `found` is what they have in common, `storing` turns it into rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from kerasprov_agent import clock
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.imports import (
    csv_logger,
    dfanalyzer,
    dlprov,
    mlflow,
    monetdb,
    storing,
    tensorboard,
)
from kerasprov_agent.imports.found import Training
from kerasprov_agent.store import care
from kerasprov_agent.store.operations import Catalogue, apply

SQLITE = b"SQLite format 3\0"
LOOK = 100_000
"""So many bytes tell what a file is."""

NEW, MORE, KNOWN = "new", "more epochs", "known already"
"""What came of storing a training."""
_EPOCHS = (
    "SELECT count(DISTINCT e.id), count(p.epoch) FROM execution e "
    "LEFT JOIN run r ON r.execution_id = e.id LEFT JOIN epoch p ON p.run = r.number WHERE e.id = ?"
)


def read(paths: Sequence[str]) -> Iterator[Training]:
    """The trainings in files and folders; raises `KerasProvError` for what none of ours can read.

    Dumps are read together: one may hold what several others refer to.
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


def _folder(path: str) -> Iterator[Training]:
    if mlflow.is_folder(path):
        yield from mlflow.read_folder(path)
    elif tensorboard.is_folder(path):
        yield from tensorboard.read(path)
    else:
        raise _unknown(path)


def _document(path: str) -> Iterator[Training]:
    with open(path, encoding="utf-8", errors="replace") as file:
        document = dlprov.parse(path, file.read())
    if not dlprov.looks_like_one(document):
        raise _unknown(path)
    yield from dlprov.read(path, document)


def _unknown(path: str) -> KerasProvError:
    return KerasProvError(
        f"{path} is none of what can be imported: MonetDB dumps of Keras-Prov and DNNProv, "
        "PROV-JSON of DLProv, event files of TensorBoard, files of CSVLogger, MLflow's database "
        "or folder mlruns"
    )


def store(database: str, trainings: Sequence[Training]) -> list[str]:
    """Store trainings, all or none; tells of each: new, more epochs, or known already."""
    clock.start()
    now = clock.iso(clock.now())
    outcomes = []
    with care.adding(database) as connection:
        catalogue = Catalogue()
        for training in trainings:
            own = (storing.execution_id(training.format, training.key),)
            before = connection.execute(_EPOCHS, own).fetchone()
            for operation in storing.operations(training, now):
                apply(connection, operation, catalogue)
            after = connection.execute(_EPOCHS, own).fetchone()
            outcomes.append(NEW if before[0] == 0 else MORE if after != before else KNOWN)
    return outcomes
