"""Questions without SQL: what the record holds, examples to begin with, and the answers."""

from __future__ import annotations

from typing import Any

from kerasprov_agent.read.conditions import SQL, as_written
from kerasprov_agent.read.questions import (
    OF_EXECUTIONS,
    OF_RUNS,
    OF_SEARCHES,
    Entities,
    compile_question,
)
from kerasprov_agent.read.record import Record
from kerasprov_agent.viewer.pages.examples import EXAMPLES
from kerasprov_agent.viewer.pages.values import count, plain

MOST_ROWS = 1000
VALUES = 12
"""A column with no more values than this has them suggested."""
LOOKED_AT = 3000
"""So many rows of each view are looked at for suggestions."""
COUNTED = 100_000
"""Rows are counted up to this number."""
JOINS = {
    "epochs": "epochs of these runs", "evaluations": "evaluations of these runs' models",
    "layers": "layers of these runs' models", "params": "parameters of these runs",
    "changes": "changes made while these runs trained", "events": "events of these runs",
    "callbacks": "callbacks of these runs", "optimizers": "optimizers of these runs",
    "inputs": "arrays that these runs were fed",
    "activities": "what these runs' models were used for",
    "steps": "steps of these runs' programs", "files": "files of these runs' programs",
    "packages": "packages of these runs' programs", "executions": "programs of these runs",
    "trials": "trials that these runs belong to", "searches": "searches of these runs",
}  # fmt: skip


def entities(record: Record) -> dict[str, Any]:
    """What can be asked about: the dataflow graph of this record.

    Returns `entities` (only those that hold data: `name`, `count`, `columns`, each with `name`,
    `kind` number or text, and suggestions: `values`, or `least` and `greatest`) and `examples`
    (`title`, `question`).
    """
    known = Entities(record.connection)
    listed = []
    for view in (*OF_RUNS, *OF_EXECUTIONS, *OF_SEARCHES):
        rows = count(record, SQL(f"SELECT 1 FROM {view} LIMIT {COUNTED + 1}"))
        if rows:
            listed.append(
                {
                    "name": view,
                    "count": rows if rows <= COUNTED else f"more than {COUNTED}",
                    "columns": _columns(record, view, set(known.columns[view].values())),
                    "said": JOINS.get(view),
                }
            )
    titles = [title for title, _ in EXAMPLES]
    examples = [
        {
            "title": title
            + (f" ({titles[:place].count(title) + 1})" if titles.count(title) > 1 else ""),
            "question": question,
        }
        for place, (title, question) in enumerate(EXAMPLES)
    ]
    return {"entities": listed, "examples": examples}


def _columns(record: Record, view: str, names: set[str]) -> list[dict[str, Any]]:
    """Only columns that hold data, with what may be expected in them."""
    rows = list(record.query(f"SELECT * FROM {view} LIMIT {LOOKED_AT}"))
    columns = []
    for name in rows[0]:
        values = {row[name] for row in rows if row[name] is not None}
        if not values or name not in names:
            continue
        is_text = any(isinstance(value, (str, bytes)) for value in values)
        column: dict[str, Any] = {"name": name, "kind": "text" if is_text else "number"}
        if not is_text:
            column |= {"least": plain(min(values)), "greatest": plain(max(values))}
        if len(values) <= VALUES:
            column["values"] = sorted(
                map(plain, values), key=lambda value: (str(type(value)), value)
            )
        columns.append(column)
    return columns


def answer(record: Record, question: str, limit: int = MOST_ROWS) -> dict[str, Any]:
    """The answer to a question, in the language of `kerasprov query`.

    Returns `columns`, `rows` (`limit` at most), `total`, `all` (the same without conditions),
    `sql` and `values` (the statement that was run), `full` (the same with its values in it), `said`
    (what was joined, in words), `meant` (the views that names mean), `emptied` (the condition that
    left nothing; null if there are rows), and `asked`, `condition` and `rest`, the parts of the
    question's text. Raises `KerasProvError`.
    """
    understood = compile_question(question, record.connection)
    sql, written = understood.sql, understood.written
    total = count(record, sql)
    cursor = record.connection.cursor()
    cursor.row_factory = None
    rows = cursor.execute(sql.text, sql.values).fetchmany(min(limit, MOST_ROWS))
    joined = [JOINS[view] for view in understood.views if view in JOINS]
    emptied = None
    if not total:
        pairs = zip(written.conditions, understood.narrowed, strict=True)
        emptied = next((text for text, narrowed in pairs if not count(record, narrowed)), None)
    return {
        "columns": [column[0] for column in cursor.description],
        "rows": [plain(list(row)) for row in rows],
        "total": total,
        "all": count(record, understood.everything),
        "sql": sql.text,
        "values": plain(list(sql.values)),
        "full": as_written(sql),
        "said": ", with ".join(["runs", ", ".join(joined)]) if joined else "runs",
        "meant": understood.meant,
        "emptied": emptied,
        "asked": written.asked,
        "condition": written.condition,
        "rest": written.rest,
    }
