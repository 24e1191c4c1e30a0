"""Large databases for benchmarks: a real record, copied under new ids as often as wanted."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

TRAINING = """
import sys, keras, numpy as np
x = np.random.rand(64, 4).astype("float32")
y = (x.sum(1) > 2).astype("float32")
dense = keras.layers.Dense
model = keras.Sequential([keras.Input((4,)), dense(8, "relu"), dense(1, "sigmoid")])
model.compile("adam", "binary_crossentropy", metrics=["accuracy", "auc"])
model.fit(x, y, epochs=int(sys.argv[1]), batch_size=64, validation_split=0.25, verbose=0)
model.evaluate(x, y, verbose=0)
"""
SHARED = ("meta", "source", "package", "architecture", "layer", "metric", "manifest", "member")


def record(directory: Path, epochs: int) -> Path:
    """The database of one real training."""
    (directory / "train.py").write_text(TRAINING)
    command = [sys.executable, "-m", "kerasprov_agent", "--prov", "off", "train.py", str(epochs)]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return directory / "kerasprov.db"


def multiply(source: Path, target: Path, times: int) -> None:
    """Copy the one execution of a database, so that there are `times` of them."""
    shutil.copy(source, target)
    connection = sqlite3.connect(target, isolation_level=None)
    connection.execute("PRAGMA journal_mode=OFF")
    old = connection.execute("SELECT id FROM execution").fetchone()[0]
    names = [
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    tables = {
        name: connection.execute(f"SELECT * FROM {name}").fetchall()
        for name in names
        if name not in SHARED and not name.startswith("sqlite_")
    }
    columns = {
        name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
        for name in tables
    }
    (number,) = connection.execute("SELECT number FROM run").fetchone()
    connection.execute("BEGIN")
    for copy in range(1, times):
        new = str(uuid.UUID(int=uuid.UUID(old).int + (copy << 40)))
        for name, rows in tables.items():
            marks = ", ".join("?" * len(columns[name]))
            connection.executemany(
                f"INSERT INTO {name} VALUES ({marks})",
                [_copied(name, columns[name], row, old, new, number, copy) for row in rows],
            )
    connection.execute("COMMIT")
    connection.close()


def _copied(
    table: str,
    columns: list[str],
    row: tuple[object, ...],
    old: str,
    new: str,
    number: int,
    copy: int,
) -> list[object]:
    found: list[object] = []
    for column, value in zip(columns, row, strict=True):
        if isinstance(value, str) and old in value:
            found.append(value.replace(old, new))
        elif (table, column) in (("run", "number"), ("epoch", "run")):
            found.append(number + copy)
        elif (table, column) == ("run", "name"):
            found.append(f"{value}-{copy + 1}")
        else:
            found.append(value)
    return found
