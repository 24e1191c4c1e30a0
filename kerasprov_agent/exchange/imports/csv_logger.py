"""Trainings in tables of epochs: Keras' callback `CSVLogger`, `history.history` written by pandas.

People open such files in spreadsheets, paste them together, and write tensors into them.
"""

from __future__ import annotations

import ast
import csv
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kerasprov_agent.exchange.imports.found import Epoch, Training, Unread, finish, utc, whole

FORMAT = "CSVLogger"
SEPARATORS = ",;\t|"
HEADER_LINES = 6
"""The names of the columns stand in one of so many lines; titles may stand above them."""
METRICS = re.compile(r"(val_)?(loss|acc|accuracy|mae|mse|auc|.*_(loss|acc|accuracy))")
"""Names by which a table without a column of epochs is told from any other table."""
VALUE = re.compile(r"(?:\w+\.)*\w+\(\s*([-+.\w]+)\s*(?:,.*)?\)", re.DOTALL)
"""`tf.Tensor(0.5, shape=(), dtype=float32)`, `np.float32(0.5)`, `array(0.5)`."""
TENSOR = re.compile(r"tf\.Tensor\(([^,()]+),[^()]*\([^()]*\)[^()]*\)")
"""Its commas would part it where it stands without quotes."""
EPOCH, TIME = "epoch", "_timestamp"
NO_METRICS = {
    "_step": "a counter of W&B's", "_runtime": "seconds since the start",
    "batch": "a counter", "step": "a counter", "iteration": "a counter",
}  # fmt: skip
"""Columns that are no metrics, and what they are."""
GENERIC = re.compile(
    r"(train(ing)?|log(s|ger)?|csv|history|metrics?|results?|keras|model|epochs?|_|-|\d)+", re.I
)
"""Names of files that say nothing: the folder says more."""


def looks_like_one(text: str) -> bool:
    """Whether a text begins with the names of metrics by epoch."""
    return _table(text) is not None


def label_of(path: str) -> str:
    """What a training in a file is called: after the file, or its folder where that says more."""
    stem = os.path.splitext(os.path.basename(path))[0]
    folder = os.path.basename(os.path.dirname(os.path.realpath(path)))
    return folder if folder and GENERIC.fullmatch(stem) else stem


@dataclass
class _Table:
    """Where the names of columns stand, and by what they are separated."""

    line: int
    mark: str
    names: list[str]

    @property
    def epoch_column(self) -> int | None:
        """The column of the epoch; None: the rows are the epochs."""
        folded = [name.lower() for name in self.names]
        if EPOCH in folded:
            return folded.index(EPOCH)
        return 0 if not folded[0] or folded[0].startswith("unnamed") else None

    @property
    def has_comma(self) -> bool:
        """Whether numbers may have a decimal comma."""
        return self.mark != ","


def _table(text: str) -> _Table | None:
    for place, line in enumerate(text.splitlines()[:HEADER_LINES]):
        for mark in SEPARATORS:
            names = _names(line, mark)
            folded = [name.lower() for name in names]
            is_named = EPOCH in folded and len(names) > 1
            is_history = (
                len(set(folded)) == len(folded)
                and any(METRICS.fullmatch(name) for name in folded)
                and all(re.fullmatch(r"[^\d\W][\w ./()-]*|", name) for name in folded)
            )
            if is_named or (is_history and (len(names) > 1 or mark == SEPARATORS[0])):
                return _Table(place, mark, names)
    return None


def _names(line: str, mark: str) -> list[str]:
    row = next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])
    return [name.strip().strip("'\"") for name in row]


def read_text(path: str) -> str:
    """The text of a file: UTF-8 with or without a mark, else Latin letters as Windows has them."""
    with open(path, "rb") as file:
        content = file.read()
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


@dataclass
class _Rows:
    """The epochs of one training, as its rows are read."""

    epochs: list[Epoch] = field(default_factory=list)
    moments: list[float | None] = field(default_factory=list)
    further: int = 0
    left_out: list[str] = field(default_factory=list)


def read(path: str) -> Iterator[Training | Unread]:
    """The trainings of a file: appended ones begin where the epoch goes back."""
    text = TENSOR.sub(r"\1", read_text(path))
    table = _table(text)
    assert table is not None  # else it was not taken for one
    runs, repairs, lost = _runs(text, table)
    if not runs:
        yield Unread(FORMAT, os.path.realpath(path), "it has no rows of epochs")
    for place, run in enumerate(runs):
        # Nothing in the file tells two trainings apart but where it lies and how it began.
        first = sorted(run.epochs[0].metrics.items())
        key = f"{os.path.realpath(path)}\n{place}\n{run.epochs[0].number}\n{first}"
        _add_times(run)
        last = next((at for at in reversed(run.moments) if at is not None), None)
        if run.further:
            run.left_out.append(f"{run.further} further rows of the same epochs, before the last")
        yield finish(
            Training(
                FORMAT,
                os.path.realpath(path),
                key,
                label_of(path),
                ended_at=None if last is None else utc(last),
                epochs=run.epochs,
                repairs=list(repairs),
                left_out=run.left_out + (lost if place == len(runs) - 1 else []),
            )
        )


