"""How XML Schema writes numbers, and which characters a text may hold."""

from __future__ import annotations

from kerasprov_agent.visible import visible_lines

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
    """A text that XML can hold and a terminal can show: control characters are escapes in it."""
    return visible_lines(text)
