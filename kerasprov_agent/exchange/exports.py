"""The record as files that other tools read: Parquet, CSV, Elasticsearch, DuckDB, MLflow.

A file a view; in NDJSON a document an epoch, whose `_id` is its run and epoch, so that loading it
again replaces what was there.
"""

from __future__ import annotations

import csv
import json
import math
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import islice
from tempfile import TemporaryDirectory
from typing import IO, Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.record import Record, Row
from kerasprov_agent.replacing import replaced, replaced_folder
from kerasprov_agent.visible import no_formula

VIEWS = (
    "runs", "epochs", "evaluations", "params", "layers", "changes", "events", "callbacks",
    "optimizers", "activities", "steps", "inputs", "executions", "files", "packages", "imports",
    "searches", "trials",
)  # fmt: skip
BATCH = 10_000
INDEX = "kerasprov"
"""The name of the index in Elasticsearch, of the experiment in MLflow."""
MLFLOW_PARAMS = ("optimizer", "learning_rate", "batch_size", "epochs", "loss", "activation",
                 "dropout", "layers", "parameters")  # fmt: skip
MLFLOW_STATUS = {"finished": "FINISHED", "interrupted": "KILLED"}
MLFLOW_BATCH = 100
MLFLOW_LIMIT = 6000
"""So long a value MLflow takes of a parameter."""
OF_RUN = (
    "name", "kind", "status", "started_at", "model", "optimizer", "learning_rate", "batch_size",
    "activation", "dropout", "layers", "parameters", "samples", "script", "backend",
    "keras_version", "host", "user", "git_commit", "imported_from",
)  # fmt: skip
"""What a document an epoch tells of its run."""


def export(record: Record, target: str, form: str) -> list[str]:
    """Write the record to `target`, a folder or, of ndjson and duckdb, a file; returns the files.

    What is there of that name is replaced, each file at once. Raises `KerasProvError`.
    """
    return WRITERS[form](record, target)


def _each_view(
    record: Record, folder: str, ending: str, write: Callable[[str, Columns, Rows], None]
) -> list[str]:
    names = [f"{view}.{ending}" for view in VIEWS]
    with replaced_folder(folder) as beside:
        for view, name in zip(VIEWS, names, strict=True):
            write(os.path.join(beside, name), *_view(record, view))
    return [os.path.join(folder, name) for name in names]


Columns = list[tuple[str, type]]
"""Names of columns, and what each of them holds: int, float or str."""
Rows = Iterator[tuple[Any, ...]]


def _view(record: Record, view: str) -> tuple[Columns, Rows]:
    query = "SELECT name FROM pragma_table_info(?)"
    names = [row["name"] for row in record.query(query, (view,))]
    kinds = ", ".join(f"group_concat(DISTINCT typeof({_quoted(name)}))" for name in names)
    cursor = record.connection.cursor()
    cursor.row_factory = None
    types = cursor.execute(f"SELECT {kinds} FROM {view}").fetchone()
    columns = [(name, _kind(kind)) for name, kind in zip(names, types, strict=True)]
    return columns, iter(cursor.execute(f"SELECT * FROM {view}"))


def _kind(name: str | None) -> type:
    """What a column holds, which SQLite leaves to each value: whole numbers, numbers, else text."""
    kinds = set((name or "").split(",")) - {"null", ""}
    if kinds == {"integer"}:
        return int
    return float if kinds and kinds <= {"integer", "real"} else str


def _csv(record: Record, folder: str) -> list[str]:
    def write(path: str, columns: Columns, rows: Rows) -> None:
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(no_formula(name) for name, _ in columns)
            writer.writerows(map(no_formula, row) for row in rows)

    return _each_view(record, folder, "csv", write)


def _parquet(record: Record, folder: str) -> list[str]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as exc:
        raise KerasProvError("Parquet and DuckDB need pyarrow: pip install pyarrow") from exc
    types = {int: pa.int64(), float: pa.float64(), str: pa.string()}

    def write(path: str, columns: Columns, rows: Rows) -> None:
        schema = pa.schema([(name, types[kind]) for name, kind in columns])
        with pq.ParquetWriter(path, schema) as writer:
            while batch := list(islice(rows, BATCH)):
                arrays = [
                    pa.array([_as(kind, value) for value in values], types[kind])
                    for (_, kind), values in zip(columns, zip(*batch, strict=True), strict=True)
                ]
                writer.write_batch(pa.record_batch(arrays, schema=schema))

    return _each_view(record, folder, "parquet", write)


def _as(kind: type, value: Any) -> Any:
    return value if value is None else kind(value)


def _duckdb(record: Record, path: str) -> list[str]:
    try:
        import duckdb
    except ImportError as exc:
        raise KerasProvError("DuckDB needs its package: pip install duckdb") from exc
    with TemporaryDirectory() as folder, replaced(path) as beside:
        files = _parquet(record, folder)
        connection = duckdb.connect(beside)
        try:
            for view, file in zip(VIEWS, files, strict=True):
                query = f"CREATE TABLE {view} AS SELECT * FROM read_parquet(?)"
                connection.execute(query, [file])
        finally:
            connection.close()
    return [path]


