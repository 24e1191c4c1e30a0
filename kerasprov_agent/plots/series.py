"""What is drawn: a line a run and metric, a bar a group."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.conditions import unknown
from kerasprov_agent.read.record import Record, Row

VALIDATION = "val_"


@dataclass
class Line:
    """A metric of a run, epoch by epoch."""

    metric: str
    points: list[tuple[int, float]]


@dataclass
class Group:
    """Runs that have a value of a hyperparameter in common; a run by itself where none is given."""

    name: str
    runs: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Of each epoch."""

    def means(self, metric: str) -> list[tuple[int, float, int]]:
        """A metric by epoch: the mean of the runs that have this epoch, and how many have."""
        values: dict[int, list[float]] = {}
        for line in self.lines:
            if line.metric == metric:
                for epoch, value in line.points:
                    values.setdefault(epoch, []).append(value)
        return [
            (epoch, sum(means) / len(means), len(means)) for epoch, means in sorted(values.items())
        ]

    def mean(self, metric: str) -> list[tuple[int, float]]:
        """A metric by epoch, the mean of all runs: it ends where the first of them ends.

        A mean of those that are left would jump there, as if all of them had changed.
        """
        count = sum(line.metric == metric for line in self.lines)
        return [(epoch, value) for epoch, value, runs in self.means(metric) if runs == count]


def groups(
    record: Record,
    runs: Sequence[Row],
    metrics: Sequence[str],
    by: Sequence[str] = (),
    epochs_wanted: Container[tuple[int, int]] | None = None,
    skip_first: bool = False,
) -> list[Group]:
    """The runs by the values of the hyperparameters `by`, with their curves and times.

    A metric brings its validation along. Names that differ in case only, such as adam and Adam, are
    one group. epochs_wanted: pairs of a run's number and an epoch; None: all. skip_first: leave the
    first epoch of each run out. Raises `KerasProvError` for a metric that no run has.
    """
    wanted = [name for metric in metrics for name in (metric, VALIDATION + metric)]
    by_name: dict[str, Group] = {}
    for run in runs:
        epochs = record.epochs(run)[1 if skip_first else 0 :]
        if epochs_wanted is not None:
            epochs = [row for row in epochs if (run["run"], row["epoch"]) in epochs_wanted]
        name = (
            ", ".join(f"{column} {_shown(run[column])}" for column in by)
            if by
            else str(run["name"])
        )
        group = by_name.setdefault(name.casefold() if by else name, Group(name))
        group.runs.append(run["name"])
        group.seconds += [row["seconds"] for row in epochs if row["seconds"] is not None]
        for metric in wanted:
            points = [
                (row["epoch"], float(value))
                for row in epochs
                if isinstance(value := row["metrics"].get(metric), (int, float))
                and math.isfinite(value)
            ]
            if points:
                group.lines.append(Line(metric, points))
    present = {line.metric for group in by_name.values() for line in group.lines}
    for metric in metrics:
        if runs and metric not in present:
            raise unknown(metric, present or record.metrics.values(), "metric")
    return sorted(by_name.values(), key=lambda group: _by_number(group.name))


def common_metrics(runs: Iterable[Row]) -> list[str]:
    """Loss and accuracy where there are any, else what there is."""
    names = dict.fromkeys(name for run in runs for name in run["metrics"])
    plain = [name for name in names if not name.startswith(VALIDATION) and name != "learning_rate"]
    accuracies = [name for name in plain if "acc" in name]
    chosen = [*accuracies[:1], *(name for name in plain if name == "loss")] or plain[:2]
    if not chosen:
        raise KerasProvError("these runs have no metrics to plot")
    return chosen


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _by_number(name: str) -> list[tuple[int, float, str]]:
    """Numbers in a name sort as numbers."""
    key = []
    for word in name.replace(",", "").split():
        try:
            key.append((0, float(word), ""))
        except ValueError:
            key.append((1, 0.0, word))
    return key
