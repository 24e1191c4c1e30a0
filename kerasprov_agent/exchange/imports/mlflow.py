"""Trainings in an MLflow store: its SQLite file, or its folder `mlruns`. MLflow is not needed."""

from __future__ import annotations

import math
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import quote

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.exchange.imports.found import Training, Unread, finish, number, run_values, utc
from kerasprov_agent.exchange.imports.points import Point, sort_out

FORMAT = "MLflow"

STATUS = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "interrupted"}
FILE_STATUS = {3: "FINISHED", 4: "FAILED", 5: "KILLED"}
"""How the folder numbers what the database names; 1 and 2 are running and scheduled."""
TABLES = frozenset(("experiments", "runs", "params", "metrics", "tags"))
COLUMNS = {
    "user": "mlflow.user",
    "script": "mlflow.source.name",
    "git_commit": "mlflow.source.git.commit",
    "git_branch": "mlflow.source.git.branch",
    "git_remote": "mlflow.source.git.repoURL",
}
"""Columns of `execution`, and the tags in which MLflow keeps the same."""

IS_RUN = re.compile(rb"^run_(id|uuid):", re.MULTILINE)
"""What tells the meta.yaml of a run from that of an experiment."""
OWN_ID, UNKNOWN = "kerasprov.id", "kerasprov.unknown"
"""The tags by which `kerasprov export` tells which run it is, and what of it is not known."""
LEVELS = 3
"""A folder may hold `mlruns`, with experiments, with runs."""


class Run(NamedTuple):
    """A run as MLflow keeps it."""

    id: str
    name: str | None
    experiment: str | None
    status: str | None
    start: int | None
    end: int | None
    params: dict[str, str]
    tags: dict[str, str]
    series: dict[str, list[Point]]
    left_out: list[str]


def is_store(path: str) -> bool:
    """Whether a file is a SQLite database with the tables of MLflow."""
    with closing(_opened(path)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        try:
            return {name for (name,) in connection.execute(query)} >= TABLES
        except sqlite3.Error as exc:
            raise KerasProvError(f"can't read {path}: {exc}") from exc


def is_folder(path: str) -> bool:
    """Whether a folder is `mlruns`, an experiment in it, or a run."""
    return bool(_folders(path))


def read_store(path: str) -> Iterator[Training | Unread]:
    """The runs of a database, and that it is damaged, if so; deleted runs are left out."""
    count = 0
    with closing(_opened(path)) as connection:
        runs = _stored(connection)
        while True:
            try:
                run = next(runs, None)
            except sqlite3.Error as exc:
                if not count:
                    raise KerasProvError(f"can't read {path}: {exc}") from exc
                reason = f"it is damaged, {count} runs could be read: {exc}"
                yield Unread(FORMAT, os.path.realpath(path), reason)
                return
            if run is None:
                return
            count += 1
            yield _training(run, path)


def read_folder(path: str) -> Iterator[Training | Unread]:
    """The runs of a folder, and those that are broken; deleted ones are left out."""
    for folder in _folders(path):
        try:
            run = _filed(folder)
            training = _training(run, os.path.realpath(folder)) if run else None
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as exc:
            reason = f"it is not as MLflow writes a run: {exc!r}"
            yield Unread(FORMAT, os.path.realpath(folder), reason)
            continue
        if training:
            yield training


def _opened(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(os.path.abspath(os.fsencode(path)))}?mode=ro", uri=True
    )
    connection.row_factory = sqlite3.Row
    return connection


def _stored(connection: sqlite3.Connection) -> Iterator[Run]:
    query = (
        "SELECT r.*, e.name AS experiment FROM runs r "
        "LEFT JOIN experiments e ON e.experiment_id = r.experiment_id "
        "WHERE r.lifecycle_stage = 'active' ORDER BY r.start_time, r.run_uuid"
    )
    for row in connection.execute(query):
        own = (row["run_uuid"],)
        points = connection.execute(
            "SELECT key, CASE is_nan WHEN 1 THEN NULL ELSE value END, timestamp, step FROM metrics "
            "WHERE run_uuid = ? ORDER BY timestamp",
            own,
        )
        pairs = "SELECT key, value FROM {} WHERE run_uuid = ?"
        series: dict[str, list[Point]] = {}
        for name, value_text, at, step in points:
            point = Point(
                step or 0, at / 1000 if at else None, math.nan if value_text is None else value_text
            )
            series.setdefault(name, []).append(point)
        yield Run(
            row["run_uuid"],
            row["name"],
            row["experiment"],
            row["status"],
            row["start_time"],
            row["end_time"],
            dict(tuple(pair) for pair in connection.execute(pairs.format("params"), own)),
            dict(tuple(pair) for pair in connection.execute(pairs.format("tags"), own)),
            series,
            [],
        )


