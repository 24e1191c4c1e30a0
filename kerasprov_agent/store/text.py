"""The gate between what a program holds and what the database has: any value, any text.

A text of a program may hold what no UTF-8 can: Python keeps a byte that it can't decode as a lone
surrogate, and SQLite's tools end a text at NUL. `encoded` writes both as visible escapes, `decoded`
reads them back. Secrets are blanked out here whatever way a text came. Nothing here raises,
whatever a value's own class does.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kerasprov_agent import redaction

TEXT_LIMIT = 1 << 16
"""A text by itself is cut at so many characters."""
DEPTH_LIMIT = 100
DIGITS_LIMIT = 4000
"""Python refuses to write an integer of more digits, and SQLite's JSON to read one."""

_ESCAPED = re.compile(
    r"(?P<slashes>\\*)(?P<character>[\ud800-\udfff\0])|(?P<literal>\\+)(?=ud[89a-f]|x00)"
)
_ESCAPE = re.compile(r"(?P<slashes>\\+)(?:u(?P<surrogate>d[89a-f][0-9a-f]{2})|(?P<nul>x00))")
_LOOKS_ESCAPED = re.compile(r"ud[89a-f][0-9a-f]{2}|x00")


class Stored(str):
    """A text in the form in which the database has it; passes the gate as it is."""

    __slots__ = ()


def encoded(text: str) -> str:
    r"""A text as UTF-8 can hold it: `\udce9` for a byte E9 that is no UTF-8, `\x00` for NUL.

    Backslashes before such an escape, or before what only looks like one, are doubled: so each
    stored text is that of one text only.
    """
    if text.isascii() and "\0" not in text and "\\" not in text:
        return text
    return _ESCAPED.sub(_escape, text)


def decoded(text: str) -> str:
    """The text that `encoded` was given."""
    return _ESCAPE.sub(_unescape, text) if "\\" in text else text


def _escape(match: re.Match[str]) -> str:
    character = match["character"]
    if character is None:
        is_literal = _LOOKS_ESCAPED.match(match.string, match.end())
        return match[0] * 2 if is_literal else match[0]
    escape = r"\x00" if character == "\0" else f"\\u{ord(character):04x}"
    return match["slashes"] * 2 + escape


def _unescape(match: re.Match[str]) -> str:
    slashes, rest = match["slashes"], match[0][len(match["slashes"]) :]
    half = "\\" * (len(slashes) // 2)
    if len(slashes) % 2 == 0:
        return half + rest
    return half + ("\0" if match["nul"] else chr(int(match["surrogate"], 16)))


def as_bytes(text: str) -> bytes:
    """A source text as the bytes that it was read from, or in UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that come from no byte, as a notebook may hold them
        return text.encode("utf-8", "surrogatepass")


def from_bytes(content: bytes) -> str:
    """A source text as it can be shown."""
    return encoded(content.decode("utf-8", "surrogateescape"))


def exact(text: str) -> str:
    """The text itself of an object whose class may have its own idea of `str`."""
    return text if type(text) is str else str.__str__(text)


def bindable(value: Any) -> Any:
    """A value as SQLite takes it: None, int, float, str or bytes."""
    kind = type(value)
    if kind is int:
        return value if -(2**63) <= value < 2**63 else _digits(value)
    if value is None or kind is bool or kind is float or kind is bytes:
        return value
    if kind is str:
        return encoded(redaction.text(value, TEXT_LIMIT))
    if kind is Stored:
        return exact(value)
    plain = _of_python(value)
    return f"<{_name(kind)}>" if plain is None else bindable(plain)


def real(value: Any) -> float | None:
    """A number as a float; None for what is none, and for an integer that no float can hold."""
    plain = _of_python(value)
    try:
        return float(plain) if isinstance(plain, (int, float)) else None
    except OverflowError:
        return None


def as_json(value: Any) -> Stored:
    """JSON text, keys in their order; NaN and infinities as the strings that name them.

    Texts in it are encoded, and secrets blanked out, one by one.
    """
    return Stored(json.dumps(_jsonable(value, 0), ensure_ascii=False, allow_nan=False))


def _jsonable(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return encoded(redaction.text(value))
    if value is None or kind is bool:
        return value
    if kind is Stored:
        return exact(value)
    if kind is float:
        return value if math.isfinite(value) else _nonfinite(value)
    if kind is int:
        return value if abs(value) < 10**DIGITS_LIMIT else _digits(value)
    if depth < DEPTH_LIMIT and issubclass(kind, dict):
        return {
            encoded(redaction.text(key)): _jsonable(redaction.value(key, item), depth + 1)
            for key, item in _items(value)
        }
    if depth < DEPTH_LIMIT and issubclass(kind, (list, tuple)):
        items = list.__iter__(value) if issubclass(kind, list) else tuple.__iter__(value)
        return [_jsonable(item, depth + 1) for item in items]
    plain = _of_python(value)
    if isinstance(plain, bytes):
        return f"<{len(plain)} bytes>"
    return f"<{_name(kind)}>" if plain is None else _jsonable(plain, depth)


def _items(value: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, item in dict.items(value):
        plain = _of_python(key)
        yield str(plain) if plain is not None else f"<{_name(type(key))}>", item


def _of_python(value: Any) -> bool | int | float | str | bytes | None:
    """A value of one of Python's types from one of its subclass; None for everything else.

    A subclass may raise in any method: so the type's own are called.
    """
    kind = type(value)
    if issubclass(kind, bool):
        return bool(value)
    if issubclass(kind, int):
        return int.__add__(value, 0)
    if issubclass(kind, float):
        return float.__mul__(value, 1.0)
    if issubclass(kind, str):
        return exact(value)
    if issubclass(kind, bytes):
        return bytes.__add__(value, b"")
    return None


def _name(kind: type) -> str:
    return type.__dict__["__name__"].__get__(kind)  # type: ignore[no-any-return]


def _nonfinite(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _digits(value: int) -> str:
    """An integer that SQLite has no type for, as text; a huge one as hexadecimal digits."""
    if abs(value) < 10**DIGITS_LIMIT:
        return str(value)
    return encoded(redaction.text(hex(value), TEXT_LIMIT))


def gated(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it may lie in a spool file: as the database will have it.

    Its keys may be the names of metrics, which get their columns when it is taken in.
    """
    return {redaction.text(name): bindable(value) for name, value in row.items()}


def passed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row out of a spool file: its texts have passed the gate."""
    return {name: _as_stored(value) for name, value in row.items()}


def _as_stored(value: Any) -> Any:
    is_stored = isinstance(value, str) and encoded(decoded(value)) == value
    return Stored(value) if is_stored else value
