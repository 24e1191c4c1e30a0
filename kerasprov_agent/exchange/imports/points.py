"""Points of metrics that other tools keep by step: which are by epoch, and which are not.

A step is whatever a program counted: epochs, batches, nothing at all. Nothing is taken for an epoch
on a guess: what has a clock of its own is left out, and listed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from kerasprov_agent.exchange.imports.found import Epoch, Test, utc

SYSTEM = ("system/", "system.")
"""What the names of measurements of the machine begin with."""
NOT_BY_EPOCH = re.compile(r"(?<![a-z])(batch|iter(ation)?s?)(?![a-z])|[_/]step$", re.IGNORECASE)
"""What names of metrics have that are counted otherwise, such as `batch_loss`, `loss_step`."""


class Point(NamedTuple):
    """A value of a metric at a step; `at`: seconds since 1970 UTC."""

    step: int
    at: float | None
    value: Any


Series = Sequence[Point]


@dataclass
class Sorted:
    """Points as epochs and tests; what was left out, and what was done to tell."""

    epochs: list[Epoch] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    last_at: float | None = None


def sort_out(
    series: Mapping[str, Series], planned: int | None = None, sure: Iterable[str] = ()
) -> Sorted:
    """Tell what is by epoch.

    planned: how many epochs were asked for. sure: names of series that are by epoch.
    """
    result = Sorted()
    ordinary = {name: points for name, points in series.items() if not name.startswith(SYSTEM)}
    machine = [name for name in series if name not in ordinary]
    if machine:
        result.left_out.append(f"measurements of the machine: {listed(machine)}")
    ordinary = _numbered(ordinary, result)
    known = [name for name in sure if name in ordinary]
    axis = _axis(ordinary, planned, known)
    by_epoch = {
        name: points
        for name, points in ordinary.items()
        if name in known or (axis and _is_by_epoch(name, points, axis))
    }
    single: dict[str, Any] = {}
    for name, points in ordinary.items():
        if name in by_epoch:
            continue
        if len(points) == 1:
            single[name] = points[0].value
        else:
            result.left_out.append(f"not by epoch: {name}, {len(points)} points")
    if single:
        moments = [ordinary[name][0].at for name in single]
        last = max((at for at in moments if at is not None), default=None)
        result.tests.append(Test(single, at=None if last is None else utc(last)))
    _make_epochs(by_epoch, result)
    return result


def _numbered(series: Mapping[str, Series], result: Sorted) -> dict[str, Series]:
    """Of metrics that were logged without steps, the points are numbered in their order."""
    without = [
        name
        for name, points in series.items()
        if len(points) > 1 and len({point.step for point in points}) == 1
    ]
    if without:
        result.repairs.append(f"no steps were given, points are numbered: {listed(without)}")
    return {
        name: [Point(place, point.at, point.value) for place, point in enumerate(points)]
        if name in without
        else points
        for name, points in series.items()
    }


def _axis(series: Mapping[str, Series], planned: int | None, sure: Sequence[str]) -> list[int]:
    """The steps that are epochs."""
    if sure:
        return sorted({point.step for name in sure for point in series[name]})
    steps = {
        name: tuple(sorted({point.step for point in points}))
        for name, points in series.items()
        if not NOT_BY_EPOCH.search(name)
    }
    if planned is not None:
        fitting = [points_of for points_of in steps.values() if len(points_of) == planned]
        # A single value may be a result as well: one epoch has a loss.
        if fitting and (planned > 1 or any(name in ("loss", "val_loss") for name in steps)):
            return list(Counter(fitting).most_common(1)[0][0])
    several = {name: points_of for name, points_of in steps.items() if len(points_of) > 1}
    validating = {name: points_of for name, points_of in several.items() if name.startswith("val_")}
    counted = Counter(list((validating or several).values()))
    # Of several clocks that as many metrics go by, epochs are the slowest.
    ways = sorted((-count, len(points_of), points_of) for points_of, count in counted.items())
    return list(ways[0][2]) if ways else []


def _is_by_epoch(name: str, points: Series, axis: Sequence[int]) -> bool:
    """Whether a metric is told of each epoch, or of each second, tenth, ..."""
    steps = sorted({point.step for point in points})
    if not set(steps) <= set(axis) or NOT_BY_EPOCH.search(name):
        return False
    if len(steps) == len(axis):
        return True
    if len(steps) == 1:
        return name.startswith("val_")
    gaps = [later - earlier for earlier, later in pairwise(steps)]
    return max(gaps) == min(gaps) and steps[-1] + gaps[0] > axis[-1]


def _make_epochs(by_epoch: Mapping[str, Series], result: Sorted) -> None:
    """The epochs, each with the time since the one before; of several values the last counts."""
    metrics: dict[int, dict[str, Any]] = {}
    again = sum(
        len(points) - len({of_series.step for of_series in points}) for points in by_epoch.values()
    )
    if again:
        result.left_out.append(f"{again} earlier values of the same epochs")
    ends: dict[int, float] = {}
    for name, points in by_epoch.items():
        for point in points:
            metrics.setdefault(point.step, {})[name] = point.value
            if point.at is not None:
                ends[point.step] = max(point.at, ends.get(point.step, point.at))
    result.last_at = max(ends.values(), default=None)
    for number in sorted(metrics):
        epoch = Epoch(metrics[number], number)
        before, end = ends.get(number - 1), ends.get(number)
        if before is not None and end is not None and end > before:
            epoch.started_at, epoch.seconds = before, end - before
        result.epochs.append(epoch)
    if any(epoch.seconds is not None for epoch in result.epochs):
        result.repairs.append("times of epochs are those between their points")


def listed(names: Sequence[str]) -> str:
    """Names with commas between; of many the first ten, and how many more there are."""
    shown = ", ".join(names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