def _runs(text: str, table: _Table) -> tuple[list[_Rows], list[str], list[str]]:
    """The trainings of a table, what was done to read it, and what was left out."""
    lines = text.splitlines(keepends=True)[table.line :]
    is_cut = bool(lines) and not lines[-1].endswith(("\n", "\r"))
    names, column = table.names, table.epoch_column
    runs: list[_Rows] = []
    repairs: list[str] = []
    lost: list[str] = []
    if column is None or not names[column]:
        repairs.append("rows are taken for epochs")
    rows = list(csv.reader(lines, delimiter=table.mark, skipinitialspace=True))
    for place, row in enumerate(rows[1:], table.line + 2):
        is_last = place - table.line == len(rows)
        if not any(cell.strip() for cell in row):
            continue
        again = _table(table.mark.join(row)) if EPOCH in [c.strip().lower() for c in row] else None
        if again is not None:  # appended by a program that wrote the names again
            table = _Table(place, table.mark, [cell.strip() for cell in row])
            names, column = table.names, table.epoch_column
            continue
        if len(row) != len(names):
            reason = "it breaks off" if is_last and is_cut else f"{len(names)} columns are named"
            lost.append(f"line {place}, {len(row)} values: {reason}")
            continue
        counts = {
            name or f"column {position + 1}": value(cell, table.has_comma)
            for position, (name, cell) in enumerate(zip(names, row, strict=True))
            if position != column
        }
        if is_last and is_cut:
            name = names[-1]
            if counts.pop(name, None) is not None:
                lost.append(f"line {place}, {name}: the file breaks off, it may be half a number")
        number: Any = len(runs[-1].epochs) if runs else 0
        if column is not None:
            number = value(row[column], table.has_comma)
            number = whole(number) if isinstance(number, float) else number
            if not isinstance(number, int):
                lost.append(f"line {place}: {row[column]!r} is no epoch")
                continue
        _add(runs, int(number), counts)
    return runs, repairs, lost


def _add(runs: list[_Rows], number: int, row: dict[str, Any]) -> None:
    """Add a row to the training that goes on, or begin one."""
    if not runs or number < runs[-1].epochs[-1].number:
        runs.append(_Rows())
    run = runs[-1]
    moment = row.pop(TIME, None)
    metrics = {}
    for name, text in row.items():
        what = NO_METRICS.get(name.lower())
        if what is None and text is not None:
            metrics[name] = text
        elif what is not None and f"{name}: {what}" not in run.left_out:
            run.left_out.append(f"{name}: {what}")
    at = float(moment) if isinstance(moment, (int, float)) and math.isfinite(moment) else None
    if run.epochs and run.epochs[-1].number == number:
        # Several rows an epoch: the last one has what the epoch came to.
        run.epochs[-1].metrics |= metrics
        run.moments[-1] = at
        run.further += 1
        return
    run.epochs.append(Epoch(metrics, number))
    run.moments.append(at)


def _add_times(run: _Rows) -> None:
    """The time of an epoch, where each row has one: since the row before."""
    for place in range(1, len(run.epochs)):
        before, at = run.moments[place - 1], run.moments[place]
        follows = run.epochs[place].number == run.epochs[place - 1].number + 1
        if before is not None and at is not None and at > before and follows:
            run.epochs[place].started_at, run.epochs[place].seconds = before, at - before


def value(text: str, has_comma: bool = False) -> Any:
    """A number, a list of them, or nothing: CSVLogger writes NA where a metric is absent."""
    text = text.strip().strip("'\"")
    if text in ("NA", "", "None", "null"):
        return None
    inner = VALUE.fullmatch(text)
    if inner:
        text = inner[1]
    if has_comma and re.fullmatch(r"[-+]?\d*,\d+(e[-+]?\d+)?", text, re.IGNORECASE):
        text = text.replace(",", ".")
    try:
        if "_" in text:
            return text
        return whole(float(text)) if "." not in text and "n" not in text else float(text)
    except ValueError:
        try:
            literal = ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return text
        is_single = isinstance(literal, list) and len(literal) == 1
        return literal[0] if is_single and isinstance(literal[0], (int, float)) else literal
