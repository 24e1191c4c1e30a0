"""How XML Schema writes numbers, and which characters a text may hold."""

from __future__ import annotations

import re

# XML 1.0 has no place for these, and a progress bar is full of them.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

_SPECIAL = {"nan": "NaN", "inf": "INF", "-inf": "-INF"}


def double(value: float) -> str:
    """An xsd:double: all digits of the number; NaN, INF, -INF."""
    text = repr(value)
    return _SPECIAL.get(text, text)


def integer_type(value: int) -> str:
    """The smallest of xsd:int, xsd:long and xsd:integer that holds the number, as prov chooses."""
    if -(2**31) <= value < 2**31:
        return "xsd:int"
    return "xsd:long" if -(2**63) <= value < 2**63 else "xsd:integer"


def printable(text: str) -> str:
    """A text without control characters, which PROV-XML refuses."""
    return text if text.isprintable() else _CONTROL.sub("", text)
