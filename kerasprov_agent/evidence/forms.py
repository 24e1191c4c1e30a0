"""What led to a model, in the forms that other tools take: one JSON document each, by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from kerasprov_agent.errors import UnknownRun
from kerasprov_agent.evidence import croissant, cyclonedx, openlineage, spdx
from kerasprov_agent.read.materials import Materials
from kerasprov_agent.read.origin import Origin, Several


def _document(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _lines(events: Iterable[Any]) -> str:
    # In ASCII alone, since some who read lines take characters such as U+0085 for the end of one.
    return "".join(json.dumps(event) + "\n" for event in events)


FORMS: dict[str, tuple[Callable[[Materials], Any], Callable[[Any], str]]] = {
    "cyclonedx": (cyclonedx.written, _document),
    "spdx": (spdx.written, _document),
    "croissant": (croissant.written, _document),
    "openlineage": (openlineage.written, _lines),
}


def text(origin: Origin | Several, form: str) -> tuple[str, str | None]:
    """What led to something, as the text of a form of `FORMS`, and what could not be told in it.

    Raises `UnknownRun`.
    """
    if not origin.runs:
        raise UnknownRun("no training is recorded that led to that, so there is nothing to export")
    write, as_text = FORMS[form]
    materials = Materials(origin)
    timeless = openlineage.timeless(materials) if form == "openlineage" else 0
    left_out = f"{timeless} trainings are left out: their times are not known" if timeless else None
    return as_text(write(materials)), left_out
