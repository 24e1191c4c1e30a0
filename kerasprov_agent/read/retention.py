"""Which runs may go: neither the best, nor the new, nor what any of these came of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read import selection
from kerasprov_agent.read.origin import Origin
from kerasprov_agent.read.record import Record, Row


class Retained(NamedTuple):
    """What may be deleted, and what stays for which reason: rows of runs."""

    deletable: list[Row]
    going: list[Row]
    best: list[Row]
    others: list[Row]
    """What is too new, or not meant by the condition."""
    ancestors: list[Row]
    """What some of the runs that stay came of."""


def divided(
    record: Record,
    keep_best: int = 0,
    metric: str | None = None,
    by: Sequence[str] = (),
    older_than: str | None = None,
    where: str | None = None,
) -> Retained:
    """Divide all runs into those that may be deleted and those that stay.

    keep_best: so many stay, in each group of the values of `by`, the best by `metric`; without one
    that is `val_loss`, or `loss` where nothing was validated. older_than: a day such as 2026-11-23
    or an age such as 30d; what began since stays. where: only what this holds for may go. Raises
    `KerasProvError`.
    """
    runs = list(record.runs())
    meant = {row["id"] for row in record.runs(where=where)} if where is not None else None
    since = selection.moment(older_than) if older_than is not None else None
    best = _best(record, keep_best, metric, by, where)
    going = [row for row in runs if row["status"] == "running"]
    best_rows = [row for row in runs if row["run"] in best]
    others = [
        row
        for row in runs
        if (meant is not None and row["id"] not in meant)
        or (since is not None and (row["started_at"] is None or row["started_at"] >= since))
    ]
    kept = {row["id"] for row in (*going, *best_rows, *others)}
    came_of: set[str] = set()
    for row in runs:
        # What stays is asked in the order of time: an ancestor's own ancestors are then known.
        if row["id"] in kept and row["id"] not in came_of:
            came_of |= {each["id"] for each in Origin(record, row["id"]).runs}
    ancestors = [row for row in runs if row["id"] in came_of - kept]
    deletable = [row for row in runs if row["id"] not in kept | came_of]
    return Retained(deletable, going, best_rows, others, ancestors)


def _best(
    record: Record, count: int, metric: str | None, by: Sequence[str], where: str | None
) -> set[int]:
    """The numbers of the best runs, so many in each group."""
    if count == 0:
        if metric or by:
            raise KerasProvError("--metric and --by say which are best: how many? --keep-best N")
        return set()
    names = record.metrics.values()
    chosen = metric or next((name for name in ("val_loss", "loss") if name in names), None)
    if chosen is None:
        raise KerasProvError("no metric is recorded by which runs could be the best")
    found = selection.best(record, chosen, by, count, None, where)
    return {row["run"] for row in found}
