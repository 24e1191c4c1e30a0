"""A PROV statement as a value, and how the common ones are made."""

from __future__ import annotations

import json
from typing import Any

from kerasprov_agent.documents.vocabulary import Name

Value = bool | int | float | str
"""A literal, or a `Name`."""


class Statement:
    """One PROV statement.

    kind: as PROV-N names it, `prefix` for a namespace. formal: its formal attributes in PROV-N's
    order, times as ISO 8601 text, None where absent. attributes: further ones; a name may recur.

    No named tuple: making one compiles a string, by which Python forgets, at the end of a program,
    that it was interrupted, and the exit status changes.
    """

    __slots__ = ("attributes", "formal", "id", "kind")

    def __init__(
        self,
        kind: str,
        id: str | None,
        formal: tuple[str | None, ...],
        attributes: tuple[tuple[str, Value], ...] = (),
    ) -> None:
        self.kind, self.id, self.formal, self.attributes = kind, id, formal, attributes


def present(*attributes: tuple[str, Value | None]) -> tuple[tuple[str, Value], ...]:
    """The attributes that have a value."""
    return tuple((name, value) for name, value in attributes if value is not None)


def literal(value: Any) -> Value:
    """A value read from JSON as a literal; lists and objects stay JSON."""
    return value if isinstance(value, (bool, int, float, str)) else json.dumps(value)


def short(value: Any) -> str:
    """A value in a label: a number with six digits, as Keras' 32 bits are good for."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def use_name(activity: str, entity: str, role: str | None) -> Name:
    """The name of a usage."""
    ending = f"-as-{role}" if role else ""
    return Name(f"{activity}-use-{entity.partition(':')[2]}{ending}")


def used(activity: str, entity: str, at: str | None, role: str | None = None) -> Statement:
    """A usage."""
    attributes = (("prov:role", Name(f"kp:{role}")),) if role else ()
    return Statement("used", use_name(activity, entity, role), (activity, entity, at), attributes)


def generated(entity: str, activity: str, at: str | None) -> Statement:
    """A generation."""
    name = Name(f"{entity}-made-by-{activity.partition(':')[2]}")
    return Statement("wasGeneratedBy", name, (entity, activity, at))


def associated(activity: str, agent: str, plan: str | None, role: str) -> Statement:
    """An association of an agent, in a role and perhaps with a plan."""
    # Always with an identifier: prov reads anonymous associations of one activity back wrongly
    # from RDF, giving the plan to either agent.
    name = Name(f"{activity}-by-{agent.partition(':')[2]}-as-{role}")
    return Statement(
        "wasAssociatedWith", name, (activity, agent, plan), (("prov:role", Name(f"kp:{role}")),)
    )
