"""How values and tables look in a terminal."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from kerasprov_agent.cli.screen import console, is_unicode, say
from kerasprov_agent.visible import no_formula, visible, visible_json

STATUS_STYLE = {"finished": "green", "running": "cyan", "failed": "red", "lost": "red"}
FIRST_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
METRICS_SHOWN = 6


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> Table:
    """A table; columns of numbers are set to the right."""
    rows = [list(row) for row in rows]
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for position, name in enumerate(columns):
        numbers = all(
            isinstance(row[position], (int, float)) or row[position] is None for row in rows
        )
        justify: Literal["left", "right"] = "right" if numbers and rows else "left"
        made.add_column(Text(visible(str(name))), justify=justify, overflow="fold")
    for row in rows:
        made.add_row(*(cell(value) for value in row))
    return made


def metric_names(found: Any) -> list[str]:
    """Which metrics get a column: the common ones first, then as they come."""
    names = dict.fromkeys(name for metrics in found for name in metrics)
    ordered = [name for name in FIRST_METRICS if name in names]
    ordered += [name for name in names if name not in FIRST_METRICS and name != "learning_rate"]
    return ordered[:METRICS_SHOWN]


BARS = "▁▂▃▄▅▆▇█"
CURVE_WIDTH = 40


def sparkline(values: Sequence[Any], width: int = CURVE_WIDTH) -> str:
    """Numbers as a row of bars; where there are more than `width`, the mean of those together."""
    if not is_unicode():
        return ""
    groups = min(width, len(values))
    edges = [round(place * len(values) / groups) for place in range(groups + 1)]
    means = [_mean(values[a:b]) for a, b in pairwise(edges)]
    known = [one for one in means if one is not None]
    if not known:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1.0
    return "".join(
        " " if one is None else BARS[min(int((one - low) / span * len(BARS)), len(BARS) - 1)]
        for one in means
    )


def _mean(values: Sequence[Any]) -> float | None:
    found = [one for one in values if isinstance(one, (int, float)) and math.isfinite(one)]
    return sum(found) / len(found) if found else None


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


def short(value: Any) -> str:
    """A value as text: four significant digits, nothing for NULL."""
    if value is None:
        return ""
    if isinstance(value, float):
        return str(value) if math.isnan(value) or math.isinf(value) else f"{value:.4g}"
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return str(value)


def moment(text: str | None) -> str:
    """A time in the local zone, to the second."""
    if text is None:
        return ""
    try:
        return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, TypeError, OverflowError, OSError):
        return str(text)  # a time that no calendar here has, as it stands there


def duration(seconds: float | None) -> str:
    """Seconds as a person says them: 0.42 s, 1 min 05 s, 2 h 10 min."""
    if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        return short(seconds)
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


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
        console().print(table(columns, (list(row.values()) for row in rows)))
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
