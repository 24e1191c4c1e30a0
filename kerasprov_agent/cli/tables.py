"""How values and tables look in a terminal."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from kerasprov_agent.cli.screen import console, is_unicode, say
from kerasprov_agent.read.wording import bars, short, usual_first
from kerasprov_agent.visible import no_formula, visible, visible_json

STATUS_STYLE = {"finished": "green", "running": "cyan", "failed": "red", "lost": "red"}
METRICS_SHOWN = 6
GAP = 2
"""Cells between two columns."""
SHORT_TEXT = 16
"""A longer text may be shortened to so many cells."""


class FittedTable:
    """A table that fits where it is printed: nothing in it is broken into lines.

    Long texts are shortened; where that does not suffice, columns without a value are left out,
    then columns at the right, and a line below says so. Columns of numbers are set to the right.
    """

    def __init__(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None
    ) -> None:
        self._title = title
        self._names = [visible(str(name)) for name in columns]
        self._values = [list(row) for row in rows]
        self._cells = [[cell(value) for value in row] for row in self._values]
        self._empty = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if needed(self._least()) > options.max_width:
            self._leave_out_empty()
        widths = fitting(self._widths(), self._least(), options.max_width)
        made = Table(
            title=self._title, title_justify="left", title_style="bold", box=None, pad_edge=False
        )
        for position, width in enumerate(widths):
            made.add_column(
                shortened(Text(self._names[position]), width),
                justify="right" if self._is_number(position) else "left",
                no_wrap=True,
            )
        for row in self._cells:
            made.add_row(
                *(shortened(text, width) for text, width in zip(row, widths, strict=False))
            )
        yield made
        left_out = [name for name in self._names[len(widths) :] if name]
        if self._empty:
            left_out.append(f"{self._empty} without a value")
        if left_out:
            note = f"left out for lack of room: {', '.join(left_out)}"
            yield Text(note, style="dim")

    def _leave_out_empty(self) -> None:
        """Keep the columns that have a value in some row, if there are any."""
        kept = [
            position
            for position in range(len(self._names))
            if any(row[position] is not None for row in self._values)
        ]
        if kept:
            self._empty = len(self._names) - len(kept)
            self._names = [self._names[position] for position in kept]
            self._values = [[row[position] for position in kept] for row in self._values]
            self._cells = [[row[position] for position in kept] for row in self._cells]

    def _is_number(self, position: int) -> bool:
        values = [row[position] for row in self._values]
        return bool(values) and all(
            isinstance(value, (int, float)) or value is None for value in values
        )

    def _widths(self) -> list[int]:
        """As wide as each column is with everything in it."""
        return [
            max([cell_len(name), *(row[position].cell_len for row in self._cells)])
            for position, name in enumerate(self._names)
        ]

    def _least(self) -> list[int]:
        """As narrow as each may become: numbers and names are not shortened, long texts are."""
        return [
            width if self._is_number(position) else max(cell_len(name), min(width, SHORT_TEXT))
            for position, (name, width) in enumerate(zip(self._names, self._widths(), strict=True))
        ]


def needed(widths: Sequence[int]) -> int:
    """The room that columns of these widths take beside each other."""
    return sum(widths) + GAP * (len(widths) - 1)


def fitting(widths: list[int], least: list[int], room: int) -> list[int]:
    """The widths of as many columns, from the left, as have room beside each other.

    What room is left goes to the narrowest of those that were shortened.
    """
    count = len(widths)
    while count > 1 and needed(least[:count]) > room:
        count -= 1
    fitted = least[:count]
    left = room - needed(fitted)
    if count == 1 and left < 0:
        return [max(room, 1)]
    while left > 0 and fitted != widths[:count]:
        narrowest = min(
            (position for position in range(count) if fitted[position] < widths[position]),
            key=lambda position: fitted[position],
        )
        fitted[narrowest] += 1
        left -= 1
    return fitted


def shortened(text: Text, width: int) -> Text:
    """A text of at most so many cells; one that is cut ends in an ellipsis."""
    if text.cell_len <= width:
        return text
    end = "…" if is_unicode() else "..."
    kept = set_cell_size(text.plain, max(width - len(end), 0)).rstrip()
    return Text((kept + end)[: max(width, 1)], style=text.style)


def metric_names(row_names: Any) -> list[str]:
    """Which metrics get a column: the common ones first, then as they come."""
    return usual_first(name for metrics in row_names for name in metrics)[:METRICS_SHOWN]


CURVE_WIDTH = 40


def sparkline(values: Sequence[Any], width: int = CURVE_WIDTH) -> str:
    """Numbers as a row of bars; where there are more than `width`, the mean of those together."""
    if not is_unicode():
        return ""
    return bars(values, width)


def epochs_told(row: dict[str, Any]) -> str:
    if row["kind"] != "fit":
        return f"{row['steps']} steps" if row["steps"] is not None else ""
    planned, finished = row["epochs"], row["epochs_finished"]
    if planned in (None, finished):
        return f"{finished}"
    # A training that was resumed does only what is left.
    is_resumed = row["status"] == "finished" and row["stopped_early"] == 0
    return f"{finished}, to epoch {planned}" if is_resumed else f"{finished} of {planned}"


def cell(value: Any) -> Text:
    """A value in a few characters."""
    shown = visible(short(value))
    return Text(shown, style=STATUS_STYLE.get(shown, "") if isinstance(value, str) else "")


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV with a line of names; NULL is an empty field, and no text is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(no_formula, columns))
    writer.writerows([no_formula(_plain(value)) for value in row] for row in rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def print_rows(rows: Sequence[dict[str, Any]], form: str | None, empty: str = "nothing") -> None:
    """Print rows as a table, or in the form `json` or `csv`."""
    columns = list(rows[0]) if rows else []
    if form == "json":
        say(as_json(rows))
    elif form == "csv":
        say(as_csv(columns, (list(row.values()) for row in rows)), newline=False)
    elif rows:
        console().print(FittedTable(columns, (list(row.values()) for row in rows)))
    else:
        say(empty)


def as_json(value: Any) -> str:
    """JSON as other programs read it: NaN and infinities as the strings that name them.

    Bytes are an object, as sqlite-utils and Datasette write them.
    """
    text = json.dumps(_named(value), indent=2, ensure_ascii=not is_unicode(), allow_nan=False)
    return visible_json(text)


def _named(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return {"$base64": True, "encoded": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: _named(item) for key, item in value.items()}
    return [_named(item) for item in value] if isinstance(value, (list, tuple)) else value
