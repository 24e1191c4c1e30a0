"""Trainings in the dumps of Keras-Prov and DNNProv: tables of DfAnalyzer by dataflow.

Names drifted between their versions, runs are not told apart, numbers have the noise of 32 bits
and changes are repeated: what is mended here is listed with each run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.exchange.imports.found import (
    SENTINEL,
    Change,
    Epoch,
    Item,
    Layer,
    Step,
    Test,
    Training,
    number,
    run_values,
    single_precision,
    utc,
    whole,
)
from kerasprov_agent.exchange.imports.monetdb import LINE, Table

FORMAT = "MonetDB dump"

SETTINGS = ("itrainingmodel", "itrainmodel", "itrain")
EPOCHS = ("otrainingmodel", "otrainmodel", "otrain")
TESTS = ("otestingmodel", "otestmodel", "otest")
LAYERS, ADAPTATIONS = ("ilayers",), ("oadaptation",)
KNOWN = (*SETTINGS, *EPOCHS, *TESTS, *LAYERS, *ADAPTATIONS)

Row = dict[str, Any]
Window = tuple[float | None, float | None]
"""From when to when, in seconds since 1970; None: open."""


class Task(NamedTuple):
    """A task of the tables that all dataflows share."""

    tag: str | None
    dataflow: str | None
    status: str | None
    started: str | None
    ended: str | None


def trainings(tables: Sequence[Table]) -> Iterator[Training]:
    """The trainings of dumps that belong together."""
    series = list(_series(table for table in tables if table.schema != "public"))
    if not series:
        paths = ", ".join(dict.fromkeys(table.path for table in tables))
        raise KerasProvError(
            f"{paths} holds no dataflow's own tables; give the dumps of its schemas along with it"
        )
    claimed: set[str | None] = set()
    for item in series:
        for training in _Dataflow(item, _tasks(_fixed(item[0].path, tables))).trainings():
            claimed.add(training.tags.get("exec_tag"))
            yield training
    yield from _untrained(tables, series, claimed)


def _fixed(path: str, tables: Sequence[Table]) -> list[Table]:
    """The tables that all dataflows share: of the same file, else of one that has but them."""
    fixed = [table for table in tables if table.schema == "public"]
    own = {table.path for table in tables if table.schema != "public"}
    return [table for table in fixed if table.path == path] or [
        table for table in fixed if table.path not in own
    ]


def _series(tables: Iterable[Table]) -> Iterator[list[Table]]:
    """The tables of each schema together; a file may hold several dumps of one, one by one."""
    open_series: dict[str, list[Table]] = {}
    for table in tables:
        open_tables = open_series.setdefault(table.schema, [])
        if any(table_held.name == table.name for table_held in open_tables):
            yield open_series[table.schema]
            open_series[table.schema] = []
        open_series[table.schema].append(table)
    yield from open_series.values()


def _tasks(tables: Sequence[Table]) -> dict[int, Task]:
    tasks: dict[int, Task] = {}
    by_name: dict[str, list[Row]] = {}
    for table in (public for public in tables if public.schema == "public"):
        by_name.setdefault(table.name, []).extend(table.rows)
    times = {row["task_id"]: row for row in by_name.get("performance", [])}
    dataflows = {row["id"]: row["tag"] for row in by_name.get("dataflow", [])}
    of_step = {
        row["id"]: dataflows.get(row["df_id"]) for row in by_name.get("data_transformation", [])
    }
    for row in by_name.get("task", []):
        time = times.get(row["id"], {})
        tasks[row["id"]] = Task(
            row.get("df_exec"),
            of_step.get(row.get("dt_id")),
            _status(row.get("status")),
            time.get("starttime"),
            time.get("endtime"),
        )
    return tasks


def _status(text: str | None) -> str | None:
    # RUNNING is what early stopping left for ever, so it says nothing.
    return "finished" if text == "FINISHED" else None


def _untrained(
    tables: Sequence[Table],
    series: Sequence[Sequence[Table]],
    claimed: set[str | None],
) -> Iterator[Training]:
    """Executions that came to no training, of the dataflows whose tables are there."""
    names = {item[0].schema: item[0].path for item in series}
    for table in tables:
        if table.schema != "public" or table.name != "dataflow_execution":
            continue
        for row in table.rows:
            tag = row["tag"]
            schema = next((name for name in names if tag.lower().startswith(f"{name}-")), None)
            if schema is None or tag in claimed:
                continue
            mine = [task for task in _tasks(tables).values() if task.tag == tag]
            yield Training(
                FORMAT,
                table.path,
                f"execution {tag}",
                schema,
                started_at=naive_iso(
                    min((task.started for task in mine if task.started), default=None)
                ),
                has_run=False,
                tags={"exec_tag": tag},
                repairs=["the execution came to no training"],
            )


class _Dataflow:
    """One dataflow's tables."""

    def __init__(self, tables: Sequence[Table], tasks: dict[int, Task]) -> None:
        self.schema, self.path, self.tasks = tables[0].schema, tables[0].path, tasks
        self.tables = {re.sub("^ds_", "", table.name.lower()): table.rows for table in tables}
        self.repairs = [repair for table in tables for repair in table.repairs]

    def rows(self, names: Sequence[str]) -> list[Row]:
        return next((self.tables[name] for name in names if name in self.tables), [])

    def trainings(self) -> Iterator[Training]:
        settings, runs = self.rows(SETTINGS), _cut(self.rows(EPOCHS))
        if len(runs) != len(settings):
            runs = self._matched(settings, runs)
        of_dataflow = [
            self._training(setting, rows) for setting, rows in zip(settings, runs, strict=True)
        ]
        task_of = [_task(row, rows) for row, rows in zip(settings, runs, strict=True)]
        shared = {task for task, times in Counter(task_of).items() if times > 1}
        starts = [_first_moment(row, rows) for row, rows in zip(settings, runs, strict=True)]
        for place, training in enumerate(of_dataflow):
            window = (starts[place], next((s for s in starts[place + 1 :] if s), None))
            before = (starts[place - 1] if place else None, starts[place])
            if task_of[place] not in shared:
                self._outcome(training, task_of[place], runs[place])
            self._adaptations(training, runs[place], window)
            self._tests(training, runs[place], window)
            self._steps(training, before)
        yield from of_dataflow

    def _matched(self, settings: list[Row], runs: list[list[Row]]) -> list[list[Row]]:
        """Runs by the task of their settings, where some of either are missing."""
        by_task: dict[Any, list[Row]] = {}
        for rows in runs:
            by_task.setdefault(rows[0].get("trainingmodel_task_id"), []).extend(rows)
        self.repairs.append(
            f"{len(runs)} runs of epochs for {len(settings)} of settings: matched by their tasks"
        )
        return [by_task.get(row.get("trainingmodel_task_id"), []) for row in settings]

    def _training(self, row: Row, rows: list[Row]) -> Training:
        repairs = list(self.repairs)
        params = _hyperparameters(row, repairs)
        key = json.dumps([self.schema, params, _own(rows[0]) if rows else row], sort_keys=True)
        layers = self._layers(row)
        values = run_values(params)
        return Training(
            FORMAT,
            self.path,
            hashlib.sha256(key.encode()).hexdigest(),
            self.schema,
            started_at=naive_iso(_stamp(row)),
            values=values,
            params=params,
            epochs=_epochs(rows, repairs),
            layers=layers,
            layer_count=params.get("num_layers"),
            repairs=repairs,
        )

    def _layers(self, settings: Row) -> list[Layer]:
        """Those of the same moment as the settings; without moments, of the same task."""
        rows = self.rows(LAYERS)
        moment = _stamp(settings)
        same = [row for row in rows if moment is not None and _stamp(row) == moment]
        if moment is None:
            task = settings.get("trainingmodel_task_id")
            same = [row for row in rows if row.get("trainingmodel_task_id") == task]
        return [
            Layer(
                row["name"],
                row["value"] if row["attribute_type"] == "activation" else None,
                _as_float(row["value"]) if row["attribute_type"] == "dropout" else None,
            )
            for row in same
        ]

    def _outcome(self, training: Training, task_id: int | None, rows: list[Row]) -> None:
        """Status and times of the training's task, if that is truly its task: ids begin anew."""
        task = self.tasks.get(task_id) if task_id is not None else None
        if task is None or not rows or not task.started:
            return
        first, offset = _stamp(rows[0]), 0.0
        started, ended = _seconds(task.started), _seconds(task.ended)
        if started is None or first is None:
            return
        at = _as_float(first)
        if at is None:
            at = _seconds(first) or 0.0
        else:
            # Tasks are timed in the zone of their machine: the epochs tell which that was.
            lag = at - (_as_float(rows[0].get("elapsed_time")) or 0.0) - started
            offset = round(lag / 900) * 900.0
            at -= offset
        if not started - 2 <= at <= (ended or at) + 2:
            return
        has_zone = _as_float(first) is not None
        training.status = task.status
        training.started_at = training.started_at or _shifted(task.started, offset, has_zone)
        training.ended_at = _shifted(task.ended, offset, has_zone) if task.status else None
        if task.tag:
            training.tags["exec_tag"] = task.tag
        if has_zone and offset:
            training.repairs.append(f"times of tasks lie {offset / 3600:g} h from UTC")

    def _adaptations(self, training: Training, rows: list[Row], window: Window) -> None:
        adaptations = self._of_run(ADAPTATIONS, "adaptation_task_id", rows, window)
        old = training.params.get("learning_rate")
        for row in adaptations:
            new = single_precision(row["new_lrate"])
            if new != old:
                at = naive_iso(_stamp(row))
                training.changes.append(Change(int(_epoch(row)), "learning_rate", old, new, at))
            old = new
        if len(training.changes) < len(adaptations):
            training.repairs.append(
                f"{len(adaptations)} adaptations repeat {len(training.changes)} changes of the "
                "learning rate"
            )

    def _tests(self, training: Training, rows: list[Row], window: Window) -> None:
        for row in self._of_run(TESTS, "testingmodel_task_id", rows, window):
            metrics = {
                re.sub("^otest_", "", name): value
                for name, value in _measured(row).items()
                if not name.endswith("timestamp")
            }
            task = self.tasks.get(row.get("testingmodel_task_id") or 0)
            is_own = task is not None and task.tag == training.tags.get("exec_tag", "")
            status = task.status if is_own and task else None
            training.tests.append(Test(metrics, naive_iso(_stamp(row)), status))

    def _of_run(self, names: Sequence[str], key: str, rows: list[Row], window: Window) -> list[Row]:
        """Rows of another table that belong to a run: by their task, else by their time."""
        table_rows = self.rows(names)
        mine = {row.get(key) for row in rows} - {None}
        if len(mine) == 1 and not self._is_shared(key, mine):
            return [row for row in table_rows if row.get(key) in mine]
        begin, end = window
        if begin is None:
            return table_rows if len(self.rows(SETTINGS)) == 1 else []
        return [row for row in table_rows if _within(_as_float(_stamp(row)), begin, end)]

    def _is_shared(self, key: str, mine: set[Any]) -> bool:
        runs = _cut(self.rows(EPOCHS))
        return sum(bool(mine & {row.get(key) for row in rows}) for rows in runs) > 1

    def _steps(self, training: Training, window: Window) -> None:
        """What the user's own transformations told between the run before and this one."""
        begin, end = window
        if end is None:
            return
        steps: dict[str, Step] = {}
        for name, rows in self.tables.items():
            if name in KNOWN:
                continue
            for row in rows:
                moment = _as_float(_stamp(row))
                if moment is None or moment > end or (begin is not None and moment <= begin):
                    continue
                owner = next((key for key in row if key.endswith("_task_id")), name)
                step = steps.setdefault(owner, Step(owner.removesuffix("_task_id")))
                attributes = {k: v for k, v in _own(row).items() if not k.endswith("timestamp")}
                step.attributes |= attributes
                # The direction in data_dependency is not to be trusted; the names' is.
                side = step.inputs if name.startswith("i") else step.outputs
                side.append(Item(name, attributes))
                step.started_at = min(filter(None, (step.started_at, utc(moment))))
                step.ended_at = max(filter(None, (step.ended_at, utc(moment))))
        training.steps = list(steps.values())


