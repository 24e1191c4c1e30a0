"""Conditions on runs, such as `val_loss < 0.5 and optimizer = 'adam'`, as parameterised SQL.

A small language: comparisons, `and`, `or`, `not`, `in`, `like`, `between`, `is null`, arithmetic,
and `min`, `max`, `avg`, `std`, `median`, `first`, `last`, `count` over a run's epochs. Names become
SQL only where they are found among the columns, values only as parameters: no injection is
possible.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple, Protocol

from lark import Lark, Token, Transformer, Tree, v_args
from lark.exceptions import UnexpectedInput, UnexpectedToken, VisitError

from kerasprov_agent.errors import KerasProvError

GRAMMAR = r"""
question: (asked | everything) ("," (asked | everything))* condition? order? limit?
asked: name | FUNCTION "(" name ")" -> asked_aggregate
everything: EVERYTHING
condition: "where"i any
order: "order"i "by"i by ("," by)*
by: orderable DIRECTION?
?orderable: name -> column
    | FUNCTION "(" name ")" -> ordered_aggregate
limit: "limit"i WHOLE

?any: all ("or"i all)*
?all: negated ("and"i negated)*
?negated: "not"i negated -> negation
    | "(" any ")"
    | comparison
?comparison: sum OPERATOR sum -> compared
    | sum "in"i "(" sum ("," sum)* ")" -> among
    | sum "not"i "in"i "(" sum ("," sum)* ")" -> not_among
    | sum "like"i sum -> like
    | sum "not"i "like"i sum -> not_like
    | sum "between"i sum "and"i sum -> between
    | sum "not"i "between"i sum "and"i sum -> not_between
    | sum "is"i "null"i -> missing
    | sum "is"i "not"i "null"i -> present
?sum: product (SIGN product)*
?product: atom (FACTOR atom)*
?atom: NUMBER -> number
    | SIGN atom -> signed
    | STRING -> string
    | FUNCTION "(" name ")" -> aggregate
    | name -> column
    | "(" sum ")"
name: NAME | QUOTED

