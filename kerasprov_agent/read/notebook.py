"""The record in Python, for scripts and notebooks: plain rows, frames, pictures of curves.

kp = kerasprov_agent.open()
kp.runs(where="val_loss < 0.5").df
kp.run("last").epochs
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kerasprov_agent import identity
from kerasprov_agent.errors import KerasProvError, UnknownRun
from kerasprov_agent.read import selection
from kerasprov_agent.read.cell import Framed, Rows, framed, html, in_words, number, shown
from kerasprov_agent.read.record import Record, Row, flat, open_record
from kerasprov_agent.settings import Values
from kerasprov_agent.visible import visible

if TYPE_CHECKING:
    from kerasprov_agent.viewer.report import Report

RUNS_FRAMED = 20
"""So many of the runs are shown with their curves."""
MOST_COMPARED = 5
"""More runs than these are compared in a table alone."""
FACTS = (
    "status", "started_at", "seconds", "model_class", "activation", "dropout", "loss", "optimizer",
    "learning_rate", "batch_size", "epochs_finished", "samples", "script", "backend",
    "keras_version", "host",
)  # fmt: skip
RENAMED = {"epochs": "epochs_planned", "model": "model_class", "layers": "layer_count"}
"""Columns of the view `runs` whose names are those of rows that belong to a run."""
INTERNAL = ("label", "caller", "trial_id", "imported_from", "note", "id", "execution_id")
"""Columns of runs that come last."""


class Run:
    """One run: its columns as attributes, and what belongs to it as rows.

    `run["name"]` is the same as `run.name`. Three columns of the view `runs` have other names here,
    since what belongs to the run bears theirs: `epochs_planned` (`epochs` there), `model_class`
    (`model`) and `layer_count` (`layers`).
    """

    def __init__(self, records: Records, row: Row) -> None:
        self._records = records
        self._row = {RENAMED.get(name, name): value for name, value in row.items()}

    def __getattr__(self, name: str) -> Any:
        # Where it is copied or unpickled, it is asked for methods before it has its columns.
        if not name.startswith("_") and name in self._row:
            return self._row[name]
        raise AttributeError(f"a run has no {name!r}")

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError as exc:
            raise KeyError(name) from exc

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *self._row]

    def __repr__(self) -> str:
        metrics = ", ".join(f"{name} {number(value)}" for name, value in self.metrics.items())
        text = f"<run {self.run} {self.name}: {self.status}, {self.epochs_finished} epochs"
        return visible(f"{text}{', ' if metrics else ''}{metrics}>")

    @property
    def epochs(self) -> Rows:
        """A row an epoch: its times in seconds, the learning rate, a column a metric."""
        return self._rows(lambda record: map(flat, record.epochs(self._row)))

    @property
    def evaluations(self) -> Rows:
        """A row an evaluation of its model, a column a metric."""
        return self._rows(lambda record: map(flat, record.evaluations(self._row)))

    @property
    def params(self) -> Rows:
        """All arguments and hyperparameters, with the place each came from."""
        return self._rows(lambda record: record.params(self._row))

    @property
    def layers(self) -> Rows:
        """The layers of its model, in their order."""
        return self._rows(lambda record: record.layers(self._row))

    @property
    def changes(self) -> Rows:
        """The hyperparameters that were altered while it trained."""
        return self._rows(lambda record: record.changes(self._row))

    @property
    def files(self) -> Rows:
        """The files that its program read and wrote: path, role, bytes, sha256, by what."""
        return self._rows(lambda record: record.files(self._row))

    @property
    def environment(self) -> Rows:
        """Machine, software, packages and variables of its process: `kind`, `name`, `value`."""
        return self._rows(lambda record: record.environment(self._row))

    @property
    def model(self) -> dict[str, Any] | None:
        """The configuration of its model, as Keras' `get_config` told it; None: it told none."""
        query = (
            "SELECT a.config FROM architecture a JOIN run r ON r.architecture_id = a.id "
            "WHERE r.id = ?"
        )
        rows = self._rows(lambda record: record.query(query, (self.id,)))
        return json.loads(rows[0]["config"]) if rows and rows[0]["config"] else None

    @property
    def execution(self) -> Row:
        """The process in which it took place: program, packages, machine, git."""
        with self._records._opened() as record:
            return record.execution(self._row)

    def plot(self, *metrics: str, path: str | os.PathLike[str] | None = None) -> Any:
        """A matplotlib figure of its metrics by epoch, training solid and validation dashed.

        metrics: by default accuracy and loss. path: also write it there, as PNG, SVG or PDF. Raises
        `KerasProvError`.
        """
        return self._records._plot([self._row], metrics, (), path)

    def _rows(self, ask: Any) -> Rows:
        with self._records._opened() as record:
            return Rows(ask(record))

    def _repr_html_(self) -> str:
        facts = "".join(
            f"<tr><th style='text-align:left'>{name.removesuffix('_at').replace('_', ' ')}</th>"
            f"<td>{shown(in_words(name, self[name]))}</td></tr>"
            for name in FACTS
            if self[name] is not None
        )
        title = f"<b>run {self.run} {html(str(self.name))}</b>"
        page = f"run/{self.run}"
        return framed(f"{title}<table>{facts}</table>", self._records.path, [self.id], page)