def _cut(rows: list[Row]) -> list[list[Row]]:
    """Runs: a new one begins where the epoch is 0 again, or another task begins."""
    runs: list[list[Row]] = []
    for row in rows:
        epoch, task = _epoch(row), row.get("trainingmodel_task_id")
        if not runs or epoch == 0 or task != runs[-1][-1].get("trainingmodel_task_id"):
            runs.append([])
        runs[-1].append(row)
    return runs


def _epoch(row: Row) -> Any:
    return row.get("epoch_id", row.get("epoch"))


def _task(settings: Row, rows: list[Row]) -> int | None:
    return settings.get("trainingmodel_task_id") or (
        rows[0].get("trainingmodel_task_id") if rows else None
    )


def _epochs(rows: list[Row], repairs: list[str]) -> list[Epoch]:
    epochs, lost = [], 0
    for place, row in enumerate(rows):
        epoch = _epoch(row)
        if epoch != place:
            repairs.append(
                f"line {row[LINE]}: epoch {whole(epoch)} is taken for {place}, by the order of rows"
            )
        measured = _measured(row)
        lost += sum(value is None for value in measured.values())
        seconds = _as_float(row.get("elapsed_time"))
        stamp = _as_float(_stamp(row))
        started = stamp - seconds if stamp is not None and seconds is not None else None
        metrics = {name: value for name, value in measured.items() if value is not None}
        epochs.append(Epoch(metrics, place, started, seconds))
    if lost:
        repairs.append(f"{lost} values of {SENTINEL:.0f} or null are taken for none")
    return epochs


