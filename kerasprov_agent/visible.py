"""Text as it may be shown: what would steer a terminal or hide in a line, as an escape.

Names, notes, paths and errors are whatever somebody wrote. A terminal obeys control characters in
them, a marker of direction turns a line round, and XML has no place for most of these.
"""

from __future__ import annotations

import re
from typing import Any

UNSEEN = (
    "\x00-\x1f\x7f-\x9f"  # control characters, the escape among them
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, overrides and isolates of direction
    "\u2028\u2029"  # separators of lines and paragraphs
    "\ufeff\ufff9-\ufffb\ufffe\uffff"  # byte order marks, annotations, no characters
    "\ud800-\udfff"  # surrogates: bytes that are no UTF-8
)
_UNSEEN = re.compile(f"[{UNSEEN}]")
_UNSEEN_IN_LINES = re.compile(f"(?![\t\n])[{UNSEEN}]")
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
# Spreadsheets take the wide signs too.
_FORMULA = re.compile("[=+\\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)


def visible(text: str) -> str:
    """A text in one line, with escapes such as `\\x1b` for what must not reach a terminal."""
    return text if text.isprintable() else _UNSEEN.sub(_escape, text)


def visible_lines(text: str) -> str:
    """As `visible`, but tabs and the ends of lines stay."""
    return text if text.isprintable() else _UNSEEN_IN_LINES.sub(_escape, text)


def visible_json(text: str) -> str:
    """JSON that says the same, with JSON's own escapes for what must not reach a terminal."""
    return text if text.isprintable() else _UNSEEN_IN_LINES.sub(_json_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _json_escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def no_formula(value: Any) -> Any:
    """A value for CSV: a text that a spreadsheet would run as a formula gets a `'` before it."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