def _ndjson(record: Record, path: str) -> list[str]:
    with replaced(path) as beside, open(beside, "w", encoding="utf-8") as file:
        for run in record.runs():
            _bulk(file, record, run)
    return [path]


def _bulk(file: IO[str], record: Record, run: Row) -> None:
    """Two lines an epoch, as Elasticsearch's `_bulk` takes them."""
    of_run = {"number": run["run"], **{k: run[k] for k in OF_RUN if _is_json(run[k])}}
    for epoch in record.epochs(run):
        metrics, began = epoch.pop("metrics"), epoch.pop("started_at")
        own = {k: v for k, v in epoch.items() if v is not None and k != "run"}
        moment = {} if began is None else {"@timestamp": int(began * 1000)}
        # JSON has no NaN, and Elasticsearch takes no text for a number.
        finite = {k: v for k, v in metrics.items() if _is_finite(v)}
        document = {**moment, "run": of_run, **own, "metrics": finite}
        key = {"_index": INDEX, "_id": f"{run['id']}:{epoch['epoch']}"}
        file.write(json.dumps({"index": key}) + "\n")
        file.write(json.dumps(document, ensure_ascii=False) + "\n")


def _mlflow(record: Record, path: str) -> list[str]:
    """Runs in an MLflow database, by MLflow's own client; those that are there already stay."""
    try:
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient
    except ImportError as exc:
        raise KerasProvError("MLflow needs its package: pip install mlflow") from exc
    client = MlflowClient(f"sqlite:///{os.path.abspath(path)}")
    experiment = client.get_experiment_by_name(INDEX)
    place = experiment.experiment_id if experiment else client.create_experiment(INDEX)
    for run in reversed(record.runs()):
        known = f"tags.`kerasprov.id` = '{run['id']}'"
        if client.search_runs([place], known, max_results=1):
            continue
        began, ended = _milliseconds(run["started_at"]), _milliseconds(run["ended_at"])
        # MLflow has no place for what is not known: its run must have begun, and be in some state.
        unknown = [
            name
            for name, value in (("start_time", began), ("status", run["status"]))
            if value is None
        ]
        tags = {"kerasprov.id": run["id"],
                "kerasprov.unknown": ", ".join(unknown) or None, "mlflow.user": run["user"],
                "mlflow.source.name": run["script"], "mlflow.source.git.commit": run["git_commit"],
                **json.loads(run["tags"] or "{}")}  # fmt: skip
        settings = {name: run[name] for name in MLFLOW_PARAMS} | {
            row["name"]: row["value"] for row in record.params(run)
        }
        points = [
            Metric(name, float(value), int((epoch["started_at"] or 0) * 1000), epoch["epoch"])
            for epoch in record.epochs(run)
            for name, value in epoch["metrics"].items()
            if isinstance(value, (int, float))
        ]
        made = client.create_run(
            place,
            began,
            {name: str(value) for name, value in tags.items() if value is not None},
            run["name"],
        )
        params = [
            Param(name, str(v)[:MLFLOW_LIMIT]) for name, v in settings.items() if v is not None
        ]
        for start in range(0, max(len(params), 1), MLFLOW_BATCH):
            client.log_batch(made.info.run_id, params=params[start : start + MLFLOW_BATCH])
        for start in range(0, len(points), MLFLOW_BATCH):
            client.log_batch(made.info.run_id, metrics=points[start : start + MLFLOW_BATCH])
        status = "FINISHED" if run["status"] is None else MLFLOW_STATUS.get(run["status"], "FAILED")
        if run["status"] != "running":
            client.set_terminated(made.info.run_id, status, ended)
        if began is None or ended is None:
            _forget_times(path, made.info.run_id, began, ended)
    return [path]


def _forget_times(path: str, run_id: str, began: int | None, ended: int | None) -> None:
    """Take out the moment of the export, which MLflow puts where no time is given."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE runs SET start_time = ?, end_time = ? WHERE run_uuid = ?",
            (began or 0, ended, run_id),
        )


def _milliseconds(moment: str | None) -> int | None:
    try:
        return None if moment is None else int(datetime.fromisoformat(moment).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None  # a time that no calendar here has


def _is_json(value: Any) -> bool:
    """Whether JSON, and an index that knows the type of each field, has a place for a value."""
    return isinstance(value, str) or _is_finite(value)


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


WRITERS: dict[str, Callable[[Record, str], list[str]]] = {
    "parquet": _parquet,
    "csv": _csv,
    "ndjson": _ndjson,
    "duckdb": _duckdb,
    "mlflow": _mlflow,
}
"""What can be written, by its name."""


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