def _hyperparameters(row: Row, repairs: list[str]) -> Row:
    params: Row = {}
    for name, value in _own(row).items():
        if name.endswith("timestamp"):
            continue
        if isinstance(value, float):
            short = single_precision(value)
            if short != value:
                repairs.append(f"{name} {value} is {short} in 32 bits")
            value = whole(short)
        if value is not None:
            params[name] = value
    return params


def _own(row: Row) -> Row:
    """A row without the keys of its database."""
    return {k: v for k, v in row.items() if k not in ("id", LINE) and not k.endswith("_task_id")}


def _measured(row: Row) -> Row:
    """The metrics of a row of epochs or tests."""
    no_metric = ("elapsed_time", "epoch", "epoch_id")
    return {
        name: None if value == SENTINEL else value
        for name, value in _own(row).items()
        if name not in no_metric and not name.endswith("timestamp")
    }


def _stamp(row: Row) -> str | None:
    return next((value for name, value in row.items() if name.endswith("timestamp")), None)


def _first_moment(settings: Row, rows: list[Row]) -> float | None:
    moments = [_as_float(_stamp(settings))]
    if rows:
        ended, seconds = _as_float(_stamp(rows[0])), _as_float(rows[0].get("elapsed_time"))
        moments.append(ended - seconds if ended is not None and seconds is not None else None)
    return next((moment for moment in moments if moment is not None), None)


def _within(moment: float | None, begin: float, end: float | None) -> bool:
    return moment is not None and begin <= moment and (end is None or moment < end)


def _as_float(text: Any) -> float | None:
    parsed = number(text)
    return None if parsed is None else float(parsed)


def _seconds(text: str | None) -> float | None:
    """A time without a zone as if it were UTC."""
    try:
        return datetime.fromisoformat(text or "").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def naive_iso(stamp: str | None) -> str | None:
    """A time as ISO 8601: of seconds since 1970 in UTC, else of a zone that is not known."""
    if stamp is None:
        return None
    seconds = _as_float(stamp)
    if seconds is not None:
        return utc(seconds)
    return stamp.replace(" ", "T") if _seconds(stamp) is not None else None


def _shifted(text: str | None, offset: float, has_zone: bool) -> str | None:
    seconds = _seconds(text)
    if not has_zone or seconds is None:
        return naive_iso(text)
    return utc(seconds + offset)
