"""Conditions and questions: rows, or one line that says what is wrong; and never a wrong row."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read import questions, selection
from kerasprov_agent.read.record import open_record

WORDS = (
    "and", "or", "not", "in", "like", "between", "is", "null", "(", ")", ",", "<", ">=", "=", "!=",
    "loss", "val_loss", "epoch", "optimizer", "runs.optimizer", "epochs.loss", "epochs.*", "where",
    "min(", "avg(val_loss)", "median(loss)", "order by", "desc", "limit", "3", "0.5", "1e400", "-1",
    "'adam'", "'it''s'", "''", "`a b`", "tag.x", "+", "*", "/", "%", ";", "--", "/*", "?", "\x00",
    "now", "7d", "runs.", "count(", "last(loss)", "\udce9", "٣", "İ",
)  # fmt: skip
ASKED = st.one_of(st.text(), st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join))


@given(text=ASKED)
def test_a_condition_is_understood_or_refused(text: str, digits: Path) -> None:
    with open_record(str(digits)) as record:
        try:
            rows = record.runs(where=text)
        except KerasProvError as exc:
            assert "\n" not in str(exc)
        else:
            assert {row["run"] for row in rows} <= {row["run"] for row in record.runs()}


@given(text=ASKED)
def test_a_question_is_understood_or_refused(text: str, digits: Path) -> None:
    with open_record(str(digits)) as record:
        try:
            question = questions.compile_question(text, record.connection)
        except KerasProvError as exc:
            assert "\n" not in str(exc)
        else:
            list(record.query(question.sql.text, question.sql.values))
            list(record.query(question.everything.text, question.everything.values))


@given(sort=ASKED, name=ASKED, since=ASKED, column=ASKED)
def test_other_ways_to_choose(sort: str, name: str, since: str, column: str, digits: Path) -> None:
    with open_record(str(digits)) as record:
        for chosen in ({"sort": sort}, {"name": name}, {"since": since}, {"columns": [column]}):
            try:
                record.runs(**chosen)  # type: ignore[arg-type]
            except KerasProvError as exc:
                assert "\n" not in str(exc)


@given(text=ASKED)
def test_sql_of_a_person_reads_only(text: str, digits: Path) -> None:
    before = digits.read_bytes()
    with open_record(str(digits)) as record:
        for query in (text, f"SELECT {text}", f"DELETE FROM run {text}"):
            try:
                record.ask(query)
            except KerasProvError as exc:
                assert str(exc)
    assert digits.read_bytes() == before


Means = tuple[str, Callable[[dict[str, Any]], bool]]
OPERATORS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq,
    "!=": operator.ne,
}  # fmt: skip
NUMBERS = st.one_of(st.integers(0, 9), st.floats(0, 3, allow_nan=False, width=16))


@st.composite
def compared(draw: st.DrawFn) -> Means:
    """A comparison of a column of epochs, and what it means in Python."""
    name = draw(st.sampled_from(("epoch", "loss", "accuracy", "val_loss")))
    kind = draw(st.sampled_from((*OPERATORS, "between", "in", "is null")))
    a, b = draw(NUMBERS), draw(NUMBERS)
    if kind == "between":
        return f"{name} between {a!r} and {b!r}", lambda row: a <= row[name] <= b
    if kind == "in":
        return f"{name} in ({a!r}, {b!r})", lambda row: row[name] in (a, b)
    if kind == "is null":
        return f"{name} is null", lambda row: row[name] is None
    return f"{name} {kind} {a!r}", lambda row: OPERATORS[kind](row[name], a)


def joined(parts: st.SearchStrategy[Means]) -> st.SearchStrategy[Means]:
    """Conditions joined, turned round, or in parentheses."""

    def both(a: Means, b: Means, word: str) -> Means:
        if word == "and":
            return f"({a[0]}) and ({b[0]})", lambda row: a[1](row) and b[1](row)
        return f"({a[0]}) or ({b[0]})", lambda row: a[1](row) or b[1](row)

    return st.one_of(
        st.builds(both, parts, parts, st.sampled_from(("and", "or"))),
        parts.map(lambda one: (f"not ({one[0]})", lambda row: not one[1](row))),
        parts.map(lambda one: (f"({one[0]})", one[1])),
    )


@given(condition=st.recursive(compared(), joined, max_leaves=8))
def test_a_condition_chooses_what_it_says(condition: Means, digits: Path) -> None:
    text, holds = condition
    with open_record(str(digits)) as record:
        (run,) = record.runs()
        epochs = record.epochs(run)
        # A metric by itself is that of the last epoch.
        rows = [{**epochs[-1]["metrics"], "epoch": epoch["epoch"]} for epoch in epochs]
        chosen = selection.epochs_where(record, text)
    assert chosen == {(run["run"], row["epoch"]) for row in rows if holds(row)}, text
