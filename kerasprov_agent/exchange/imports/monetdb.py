r"""Reads the tables of a MonetDB dump (`COPY n RECORDS INTO … FROM stdin`), as msqldump wrote it.

Also as it came out of a terminal, where tabs have become spaces. Functions, views and sequences
are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from kerasprov_agent.errors import KerasProvError

LINE = "_line"
"""The key under which a row tells its place in the file."""

_SCHEMA = re.compile(r'SET SCHEMA "?([^";]+)"?;', re.IGNORECASE)
_TABLE = re.compile(r'CREATE TABLE (?:"?([^".]+)"?\.)?"?([^"(. ]+)"? \($', re.IGNORECASE)
_COLUMN = re.compile(r'"([^"]+)"\s+([A-Z]+)', re.IGNORECASE)
_COPY = re.compile(
    r'COPY (\d+) RECORDS INTO (?:"?([^".]+)"?\.)?"?([^".]+?)"? FROM stdin'
    r"(?: USING DELIMITERS E?'(.+?)')?",
    re.IGNORECASE,
)
_STATEMENT = re.compile(
    r"(CREATE|COPY|ALTER|COMMIT|SET|START|INSERT|DROP|GRANT|sql>|--)\b", re.IGNORECASE
)
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r"}


@dataclass
class Table:
    """A table of a dump, as often as it occurs."""

    path: str
    schema: str
    name: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)


def read(path: str) -> list[Table]:
    """All tables of a dump that have rows; raises `KerasProvError` with the line that is wrong."""
    with open(path, encoding="utf-8", errors="replace", newline=None) as file:
        lines = [line.rstrip("\r\n") for line in file]
    tables = list(_Reader(path, lines).tables())
    if not tables:
        raise KerasProvError(f"{path} is a dump without records; nothing was imported")
    return tables


def looks_like_one(text: str) -> bool:
    """Whether the beginning of a text is of such a dump."""
    return bool(_COPY.search(text) or "next value for" in text or "CREATE SEQUENCE" in text)


class _Reader:
    def __init__(self, path: str, lines: list[str]) -> None:
        self.path, self.lines, self.at = path, lines, 0
        self.columns: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self.schema = "public"

    def tables(self) -> Any:
        while self.at < len(self.lines):
            line = self.lines[self.at].strip()
            self.at += 1
            if match := _SCHEMA.match(line):
                self.schema = match[1]
            elif match := _TABLE.match(line):
                self._declaration(match[1] or self.schema, match[2])
            elif match := _COPY.match(line):
                yield self._copy(match)

    def _declaration(self, schema: str, name: str) -> None:
        columns = []
        while self.at < len(self.lines) and not self.lines[self.at].strip().startswith(")"):
            if column := _COLUMN.match(self.lines[self.at].strip()):
                columns.append((column[1], column[2].upper()))
            self.at += 1
        self.columns[schema, name] = columns

    def _copy(self, match: re.Match[str]) -> Table:
        declared, schema, name = int(match[1]), match[2] or self.schema, match[3]
        columns = self.columns.get((schema, name))
        if columns is None:
            raise self._wrong(f"no CREATE TABLE {name} before this COPY", self.at)
        delimiter = (match[4] or "|").replace("\\t", "\t")
        table = Table(self.path, schema, name)
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if _STATEMENT.match(line.strip()):
                break
            if line.strip():
                if len(table.rows) >= declared and not _begins_row(line):
                    break
                table.rows.append(self._row(line, delimiter, columns))
            self.at += 1
        if len(table.rows) != declared:
            table.repairs.append(
                f"{name}: {declared} records are announced in {self.path}, {len(table.rows)} follow"
            )
        return table

    def _row(self, line: str, delimiter: str, columns: list[tuple[str, str]]) -> dict[str, Any]:
        values = _split(line, delimiter if delimiter in line else None)
        place = self.at + 1
        if len(values) != len(columns):
            raise self._wrong(f"{len(values)} values for {len(columns)} columns", place)
        row: dict[str, Any] = {LINE: place}
        for (name, kind), value in zip(columns, values, strict=True):
            try:
                row[name] = _typed(value, kind)
            except ValueError:
                raise self._wrong(f"{value[0]!r} is no {kind.lower()}", place) from None
        return row

    def _wrong(self, what: str, line: int) -> KerasProvError:
        return KerasProvError(f"{self.path}, line {line}: {what}; nothing was imported")


def _begins_row(line: str) -> bool:
    return line.lstrip()[:1].isdigit()


def _split(line: str, delimiter: str | None) -> list[tuple[str, bool]]:
    """The values of a line, and whether each was in quotes; without a delimiter, by spaces."""
    quoted = r'"((?:[^"\\]|\\.)*)"'
    if delimiter is None:
        parts = re.finditer(rf"{quoted}|(\S+)", line)
    else:
        mark = re.escape(delimiter)
        parts = re.finditer(rf"(?:^|{mark})\s*(?:{quoted}|([^{mark}]*))", line)
    return [
        (part[2].strip(), False) if part[1] is None else (_unescaped(part[1]), True)
        for part in parts
    ]


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code, 8)) if len(code) == 3 else _ESCAPED.get(code, code)

    return _ESCAPE.sub(one, text)


def _typed(value: tuple[str, bool], kind: str) -> Any:
    """A value by its column's type; NULL, and Java's "null", are None."""
    text, is_quoted = value
    if text == "null" if is_quoted else text == "NULL":
        return None
    if kind in ("INTEGER", "INT", "BIGINT", "SMALLINT"):
        return int(text)
    return float(text) if kind in ("DOUBLE", "REAL", "FLOAT", "DECIMAL") else text