class Records:
    """A database to look at, also while a training writes it. Nothing is changed by it."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = os.fspath(path) if path is not None else Values(strict=True).db
        with self._opened():  # raises Unusable at once
            pass

    def __repr__(self) -> str:
        return f"<kerasprov records in {self.path}>"

    def runs(self, where: str | None = None, limit: int | None = None, **choice: Any) -> Rows:
        """Runs, the newest first, a column a metric of the last epoch.

        where: a condition such as "val_loss < 0.5 and optimizer = 'adam'". Further: `columns`,
        `name`, `since`, `status`, `sort`, see `Record.runs`. Raises `KerasProvError`.
        """
        with self._opened() as record:
            rows = [_in_order(flat(row)) for row in record.runs(limit, where=where, **choice)]
        shown = [row["id"] for row in rows[:RUNS_FRAMED] if "id" in row]
        return Framed(rows, self.path, shown, "runs")

    def best(
        self,
        metric: str,
        by: str | Sequence[str] = (),
        top: int = 1,
        greatest: bool | None = None,
        where: str | None = None,
        mean: bool = False,
    ) -> Rows:
        """The best run by a metric, in its best epoch, or the `top` for each value of `by`.

        greatest: whether more is better; None: it is not for losses and errors. mean: of each value
        of `by` the mean over its runs, with `std` and how many `runs` there are. Raises
        `KerasProvError`.
        """
        names = [by] if isinstance(by, str) else list(by)
        with self._opened() as record:
            if mean:
                return Rows(selection.best_means(record, metric, names, greatest, where))
            return Rows(selection.best(record, metric, names, top, greatest, where))

    def query(self, question: str) -> Rows:
        """The answer to a question such as "epoch, loss where val_loss < 0.5".

        As `kerasprov query` takes it. Raises `KerasProvError`.
        """
        from kerasprov_agent.read.questions import compile_question

        with self._opened() as record:
            return Rows(record.ask(*compile_question(question, record.connection).sql))

    def lineage(self, what: str | int = "last", direction: str = "back") -> dict[str, Any]:
        """What a file, model or run came from (back), or was made into (forward).

        what: a path, a run or a hash. Returns `nodes`, `edges` (from a thing to its source) and,
        back, `raw_files`. Raises `KerasProvError`.
        """
        from kerasprov_agent.read.lineage import Lineage

        if direction not in ("back", "forward"):
            raise KerasProvError(f"{direction!r} is no direction; there are back and forward")
        with self._opened() as record:
            graph = Lineage(record)
            return graph.as_graph(graph.find(str(what)), direction)

    def run(self, run: str | int = "last") -> Run:
        """The run of that number or name, whose id begins so; raises `UnknownRun`."""
        with self._opened() as record:
            return Run(self, record.find(str(run)))

    def compare(self, *runs: str | int) -> Rows:
        """What runs differ in and what came of it: `section`, `name`, a column a run's name."""
        from kerasprov_agent.read.comparison import compare

        with self._opened() as record:
            found = [record.find(str(run)) for run in runs]
            comparison = compare(record, found)
        rows = [
            {"section": section, **row}
            for section, rows in comparison.items()
            if section != "code"
            for row in rows
        ]
        numbers = sorted({row["run"] for row in found})
        ids = [row["id"] for row in found] if 2 <= len(numbers) <= MOST_COMPARED else []
        return Framed(rows, self.path, ids, f"compare?runs={','.join(map(str, numbers))}")

    def report(self, *runs: str | int, where: str | None = None) -> Report:
        """The pages of `kerasprov view` for some runs: shown in the notebook, or saved as a file.

        runs: numbers or names; without any the 20 newest for which `where` holds. The report shows
        itself; its method `save(path)` writes the HTML file. Raises `KerasProvError`.
        """
        from kerasprov_agent.viewer import report

        with self._opened() as record:
            return report.Report(*report.html(record, [str(run) for run in runs], where))

    def plot(
        self,
        *metrics: str,
        by: str | Sequence[str] = (),
        where: str | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> Any:
        """A matplotlib figure of runs by epoch, a colour a run, or a value of what they differ in.

        metrics: by default accuracy and loss. where: only of these runs. path: also write it there,
        as PNG, SVG or PDF. Raises `KerasProvError`.
        """
        names = [by] if isinstance(by, str) else list(by)
        with self._opened() as record:
            rows = record.runs(columns=names, where=where)[::-1]
        if not rows:
            raise KerasProvError("no runs match")
        return self._plot(rows, metrics, names, path)

    def _plot(
        self,
        rows: Sequence[Row],
        metrics: Sequence[str],
        by: Sequence[str],
        path: str | os.PathLike[str] | None,
    ) -> Any:
        from kerasprov_agent.plots import figure, series

        with self._opened() as record:
            wanted = list(metrics) or series.common_metrics(rows)
            groups = series.groups(record, rows, wanted, by)
        drawn = figure.curves(groups, wanted)
        if path is not None:
            figure.write(os.fspath(path), drawn)
        return drawn

    def sql(self, query: str, *values: Any) -> Rows:
        """What a SELECT returns; `values` stand for its `?`. Raises `KerasProvError`."""
        with self._opened() as record:
            return Rows(record.ask(query, values))

    @contextmanager
    def _opened(self) -> Iterator[Record]:
        # Each time anew: a file that nobody writes is read in a way that sees no later writes.
        with open_record(self.path) as record:
            yield record


def open(path: str | os.PathLike[str] | None = None) -> Records:
    """Open a database to look at; by default that of the settings. Raises `Unusable`."""
    return Records(path)


def last_run() -> Run:
    """The run that this process recorded last, or else the last of the database."""
    records = Records()
    query = "SELECT id FROM run WHERE execution_id = ? ORDER BY number DESC LIMIT 1"
    for row in records.sql(query, identity.own()):
        return records.run(row["id"])
    if not records.runs(limit=1):
        raise UnknownRun(f"there are no runs in {records.path} yet")
    return records.run("last")


def _in_order(row: Row) -> Row:
    """A run's columns and metrics first, what is for programs last."""
    first = {name: value for name, value in row.items() if name not in INTERNAL}
    return {**first, **{name: row[name] for name in INTERNAL if name in row}}
