"""The settings on a program's command line, by name: as argparse, click, fire, hydra read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kerasprov_agent import redaction

_OPTION = re.compile(r"--?([^\W\d][\w.-]*)(?:=(.*))?", re.DOTALL)
_ASSIGNMENT = re.compile(r"\+{0,2}([^\W\d][\w.]*)=(.*)", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_TRUTH = {"true": True, "false": False}


def named(words: Sequence[str]) -> dict[str, Any]:
    """What `--name value`, `--name=value`, `-n value` and `name=value` say, and flags as True.

    Names are written as Python names (`--learning-rate` is `learning_rate`), numbers are numbers.
    Of several words after an option only numbers are taken together: others may be arguments of
    their own. A flag that is followed by such an argument can't be told from an option with its
    value, and is taken for one. What was blanked out is left out.
    """
    options: dict[str, Any] = {}
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "--":
            break
        option = _OPTION.fullmatch(word)
        assignment = option or _ASSIGNMENT.fullmatch(word)
        if assignment is None:
            continue
        name, value = assignment[1].replace("-", "_"), assignment[2]
        if value is None:
            values = _values(words, position)
            position += len(values)
            value = " ".join(values) if values else "true"
        if redaction.REDACTED not in value:
            options[name] = _simple(value)
    return options


def _values(words: Sequence[str], position: int) -> list[str]:
    """The words that belong to the option before them."""
    values: list[str] = []
    for word in words[position:]:
        is_number = bool(_NUMBER.fullmatch(word))
        if not is_number and (values or word.startswith("-") or _ASSIGNMENT.fullmatch(word)):
            break
        values.append(word)
        if not is_number:
            break
    return values


def _simple(value: str) -> Any:
    if not _NUMBER.fullmatch(value):
        return _TRUTH.get(value.lower(), value)
    return int(value) if value.lstrip("+-").isdecimal() else float(value)