OPERATOR: "<=" | ">=" | "!=" | "<>" | "==" | "=" | "<" | ">"
SIGN: "+" | "-"
FACTOR: "*" | "/"
FUNCTION.2: /(min|max|avg|std|median|first|last|count)(?=\s*\()/i
NUMBER: /\d+(\.\d*)?([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?/
STRING: /'([^']|'')*'|"([^"]|"")*"/
QUOTED: /`[^`]+`/
DIRECTION: /(asc|desc)\b/i
WHOLE: /\d+/
EVERYTHING.3: /[^\W\d]\w*\.\*/
NAME: /(?!(and|or|not|in|like|between|is|null)\b)[^\W\d]\w*(\.\w+)*/i
%import common.WS
%ignore WS
"""


TEXT_LIMIT = 10_000
DEPTH_LIMIT = 100
"""SQLite takes no deeper expression than 1,000."""


class SQL(NamedTuple):
    """A piece of SQL with `?` for each of its parameters."""

    text: str
    values: tuple[Any, ...] = ()


PARAMETER = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\?")


def as_written(fragment: SQL) -> str:
    """The statement with its values in it, as a person may run it."""
    values = iter(fragment.values)

    def literal(part: re.Match[str]) -> str:
        return _literal(next(values)) if part[0] == "?" else part[0]

    return PARAMETER.sub(literal, fragment.text)


def _literal(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("'", "''")
        return f"'{escaped}'"
    return "NULL" if value is None else repr(value)


class Columns(Protocol):
    """What a condition may speak of."""

    def names(self) -> Iterable[str]:
        """All names."""

    def column(self, name: str) -> SQL | None:
        """A value of a run; None: there is none of that name."""

    def aggregate(self, function: str, name: str) -> SQL | None:
        """A value over the epochs of a run; None: there is no such metric or time."""


EXAMPLE = "val_loss < 0.5 and optimizer = 'adam'"


def compile_condition(text: str, columns: Columns) -> SQL:
    """The SQL of a condition; raises `KerasProvError` with one line that says what is wrong."""
    return parse(text, "any", ToSQL(columns), "condition", EXAMPLE)


def parse(text: str, start: str, transformer: ToSQL, what: str, example: str) -> SQL:
    """The SQL that a rule of the grammar comes to; raises `KerasProvError`."""
    if len(text) > TEXT_LIMIT or text.count("(") > DEPTH_LIMIT:
        raise KerasProvError(f"the {what} is too long: {len(text)} characters")
    try:
        tree = _parser().parse(text, start=start)
        transformer.look(tree, text)
        condition: SQL = transformer.transform(tree)
        return condition
    except UnexpectedInput as exc:
        raise KerasProvError(_complaint(text, exc, what, example)) from None
    except VisitError as exc:
        if isinstance(exc.orig_exc, KerasProvError):
            raise exc.orig_exc from None
        raise


@cache
def _parser() -> Lark:
    return Lark(
        GRAMMAR,
        parser="lalr",
        start=["any", "question"],
        maybe_placeholders=False,
        propagate_positions=True,
    )


def _complaint(text: str, exc: UnexpectedInput, what: str, example: str) -> str:
    at = exc.pos_in_stream if exc.pos_in_stream is not None else len(text)
    ended = isinstance(exc, UnexpectedToken) and exc.token.type == "$END"
    where = "it ends too early" if ended or at < 0 else f"not understood from {text[at:][:30]!r} on"
    return f'the {what} {text!r}: {where}; it looks like "{example}"'


def unknown(name: str, names: Iterable[str], what: str = "column") -> KerasProvError:
    """That there is no such name, and the nearest there are."""
    known = sorted(set(names))
    folded = {name_known.lower(): name_known for name_known in known}
    near = [
        folded[name_known] for name_known in difflib.get_close_matches(name.lower(), folded, 3, 0.5)
    ]
    return KerasProvError(f"no {what} {name!r}; there is {', '.join(near or known[:12])}")


@v_args(inline=True)
class ToSQL(Transformer[Token, SQL]):
    """From the leaves to the root."""

    def __init__(self, columns: Columns) -> None:
        super().__init__()
        self._columns = columns

    def look(self, tree: Tree[Token], text: str) -> None:
        """Look at all that was written, before the first name becomes SQL."""

    def any(self, *parts: SQL) -> SQL:
        return _joined(parts, " OR ")

    def all(self, *parts: SQL) -> SQL:
        return _joined(parts, " AND ")

    def negation(self, part: SQL) -> SQL:
        return SQL(f"NOT ({part.text})", part.values)

    def compared(self, left: SQL, operator: Token, right: SQL) -> SQL:
        sign = {"==": "=", "!=": "<>"}.get(operator, str(operator))
        # 'adam' is Adam: whoever looks for a name need not know how the class is written.
        return SQL(f"{left.text} {sign} {right.text} COLLATE NOCASE", left.values + right.values)

    def among(self, left: SQL, *choices: SQL) -> SQL:
        marks = ", ".join(choice.text for choice in choices)
        values = tuple(value for choice in choices for value in choice.values)
        return SQL(f"{left.text} COLLATE NOCASE IN ({marks})", left.values + values)

    def not_among(self, left: SQL, *choices: SQL) -> SQL:
        return self.negation(self.among(left, *choices))

    def like(self, left: SQL, right: SQL) -> SQL:
        return SQL(f"{left.text} LIKE {right.text}", left.values + right.values)

    def not_like(self, left: SQL, right: SQL) -> SQL:
        return self.negation(self.like(left, right))

    def between(self, left: SQL, least: SQL, most: SQL) -> SQL:
        return SQL(
            f"{left.text} BETWEEN {least.text} AND {most.text}",
            left.values + least.values + most.values,
        )

    def not_between(self, left: SQL, least: SQL, most: SQL) -> SQL:
        return self.negation(self.between(left, least, most))

    def missing(self, left: SQL) -> SQL:
        return SQL(f"{left.text} IS NULL", left.values)

    def present(self, left: SQL) -> SQL:
        return SQL(f"{left.text} IS NOT NULL", left.values)

    def sum(self, *parts: SQL | Token) -> SQL:
        return _calculated(parts)

    def product(self, *parts: SQL | Token) -> SQL:
        return _calculated(parts)

    def signed(self, sign: Token, part: SQL) -> SQL:
        return SQL(f"({sign}{part.text})", part.values)

    def number(self, token: Token) -> SQL:
        is_whole = token.isdigit() and len(token) < 19
        return SQL("?", (int(token) if is_whole else float(token),))

    def string(self, token: Token) -> SQL:
        quote = token[0]
        return SQL("?", (token[1:-1].replace(quote * 2, quote),))

    def name(self, token: Token) -> str:
        return token[1:-1] if token.type == "QUOTED" else str(token)

    def column(self, name: str) -> SQL:
        known = self._columns.column(name)
        if known is None:
            raise unknown(name, self._columns.names())
        return known

    def aggregate(self, function: Token, name: str) -> SQL:
        known = self._columns.aggregate(function.lower(), name)
        if known is None:
            raise unknown(name, self._columns.names(), "metric")
        return known


def _joined(parts: tuple[SQL, ...], word: str) -> SQL:
    values = tuple(value for part in parts for value in part.values)
    return SQL(word.join(f"({part.text})" for part in parts), values)


def _calculated(parts: tuple[SQL | Token, ...]) -> SQL:
    # Whole numbers are divided as Python divides them.
    signs = {"/": " * 1.0 / "}
    texts = [part.text if isinstance(part, SQL) else signs.get(part, f" {part} ") for part in parts]
    values = tuple(value for part in parts if isinstance(part, SQL) for value in part.values)
    return SQL(f"({''.join(texts)})", values)
