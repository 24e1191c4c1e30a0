"""How values, rows and runs look in a notebook's cell, as HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.record import Row, open_record
from kerasprov_agent.read.wording import duration, moment
from kerasprov_agent.visible import visible

if TYPE_CHECKING:
    import pandas

ROWS_SHOWN = 50
IN_WORDS: dict[str, Callable[[Any], str]] = {"started_at": moment, "seconds": duration}
"""How a fact is told where it is no number or name."""


def in_words(name: str, value: Any) -> Any:
    """A fact as a person says it: a time, a duration; others stay as they are."""
    tell = IN_WORDS.get(name)
    return tell(value) if tell else value


def number(value: Any) -> str:
    """A value as text, a float with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def html(text: str) -> str:
    """A text in HTML and SVG, without what neither can hold."""
    return escape(visible(text))


def shown(value: Any) -> str:
    """A value in a cell of a table; nothing for NULL."""
    return "" if value is None else html(number(value))


class Rows(list[Row]):
    """Rows as dicts, by the names of their columns; also as a pandas frame."""

    @property
    def df(self) -> pandas.DataFrame:
        """The same as a frame; needs pandas."""
        try:
            import pandas as pd
        except ImportError as exc:
            raise KerasProvError(
                "a frame needs pandas: pip install 'kerasprov_agent[pandas]'"
            ) from exc
        frame: pandas.DataFrame = pd.DataFrame(list(self))
        return frame

    def _repr_html_(self) -> str:
        columns = list(dict.fromkeys(name for row in self for name in row))
        head = "".join(f"<th>{html(name)}</th>" for name in columns)
        lines = [
            "<tr>" + "".join(f"<td>{shown(row.get(name))}</td>" for name in columns) + "</tr>"
            for row in self[:ROWS_SHOWN]
        ]
        more = f"<p>{len(self) - ROWS_SHOWN} more rows</p>" if len(self) > ROWS_SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>{more}"


class Framed(Rows):
    """Rows that a notebook shows as the pages of `kerasprov view` do, with the rows below.

    A notebook that runs no scripts, as on GitHub's pages, shows the rows alone.
    """

    def __init__(self, rows: Iterable[Row], path: str, runs: Sequence[str], first: str) -> None:
        """`path`: of the database; `runs`, `first`: as `framed` has them."""
        super().__init__(rows)
        self._frame = (path, runs, first)

    def _repr_html_(self) -> str:
        return framed(super()._repr_html_(), *self._frame)


def framed(table: str, path: str, runs: Sequence[str], first: str) -> str:
    """A report of runs in a frame, beginning with the page `first`, and a table to be opened.

    The table alone, if no runs are given or the database at `path` can't be read any more.
    """
    from kerasprov_agent.viewer import report

    if not runs:
        return table
    try:
        with open_record(path) as record:
            shown = report.Report(*report.html(record, runs, first=first))
    except KerasProvError:
        return table
    summary = "<summary>The same as a plain table</summary>"
    return f"<div>{shown._repr_html_()}<details>{summary}{table}</details></div>"