def _folders(path: str) -> list[str]:
    """The folders of runs in a folder, down to some levels. Git keeps no empty `metrics`."""
    folders = []
    for depth, (folder, below, files) in _levels(path):
        if "meta.yaml" in files and (depth == LEVELS or _is_run(folder, below)):
            folders.append(folder)
            below.clear()
        elif depth == LEVELS:
            below.clear()
    return sorted(folders)


def _is_run(folder: str, below: list[str]) -> bool:
    with open(os.path.join(folder, "meta.yaml"), "rb") as file:
        return bool(IS_RUN.search(file.read())) or "metrics" in below


def _levels(path: str) -> Iterator[tuple[int, tuple[str, list[str], list[str]]]]:
    for folder, below, files in os.walk(path):
        below.sort()
        depth = os.path.relpath(folder, path).count(os.sep) + (folder != path)
        yield depth, (folder, below, files)


def _filed(folder: str) -> Run | None:
    meta = _meta(os.path.join(folder, "meta.yaml"))
    if meta.get("lifecycle_stage") == "deleted":
        return None
    above = os.path.join(os.path.dirname(folder), "meta.yaml")
    experiment = _meta(above).get("name") if os.path.exists(above) else None
    series: dict[str, list[Point]] = {}
    left_out = []
    for name, text in _texts(os.path.join(folder, "metrics")):
        for place, line in enumerate(text.splitlines(), 1):
            try:
                at, value, *step = line.split()
                point = Point(int(step[0]) if step else 0, int(at) / 1000, float(value))
            except ValueError:
                left_out.append(f"{name}, line {place}: {line[:80]!r} is no point")
            else:
                series.setdefault(name, []).append(point)
    status: Any = meta.get("status")
    return Run(
        str(meta.get("run_id") or meta["run_uuid"]),
        meta.get("run_name"),
        experiment,
        FILE_STATUS.get(status) if isinstance(status, int) else status,
        meta.get("start_time"),
        meta.get("end_time"),
        dict(_texts(os.path.join(folder, "params"))),
        dict(_texts(os.path.join(folder, "tags"))),
        series,
        left_out,
    )


def _meta(path: str) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as exc:
        raise KerasProvError("a folder of MLflow needs PyYAML: pip install pyyaml") from exc
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file)
    except yaml.YAMLError as exc:
        raise ValueError(f"{path} is no valid YAML: {' '.join(str(exc).split())}") from exc
    return content if isinstance(content, dict) else {}


def _texts(folder: str) -> Iterator[tuple[str, str]]:
    """The files of a folder: their names, which may have slashes, and what is in them."""
    for place, below, files in os.walk(folder):
        below.sort()
        for name in sorted(files):
            path = os.path.join(place, name)
            with open(path, encoding="utf-8") as file:
                yield os.path.relpath(path, folder).replace(os.sep, "/"), file.read()


def _training(run: Run, path: str) -> Training:
    unknown = run.tags.get(UNKNOWN, "").split(", ")
    values_told = {
        key: value
        for key, value in run.tags.items()
        if not key.startswith(("mlflow.", "kerasprov."))
    }
    execution = {column: run.tags[tag] for column, tag in COLUMNS.items() if tag in run.tags}
    # MLflow keeps texts; numbers are numbers again.
    params = {
        key: amount if (amount := number(value)) is not None else value
        for key, value in run.params.items()
    }
    values = run_values(params)
    sorted_points = sort_out(run.series, values.get("epochs_planned"))
    return finish(
        Training(
            FORMAT,
            path,
            run.id,
            run.name or run.tags.get("mlflow.runName") or run.experiment or "mlflow",
            status=None if "status" in unknown else STATUS.get(run.status or ""),
            started_at=utc(run.start / 1000) if run.start else None,
            ended_at=utc(run.end / 1000) if run.end else None,
            parent_key=run.tags.get("mlflow.parentRunId"),
            values=values,
            execution=execution,
            tags={**values_told, **({"experiment": run.experiment} if run.experiment else {})},
            params=params,
            epochs=sorted_points.epochs,
            tests=sorted_points.tests,
            repairs=sorted_points.repairs,
            left_out=run.left_out + sorted_points.left_out,
            own_id=run.tags.get(OWN_ID),
        )
    )
